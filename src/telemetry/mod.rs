//! Logs: who wrote a record, where it goes, and the last lines of every service.

mod panics;
mod records;
mod rendering;
mod ring;
mod setup;
mod tagging;

pub(crate) use panics::last_backtrace;
pub(crate) use records::Pen;
pub use records::{Batch, Follow, Records, shown};
pub(crate) use ring::Voice;
pub use setup::{Format, Options, Telemetry, TelemetryError};
