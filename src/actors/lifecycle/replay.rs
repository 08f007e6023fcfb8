//! Replay: what a life made of recorded inputs, found out again.

use std::time::{Duration, Instant};

use fathom_kernel::State;
use serde::{Deserialize, Serialize};

use super::Life;
use crate::actors::phase::{Effect, Input};
use crate::actors::policy::Policy;

/// One input of a life with its time, as it is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Monotonic time since any fixed moment (ns).
    pub at_ns: u64,
    /// What the life heard then.
    pub input: Input,
}

/// A change of state that a life announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When, on the clock of the records (ns).
    pub at_ns: u64,
    /// The incarnation it had then.
    pub incarnation: u64,
    /// State before.
    pub from: State,
    /// State after.
    pub to: State,
    /// Why.
    pub reason: String,
}

/// Feeds recorded inputs to a new life and returns all changes of state. Records that hold every
/// input since the life was made, and the policy and seed it was made with, give exactly the changes
/// that happened then.
pub fn replay(policy: Policy, seed: u64, records: impl IntoIterator<Item = Record>) -> Vec<Change> {
    let mut life = Life::new(policy, seed);
    let start = Instant::now();
    let mut changes = Vec::new();
    for Record { at_ns, input } in records {
        let effects = life.step(input, start + Duration::from_nanos(at_ns));
        for effect in effects {
            if let Effect::Announce { from, to, reason } = effect {
                changes.push(Change {
                    at_ns,
                    incarnation: life.incarnation(),
                    from,
                    to,
                    reason,
                });
            }
        }
    }
    changes
}
