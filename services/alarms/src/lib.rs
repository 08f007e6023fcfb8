//! Alarms: the engine that makes alarms of conditions, and the ways they reach people.
//!
//! Monitors say *conditions* on the bus: what holds, and what does not any more. Kind `alarms` (one
//! per stack) makes alarms of them and of what it sees of the stack itself; each change of an alarm
//! is a [`fathom_kernel::Notice`] on the bus. The kinds `alarm_*` pass notices on to people.
//!
//! The engine judges no data: that is what monitors are for. It is called by the supervisor through
//! [`KINDS`], and answers `list`, `history`, `acknowledge`, `resolve`, `mute`, `unmute` and `test`.

mod alarms;
mod engine;

use fathom_kernel::Kind;

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[Kind::service::<alarms::Options, alarms::Alarms>(
    "alarms",
    "alarms out of the conditions of all monitors and of the stack itself",
)
.reading_board()];
