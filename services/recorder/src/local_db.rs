//! `local_db`: tables of the board in an SQLite file, written by one thread.
//!
//! Only the newest version of a table waits to be written, because it has all rows. Rows that are
//! there already, by their key, are left alone, and rows that the table has let go stay, unless an output
//! (`gone`) lists them: rows that agree with it in the key and in all its other columns that the file has
//! are taken out, but for those that the newest table has again. That is so for events whose pictures are
//! gone. Table `fathom_TABLE_rows` of the file remembers which rows were written here: rows of others are
//! never changed or taken out, even when they are the same. When the file cannot be written the newest tables wait; it is tried again
//! after 1 s, then after twice as long up to an option, for as long as it takes. Each failure is
//! counted, and while they last the condition `database_not_written` holds (`conditions` tells it).
//!
//! Rows that are in the file already, km3mon's for example, go back to who makes the table: as
//! `files/local_db/OUTPUT.json` (a table in JSON: the newest 50,000 rows, and the 300 with the largest
//! numbers of each column that is declared to hold integers and not of the key), written when the file is
//! opened and, looked after every minute, when somebody else has written into it. `ztplot` takes the
//! event selection from there. A table that cannot be read is counted and tried again when the file
//! has changed; what concerns the whole file is tried again like writing.

mod database;
mod identity;
mod plan;
mod report;
mod writer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::{
    Alarm, BoxFuture, Event, Filter, FromConfig, Limits, Output, Service, ServiceCx, ServiceError,
    Setup, Severity, Span, Subscription, Timestamp, Topic,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, interval_at, sleep_until};
use tracing::warn;

use self::database::Fault;
use self::plan::Plan;
use self::report::Report;
use self::writer::{Done, Writer};

/// Pause after the first failure; it doubles with each further one.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Time between two looks at what others have written.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The output that an option of its own gives another name to.
const EVENTS: &str = "event_selection";
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
    /// Name of the table with all selected events, as the option of the same name says it for
    /// `ztplot`: the entry `event_selection` of `tables` is for the output and table of this name.
    pub event_selection_table: String,
    /// The SQLite file, relative to the stack's data folder. One of km3mon's is taken as it is, and the
    /// events that it has compete in the event selection.
    pub filename: PathBuf,
    /// Longest pause between two attempts to write.
    pub retry_max: Span,
    /// Tables of the board, by the names of their outputs, and where they go. Rows that the output of
    /// `gone` lists leave again, such as events whose pictures are gone; rows of others stay.
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
    /// Hand the rows that are in the file, those of others among them, back to who makes the output.
    #[serde(default = "yes")]
    pub read_back: bool,
    /// Output with rows to be taken out of the table again, whole rows with the same columns; only those
    /// that were written here go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<String>,
}

/// Returns the name of the output with the events that have left a selection.
fn gone_of(selection: &str) -> String {
    format!("{selection}_gone")
}

const fn yes() -> bool {
    true
}

impl Default for Config {
    fn default() -> Self {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let events = Mirrored {
            table: EVENTS.into(),
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
            read_back: true,
            gone: Some(gone_of(EVENTS)),
        };
        let alarms = Mirrored {
            table: "alarm_history".into(),
            // Numbers begin anew when the alarms' own state is lost.
            key: texts(&["id", "at"]),
            columns: Vec::new(),
            // The alarms keep their own history.
            read_back: false,
            gone: None,
        };
        Self {
            event_selection_table: EVENTS.into(),
            filename: "monitoring.sqlite3".into(),
            retry_max: Span::from_secs(60),
            tables: [(EVENTS, events), ("alarm_history", alarms)]
                .map(|(name, mirrored)| (name.to_owned(), mirrored))
                .into(),
        }
    }
}

impl Config {
    /// Returns the tables with the event selection under its name.
    fn named_tables(&self) -> BTreeMap<String, Mirrored> {
        let mut tables = self.tables.clone();
        let name = &self.event_selection_table;
        if name != EVENTS
            && !tables.contains_key(name)
            && let Some(mut events) = tables.remove(EVENTS)
        {
            if events.table == EVENTS {
                events.table.clone_from(name);
            }
            if events.gone.as_ref() == Some(&gone_of(EVENTS)) {
                events.gone = Some(gone_of(name));
            }
            tables.insert(name.clone(), events);
        }
        tables
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
        let tables = config.named_tables();
        for (output, mirrored) in &tables {
            if mirrored
                .gone
                .as_ref()
                .is_some_and(|gone| tables.contains_key(gone))
            {
                return Err(format!("tables.{output}: gone is the output of a table"));
            }
            for name in std::iter::once(output).chain(&mirrored.gone) {
                if !Output::is_valid_name(name) {
                    return Err(format!("{name:?} is no name of an output"));
                }
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
            let tables = self.config.named_tables();
            for (output, mirrored) in &tables {
                let plan = Plan::new(mirrored).map_err(ServiceError::new)?;
                plans.insert(output.clone(), plan);
            }
            let path = cx.data_dir.join(&self.config.filename);
            let files = cx.data_dir.join("files");
            let writer = Writer::start(path.clone(), files, plans).map_err(ServiceError::new)?;
            let names = tables.keys().cloned();
            let mirror = Mirror {
                report: Report::new(path, names.clone().collect()),
                gone: (tables.values())
                    .filter_map(|mirrored| mirrored.gone.clone())
                    .collect(),
                // At first nothing is written but the empty tables.
                waiting: names.map(|name| (name, None)).collect(),
                retry_max: self.config.retry_max.duration(),
                failures: 0,
                due: None,
                is_to_look: true,
                standing: None,
                is_told: false,
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
    /// Outputs with rows to be taken out.
    gone: BTreeSet<String>,
    retry_max: Duration,
    /// Attempts that failed since the last one that did not.
    failures: u32,
    /// When to try again after a failure.
    due: Option<Instant>,
    /// What others have written is to be looked at, even when nothing waits.
    is_to_look: bool,
    /// The condition while it holds.
    standing: Option<Alarm>,
    /// This start has said whether the file is written: what the one before said of it holds until then.
    is_told: bool,
}

impl Mirror {
    async fn run(mut self, mut events: Subscription) -> Result<(), ServiceError> {
        for entry in self.cx.board.entries() {
            self.wait_for(&entry.output);
        }
        self.cx.ready();
        let stop = self.cx.stop.clone();
        let mut batch = VecDeque::new();
        let mut looks = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        loop {
            self.begin();
            // All branches are cancel-safe: a batch is taken only when its branch completes.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(request) = self.cx.inbox.recv() => {
                    let answer = self.answer(&request.verb);
                    // Whoever asked may have gone.
                    request.reply.send(answer).unwrap_or_default();
                }
                done = self.writer.done() => self.finished(done?),
                () = sleep_until(self.due.unwrap_or_else(Instant::now)), if self.due.is_some() => {
                    self.due = None;
                }
                _ = looks.tick() => self.is_to_look = true,
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
        if self.report.is_mirrored(&output.name) || self.gone.contains(&output.name) {
            self.waiting
                .insert(output.name.clone(), Some(output.clone()));
        }
    }

    /// Hands everything that waits to the writer, if it is free and it is time.
    fn begin(&mut self) {
        let is_wanted = self.is_to_look || !self.waiting.is_empty();
        if self.due.is_none() && !self.writer.is_busy() && is_wanted {
            self.is_to_look = false;
            self.writer.write(std::mem::take(&mut self.waiting));
        }
    }

    fn finished(&mut self, mut done: Done) {
        let now = self.cx.clock.now();
        let is_news = self.note(&mut done, now);
        let was_failing = self.failures > 0;
        match done.fault {
            None => {
                self.failures = 0;
                self.report.works();
            }
            Some(fault) => {
                self.cx.counters.bad(fault.reason());
                // Newer versions that came meanwhile stay.
                for (name, output) in done.left {
                    self.waiting.entry(name).or_insert(output);
                }
                let doubled = RETRY_FIRST * 2_u32.pow(self.failures.min(20));
                self.due = Some(Instant::now() + doubled.min(self.retry_max));
                self.failures += 1;
                self.is_to_look = true;
                self.report.failed(&fault);
                if !was_failing {
                    self.tell(true, chain(&fault));
                }
            }
        }
        let is_failing = self.failures > 0;
        let was_told = std::mem::replace(&mut self.is_told, true);
        if was_failing && !is_failing {
            self.tell(false, "tables are written again".into());
        } else if !was_told && !is_failing {
            self.tell(false, "tables are written since the start".into());
        }
        if is_news || was_failing || is_failing {
            let output = self.report.output(now);
            self.cx.put(output);
        }
    }

    /// Notes what became of each table; tells whether that is anything.
    fn note(&mut self, done: &mut Done, now: Timestamp) -> bool {
        let is_news = !(done.written.is_empty()
            && done.taken_out.is_empty()
            && done.refused.is_empty()
            && done.handed_back.is_empty()
            && done.kept_back.is_empty());
        for (name, taken_out) in &done.taken_out {
            self.report.took_out(name, *taken_out);
        }
        for (name, written) in &done.written {
            self.report.wrote(name, *written, now);
        }
        for (name, reason) in done.refused.drain(..) {
            self.cx.counters.bad("table that does not fit");
            warn!(output = %name, reason, "a table of the board cannot be mirrored");
            self.report.refused(&name, reason);
        }
        for (name, rows) in &done.handed_back {
            self.report.handed_back(name, *rows);
        }
        for (name, reason) in done.kept_back.drain(..) {
            self.cx.counters.bad("rows of the file not read");
            warn!(output = %name, reason, "rows that are in the file are not handed back");
            self.report.kept_back(&name, reason);
        }
        is_news
    }

    /// Tells the conditions that hold to whoever has not heard of them.
    fn answer(&self, verb: &str) -> Result<Value, String> {
        match verb {
            "conditions" => Ok(self.standing.iter().map(|alarm| json!(alarm)).collect()),
            _ => Err(format!("unknown request {verb:?}, expected conditions")),
        }
    }

    fn tell(&mut self, firing: bool, text: String) {
        if firing || self.standing.is_some() {
            warn!(firing, text, "database");
        }
        let alarm = Alarm {
            service: self.cx.name.to_string(),
            rule: "database_not_written".into(),
            subject: self.report.file().to_owned(),
            severity: Severity::Warning,
            firing,
            text,
            at: self.cx.clock.now(),
        };
        self.standing = firing.then(|| alarm.clone());
        self.cx.bus.publish(Event::Alarm(alarm));
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
