//! The control API: one router, on a Unix socket and, when configured, on TCP; and its client.

mod account;
mod api;
mod client;
mod console;
mod metrics;
mod render;
mod rights;
mod rpc;
mod server;
mod tree;
mod usage;
mod wire;

pub use api::{document, router};
pub use client::{Client, ClientError, EventRange, Place, Signal, Signals};
pub use console::{Console, ConsoleParts};
pub use render::{Details, long_lines, status_lines};
pub(crate) use render::{lag, reasons};
pub use rights::{Guard, Peer, Token, TokenError};
pub(crate) use server::serve_guests;
pub use server::{Doors, SOCKET_NAME, ServeError, Server, TcpDoor, serve};
pub use tree::{Branch, Leaf, Tree};
pub use wire::{
    AddressBook, Announcement, HoldBody, LAGGED_EVENT, LIVE_EVENT, LOG_EVENT, Lagged, LogPart,
    OUTPUT_EVENT, Problem, Readiness, ReloadBody, RequestBody, ShutdownBody, SignalBody,
    UpdateBody, Usage, UsageReport,
};
