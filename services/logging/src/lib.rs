//! Log services: the message dumper, which writes the detector's log into one text file per UTC day.
//!
//! It counts, archives and searches; it judges nothing. Called by the supervisor through `KINDS`.

mod archive;
mod index;
mod msg_dumper;
mod recent;
mod search;
mod upkeep;

use fathom_kernel::Kind;

pub use msg_dumper::{Config as MsgDumperConfig, MsgDumper};

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[Kind::service::<MsgDumperConfig, MsgDumper>(
    "msg_dumper",
    "the detector's log as one text file per UTC day, searchable (MSG)",
)];
