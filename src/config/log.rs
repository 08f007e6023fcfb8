//! What becomes of the output of a service: where it goes, how it looks, what is kept.

use std::time::Duration;

use fathom_kernel::{Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `log = { … }`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogDoc {
    /// Where the output goes.
    pub(crate) target: LogTarget,
    /// How its lines look there.
    pub(crate) format: LineFormat,
    /// A file of this size is rotated at the end of a line; 0 is never.
    pub(crate) max: Size,
    /// Rotated files kept.
    pub(crate) backups: usize,
    /// A file older than this is rotated as well.
    pub(crate) age: Option<Span>,
    /// Compress rotated files (`NAME.log.1.gz`).
    pub(crate) compress: bool,
    /// Whether standard error goes to the same file or to one of its own.
    pub(crate) stderr: Stderr,
    /// What happens while the disk takes nothing and 4 MiB wait already.
    pub(crate) on_full: OnFull,
}

impl Default for LogDoc {
    fn default() -> Self {
        Self {
            target: LogTarget::File,
            format: LineFormat::Raw,
            max: Size::from_bytes(50_000_000),
            backups: 10,
            age: None,
            compress: false,
            stderr: Stderr::Merge,
            on_full: OnFull::Block,
        }
    }
}

impl LogDoc {
    /// Returns the plan.
    pub(crate) fn plan(&self) -> LogPlan {
        LogPlan {
            target: self.target,
            format: self.format,
            max: self.max,
            backups: self.backups,
            age: self.age.map(|age| age.duration()),
            compress: self.compress,
            stderr: self.stderr,
            on_full: self.on_full,
        }
    }
}

/// What becomes of the output of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPlan {
    /// Where it goes.
    pub target: LogTarget,
    /// How its lines look there.
    pub format: LineFormat,
    /// A file of this size is rotated at the end of a line; 0 is never.
    pub max: Size,
    /// Rotated files kept.
    pub backups: usize,
    /// A file older than this is rotated as well.
    pub age: Option<Duration>,
    /// Compress rotated files.
    pub compress: bool,
    /// What happens to standard error.
    pub stderr: Stderr,
    /// What happens while the disk takes nothing.
    pub on_full: OnFull,
}

impl Default for LogPlan {
    fn default() -> Self {
        LogDoc::default().plan()
    }
}

/// Where the output of a service goes. Its last lines are kept in memory in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogTarget {
    /// Into a file under `logs/`.
    #[default]
    File,
    /// To standard output of the supervisor, each line after `NAME | `.
    Stdout,
    /// On the bus only, each line an event, however many there are.
    Bus,
    /// Nowhere.
    None,
}

/// How the lines of a service look in its log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LineFormat {
    /// As they are, byte by byte.
    #[default]
    Raw,
    /// After the time at which they were read.
    Ts,
    /// One JSON object per line: time, service, stream, text.
    Json,
}

/// What happens to standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stderr {
    /// Into the same file as standard output.
    #[default]
    Merge,
    /// Into a file of its own.
    Separate,
}

/// What happens while a log cannot be written and memory for it is used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFull {
    /// The service waits when it writes more.
    #[default]
    Block,
    /// Further lines are dropped and counted; the service never waits.
    Drop,
}
