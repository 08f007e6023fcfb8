//! `fathom ctl` from outside: the real program against a supervisor that only pretends, over a real
//! socket. One file per verb.

mod api;
#[allow(dead_code)]
mod fake;
mod status;
