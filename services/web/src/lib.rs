//! The web page of a stack: its outputs as live data, as pictures and as plain pages.
//!
//! Kind `webserver` reads the board, hears of new outputs, alarms and state changes on the bus, and
//! passes commands of operators to the supervisor. It computes nothing about the detector, and it
//! never makes anybody wait: serialising and drawing run on blocking threads, results are cached by
//! version, and a client that cannot follow loses events, counted. The front end lives in `ui/` and
//! is built by this crate's build script; without it the plain pages of `/lite` remain.

mod access;
mod api;
mod app;
mod assets;
mod feed;
mod hub;
mod lite;
mod options;
mod pages;
pub mod picture;
mod serve;
mod shelf;
mod stall;
mod webserver;

use fathom_kernel::Kind;

pub use access::hash_password;
pub use options::{AccountConfig, PageConfig, PageView, Role, WebServerConfig};
pub use webserver::WebServer;

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[Kind::service::<WebServerConfig, WebServer>(
    "webserver",
    "live pages, plots and their data over HTTP, with login",
)
.in_section("WebServer")
.reading_board()];
