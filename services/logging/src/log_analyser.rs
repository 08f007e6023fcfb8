//! `log_analyser`: how many errors and warnings each class of DAQ process writes, per minute and day.
//!
//! Messages are counted as they come. Past days are counted from the archived files of `msg_dumper`, by
//! their index where there is one and line by line where not, so that days in which this service did
//! not run are complete as well. State: a day of minutes (250 bytes each, 0.4 MB) and `keep` days.

mod core;
mod counts;
mod files;
mod stats;
mod views;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::{
    Alarm, BoxFuture, Event, Filter, FromConfig, Limits, Service, ServiceCx, ServiceError, Setup,
    Subscription, Timestamp, blocking, chain, tags,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;
use tracing::{info, warn};

pub(crate) use self::core::Core;
use self::files::Look;
use self::stats::Stats;
use crate::archive::{ArchiveError, Names, day_of};
use crate::reading::Reading;

/// Time between two looks at the minute.
const TICK: Duration = Duration::from_secs(1);
/// Time between two looks for archived files that are not counted yet, and between two checkpoints.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Returns what is counted.
fn wants() -> Filter {
    Filter::frames([tags::MSG])
}

/// Options of `log_analyser`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder of the files of `msg_dumper`, relative to the stack's data folder.
    pub directory: PathBuf,
    /// First part of their names.
    pub prefix: String,
    /// Alarm when a class writes more errors than this in a minute; 0 switches it off.
    pub errors_per_minute: u64,
    /// Days in the bar charts.
    #[schemars(range(min = 1, max = 100))]
    pub days_shown: usize,
    /// Days whose counts are kept.
    #[schemars(range(min = 8, max = 3650))]
    pub days_kept: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("."),
            prefix: "MSG".into(),
            errors_per_minute: 10,
            days_shown: 14,
            days_kept: 400,
        }
    }
}

/// The service.
pub struct LogAnalyser {
    config: Config,
}

impl FromConfig<Config> for LogAnalyser {
    fn check(config: &Config, _: &Setup) -> Result<(), String> {
        if !(1..=100).contains(&config.days_shown) || !(8..=3650).contains(&config.days_kept) {
            return Err("expected days_shown from 1 to 100 and days_kept from 8 to 3650".into());
        }
        Ok(())
    }

    fn from_config(config: &Config, _: &Setup) -> Self {
        Self {
            config: config.clone(),
        }
    }
}

impl Service for LogAnalyser {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        Box::pin(async move {
            // Subscribed before the files are read: what is received from now on is counted here.
            let events = cx.subscribe(wants(), Limits::default());
            let since = cx.clock.now();
            let folder = cx.data_dir.join(&self.config.directory);
            let names = Names::new(folder, self.config.prefix.clone());
            let mut stats = Stats::new(&self.config, since);
            let (checkpoint, today) = (cx.checkpoint.clone(), names.clone());
            let begun = move || (checkpoint.load(), files::today_until(&today, since));
            let (saved, before) = blocking(begun).await?;
            match saved
                .map_err(|e| e.to_string())
                .and_then(|s| stats.restore(&s))
            {
                Ok(()) => {}
                Err(reason) => warn!(reason, "kept counts cannot be used"),
            }
            match before {
                Ok(before) => stats.take_today(day_of(since), &before),
                Err(error) => warn!(%error, "the messages of today cannot be counted"),
            }
            let analyser = Analyser {
                stats,
                standing: BTreeMap::new(),
                names,
                work: JoinSet::new(),
                cx,
            };
            analyser.run(events).await
        })
    }
}

/// A running service.
struct Analyser {
    stats: Stats,
    /// What was said of classes that write too many errors, as long as they do.
    standing: BTreeMap<String, Alarm>,
    names: Names,
    work: JoinSet<Result<Look, ArchiveError>>,
    cx: ServiceCx,
}

impl Analyser {
    async fn run(mut self, mut events: Subscription) -> Result<(), ServiceError> {
        self.cx.counters.forget_gauges();
        self.cx.ready();
        let mut ticks = tokio::time::interval(TICK);
        let mut looks = tokio::time::interval(LOOK_EVERY);
        for timer in [&mut ticks, &mut looks] {
            timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        }
        let stop = self.cx.stop.clone();
        let mut batch = VecDeque::new();
        loop {
            // All branches are cancel-safe: a batch is taken only when its branch completes.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(request) = self.cx.inbox.recv() => {
                    let answer = match &*request.verb {
                        "reset" => {
                            self.stats.reset(self.cx.clock.now());
                            self.standing.clear();
                            Ok(serde_json::Value::Null)
                        }
                        "conditions" => Ok(self.standing.values().map(|alarm| json!(alarm)).collect()),
                        other => Err(format!("unknown request {other:?}, expected reset or conditions")),
                    };
                    request.reply.send(answer).unwrap_or_default();
                }
                Some(done) = self.work.join_next() => self.counted(done),
                _ = looks.tick() => self.look().await?,
                open = events.recv_batch(&mut batch) => {
                    if !open { break }
                    self.take(&mut batch);
                }
                _ = ticks.tick() => self.publish(),
            }
        }
        while events.try_batch(&mut batch) {
            self.take(&mut batch);
        }
        self.publish();
        self.persist().await
    }

    fn take(&mut self, batch: &mut VecDeque<Arc<Event>>) {
        let count = batch.len() as u64;
        let mut bytes = 0;
        let mut newest = None;
        for event in batch.drain(..) {
            bytes += event.cost_bytes() as u64;
            if let Event::Frame(frame) = &*event {
                let reading = Reading::of(frame);
                if let Some(reason) = reading.fault() {
                    self.cx.counters.bad(reason);
                }
                self.stats.saw(frame.received, reading.about());
                newest = Some(frame.received);
            }
        }
        self.cx.counters.received(count, bytes);
        self.cx.counters.lag_since(newest, self.cx.clock.now());
    }

    fn publish(&mut self) {
        let now: Timestamp = self.cx.clock.now();
        for mut alarm in self.stats.tick(now) {
            alarm.service = self.cx.name.to_string();
            match alarm.firing {
                true => self.standing.insert(alarm.subject.clone(), alarm.clone()),
                false => self.standing.remove(&alarm.subject),
            };
            self.cx.bus.publish(Event::Alarm(alarm));
        }
        for output in self.stats.outputs_if_changed(now) {
            self.cx.put(output);
        }
        self.cx.counters.memory(self.stats.memory_bytes());
    }

    /// Looks for archived days that are not counted from their files yet, and keeps what is known.
    async fn look(&mut self) -> Result<(), ServiceError> {
        if self.work.is_empty() {
            let (names, wanted) = (self.names.clone(), self.stats.wanted());
            let stop = self.cx.stop.clone();
            self.work
                .spawn_blocking(move || files::days(&names, &wanted, &|| stop.is_cancelled()));
        }
        self.persist().await
    }

    fn counted(&mut self, done: Result<Result<Look, ArchiveError>, tokio::task::JoinError>) {
        match done {
            Ok(Ok(Look {
                counted: days,
                failed,
            })) => {
                if !days.is_empty() {
                    info!(days = days.len(), "archived messages counted");
                }
                let damage = days.values().filter_map(|(_, damage)| damage.as_ref());
                for error in damage.chain(&failed) {
                    self.unreadable(error);
                }
                self.stats.take_days(days);
            }
            Ok(Err(error)) => self.unreadable(&error),
            Err(error) => warn!(%error, "a piece of work did not end well"),
        }
    }

    fn unreadable(&self, error: &ArchiveError) {
        self.cx.counters.bad("archived file not readable");
        warn!(%error, cause = ?std::error::Error::source(error), "archived file");
    }

    async fn persist(&mut self) -> Result<(), ServiceError> {
        let (checkpoint, kept) = (self.cx.checkpoint.clone(), self.stats.kept());
        if let Err(error) = blocking(move || checkpoint.save(&kept)).await? {
            self.cx.counters.bad("state not kept");
            warn!(error = chain(&error), "state cannot be kept");
        }
        Ok(())
    }
}
