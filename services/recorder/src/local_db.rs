//! `local_db`: tables of the board in an SQLite file, written by one thread.
//!
//! Only the newest version of a table waits to be written, because it has all rows. Rows that are
//! there already, by their key, are left alone, and rows are never deleted: the file remembers what
//! the table has let go. When the file cannot be written the newest tables wait; it is tried again
//! after 1 s, then after twice as long up to an option, for as long as it takes. Each failure is
//! counted, and while they last the condition `database_not_written` holds.

mod database;
mod identity;
mod plan;
mod report;
mod writer;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::{
    Alarm, BoxFuture, Event, Filter, FromConfig, Limits, Output, Service, ServiceCx, ServiceError,
    Setup, Severity, Span, Subscription, Topic,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use self::database::Fault;
use self::plan::Plan;
use self::report::Report;
use self::writer::{Done, Writer};

/// Pause after the first failure; it doubles with each further one.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Most tables mirrored.
const TABLES_MAX: usize = 64;
/// Events share their outputs with the board, so that waiting ones pin little.
const QUEUE: Limits = Limits {
    messages: 32_768,
    bytes: 1 << 30,
};

/// Options of `local_db`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The SQLite file, relative to the stack's data folder. One of km3mon's is taken as it is.
    pub filename: PathBuf,
    /// Longest pause between two attempts to write.
    pub retry_max: Span,
    /// Tables of the board, by the names of their outputs, and where they go.
    pub tables: BTreeMap<String, Mirrored>,
}

/// Where a table of the board goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mirrored {
    /// Table of the file.
    pub table: String,
    /// Columns that together make a row what it is: of rows that agree in them the first one stays.
    pub key: Vec<String>,
    /// Columns of the table with their types, such as `n_hits INT`; those of the first rows when
    /// empty.
    #[serde(default)]
    pub columns: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let events = Mirrored {
            table: "event_selection".into(),
            key: texts(&["det_id", "run_id", "frame_index", "trigger_counter"]),
            columns: texts(&[
                "overlays INT",
                "n_hits INT",
                "n_triggered_hits INT",
                "n_dus INT",
                "plot_filename TEXT",
                "run_id INT",
                "det_id INT",
                "frame_index INT",
                "trigger_counter INT",
                "utc_timestamp INT",
            ]),
        };
        let alarms = Mirrored {
            table: "alarm_history".into(),
            // Numbers begin anew when the alarms' own state is lost.
            key: texts(&["id", "at"]),
            columns: Vec::new(),
        };
        Self {
            filename: "monitoring.sqlite3".into(),
            retry_max: Span::from_secs(60),
            tables: [("event_selection", events), ("alarm_history", alarms)]
                .map(|(name, mirrored)| (name.to_owned(), mirrored))
                .into(),
        }
    }
}

/// The service.
pub struct LocalDb {
    config: Config,
}

impl FromConfig<Config> for LocalDb {
    fn check(config: &Config, _: &Setup) -> Result<(), String> {
        if config.filename.as_os_str().is_empty() {
            return Err("filename is empty, expected the name of a file".into());
        }
        if config.tables.len() > TABLES_MAX {
            return Err(format!("expected at most {TABLES_MAX} tables"));
        }
        if config.retry_max < RETRY_FIRST.into() {
            let got = config.retry_max;
            return Err(format!("retry_max is {got}, expected 1s or more"));
        }
        for (output, mirrored) in &config.tables {
            if !Output::is_valid_name(output) {
                return Err(format!("{output:?} is no name of an output"));
            }
            Plan::new(mirrored).map_err(|reason| format!("tables.{output}: {reason}"))?;
        }
        Ok(())
    }

    fn from_config(config: &Config, _: &Setup) -> Self {
        Self {
            config: config.clone(),
        }
    }
}

impl Service for LocalDb {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        Box::pin(async move {
            let events = cx.subscribe(Filter::none().and(Topic::Output), QUEUE);
            let mut plans = BTreeMap::new();
            for (output, mirrored) in &self.config.tables {
                let plan = Plan::new(mirrored).map_err(ServiceError::new)?;
                plans.insert(output.clone(), plan);
            }
            let path = cx.data_dir.join(&self.config.filename);
            let writer = Writer::start(path.clone(), plans).map_err(ServiceError::new)?;
            let names = self.config.tables.keys().cloned();
            let mirror = Mirror {
                report: Report::new(path, names.clone().collect()),
                // At first nothing is written but the empty tables.
                waiting: names.map(|name| (name, None)).collect(),
                retry_max: self.config.retry_max.duration(),
                failures: 0,
                due: None,
                writer,
                cx,
            };
            mirror.run(events).await
        })
    }
}

/// A running service.
struct Mirror {
    cx: ServiceCx,
    writer: Writer,
    /// The newest version of each table that is not written yet; `None` only makes sure that the
    /// table is there.
    waiting: BTreeMap<String, Option<Arc<Output>>>,
    report: Report,
    retry_max: Duration,
    /// Attempts that failed since the last one that did not.
    failures: u32,
    /// When to try again after a failure.
    due: Option<Instant>,
}

impl Mirror {
    async fn run(mut self, mut events: Subscription) -> Result<(), ServiceError> {
        for entry in self.cx.board.entries() {
            self.wait_for(&entry.output);
        }
        self.cx.ready();
        let stop = self.cx.stop.clone();
        let mut batch = VecDeque::new();
        loop {
            self.begin();
            // All branches are cancel-safe: a batch is taken only when its branch completes.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(request) = self.cx.inbox.recv() => {
                    let text = format!("unknown request {:?}, expected none", request.verb);
                    // Whoever asked may have gone.
                    request.reply.send(Err(text)).unwrap_or_default();
                }
                done = self.writer.done() => self.finished(done?),
                () = sleep_until(self.due.unwrap_or_else(Instant::now)), if self.due.is_some() => {
                    self.due = None;
                }
                open = events.recv_batch(&mut batch) => {
                    if !open { break }
                    self.take(&mut batch);
                }
            }
        }
        if events.try_batch(&mut batch) {
            self.take(&mut batch);
        }
        self.write_the_rest().await
    }

    fn take(&mut self, batch: &mut VecDeque<Arc<Event>>) {
        let mut bytes = 0;
        let count = batch.len() as u64;
        for event in batch.drain(..) {
            bytes += event.cost_bytes() as u64;
            if let Event::Output(change) = &*event {
                self.wait_for(&change.output);
            }
        }
        self.cx.counters.received(count, bytes);
    }

    fn wait_for(&mut self, output: &Arc<Output>) {
        if self.report.is_mirrored(&output.name) {
            self.waiting
                .insert(output.name.clone(), Some(output.clone()));
        }
    }

    /// Hands everything that waits to the writer, if it is free and it is time.
    fn begin(&mut self) {
        if self.due.is_none() && !self.writer.is_busy() && !self.waiting.is_empty() {
            self.writer.write(std::mem::take(&mut self.waiting));
        }
    }

    fn finished(&mut self, done: Done) {
        let now = self.cx.clock.now();
        for (name, written) in &done.written {
            self.report.wrote(name, *written, now);
        }
        for (name, reason) in done.refused {
            self.cx.counters.bad("table that does not fit");
            warn!(output = %name, reason, "a table of the board cannot be mirrored");
            self.report.refused(&name, reason);
        }
        let was_failing = self.failures > 0;
        match done.fault {
            None => self.failures = 0,
            Some(fault) => {
                self.cx.counters.bad(fault.reason());
                // Newer versions that came meanwhile stay.
                for (name, output) in done.left {
                    self.waiting.entry(name).or_insert(output);
                }
                let doubled = RETRY_FIRST * 2_u32.pow(self.failures.min(20));
                self.due = Some(Instant::now() + doubled.min(self.retry_max));
                self.failures += 1;
                self.report.failed(&fault);
                if !was_failing {
                    self.tell(true, chain(&fault));
                }
            }
        }
        if was_failing && self.failures == 0 {
            self.tell(false, "tables are written again".into());
        }
        let output = self.report.output(now);
        self.cx.put(output);
    }

    fn tell(&self, firing: bool, text: String) {
        warn!(firing, text, "database");
        self.cx.bus.publish(Event::Alarm(Alarm {
            service: self.cx.name.to_string(),
            rule: "database_not_written".into(),
            subject: self.report.file().to_owned(),
            severity: Severity::Warning,
            firing,
            text,
            at: self.cx.clock.now(),
        }));
    }

    /// Tries once more before the end.
    async fn write_the_rest(mut self) -> Result<(), ServiceError> {
        if self.writer.is_busy() {
            let done = self.writer.done().await?;
            self.finished(done);
        }
        self.due = None;
        if !self.waiting.is_empty() {
            self.begin();
            let done = self.writer.done().await?;
            self.finished(done);
        }
        if !self.waiting.is_empty() {
            let tables = self.waiting.len();
            warn!(tables, "tables could not be written before the end");
        }
        self.writer.end().await
    }
}

fn chain(fault: &Fault) -> String {
    let mut text = fault.to_string();
    let mut cause = std::error::Error::source(fault);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
