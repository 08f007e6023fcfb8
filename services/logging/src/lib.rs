//! Log services: the message dumper, which writes the detector's log into one text file per UTC day,
//! the analyser, which counts errors and warnings, and the log page's data.
//!
//! Called by the supervisor through `KINDS`.

mod archive;
mod index;
mod line;
mod log_analyser;
mod log_file;
mod msg_dumper;
mod reading;
mod recent;
mod search;
mod upkeep;
mod weblog;

use fathom_kernel::Kind;

pub use log_analyser::{Config as LogAnalyserConfig, LogAnalyser};
pub use log_file::{LogFile, LogFiles, LogRecord};
pub use msg_dumper::{Config as MsgDumperConfig, MsgDumper};
pub use weblog::{Config as WeblogConfig, Highlight, Weblog};

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[
    Kind::service::<MsgDumperConfig, MsgDumper>(
        "msg_dumper",
        "the detector's log as one text file per UTC day, searchable (MSG)",
    ),
    Kind::service::<LogAnalyserConfig, LogAnalyser>(
        "log_analyser",
        "errors and warnings per class of DAQ process, minute and day (MSG)",
    )
    .with_core::<LogAnalyserConfig, LogAnalyser, log_analyser::Core>(),
    Kind::service::<WeblogConfig, Weblog>(
        "weblog",
        "what the log page shows: the last messages, searches, highlights (MSG)",
    )
    .with_core::<WeblogConfig, Weblog, weblog::Core>(),
];
