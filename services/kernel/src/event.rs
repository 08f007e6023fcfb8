//! What travels on the bus: one enum with few variants, each a struct of its own.

use std::sync::Arc;

use bytes::Bytes;
use fathom_formats::controlhost::Tag;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::filter::Topic;
use crate::{Alarm, Notice, Output, State};

/// One thing that happened. A new payload format adds a tag, not a variant.
#[derive(Debug, Clone)]
pub enum Event {
    /// A message of the data acquisition.
    Frame(Frame),
    /// A service put a new version of an output on the board.
    Output(OutputChange),
    /// A condition holds now, or does not any more.
    Alarm(Alarm),
    /// An alarm changed, or is told again: what the alarm engine made of conditions.
    Notice(Notice),
    /// A service changed its state.
    Life(LifeChange),
    /// A service wrote a line.
    Log(LogLine),
}

/// A tagged message body, shared by all subscribers without a copy.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Service that brought the frame to the bus (full name).
    pub source: Arc<str>,
    /// ControlHost tag.
    pub tag: Tag,
    /// Arrival time in this process.
    pub received: Timestamp,
    /// Opaque body: what follows the 16-byte prefix.
    pub body: Bytes,
}

/// Announces a new version of an output.
#[derive(Debug, Clone)]
pub struct OutputChange {
    /// Service that made it.
    pub service: Arc<str>,
    /// Version on the board: grows by one with every change of any output.
    pub version: u64,
    /// When it was put on the board.
    pub updated: Timestamp,
    /// The value itself.
    pub output: Arc<Output>,
}

/// A change of state of one service.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LifeChange {
    /// Number of the change in the event log of the stack: it grows, over restarts as well.
    pub sequence: u64,
    /// Full name of the service.
    pub service: String,
    /// Counts the starts of this service.
    pub incarnation: u64,
    /// State before.
    pub from: State,
    /// State after.
    pub to: State,
    /// Why, for people: `exit:3`, `signal:KILL`, `panic: …`, `stop requested by …`.
    pub reason: String,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// Standard output of a child.
    Stdout,
    /// Standard error of a child.
    Stderr,
    /// A record of an in-process service or of the supervisor.
    Record,
}

/// One line of a service's log, without its line end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogLine {
    /// Full name of the service; empty for the supervisor itself.
    pub service: String,
    /// Which start of the service wrote it; 0 for the supervisor itself.
    #[serde(default)]
    pub incarnation: u64,
    /// Where the line came from.
    pub stream: LogStream,
    /// The text, decoded lossily.
    pub line: String,
    /// When it was read.
    pub at: Timestamp,
}

impl Event {
    /// Returns the topic, for filters.
    pub fn topic(&self) -> Topic {
        match self {
            Self::Frame(_) => Topic::Frame,
            Self::Output(_) => Topic::Output,
            Self::Alarm(_) => Topic::Alarm,
            Self::Notice(_) => Topic::Notice,
            Self::Life(_) => Topic::Life,
            Self::Log(_) => Topic::Log,
        }
    }

    /// Returns the bytes this event is charged with in a queue: payload plus a fixed overhead.
    pub fn cost_bytes(&self) -> usize {
        const OVERHEAD_BYTES: usize = 96;
        let payload = match self {
            Self::Frame(frame) => frame.body.len(),
            Self::Output(change) => change.output.cost_bytes(),
            Self::Alarm(alarm) => alarm.text.len(),
            Self::Notice(notice) => notice.text_bytes(),
            Self::Life(life) => life.reason.len(),
            Self::Log(log) => log.line.len(),
        };
        OVERHEAD_BYTES + payload
    }
}
