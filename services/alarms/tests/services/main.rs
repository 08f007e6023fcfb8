//! The services of this crate, run as the supervisor runs them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod chat;
mod chatbot;
mod elog;
mod engine;
mod mail;
mod msg;
mod realtime;
mod rig;
