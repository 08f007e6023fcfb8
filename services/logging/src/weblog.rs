//! `weblog`: what the log page shows of the detector's log: the last messages at once, new ones as they
//! come, and the words that stand out.
//!
//! The page follows the output `weblog`, whose rows are numbered, so that nothing is shown twice; older
//! messages are found by the search of `msg_dumper`. Messages come from the bus and not from a file:
//! rotation does no harm. State: `kept` messages of at most 2000 characters (20 MB for 10000).

mod core;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fathom_formats::km3net::LogSource;
use fathom_hist::Ring;
use fathom_kernel::view::Table;
use fathom_kernel::{
    BoxFuture, Event, Filter, Frame, FromConfig, Limits, Output, Request, Service, ServiceCx,
    ServiceError, Setup, Subscription, Timestamp, tags,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::warn;

pub(crate) use self::core::Core;
use crate::archive::{Names, day_of};
use crate::index::Level;
use crate::reading::Reading;
use crate::search::{Hit, Wanted};

/// Shortest time between two versions of the list.
const GATHER: Duration = Duration::from_millis(250);
/// Interval of what does not change while the service runs (s): a century.
const NEVER_STALE_S: f64 = 3e9;
/// Longest text shown of one message, in characters.
const SHOWN_CHARACTERS: usize = 2000;

/// Time between two measurements of the memory.
const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// Returns what is shown.
fn wants() -> Filter {
    Filter::frames([tags::MSG])
}

/// Options of `weblog`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder of the files of `msg_dumper`, relative to the stack's data folder: the last messages of
    /// them are shown after a start.
    pub directory: PathBuf,
    /// First part of their names.
    pub prefix: String,
    /// Messages shown when the page is opened.
    #[schemars(range(min = 1, max = 1000))]
    pub shown: usize,
    /// Messages kept, here and in the page.
    #[schemars(range(min = 1, max = 100000))]
    pub kept: usize,
    /// What stands out: regular expressions with CSS colours. The first that fits a place wins there.
    pub highlights: Vec<Highlight>,
}

/// A word that stands out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Highlight {
    /// Regular expression, as browsers know them.
    pub pattern: String,
    /// CSS colour of the text; empty leaves it.
    #[serde(default)]
    pub colour: String,
    /// CSS colour behind the text; empty leaves it.
    #[serde(default)]
    pub background: String,
    /// Makes the whole line bold.
    #[serde(default)]
    pub bold_line: bool,
}

impl Default for Config {
    fn default() -> Self {
        let word = |word: &str, colour: &str, bold_line| Highlight {
            pattern: format!("\\b{word}\\b"),
            colour: colour.into(),
            background: String::new(),
            bold_line,
        };
        let class = |class: &str, colour: &str, background: &str| Highlight {
            pattern: format!("\\[{class}\\]"),
            colour: colour.into(),
            background: background.into(),
            bold_line: false,
        };
        Self {
            directory: PathBuf::from("."),
            prefix: "MSG".into(),
            shown: 200,
            kept: 10_000,
            highlights: vec![
                word("ALERT", "#ed1c66", false),
                word("ERROR", "#CC0C28", true),
                word("STATUS", "#2F76CC", false),
                class("DataFilter", "white", "#138799"),
                class("AcousticDataFilter", "white", "#a87332"),
                class("DataWriter", "black", "#FFBE05"),
                class("DataQueue", "white", "#674591"),
            ],
        }
    }
}

/// The service.
pub struct Weblog {
    config: Config,
}

impl FromConfig<Config> for Weblog {
    fn check(config: &Config, _: &Setup) -> Result<(), String> {
        if !(1..=1000).contains(&config.shown) || !(1..=100_000).contains(&config.kept) {
            return Err("expected shown from 1 to 1000 and kept from 1 to 100000".into());
        }
        for highlight in &config.highlights {
            if let Err(error) = regex::Regex::new(&highlight.pattern) {
                return Err(format!("highlight {:?}: {error}", highlight.pattern));
            }
        }
        Ok(())
    }

    fn from_config(config: &Config, _: &Setup) -> Self {
        Self {
            config: config.clone(),
        }
    }
}

impl Service for Weblog {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        Box::pin(async move {
            let events = cx.subscribe(wants(), Limits::default());
            let names = Names::new(
                cx.data_dir.join(&self.config.directory),
                self.config.prefix.clone(),
            );
            let (shown, today) = (self.config.shown, day_of(cx.clock.now()));
            let search = move || Wanted::newest(shown).search(&names, today);
            let found = tokio::task::spawn_blocking(search)
                .await
                .map_err(ServiceError::new)?;
            let start = u64::try_from(cx.clock.now().as_microsecond()).unwrap_or(0);
            let mut lines = Lines::new(&self.config, start);
            match found {
                Ok(found) => {
                    for file in &found.unread {
                        warn!(file, "a file of messages cannot be read to its end");
                    }
                    found
                        .messages
                        .into_iter()
                        .for_each(|hit| lines.earlier(hit));
                }
                // A stack that starts for the first time has no folder yet.
                Err(error) => warn!(%error, "earlier messages cannot be shown"),
            }
            let highlights = highlights(&self.config.highlights);
            cx.put(highlights.at(Some(cx.clock.now())).every(NEVER_STALE_S));
            follow(lines, events, cx).await
        })
    }
}

async fn follow(
    mut lines: Lines,
    mut events: Subscription,
    mut cx: ServiceCx,
) -> Result<(), ServiceError> {
    cx.counters.forget_gauges();
    cx.ready();
    let mut ticks = tokio::time::interval(GATHER);
    let mut measures = tokio::time::interval(MEASURE_EVERY);
    for timer in [&mut ticks, &mut measures] {
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    }
    let stop = cx.stop.clone();
    let mut batch = VecDeque::new();
    loop {
        // All branches are cancel-safe: a batch is taken only when its branch completes.
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            Some(request) = cx.inbox.recv() => lines.answer(request),
            _ = ticks.tick() => {
                if let Some(output) = lines.output_if_changed() {
                    cx.put(output);
                }
            }
            _ = measures.tick() => cx.counters.memory(lines.memory_bytes()),
            open = events.recv_batch(&mut batch) => {
                if !open { return Ok(()) }
                lines.take(&mut batch, &cx);
            }
        }
    }
}

/// A message as shown.
#[derive(Debug)]
struct Line {
    number: u64,
    /// Arrival; unknown for messages of files without index.
    received: Option<Timestamp>,
    level: Level,
    class: LogSource,
    text: String,
}

/// The last messages.
#[derive(Debug)]
struct Lines {
    kept: Ring<Line>,
    shown: usize,
    /// Number of the next message; it starts with the time, so that it grows over restarts.
    next: u64,
    /// Messages since the last version.
    fresh: usize,
    changed: bool,
}

impl Lines {
    fn new(config: &Config, start: u64) -> Self {
        Self {
            kept: Ring::new(config.kept),
            shown: config.shown,
            next: start,
            fresh: 0,
            changed: true,
        }
    }

    fn earlier(&mut self, hit: Hit) {
        self.push(hit.at, (hit.level, hit.class), &hit.text);
    }

    fn push(&mut self, received: Option<Timestamp>, about: (Level, LogSource), text: &str) {
        let (level, class) = about;
        self.kept.push(Line {
            number: self.next,
            received,
            level,
            class,
            text: text.chars().take(SHOWN_CHARACTERS).collect(),
        });
        self.next += 1;
        self.fresh += 1;
        self.changed = true;
    }

    fn take(&mut self, batch: &mut VecDeque<Arc<Event>>, cx: &ServiceCx) {
        let count = batch.len() as u64;
        let mut bytes = 0;
        let mut newest = None;
        for event in batch.drain(..) {
            bytes += event.cost_bytes() as u64;
            if let Event::Frame(frame) = &*event {
                if let Some(reason) = self.saw(frame) {
                    cx.counters.bad(reason);
                }
                newest = Some(frame.received);
            }
        }
        cx.counters.received(count, bytes);
        cx.counters.lag_since(newest, cx.clock.now());
    }

    /// Takes a message; returns the reason why it cannot be read as it should, if there is one.
    fn saw(&mut self, frame: &Frame) -> Option<&'static str> {
        let reading = Reading::of(frame);
        let (class, level) = reading.about();
        self.push(Some(frame.received), (level, class), reading.text());
        reading.fault()
    }

    /// Forgets all messages. Numbers go on, so that a page that follows stays in step.
    fn forget(&mut self) {
        self.kept.clear();
        self.changed = true;
    }

    fn memory_bytes(&self) -> usize {
        let texts = self.kept.iter().map(|line| line.text.len());
        texts.sum::<usize>() + self.kept.len() * size_of::<Line>()
    }

    /// Returns the last messages when there are new ones: at least those shown at first, and all new
    /// ones, so that a page that follows misses none.
    fn output_if_changed(&mut self) -> Option<Output> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let fresh = std::mem::take(&mut self.fresh);
        let newest = self.kept.newest().and_then(|line| line.received);
        let table = self.table(self.shown.max(fresh));
        let output = Output::new("weblog", "Log of the data acquisition", table);
        Some(output.at(newest).every(60.0))
    }

    fn table(&self, count: usize) -> Table {
        let from = self.kept.len().saturating_sub(count);
        let row = |line: &Line| {
            vec![
                json!(line.number),
                json!(line.received.map(Timestamp::as_millisecond)),
                json!(line.level.as_str()),
                json!(line.class.as_str()),
                json!(line.text),
            ]
        };
        let columns = ["number", "time [ms]", "level", "class", "message"];
        Table {
            columns: columns.map(str::to_owned).to_vec(),
            rows: self.kept.iter().skip(from).map(row).collect(),
        }
    }

    fn answer(&mut self, request: Request) {
        let answer: Result<Value, String> = match &*request.verb {
            "messages" => {
                let limit = request.args.get("limit").and_then(Value::as_u64);
                let limit = limit.map_or(self.shown, |n| usize::try_from(n).unwrap_or(usize::MAX));
                serde_json::to_value(self.table(limit)).map_err(|e| e.to_string())
            }
            "reset" => {
                self.forget();
                Ok(Value::Null)
            }
            other => Err(format!(
                "unknown request {other:?}, expected reset, messages {{\"limit\": N}}"
            )),
        };
        // Whoever asked may have gone; then nobody needs the answer.
        request.reply.send(answer).unwrap_or_default();
    }
}

/// Makes the output with what stands out.
fn highlights(list: &[Highlight]) -> Output {
    let row = |h: &Highlight| {
        vec![
            json!(h.pattern),
            json!(h.colour),
            json!(h.background),
            json!(h.bold_line),
        ]
    };
    let columns = ["pattern", "colour", "background", "bold line"];
    let table = Table {
        columns: columns.map(str::to_owned).to_vec(),
        rows: list.iter().map(row).collect(),
    };
    Output::new("weblog_highlights", "What stands out in the log", table)
}
