use fathom_formats::controlhost::{Tag, tags};
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::*;
use crate::filter::Topics;
use crate::view::Scalar;
use crate::{Frame, Output, Saved};

mod recall;

/// Counts messages.
struct Count(u64);

#[derive(Clone, serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

impl Monitor for Count {
    type Config = Nothing;
    const TOPICS: Topics = Topics::frames(&[tags::MSG]);

    fn new(_: Nothing, _: &Setup) -> Self {
        Self(0)
    }

    fn on_event(&mut self, _: &Event, _: &mut Outputs) {
        self.0 += 1;
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Outputs) {
        #[expect(clippy::cast_precision_loss, reason = "the test counts to three")]
        let value = self.0 as f64;
        let scalar = Scalar {
            value,
            unit: String::new(),
        };
        out.put(Output::new("count", "Count", scalar).at(Some(now)));
    }

    fn memory_bytes(&self) -> usize {
        8
    }

    fn reset(&mut self) {
        self.0 = 0;
    }

    fn restore(&mut self, _: &Saved) -> Result<(), String> {
        Ok(())
    }
}

/// Works for 0.2 ms on each message.
struct Slow;

impl Monitor for Slow {
    type Config = Nothing;
    const TOPICS: Topics = Topics::frames(&[tags::MSG]);

    fn new(_: Nothing, _: &Setup) -> Self {
        Self
    }

    fn on_event(&mut self, _: &Event, _: &mut Outputs) {
        let end = std::time::Instant::now() + Duration::from_micros(200);
        while std::time::Instant::now() < end {}
    }

    fn on_tick(&mut self, _: Timestamp, _: &mut Outputs) {}

    fn memory_bytes(&self) -> usize {
        0
    }

    fn reset(&mut self) {}

    fn restore(&mut self, _: &Saved) -> Result<(), String> {
        Ok(())
    }
}

fn message(tag: Tag) -> Event {
    let received = Timestamp::UNIX_EPOCH;
    Event::Frame(Frame {
        source: "t".into(),
        tag,
        received,
        body: b"hello"[..].into(),
    })
}

async fn value(bus: &mut crate::Subscription) -> f64 {
    let mut batch = VecDeque::new();
    assert!(bus.recv_batch(&mut batch).await);
    let Some(Event::Output(change)) = batch.back().map(|e| &**e) else {
        panic!("no output")
    };
    let crate::view::View::Scalar(scalar) = &change.output.view else {
        panic!("no scalar")
    };
    scalar.value
}

/// Runs a monitor, once it is ready.
async fn running<M: Monitor<Config = Nothing>>(
    cx: ServiceCx,
    outside: &mut crate::Outside,
) -> tokio::task::JoinHandle<Result<(), ServiceError>> {
    let driver = Driver::<M>::new(Nothing {}, Setup::default());
    let running = tokio::spawn(Box::new(driver).run(cx));
    outside.ready.wait_for(|ready| *ready).await.unwrap();
    running
}

#[tokio::test(start_paused = true)]
async fn what_waits_when_a_monitor_is_stopped_is_counted() {
    let (cx, mut outside) = ServiceCx::alone("count", std::env::temp_dir());
    let (bus, stop, counters) = (cx.bus.clone(), cx.stop.clone(), cx.counters.clone());
    let running = running::<Count>(cx, &mut outside).await;
    bus.publish_batch(vec![message(tags::MSG), message(tags::MSG)]);
    stop.cancel();
    running.await.unwrap().unwrap();
    let counted = counters.snapshot();
    assert_eq!((counted.received, counted.memory_bytes), (2, Some(8)));
    // They arrived in 1970.
    assert!(counted.lag_s.is_some_and(|lag_s| lag_s > 1e9));
}

#[tokio::test]
async fn a_full_queue_leaves_time_for_others() {
    let (cx, mut outside) = ServiceCx::alone("slow", std::env::temp_dir());
    let (bus, stop, counters) = (cx.bus.clone(), cx.stop.clone(), cx.counters.clone());
    let running = running::<Slow>(cx, &mut outside).await;
    bus.publish_batch((0..200).map(|_| message(tags::MSG)).collect());
    let mut turns = 0;
    while counters.snapshot().received < 200 {
        turns += 1;
        tokio::task::yield_now().await;
    }
    // 200 messages of 0.2 ms in stretches of at most 2 ms and the rest of a part.
    assert!(turns > 4, "{turns} turns");
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_monitor_counts_resets_and_stops() {
    let folder = std::env::temp_dir();
    let (cx, mut outside) = ServiceCx::alone("count", folder);
    let (bus, stop) = (cx.bus.clone(), cx.stop.clone());
    let outputs = crate::Filter::none().and(crate::Topic::Output);
    let mut outputs = bus.subscribe("test", outputs, crate::Limits::default());
    let running = running::<Count>(cx, &mut outside).await;

    bus.publish_batch(vec![
        message(tags::MSG),
        message(tags::IO_EVT),
        message(tags::MSG),
    ]);
    assert!((value(&mut outputs).await - 2.0).abs() < 1e-9);

    let (reply, answer) = oneshot::channel();
    let args = serde_json::Value::Null;
    outside
        .inbox
        .send(Request {
            verb: "reset".into(),
            args,
            reply,
        })
        .await
        .unwrap();
    answer.await.unwrap().unwrap();
    assert!(value(&mut outputs).await.abs() < 1e-9);

    stop.cancel();
    running.await.unwrap().unwrap();
}

/// Says that something holds, once.
struct Worried(bool);

impl Monitor for Worried {
    type Config = Nothing;
    const TOPICS: Topics = Topics::frames(&[tags::MSG]);

    fn new(_: Nothing, _: &Setup) -> Self {
        Self(false)
    }

    fn on_event(&mut self, _: &Event, out: &mut Outputs) {
        if !std::mem::replace(&mut self.0, true) {
            let about = ("too_loud", "channel 3");
            out.alarm(
                about,
                crate::Severity::Warning,
                true,
                "loud",
                Timestamp::UNIX_EPOCH,
            );
        }
    }

    fn on_tick(&mut self, _: Timestamp, _: &mut Outputs) {}

    fn memory_bytes(&self) -> usize {
        0
    }

    fn reset(&mut self) {
        self.0 = false;
    }
}

/// Keeps each message in a file and tells of it.
struct Filing;

impl Monitor for Filing {
    type Config = Nothing;
    const TOPICS: Topics = Topics::frames(&[tags::MSG]);

    fn new(_: Nothing, _: &Setup) -> Self {
        Self
    }

    fn on_event(&mut self, event: &Event, out: &mut Outputs) {
        let Event::Frame(frame) = event else { return };
        out.file(crate::FileEdit::Write {
            path: "messages/last".into(),
            bytes: frame.body.to_vec(),
        });
        let (about, at) = (("kept", "last"), frame.received);
        out.alarm(about, crate::Severity::Info, true, "a message", at);
    }

    fn on_tick(&mut self, _: Timestamp, _: &mut Outputs) {}

    fn reset(&mut self) {}

    fn memory_bytes(&self) -> usize {
        0
    }
}

#[tokio::test]
async fn an_alarm_comes_when_the_files_it_tells_of_are_there() {
    let folder = format!("fathom-driver-files-{}", std::process::id());
    let folder = std::env::temp_dir().join(folder);
    let (cx, mut outside) = ServiceCx::alone("filing", &folder);
    let (bus, stop) = (cx.bus.clone(), cx.stop.clone());
    let alarms = crate::Filter::none().and(crate::Topic::Alarm);
    let mut alarms = bus.subscribe("test", alarms, crate::Limits::default());
    let running = running::<Filing>(cx, &mut outside).await;
    bus.publish(message(tags::MSG));
    let mut batch = VecDeque::new();
    assert!(alarms.recv_batch(&mut batch).await);
    let kept = std::fs::read(folder.join("files/messages/last")).unwrap();
    assert_eq!(kept, b"hello");
    stop.cancel();
    running.await.unwrap().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

async fn ask(outside: &crate::Outside, verb: &str) -> serde_json::Value {
    let (reply, answer) = oneshot::channel();
    let (verb, args) = (verb.to_owned(), serde_json::Value::Null);
    let request = Request { verb, args, reply };
    outside.inbox.send(request).await.unwrap();
    answer.await.unwrap().unwrap()
}

async fn next_alarm(alarms: &mut crate::Subscription) -> (String, bool) {
    let mut batch = VecDeque::new();
    assert!(alarms.recv_batch(&mut batch).await);
    match batch.pop_front().as_deref() {
        Some(Event::Alarm(alarm)) if batch.is_empty() => (alarm.subject.clone(), alarm.firing),
        other => panic!("{other:?} and {} more", batch.len()),
    }
}

/// Keeps whether it is at its end.
struct Thrifty;

impl Monitor for Thrifty {
    type Config = Nothing;
    const TOPICS: Topics = Topics::frames(&[tags::MSG]);

    fn new(_: Nothing, _: &Setup) -> Self {
        Self
    }

    fn on_event(&mut self, _: &Event, _: &mut Outputs) {}

    fn on_tick(&mut self, _: Timestamp, _: &mut Outputs) {}

    fn memory_bytes(&self) -> usize {
        0
    }

    fn reset(&mut self) {}

    fn persist(&mut self, keep: &mut Persist) {
        let text = if keep.is_last() { "last" } else { "another" };
        keep.append(text.into());
    }
}

/// A checkpoint in memory.
#[derive(Default)]
struct Memory(std::sync::Mutex<Vec<Vec<u8>>>);

impl crate::CheckpointStore for Memory {
    fn load(&self, _: &str) -> Result<Saved, crate::CheckpointError> {
        Ok(Saved::default())
    }

    fn save(&self, _: &str, _: &[u8]) -> Result<(), crate::CheckpointError> {
        Ok(())
    }

    fn append(&self, _: &str, record: &[u8]) -> Result<(), crate::CheckpointError> {
        self.0.lock().unwrap().push(record.to_vec());
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_monitor_is_told_when_it_keeps_its_state_for_the_last_time() {
    let (mut cx, mut outside) = ServiceCx::alone("thrifty", std::env::temp_dir());
    let store = Arc::new(Memory::default());
    cx.checkpoint = crate::Checkpoint::new("thrifty".into(), store.clone());
    let (stop, detector) = (cx.stop.clone(), cx.detector.clone());
    let running = running::<Thrifty>(cx, &mut outside).await;
    tokio::time::sleep(PERSIST_EVERY + Duration::from_secs(1)).await;
    let layout = fathom_formats::detx::Layout::orca(1);
    assert!(detector.publish(Detector::generated(&layout).into()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    let kept = store.0.lock().unwrap().clone();
    // In between, before a new description, at the end.
    assert_eq!(kept, [&b"another"[..], b"last", b"last"]);
}

/// Keeps every message at once, and tells of it.
struct Careful(Option<String>);

impl Monitor for Careful {
    type Config = Nothing;
    const TOPICS: Topics = Topics::frames(&[tags::MSG]);

    fn new(_: Nothing, _: &Setup) -> Self {
        Self(None)
    }

    fn on_event(&mut self, event: &Event, out: &mut Outputs) {
        let Event::Frame(frame) = event else { return };
        let text = String::from_utf8_lossy(&frame.body).into_owned();
        self.0 = Some(text);
        let about = ("kept", "last");
        out.alarm(about, crate::Severity::Info, true, "hm", frame.received);
        out.keep();
    }

    fn on_tick(&mut self, _: Timestamp, _: &mut Outputs) {}

    fn memory_bytes(&self) -> usize {
        0
    }

    fn reset(&mut self) {}

    fn persist(&mut self, keep: &mut Persist) {
        keep.append(self.0.clone().unwrap_or_default().into());
    }
}

/// What came in the last half minute before a process was killed was lost, though people had been told.
#[tokio::test(start_paused = true)]
async fn what_must_not_be_lost_is_kept_before_anybody_is_told() {
    let (mut cx, mut outside) = ServiceCx::alone("careful", std::env::temp_dir());
    let store = Arc::new(Memory::default());
    cx.checkpoint = crate::Checkpoint::new("careful".into(), store.clone());
    let (bus, stop) = (cx.bus.clone(), cx.stop.clone());
    let alarms = crate::Filter::none().and(crate::Topic::Alarm);
    let mut alarms = bus.subscribe("test", alarms, crate::Limits::default());
    let running = running::<Careful>(cx, &mut outside).await;
    bus.publish(message(tags::MSG));
    assert_eq!(next_alarm(&mut alarms).await, ("last".into(), true));
    assert_eq!(*store.0.lock().unwrap(), [b"hello"]);
    stop.cancel();
    running.await.unwrap().unwrap();
}

/// Says of each message that it is worrying, whatever it said before.
struct Nervous;

impl Monitor for Nervous {
    type Config = Nothing;
    const TOPICS: Topics = Topics::frames(&[tags::MSG]);

    fn new(_: Nothing, _: &Setup) -> Self {
        Self
    }

    fn on_event(&mut self, event: &Event, out: &mut Outputs) {
        let Event::Frame(frame) = event else { return };
        let subject = String::from_utf8_lossy(&frame.body).into_owned();
        let about = ("worrying", subject);
        out.alarm(about, crate::Severity::Warning, true, "hm", frame.received);
    }

    fn on_tick(&mut self, _: Timestamp, _: &mut Outputs) {}

    fn memory_bytes(&self) -> usize {
        0
    }

    fn reset(&mut self) {}
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_the_monitor_of_a_new_description_does_not_say_again_ends() {
    let said = |text: &'static str| {
        let Event::Frame(frame) = message(tags::MSG) else {
            panic!("no frame")
        };
        let body = text.as_bytes().into();
        Event::Frame(Frame { body, ..frame })
    };
    let (cx, mut outside) = ServiceCx::alone("nervous", std::env::temp_dir());
    let (bus, stop, detector) = (cx.bus.clone(), cx.stop.clone(), cx.detector.clone());
    let alarms = crate::Filter::none().and(crate::Topic::Alarm);
    let mut alarms = bus.subscribe("test", alarms, crate::Limits::default());
    let running = running::<Nervous>(cx, &mut outside).await;
    for text in ["stays", "goes"] {
        bus.publish(said(text));
        assert_eq!(next_alarm(&mut alarms).await, (text.into(), true));
    }
    let layout = fathom_formats::detx::Layout::orca(1);
    assert!(detector.publish(Detector::generated(&layout).into()));
    let renewed = Instant::now();
    // Long before the time is over: nothing ends only to begin again.
    tokio::time::sleep(Duration::from_secs(60)).await;
    bus.publish(said("stays"));
    assert_eq!(next_alarm(&mut alarms).await, ("stays".into(), true));
    assert_eq!(next_alarm(&mut alarms).await, ("goes".into(), false));
    let passed = renewed.elapsed();
    assert!((SAY_AGAIN_WITHIN..SAY_AGAIN_WITHIN + MEASURE_EVERY).contains(&passed));
    let held = ask(&outside, "conditions").await;
    let subjects: Vec<_> = held
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["subject"])
        .collect();
    assert_eq!(subjects, ["stays"]);
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_monitor_said_can_be_asked_for_until_it_is_reset() {
    let (cx, mut outside) = ServiceCx::alone("worried", std::env::temp_dir());
    let (bus, stop) = (cx.bus.clone(), cx.stop.clone());
    let alarms = crate::Filter::none().and(crate::Topic::Alarm);
    let mut alarms = bus.subscribe("test", alarms, crate::Limits::default());
    let running = running::<Worried>(cx, &mut outside).await;
    assert_eq!(ask(&outside, "conditions").await, json!([]));
    bus.publish(message(tags::MSG));
    let mut batch = VecDeque::new();
    assert!(alarms.recv_batch(&mut batch).await);
    let held = ask(&outside, "conditions").await;
    assert_eq!(
        (&held[0]["rule"], &held[0]["service"]),
        (&json!("too_loud"), &json!("worried"))
    );
    ask(&outside, "reset").await;
    assert_eq!(ask(&outside, "conditions").await, json!([]));
    batch.clear();
    assert!(alarms.recv_batch(&mut batch).await);
    assert!(matches!(&*batch[0], Event::Alarm(alarm) if !alarm.firing));
    stop.cancel();
    running.await.unwrap().unwrap();
}
