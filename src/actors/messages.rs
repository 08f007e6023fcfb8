//! All messages between actors. No payload of the bus is among them.

use std::sync::Arc;

use actix::Message;
use fathom_kernel::{Ask, Request};
use nix::sys::signal::Signal;

use super::phase::Input;
use crate::config::plan::ServicePlan;

/// To a keeper: an input for its life cycle. Orders carry a number, so that the supervisor can see
/// when they were taken.
pub(super) struct Tell {
    /// The input.
    pub input: Input,
    /// Number of the order, counted per service.
    pub order: u64,
}

impl Message for Tell {
    type Result = ();
}

/// To a keeper: go by this plan from now on. What runs is not touched; what the next incarnation is
/// made from, and how this one is ended and judged, is this.
pub(super) struct Amend {
    /// The plan.
    pub plan: Arc<ServicePlan>,
    /// Others wait until the service has done its work.
    pub awaited: bool,
}

impl Message for Amend {
    type Result = ();
}

/// To a keeper of which nothing runs: go.
pub(super) struct Retire;

impl Message for Retire {
    type Result = ();
}

/// To a keeper: send a signal to the process. `false` when there is none.
pub(super) struct SendSignal(pub Signal);

impl Message for SendSignal {
    type Result = bool;
}

/// To a keeper: ask the service something.
pub(super) struct Deliver(pub Request);

impl Message for Deliver {
    type Result = Result<(), Refusal>;
}

/// To a keeper: write to the standard input of the process.
pub(super) struct Feed(pub Vec<u8>);

impl Message for Feed {
    type Result = Result<(), Refusal>;
}

/// Why a question was not delivered.
pub(super) enum Refusal {
    /// The service does not run.
    NotRunning,
    /// Too many questions wait.
    Busy,
}

/// To the supervisor: a command from outside.
pub struct Take(pub Ask);

impl Message for Take {
    type Result = ();
}

/// To the supervisor: some service has changed.
pub(super) struct Look;

impl Message for Look {
    type Result = ();
}

/// To the supervisor: are you there?
pub struct Ping;

impl Message for Ping {
    type Result = ();
}
