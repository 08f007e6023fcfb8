//! A monitor: a pure state machine from events and time to outputs. No clock, socket, task or lock
//! is in reach of monitor code.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::filter::Topics;
use crate::{
    Alarm, CheckpointError, Claim, Event, Fetch, Fetched, FileEdit, Limits, Output, Saved, Setup,
    Severity,
};

/// What a monitor is. [`crate::Driver`] turns it into a service.
pub trait Monitor: Send + Sized + 'static {
    /// Its options; unknown keys are refused.
    type Config: DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static;
    /// Which tags and topics to receive.
    const TOPICS: Topics;
    /// Time between two calls of `on_tick`.
    const TICK: Duration = Duration::from_secs(1);
    /// Requests that only read, such as `history`: whoever may look at the page may make them. What
    /// changes anything that others see must not be among them.
    const QUESTIONS: &'static [&'static str] = &[];
    /// Bounds of its queue.
    const LIMITS: Limits = Limits {
        messages: 200_000,
        bytes: 256 << 20,
    };

    /// Checks options that serde cannot check; the text says what was expected.
    fn check(_config: &Self::Config, _setup: &Setup) -> Result<(), String> {
        Ok(())
    }

    /// Returns what it writes under fixed names that two of one stack must not share: its files, and its
    /// outputs where an option names them. When it names no output, those of the kind are taken to be
    /// the same whatever the options are.
    fn claims(_config: &Self::Config) -> Vec<Claim> {
        Vec::new()
    }

    /// Makes the monitor of one start.
    fn new(config: Self::Config, setup: &Setup) -> Self;

    /// Takes one event.
    fn on_event(&mut self, event: &Event, out: &mut Outputs);

    /// Time has passed: put outputs.
    fn on_tick(&mut self, now: Timestamp, out: &mut Outputs);

    /// Takes the answer to an [`Outputs::fetch`].
    fn on_fetched(&mut self, _fetched: Fetched, _out: &mut Outputs) {}

    /// Recorded data have ended: the ticks that follow are there to finish and to show what came, and
    /// are no silence of the detector.
    fn on_end(&mut self) {}

    /// Tells whether something was begun that further ticks finish; recorded data wait for it at
    /// their end.
    fn is_busy(&self) -> bool {
        false
    }

    /// Forgets everything, as if just started.
    fn reset(&mut self);

    /// Answers a question of an operator; `reset` and `conditions` (what it said by
    /// [`Outputs::alarm`] and has not taken back) are answered for it.
    fn on_request(
        &mut self,
        verb: &str,
        _args: &serde_json::Value,
    ) -> Result<serde_json::Value, String> {
        Err(format!("unknown request {verb:?}, expected reset"))
    }

    /// Takes back what [`Monitor::persist`] kept; state that does not fit is ignored with a reason.
    /// Conditions are not part of it: see [`Monitor::recall`].
    fn restore(&mut self, _saved: &Saved) -> Result<(), String> {
        Ok(())
    }

    /// Takes back that a condition held when the monitor before this one ended, by a restart or for
    /// another description of the detector. Called after [`Monitor::restore`]. A monitor that takes it
    /// says it when the condition is over, as if it had said itself that it holds.
    fn recall(&mut self, _rule: &str, _subject: &str) -> Recalled {
        Recalled::Unknown
    }

    /// Keeps what should survive a restart; called now and then, and at the end, which
    /// [`Persist::is_last`] tells: what is left out then is lost.
    fn persist(&mut self, _keep: &mut Persist) {}

    /// Returns roughly how much memory the state takes (bytes), for status.
    fn memory_bytes(&self) -> usize;
}

/// What becomes of a condition that a monitor is reminded of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recalled {
    /// It holds until the monitor says that it is over.
    Holds,
    /// It cannot hold any more: nobody looks at its subject now.
    Gone,
    /// The monitor knows nothing of it: it is over unless it is said again in time.
    Unknown,
}

/// What a monitor wants to be kept.
#[derive(Debug, Default)]
pub struct Persist {
    pub(crate) snapshot: Option<Vec<u8>>,
    pub(crate) records: Vec<Vec<u8>>,
    is_last: bool,
}

impl Persist {
    /// Makes the one of the end of a monitor.
    pub fn last() -> Self {
        Self {
            is_last: true,
            ..Self::default()
        }
    }

    /// Tells whether the monitor ends after this.
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// Replaces everything kept so far.
    pub fn snapshot(&mut self, bytes: Vec<u8>) {
        self.snapshot = Some(bytes);
        self.records.clear();
    }

    /// Replaces everything kept so far by a value as JSON, which [`Saved::json`] reads again.
    ///
    /// # Panics
    /// When the value has no JSON: it holds a map whose keys are no texts, a fault of the monitor.
    pub fn json(&mut self, value: &impl Serialize) {
        self.snapshot(serde_json::to_vec(value).expect("numbers and texts become JSON"));
    }

    /// Adds a record behind the snapshot.
    pub fn append(&mut self, bytes: Vec<u8>) {
        self.records.push(bytes);
    }

    /// Writes everything to a checkpoint.
    pub fn write(self, checkpoint: &crate::Checkpoint) -> Result<(), CheckpointError> {
        if let Some(snapshot) = self.snapshot {
            checkpoint.save(&snapshot)?;
        }
        self.records
            .iter()
            .try_for_each(|record| checkpoint.append(record))
    }
}

/// Collects what a monitor says during one call.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Outputs for the board.
    pub outputs: Vec<Output>,
    /// Alarms for the bus.
    pub alarms: Vec<Alarm>,
    /// Messages that could not be read, by reason.
    pub bad: Vec<&'static str>,
    /// Lines for text files.
    pub lines: Vec<FileLine>,
    /// Files to write and to take away, in this order.
    pub files: Vec<FileEdit>,
    /// What to read of the world; answers come to [`Monitor::on_fetched`].
    pub fetches: Vec<Fetch>,
    /// The state is to be kept now.
    pub keeps: bool,
}

/// A line to append to a text file under `data_dir/files`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLine {
    /// File name, valid as an output name.
    pub file: &'static str,
    /// First line of a new file.
    pub header: &'static str,
    /// The line, without its end.
    pub line: String,
}

impl Outputs {
    /// Puts an output on the board.
    pub fn put(&mut self, output: Output) {
        self.outputs.push(output);
    }

    /// Counts a message that could not be read.
    pub fn bad(&mut self, reason: &'static str) {
        self.bad.push(reason);
    }

    /// Appends a line to a text file.
    pub fn line(&mut self, line: FileLine) {
        self.lines.push(line);
    }

    /// Writes a file, or takes one away.
    pub fn file(&mut self, edit: FileEdit) {
        self.files.push(edit);
    }

    /// Asks for the content of a file or web address.
    pub fn fetch(&mut self, fetch: Fetch) {
        self.fetches.push(fetch);
    }

    /// Keeps the state now instead of within half a minute: behind the files of this call and before its
    /// alarms. For changes that are rare and must not be lost when the process is killed.
    pub fn keep(&mut self) {
        self.keeps = true;
    }

    /// Says that a condition holds now, or does not any more. Say it when it changes.
    pub fn alarm(
        &mut self,
        (rule, subject): (&str, impl Into<String>),
        severity: Severity,
        firing: bool,
        text: impl Into<String>,
        at: Timestamp,
    ) {
        self.alarms.push(Alarm {
            service: String::new(),
            rule: rule.to_owned(),
            subject: subject.into(),
            severity,
            firing,
            text: text.into(),
            at,
        });
    }
}
