//! What is known of a service from outside.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CountersSnapshot, SubscriberStatus};

/// State of a service, with the codes of supervisord.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Nothing runs, by wish.
    Stopped,
    /// Waits for a dependency, or runs and is not ready yet.
    Starting,
    /// Runs and is ready.
    Running,
    /// Failed; the next attempt has a known time.
    Backoff,
    /// Was told to stop and still runs.
    Stopping,
    /// Ended by itself and is not restarted.
    Exited,
    /// Used up its restarts, or cannot work.
    Fatal,
    /// Was killed and still exists.
    Unknown,
}

impl State {
    /// Returns the code that supervisord gives this state.
    pub const fn code(self) -> u32 {
        match self {
            Self::Stopped => 0,
            Self::Starting => 10,
            Self::Running => 20,
            Self::Backoff => 30,
            Self::Stopping => 40,
            Self::Exited => 100,
            Self::Fatal => 200,
            Self::Unknown => 1000,
        }
    }

    /// Returns the name as users of supervisord know it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "STOPPED",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Backoff => "BACKOFF",
            Self::Stopping => "STOPPING",
            Self::Exited => "EXITED",
            Self::Fatal => "FATAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// What the operator wants of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Want {
    /// Should run.
    Up,
    /// Should not.
    Down,
}

/// How well a running service does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Not running, or too early to say.
    #[default]
    Unknown,
    /// Works.
    Ok,
    /// Its input is silent, so silence is right.
    Idle,
    /// Drops messages.
    Lagging,
}

/// Everything known of one service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ServiceStatus {
    /// `group:service`, or `service` when both are equal.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Built-in kind; `None` for a command.
    pub kind: Option<String>,
    /// `actor`, `process` or `command`.
    pub run: String,
    /// State.
    pub state: State,
    /// Text of the state as supervisord's users know it: `pid 611, uptime 0:03:12`.
    pub description: String,
    /// What the operator wants.
    pub want: Want,
    /// Whether it starts with the stack; readiness of the stack asks for all that do.
    #[serde(default)]
    pub autostart: bool,
    /// EXITED with a code that counts as success: a one-shot that did its work.
    #[serde(default)]
    pub finished: bool,
    /// Health, apart from the state.
    pub health: Health,
    /// Process id; 0 for an in-process service or when nothing runs.
    pub pid: u32,
    /// Counts the starts.
    pub incarnation: u64,
    /// Failures that led to a restart since the supervisor started.
    pub restarts: u64,
    /// When the state was entered.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// How the last incarnation ended: `exit:3`, `signal:KILL`, `panic: …`.
    pub last_exit: Option<String>,
    /// Names of the services this one waits for or depends on.
    pub after: Vec<String>,
    /// Messages in, out, lost, unreadable.
    pub counters: CountersSnapshot,
    /// Its queues on the bus.
    pub queues: Vec<SubscriberStatus>,
}

/// The whole stack.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StackStatus {
    /// Version of the program.
    pub version: String,
    /// Process id of the supervisor.
    pub pid: u32,
    /// When the supervisor started.
    #[schemars(with = "String")]
    pub started: Timestamp,
    /// Name of the stack, shown to shifters.
    pub stack: String,
    /// Events ever published on the bus.
    pub events: u64,
    /// Services, sorted by group, then in start order.
    pub services: Vec<ServiceStatus>,
}
