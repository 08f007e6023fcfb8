//! The event log of a stack: everything that happened to it under one gap-free number, in memory
//! for followers and on disk for those who come later.
//!
//! Numbers go on where the former run of the supervisor ended; each run begins with a `boot` event.
//! Nobody who writes an event waits, neither for the disk nor for a follower: what the disk cannot
//! take in time is replaced by a `gap` event in the files, and a follower that reads too slowly is
//! told how many events it missed.

mod entry;
mod follow;
mod journal;
mod lives;
mod memory;
mod reader;
mod words;

pub use entry::{
    Boot, CommandDone, CommandTaken, Entry, Gap, HealthVerdict, IncidentNote, Notice, Reload,
    Rotation, Subject, Subjects, What,
};
pub use follow::{Batch, Follow, Since};
pub use journal::{Journal, Kept, Numbered};
pub use lives::{LifeLine, Lives, Replayed, Said, replay_all};
pub use memory::{Chronicle, Standing};
pub use reader::Reader;
