//! `fathom ctl` from outside: the real program against a supervisor that only pretends, over a real
//! socket. One file per verb.
#![allow(clippy::unwrap_used, reason = "tests")]

mod alarms;
mod api;
mod clear;
mod diff;
mod events;
mod exit_codes;
mod fake;
mod healthcheck;
mod hold;
mod incidents;
mod kill;
mod logs;
mod look;
mod offline;
mod plan;
mod request;
mod restart;
mod rights;
mod rotate;
mod rpc;
mod shutdown;
mod signal;
mod start;
mod status;
mod stop;
mod tail;
mod top;
mod wait;
