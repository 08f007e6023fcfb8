//! What the life cycle of a service hears, says and can be.

use std::time::Instant;

use fathom_kernel::{Exit, State};
use serde::{Deserialize, Serialize};

use super::policy::Policy;

/// What happened to a service, or what it was told. Recorded with its time, it can be fed to a life
/// again (see [`replay`](super::lifecycle::replay)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// It shall run.
    Start(String),
    /// It shall not run.
    Stop(String),
    /// It shall end and run anew.
    Restart(String),
    /// A service it is bound to has ended: end, then wait for that one.
    Rebind(String),
    /// Everything it waits for is there.
    Cleared,
    /// It waits for this.
    Blocked(Block),
    /// The start of this incarnation has made a process (or a task, with pid 0).
    Spawned(u64, u32),
    /// This incarnation is ready.
    Ready(u64),
    /// The process itself has ended, but others of its group still exist.
    LeaderExited(u64, Exit),
    /// Nothing of this incarnation exists any more.
    Ended(u64, Exit),
    /// The health of this incarnation asks for a restart, for this reason: `stall:rule`.
    Unhealthy(u64, String),
    /// Whether the health of this incarnation is ok or idle; only then are failures forgotten.
    Well(u64, bool),
    /// A deadline may have passed.
    Elapsed,
    /// Its group has used up its budget.
    GroupExhausted,
    /// It shall not run, and what runs is killed at once.
    Kill(String),
    /// It goes by this from now on.
    Amend(Box<Policy>),
}

/// What a service waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Full name of the other service.
    pub on: String,
    /// That one has failed for good.
    pub fatal: bool,
}

/// What the shell around the life cycle has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Find out whether everything the service depends on is there.
    AskClearance,
    /// Start this incarnation.
    Spawn(u64),
    /// Ask the incarnation to end.
    Terminate,
    /// End it by force.
    Kill,
    /// Tell everybody of a change of state.
    Announce {
        /// State before.
        from: State,
        /// State after.
        to: State,
        /// Why.
        reason: String,
    },
    /// End the whole stack: an essential service is lost.
    EndStack,
    /// Write down all that is known of a failure; why, unless its exit tells.
    Incident(Option<String>),
}

/// The finer view of the state; each phase carries its deadlines.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Nothing runs, by wish.
    Idle,
    /// Waits for something, if it is known what.
    Waiting(Option<Block>),
    /// The start is under way.
    Spawning {
        /// Not ready by then is a failure.
        ready_by: Instant,
    },
    /// Runs, not ready yet.
    Warming {
        /// Process id, 0 for a task.
        pid: u32,
        /// Not ready by then is a failure.
        ready_by: Instant,
        /// Alive until then is ready.
        ready_at: Option<Instant>,
    },
    /// Runs and is ready.
    Up {
        /// Process id, 0 for a task.
        pid: u32,
        /// Alive and well until then forgets earlier failures.
        stable_at: Option<Instant>,
    },
    /// Failed, waits for the next attempt.
    Delay {
        /// When that is.
        retry_at: Instant,
    },
    /// Was asked to end.
    Term {
        /// Process id, 0 for a task.
        pid: u32,
        /// Alive by then is killed.
        kill_at: Instant,
        /// What follows.
        after: After,
    },
    /// Was killed.
    Kill {
        /// Process id, 0 for a task.
        pid: u32,
        /// Alive by then is lost.
        lost_at: Instant,
        /// What follows.
        after: After,
    },
    /// Was killed and still exists.
    Lost {
        /// Process id, 0 for a task.
        pid: u32,
        /// What follows, should it ever end.
        after: After,
    },
    /// Ended by itself and is not restarted.
    Done,
    /// Failed for good.
    Fatal {
        /// Next attempt, if there is to be one.
        retry_at: Option<Instant>,
    },
}

/// What follows the end of a stopping incarnation.
#[derive(Debug, Clone, PartialEq)]
pub enum After {
    /// Nothing: it was told to stop.
    Stop,
    /// A fresh start, by order.
    Start,
    /// Waiting again for what it is bound to.
    Wait,
    /// Handling of the failure that it was not ready in time.
    Late,
    /// Handling of the failure that its health was bad, for this reason.
    Unhealthy(String),
    /// Judging an exit that left others of its group behind; true when it had been ready.
    Judge(Exit, bool),
    /// Giving up together with the group.
    GiveUp,
}

impl Phase {
    /// Returns the state that this phase belongs to.
    pub fn state(&self) -> State {
        match self {
            Self::Idle => State::Stopped,
            Self::Waiting(_) | Self::Spawning { .. } | Self::Warming { .. } => State::Starting,
            Self::Up { .. } => State::Running,
            Self::Delay { .. } => State::Backoff,
            Self::Term { .. } | Self::Kill { .. } => State::Stopping,
            Self::Lost { .. } => State::Unknown,
            Self::Done => State::Exited,
            Self::Fatal { .. } => State::Fatal,
        }
    }

    /// Tells whether an incarnation exists, or may exist.
    pub fn is_alive(&self) -> bool {
        match self {
            Self::Spawning { .. }
            | Self::Warming { .. }
            | Self::Up { .. }
            | Self::Term { .. }
            | Self::Kill { .. }
            | Self::Lost { .. } => true,
            Self::Idle
            | Self::Waiting(_)
            | Self::Delay { .. }
            | Self::Done
            | Self::Fatal { .. } => false,
        }
    }

    /// Returns the process id, 0 for a task or when nothing runs.
    pub fn pid(&self) -> u32 {
        match self {
            Self::Warming { pid, .. }
            | Self::Up { pid, .. }
            | Self::Term { pid, .. }
            | Self::Kill { pid, .. }
            | Self::Lost { pid, .. } => *pid,
            Self::Idle
            | Self::Waiting(_)
            | Self::Spawning { .. }
            | Self::Delay { .. }
            | Self::Done
            | Self::Fatal { .. } => 0,
        }
    }
}
