//! What held before a restart or a reload, and what becomes of it.

use super::*;

/// Looks after one channel, and says so of it until it is told that all is well.
struct Mindful(bool);

impl Monitor for Mindful {
    type Config = Nothing;
    const TOPICS: Topics = Topics::frames(&[tags::MSG]);

    fn new(_: Nothing, _: &Setup) -> Self {
        Self(false)
    }

    fn on_event(&mut self, event: &Event, out: &mut Outputs) {
        let Event::Frame(frame) = event else { return };
        let is_loud = frame.body.starts_with(b"loud");
        for subject in ["channel 3", "channel 4", "all"] {
            if is_loud || self.0 && subject == "channel 3" {
                let about = ("too_loud", subject);
                out.alarm(about, crate::Severity::Warning, is_loud, "", frame.received);
            }
        }
        self.0 = is_loud;
    }

    fn on_tick(&mut self, _: Timestamp, _: &mut Outputs) {}

    fn memory_bytes(&self) -> usize {
        0
    }

    fn reset(&mut self) {}

    fn recall(&mut self, _: &str, subject: &str) -> Recalled {
        match subject {
            "channel 3" => {
                self.0 = true;
                Recalled::Holds
            }
            "channel 4" => Recalled::Gone,
            _ => Recalled::Unknown,
        }
    }
}

/// Keeps the last snapshot of each name.
#[derive(Default)]
struct Snapshots(std::sync::Mutex<std::collections::BTreeMap<String, Vec<u8>>>);

impl crate::CheckpointStore for Snapshots {
    fn load(&self, name: &str) -> Result<Saved, crate::CheckpointError> {
        let snapshot = self.0.lock().unwrap().get(name).cloned();
        Ok(Saved {
            snapshot,
            ..Saved::default()
        })
    }

    fn save(&self, name: &str, snapshot: &[u8]) -> Result<(), crate::CheckpointError> {
        let mut all = self.0.lock().unwrap();
        all.insert(name.to_owned(), snapshot.to_vec());
        Ok(())
    }

    fn append(&self, _: &str, _: &[u8]) -> Result<(), crate::CheckpointError> {
        Ok(())
    }
}

fn said(text: &'static str) -> Event {
    let Event::Frame(frame) = message(tags::MSG) else {
        panic!("no frame")
    };
    let body = text.as_bytes().into();
    Event::Frame(Frame { body, ..frame })
}

/// Takes so many alarms, however they are batched.
async fn alarms_of(alarms: &mut crate::Subscription, number: usize) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    while found.len() < number {
        let mut batch = VecDeque::new();
        assert!(alarms.recv_batch(&mut batch).await);
        found.extend(batch.iter().filter_map(|event| match &**event {
            Event::Alarm(alarm) => Some((alarm.subject.clone(), alarm.firing)),
            _ => None,
        }));
    }
    found
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_ended_over_a_restart_or_a_reload_was_never_taken_back() {
    let store = Arc::new(Snapshots::default());
    let alarms = crate::Filter::none().and(crate::Topic::Alarm);
    let is = |subject: &str, firing| (subject.to_owned(), firing);
    for incarnation in 1..=2 {
        let (mut cx, mut outside) = ServiceCx::alone("mindful", std::env::temp_dir());
        cx.checkpoint = crate::Checkpoint::new("mindful".into(), store.clone());
        let (bus, stop, detector) = (cx.bus.clone(), cx.stop.clone(), cx.detector.clone());
        let mut alarms = bus.subscribe("test", alarms.clone(), crate::Limits::default());
        let running = running::<Mindful>(cx, &mut outside).await;
        if incarnation == 2 {
            // Said again, and what nobody looks after is over at once.
            let expected = [is("channel 3", true), is("channel 4", false)];
            assert_eq!(alarms_of(&mut alarms, 2).await, expected);
            bus.publish(said("well"));
            assert_eq!(alarms_of(&mut alarms, 1).await, [is("channel 3", false)]);
        }
        bus.publish(said("loud"));
        alarms_of(&mut alarms, 3).await;
        if incarnation == 2 {
            let layout = fathom_formats::detx::Layout::orca(1);
            assert!(detector.publish(Detector::generated(&layout).into()));
            assert_eq!(alarms_of(&mut alarms, 1).await, [is("channel 4", false)]);
            bus.publish(said("well"));
            assert_eq!(alarms_of(&mut alarms, 1).await, [is("channel 3", false)]);
        }
        stop.cancel();
        running.await.unwrap().unwrap();
    }
}
