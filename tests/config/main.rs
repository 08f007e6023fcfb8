//! Configuration files, broken and sound: the exact reports, and what the sound ones mean.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad;
mod commands;
mod good;
mod hostile;
