//! The door for programs in any language: over HTTP on a Unix socket they say that they are ready,
//! publish outputs, alarms and counters, and follow the bus.
//!
//! The supervisor names the socket and a token in the environment of every child it starts. The token
//! says who speaks; it ends with the incarnation that it was made for. `docs/door.md` is for those who
//! write such programs.

mod fault;
mod follow;
mod guests;
mod routes;

pub(crate) use guests::{Guests, Pass};
pub(crate) use routes::router;

/// Environment variable that names the socket.
pub(crate) const SOCKET_VARIABLE: &str = "FATHOM_DOOR";

/// Environment variable with the token of this incarnation.
pub(crate) const TOKEN_VARIABLE: &str = "FATHOM_DOOR_TOKEN";

/// Name of the socket in the data folder.
pub(crate) const SOCKET_NAME: &str = "door.sock";

/// Everybody may knock, whatever user a service runs as: who has no token gets no further.
pub(crate) const SOCKET_MODE: u32 = 0o666;
