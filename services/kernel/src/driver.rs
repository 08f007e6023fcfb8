//! Turns a monitor into a service: subscribes, drains batches, ticks, answers, publishes, persists.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fathom_formats::detx::Detector;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::{info, warn};

use crate::monitor::Persist;
use crate::standing::Standing;
use crate::{
    BoxFuture, Event, Fetched, Monitor, Outputs, Request, Service, ServiceCx, ServiceError, Setup,
    blocking, write_files,
};

/// Time between two checkpoints of a monitor.
const PERSIST_EVERY: Duration = Duration::from_secs(30);

/// Time between two measurements of a monitor's memory, which may look at all of its state.
const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// Longest time a monitor works on a batch before other tasks of its thread may run.
const STRETCH_MAX: Duration = Duration::from_millis(2);

/// Events between two looks at the clock: few enough for slow monitors, many enough not to cost.
const BETWEEN_LOOKS: usize = 32;

/// Time that a monitor has to say again what the one before the new description of the detector said:
/// as long as the alarm engine gives it after a restart, since some judge every few minutes only.
/// Until then nothing is told of it, so that what goes on does not end and begin again for people.
const SAY_AGAIN_WITHIN: Duration = Duration::from_mins(10);

/// Most fetches of one monitor under way; further ones are refused.
const FETCHES_MAX: usize = 16;

/// Runs one monitor as a service.
pub struct Driver<M: Monitor> {
    config: M::Config,
    setup: Setup,
}

impl<M: Monitor> Driver<M> {
    /// Makes the service of one start.
    pub fn new(config: M::Config, setup: Setup) -> Self {
        Self { config, setup }
    }
}

impl<M: Monitor> Service for Driver<M> {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        Box::pin(async move {
            let Self { config, mut setup } = *self;
            if let Some(detector) = cx.detector.now() {
                setup.detector = Some(detector);
            }
            Loop {
                monitor: M::new(config.clone(), &setup),
                config,
                setup,
                out: Outputs::default(),
                fetching: JoinSet::new(),
                standing: Standing::default(),
                cx,
            }
            .run()
            .await
        })
    }
}

struct Loop<M: Monitor> {
    monitor: M,
    config: M::Config,
    setup: Setup,
    out: Outputs,
    /// Ends with the service.
    fetching: JoinSet<Fetched>,
    /// What this incarnation said and has not taken back, for who comes later and asks.
    standing: Standing,
    cx: ServiceCx,
}

impl<M: Monitor> Loop<M> {
    async fn run(mut self) -> Result<(), ServiceError> {
        // Subscribed before the state is restored, so that nothing is missed meanwhile.
        let mut events = self.cx.subscribe(M::TOPICS.into(), M::LIMITS);
        let mut detector = self.cx.detector.subscribe();
        self.cx.counters.forget_gauges();
        self.restore().await?;
        self.measure();
        self.cx.ready();
        let mut ticks = every(M::TICK);
        let mut measures = every(MEASURE_EVERY);
        let mut persists = every(PERSIST_EVERY);
        let mut batch = VecDeque::new();
        let stop = self.cx.stop.clone();
        loop {
            // All branches are cancel-safe: a batch is taken only when its branch completes.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(request) = self.cx.inbox.recv() => self.answer(request),
                _ = ticks.tick() => self.monitor.on_tick(self.cx.clock.now(), &mut self.out),
                _ = measures.tick() => {
                    self.measure();
                    self.end_doubted();
                }
                _ = persists.tick() => self.persist(Persist::default()).await?,
                Ok(()) = detector.changed() => {
                    let newer = detector.borrow_and_update().clone();
                    self.renew(newer).await?;
                }
                Some(done) = self.fetching.join_next() => self.fetched(done),
                open = events.recv_batch(&mut batch) => {
                    if !open { break }
                    self.take(&mut batch).await;
                }
            }
            self.publish().await?;
        }
        // What came before the end is counted as well; it is bounded by the queue.
        if events.try_batch(&mut batch) {
            self.take(&mut batch).await;
        }
        self.monitor.on_tick(self.cx.clock.now(), &mut self.out);
        self.measure();
        self.publish().await?;
        self.persist(Persist::last()).await
    }

    /// Hands a batch to the monitor. A long one lets other tasks of its thread run now and then, and
    /// is counted by parts, so that progress shows.
    async fn take(&mut self, batch: &mut VecDeque<Arc<Event>>) {
        let mut since = std::time::Instant::now();
        let newest = batch.iter().rev().find_map(|event| match &**event {
            Event::Frame(frame) => Some(frame.received),
            _ => None,
        });
        while !batch.is_empty() {
            let part = batch.len().min(BETWEEN_LOOKS);
            let mut bytes = 0;
            for event in batch.drain(..part) {
                bytes += event.cost_bytes() as u64;
                self.monitor.on_event(&event, &mut self.out);
            }
            self.cx.counters.received(part as u64, bytes);
            if !batch.is_empty() && since.elapsed() >= STRETCH_MAX {
                tokio::task::yield_now().await;
                since = std::time::Instant::now();
            }
        }
        if let Some(received) = newest {
            let lag = self.cx.clock.now().duration_since(received);
            // A clock that was set back says nothing.
            self.cx
                .counters
                .lag(lag.try_into().unwrap_or(Duration::ZERO));
        }
    }

    fn measure(&self) {
        self.cx.counters.memory(self.monitor.memory_bytes());
    }

    /// Goes over to another description of the detector: a new monitor takes back what the old one
    /// kept.
    async fn renew(&mut self, detector: Option<Arc<Detector>>) -> Result<(), ServiceError> {
        let setup = Setup {
            detector,
            ..self.setup.clone()
        };
        if let Err(reason) = M::check(&self.config, &setup) {
            warn!(
                reason,
                "the new description of the detector does not fit, the old one stays"
            );
            return Ok(());
        }
        self.persist(Persist::last()).await?;
        // Their answers are for the old one.
        self.fetching = JoinSet::new();
        self.monitor = M::new(self.config.clone(), &setup);
        self.setup = setup;
        self.standing.doubt(Instant::now() + SAY_AGAIN_WITHIN);
        self.restore().await?;
        self.measure();
        info!("goes by the new description of the detector");
        Ok(())
    }

    /// Ends what a former monitor said and the present one did not say again in time.
    fn end_doubted(&mut self) {
        let why = "not said again since the description of the detector changed";
        let at = self.cx.clock.now();
        let over = self.standing.end_doubted(Instant::now(), why, at);
        self.out.alarms.extend(over);
    }

    fn answer(&mut self, request: Request) {
        let answer = match &*request.verb {
            "reset" => {
                self.reset();
                Ok(serde_json::Value::Null)
            }
            "conditions" => Ok(self.standing.iter().map(|alarm| json!(alarm)).collect()),
            verb => self.monitor.on_request(verb, &request.args),
        };
        if request.reply.send(answer).is_err() {
            info!(verb = %request.verb, "nobody waits for the answer any more");
        }
    }

    /// Makes the monitor forget everything; what it said does not hold any more, as far as it knows.
    fn reset(&mut self) {
        self.monitor.reset();
        let at = self.cx.clock.now();
        let gone = self.standing.end_all("reset, no longer known", at);
        self.out.alarms.extend(gone);
    }

    async fn publish(&mut self) -> Result<(), ServiceError> {
        for reason in self.out.bad.drain(..) {
            self.cx.counters.bad(reason);
        }
        for output in self.out.outputs.drain(..) {
            self.cx.put(output);
        }
        // Whoever hears of an alarm may look for its files at once.
        self.write().await?;
        for mut alarm in self.out.alarms.drain(..) {
            alarm.service = self.cx.name.to_string();
            self.standing.learn(&alarm);
            self.cx.bus.publish(Event::Alarm(alarm));
        }
        self.fetch();
        Ok(())
    }

    /// Writes the lines and files of the monitor.
    async fn write(&mut self) -> Result<(), ServiceError> {
        if self.out.lines.is_empty() && self.out.files.is_empty() {
            return Ok(());
        }
        let lines = std::mem::take(&mut self.out.lines);
        let files = std::mem::take(&mut self.out.files);
        let folder = self.cx.data_dir.join("files");
        let faults = blocking(move || write_files(&folder, &lines, &files)).await?;
        for (reason, error) in faults {
            self.cx.counters.bad(reason);
            warn!(%error, reason, "cannot write for a monitor");
        }
        Ok(())
    }

    /// Begins what the monitor wants to be fetched.
    fn fetch(&mut self) {
        for fetch in std::mem::take(&mut self.out.fetches) {
            let name = fetch.name.clone();
            let placed = match self.fetching.len() >= FETCHES_MAX {
                true => Err(fetch.refused("too many fetches at one time")),
                false => fetch.within(&self.cx.data_dir, &self.cx.addresses),
            };
            match placed {
                Ok(fetch) => {
                    let world = self.cx.world.clone();
                    self.fetching.spawn(async move { world.fetch(fetch).await });
                }
                Err(error) => {
                    let content = Err(error);
                    self.monitor
                        .on_fetched(Fetched { name, content }, &mut self.out);
                }
            }
        }
    }

    fn fetched(&mut self, done: Result<Fetched, tokio::task::JoinError>) {
        match done {
            Ok(fetched) => self.monitor.on_fetched(fetched, &mut self.out),
            Err(error) => {
                self.cx.counters.bad("fetch ended by a fault");
                warn!(%error, "a fetch ended by a fault of its own");
            }
        }
    }

    async fn restore(&mut self) -> Result<(), ServiceError> {
        let checkpoint = self.cx.checkpoint.clone();
        let saved = match blocking(move || checkpoint.load()).await? {
            Ok(saved) => saved,
            Err(error) => {
                warn!(%error, "kept state cannot be read, starting without it");
                return Ok(());
            }
        };
        if let Err(reason) = self.monitor.restore(&saved) {
            warn!(reason, "kept state does not fit, starting without it");
            self.monitor.reset();
        }
        Ok(())
    }

    async fn persist(&mut self, mut keep: Persist) -> Result<(), ServiceError> {
        self.monitor.persist(&mut keep);
        let checkpoint = self.cx.checkpoint.clone();
        if let Err(error) = blocking(move || keep.write(&checkpoint)).await? {
            self.cx.counters.bad("state not kept");
            warn!(%error, "state cannot be kept");
        }
        Ok(())
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

#[cfg(test)]
mod tests {
    use fathom_formats::controlhost::{Tag, tags};
    use jiff::Timestamp;
    use tokio::sync::oneshot;

    use super::*;
    use crate::filter::Topics;
    use crate::view::Scalar;
    use crate::{Frame, Output, Saved};

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

    #[tokio::test(start_paused = true)]
    async fn what_waits_when_a_monitor_is_stopped_is_counted() {
        let (cx, mut outside) = ServiceCx::alone("count", std::env::temp_dir());
        let (bus, stop, counters) = (cx.bus.clone(), cx.stop.clone(), cx.counters.clone());
        let driver = Driver::<Count>::new(Nothing {}, Setup::default());
        let running = tokio::spawn(Box::new(driver).run(cx));
        outside.ready.wait_for(|ready| *ready).await.unwrap();
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
        let running =
            tokio::spawn(Box::new(Driver::<Slow>::new(Nothing {}, Setup::default())).run(cx));
        outside.ready.wait_for(|ready| *ready).await.unwrap();
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
        let driver = Driver::<Count>::new(Nothing {}, Setup::default());
        let running = tokio::spawn(Box::new(driver).run(cx));
        outside.ready.wait_for(|ready| *ready).await.unwrap();

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
        let driver = Driver::<Filing>::new(Nothing {}, Setup::default());
        let running = tokio::spawn(Box::new(driver).run(cx));
        outside.ready.wait_for(|ready| *ready).await.unwrap();
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
        let driver = Driver::<Thrifty>::new(Nothing {}, Setup::default());
        let running = tokio::spawn(Box::new(driver).run(cx));
        outside.ready.wait_for(|ready| *ready).await.unwrap();
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
        let driver = Driver::<Nervous>::new(Nothing {}, Setup::default());
        let running = tokio::spawn(Box::new(driver).run(cx));
        outside.ready.wait_for(|ready| *ready).await.unwrap();
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
        let driver = Driver::<Worried>::new(Nothing {}, Setup::default());
        let running = tokio::spawn(Box::new(driver).run(cx));
        outside.ready.wait_for(|ready| *ready).await.unwrap();
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
}
