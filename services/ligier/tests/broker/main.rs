//! The broker, the mirror and the source against raw sockets.
#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod control;
mod frames;
mod harness;
mod mirror;
mod slow;
