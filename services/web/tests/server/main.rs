//! The server as a browser sees it: over real connections, on free ports.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set up its server shall panic"
)]

mod alarms;
mod ask;
mod events;
mod fixture;
mod km3mon;
mod log_lines;
mod login;
mod messages;
mod requests;
mod routes;
