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
use crate::standing::{GONE, Kept, Standing, over};
use crate::{
    BoxFuture, Event, Fetched, Monitor, Outputs, Recalled, Request, Service, ServiceCx,
    ServiceError, Setup, blocking, chain, write_files,
};

mod unwritten;

use self::unwritten::Unwritten;

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

/// Name of what is kept of the conditions, beside the state of the service.
const CONDITIONS: &str = "conditions";

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
                unwritten: Unwritten::default(),
                // Of the one before.
                keeps_conditions: true,
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
    /// Whether conditions are kept for the next incarnation.
    keeps_conditions: bool,
    unwritten: Unwritten,
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
        // Said after the start: what was said before it is of the one before.
        self.recall().await?;
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
                _ = persists.tick() => {
                    self.persist(Persist::default()).await?;
                    self.keep_conditions().await?;
                }
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
        self.keep_conditions().await?;
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
        self.cx.counters.lag_since(newest, self.cx.clock.now());
    }

    fn measure(&self) {
        self.cx.counters.memory(self.monitor.memory_bytes());
    }

    /// Goes over to another description of the detector: a new monitor takes back what the old one
    /// kept.
    async fn renew(&mut self, detector: Option<Arc<Detector>>) -> Result<(), ServiceError> {
        let setup = Setup {
            detector,
            detector_comes: false,
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
        self.restore().await?;
        let (until, at) = (Instant::now() + SAY_AGAIN_WITHIN, self.cx.clock.now());
        let monitor = &mut self.monitor;
        let recall = |rule: &str, subject: &str| monitor.recall(rule, subject);
        let gone = self.standing.hand_over(recall, until, at);
        self.out.alarms.extend(gone);
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
        if std::mem::take(&mut self.out.keeps) {
            self.persist(Persist::default()).await?;
        }
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
            self.unwritten.tell(reason, &error);
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

    /// Reminds the monitor of what held when the one before the restart ended, and says again what goes
    /// on. What is older than the alarm engine waits for is forgotten.
    async fn recall(&mut self) -> Result<(), ServiceError> {
        let checkpoint = self.cx.checkpoint.beside(CONDITIONS);
        let kept = match blocking(move || checkpoint.load()).await? {
            Ok(saved) => saved.json::<Kept>().map(Option::unwrap_or_default),
            Err(error) => Err(error.to_string()),
        };
        let kept = kept.unwrap_or_else(|error| {
            warn!(%error, "kept conditions cannot be read, starting without them");
            Kept::default()
        });
        let now = self.cx.clock.now();
        let passed = Duration::try_from(now.duration_since(kept.at));
        if !passed.is_ok_and(|passed| passed <= SAY_AGAIN_WITHIN) {
            return Ok(());
        }
        for alarm in kept.conditions {
            match self.monitor.recall(&alarm.rule, &alarm.subject) {
                Recalled::Holds => self.out.alarms.push(alarm),
                Recalled::Gone => self.out.alarms.push(over(alarm, GONE, now)),
                Recalled::Unknown => {}
            }
        }
        self.publish().await
    }

    async fn keep_conditions(&mut self) -> Result<(), ServiceError> {
        let kept = self.standing.kept(self.cx.clock.now());
        if kept.conditions.is_empty() && !std::mem::take(&mut self.keeps_conditions) {
            return Ok(());
        }
        self.keeps_conditions = !kept.conditions.is_empty();
        let mut keep = Persist::default();
        keep.json(&kept);
        let checkpoint = self.cx.checkpoint.beside(CONDITIONS);
        if let Err(error) = blocking(move || keep.write(&checkpoint)).await? {
            self.cx.counters.bad("conditions not kept");
            warn!(error = chain(&error), "conditions cannot be kept");
        }
        Ok(())
    }

    async fn persist(&mut self, mut keep: Persist) -> Result<(), ServiceError> {
        self.monitor.persist(&mut keep);
        let checkpoint = self.cx.checkpoint.clone();
        if let Err(error) = blocking(move || keep.write(&checkpoint)).await? {
            self.cx.counters.bad("state not kept");
            warn!(error = chain(&error), "state cannot be kept");
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
mod tests;
