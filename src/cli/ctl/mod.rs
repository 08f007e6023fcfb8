//! `fathom ctl`: commands a running stack; one file per verb.

mod addresses;
mod deps;
mod error;
mod events;
mod hold;
mod incident;
mod incidents;
mod kill;
mod logs;
mod outcomes;
mod pid;
mod progress;
mod request;
mod restart;
mod rolling;
mod root;
mod session;
mod shutdown;
mod signal;
mod start;
mod status;
mod stop;
mod tail;
mod tree;
mod unhold;
mod version;
mod wait;

pub(super) use error::CtlError;
pub(super) use root::{Ctl, Door};
