//! The life cycle of one service: a pure step from state, input and time to state and effects.
//!
//! There is no clock, no process and no actor in here. Every deadline stands inside the phase it
//! belongs to, so leaving the phase takes the timer away: a timer from before a stop can never start
//! anything. What is wanted and what is observed are two fields; only orders change the first.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Instant;

use fathom_kernel::{Exit, State, Want};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use super::phase::{Effect, Input, Phase};
use super::policy::{Policy, Readiness};

mod failure;
mod news;
mod orders;
mod replay;

pub use replay::{Change, Record, replay};

/// The life of one service.
#[derive(Debug, Clone)]
pub struct Life {
    policy: Policy,
    /// What makes the incarnation ready: settled when it was started, because that is what it is
    /// watched for.
    readiness: Readiness,
    want: Want,
    phase: Phase,
    incarnation: u64,
    /// Failures in a row without a stable time between them.
    streak: u32,
    /// Times of the failures inside the budget's window; never more than the budget plus one.
    failures: VecDeque<Instant>,
    restarts: u64,
    last_exit: Option<Exit>,
    /// Text of the last failure, as supervisord's users know it.
    trouble: Option<String>,
    chance: SmallRng,
    effects: Vec<Effect>,
}

/// Returns the seed for the life of the service of this full name.
pub fn seed_of(name: &str) -> u64 {
    let mut seed = DefaultHasher::new();
    name.hash(&mut seed);
    seed.finish()
}

impl Life {
    /// Makes the life of a service that was never started. The seed makes its jitter repeatable.
    pub fn new(policy: Policy, seed: u64) -> Self {
        Self {
            readiness: policy.readiness,
            policy,
            want: Want::Down,
            phase: Phase::Idle,
            incarnation: 0,
            streak: 0,
            failures: VecDeque::new(),
            restarts: 0,
            last_exit: None,
            trouble: None,
            chance: SmallRng::seed_from_u64(seed),
            effects: Vec::new(),
        }
    }

    /// Takes one input and returns what is to be done, in order.
    pub fn step(&mut self, input: Input, now: Instant) -> Vec<Effect> {
        match input {
            Input::Start(why) => self.start(why, now),
            Input::Stop(why) => self.stop(why, now),
            Input::Restart(why) => self.restart(why, now),
            Input::Rebind(why) => self.rebind(why, now),
            Input::Cleared => self.cleared(now),
            Input::Blocked(block) => self.blocked(block),
            Input::Spawned(incarnation, pid) if incarnation == self.incarnation => {
                self.spawned(pid, now);
            }
            Input::Ready(incarnation) if incarnation == self.incarnation => self.ready(now),
            Input::LeaderExited(incarnation, exit) if incarnation == self.incarnation => {
                self.leader_exited(exit, now);
            }
            Input::Ended(incarnation, exit) if incarnation == self.incarnation => {
                self.ended(exit, now);
            }
            Input::Unhealthy(incarnation, why) if incarnation == self.incarnation => {
                self.unhealthy(why, now);
            }
            Input::Well(incarnation, well) if incarnation == self.incarnation => {
                self.well(well, now);
            }
            // News of an incarnation that is no more.
            Input::Spawned(..)
            | Input::Ready(_)
            | Input::LeaderExited(..)
            | Input::Ended(..)
            | Input::Unhealthy(..)
            | Input::Well(..) => {}
            Input::Elapsed => self.elapsed(now),
            Input::GroupExhausted => self.group_exhausted(now),
            Input::Kill(why) => self.kill(why, now),
            Input::Amend(policy) => self.amend(*policy, now),
        }
        std::mem::take(&mut self.effects)
    }

    /// Returns when [`Input::Elapsed`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Idle | Phase::Waiting(_) | Phase::Lost { .. } | Phase::Done => None,
            Phase::Spawning { ready_by } => Some(*ready_by),
            Phase::Warming {
                ready_by, ready_at, ..
            } => Some(ready_at.map_or(*ready_by, |at| at.min(*ready_by))),
            Phase::Up { stable_at, .. } => *stable_at,
            Phase::Delay { retry_at } => Some(*retry_at),
            Phase::Term { kill_at, .. } => Some(*kill_at),
            Phase::Kill { lost_at, .. } => Some(*lost_at),
            Phase::Fatal { retry_at } => *retry_at,
        }
    }

    /// Returns the phase.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Returns the state.
    pub fn state(&self) -> State {
        self.phase.state()
    }

    /// Returns what the operator wants.
    pub fn want(&self) -> Want {
        self.want
    }

    /// Returns the number of starts.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Returns the number of failures that led to a restart.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Returns the number of failures in a row.
    pub fn streak(&self) -> u32 {
        self.streak
    }

    /// Returns how the last incarnation ended.
    pub fn last_exit(&self) -> Option<&Exit> {
        self.last_exit.as_ref()
    }

    /// Returns the text of the last failure.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    fn wait(&mut self, why: String) {
        self.enter(Phase::Waiting(None), why);
        self.effects.push(Effect::AskClearance);
    }

    fn enter(&mut self, phase: Phase, reason: String) {
        let (from, to) = (self.phase.state(), phase.state());
        self.phase = phase;
        self.effects.push(Effect::Announce { from, to, reason });
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod walks;
