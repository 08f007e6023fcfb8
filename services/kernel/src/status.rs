//! What is known of a service from outside.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ConfigStatus, CountersSnapshot, SubscriberStatus};

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
    /// Drops messages, or more of them wait for it than a rule allows.
    Lagging,
    /// Its input flows and its output does not.
    Stalled,
    /// A check of its health fails.
    Failing,
}

impl Health {
    /// Returns the word for it, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Idle => "idle",
            Self::Lagging => "lagging",
            Self::Stalled => "stalled",
            Self::Failing => "failing",
        }
    }

    /// Tells whether the service works, or rests because there is nothing to do.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Ok | Self::Idle)
    }

    /// Tells whether the service does not do its work although it could.
    pub const fn is_broken(self) -> bool {
        matches!(self, Self::Stalled | Self::Failing)
    }
}

impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// How the health of a service is watched.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WatchStatus {
    /// Its rules with what they read.
    pub rules: Vec<RuleStatus>,
    /// Why nothing is done about its health at present, if so.
    pub suspended: Option<String>,
    /// Set while an operator holds it: nothing is done about its health.
    pub hold: Option<Hold>,
    /// Time since its last output (s); `None` when there was none, or nothing runs.
    pub output_age_s: Option<f64>,
}

/// That an operator holds a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// Who.
    pub by: String,
    /// Until when; `None` is until it is released.
    #[schemars(with = "Option<String>")]
    pub until: Option<Timestamp>,
}

/// One health rule with what it reads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RuleStatus {
    /// The rule: `stall:file:plots/x.png`, `check:tcp:localhost:80`.
    pub rule: String,
    /// What it says.
    pub health: Health,
    /// Time since something came in (s).
    pub input_age_s: Option<f64>,
    /// Time since something went out (s); of a check, since it last succeeded.
    pub output_age_s: Option<f64>,
    /// Messages that wait for the service.
    pub queued: Option<u64>,
    /// Rate of its output (Hz).
    #[schemars(extend("unit" = "Hz"))]
    pub rate_hz: Option<f64>,
    /// Failures in a row, of a check.
    pub fails: u32,
    /// What was wrong last.
    pub trouble: Option<String>,
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
    /// When the last incarnation was started; `None` when there was none yet.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub started: Option<Timestamp>,
    /// When the last incarnation that has ended did so.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub ended: Option<Timestamp>,
    /// How the last incarnation ended: `exit:3`, `signal:KILL`, `panic: …`.
    pub last_exit: Option<String>,
    /// Text of the last failure, as supervisord's users know it; `None` after a fresh start.
    #[serde(default)]
    pub trouble: Option<String>,
    /// Number of the report on its last failure.
    #[serde(default)]
    pub last_incident: Option<u64>,
    /// What that report is about, in a word; `None` when it was written under an earlier supervisor.
    #[serde(default)]
    pub last_incident_reason: Option<String>,
    /// Names of the services this one waits for or depends on.
    pub after: Vec<String>,
    /// Names of the services whose end also ends this one.
    #[serde(default)]
    pub bind: Vec<String>,
    /// Requests that only read, which the page makes for whoever looks at it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<String>,
    /// Messages in, out, lost, unreadable.
    pub counters: CountersSnapshot,
    /// Its queues on the bus.
    pub queues: Vec<SubscriberStatus>,
    /// How its health is watched.
    #[serde(default)]
    pub watch: WatchStatus,
}

/// Failures borne within a time, and those that count now.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetStatus {
    /// Failures borne; 0 is any number.
    pub restarts: u32,
    /// Within this time (s).
    pub period_s: f64,
    /// Failures within that time until now.
    pub used: u32,
}

/// A group of services.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupStatus {
    /// Full name: `outer.inner` when it is within another group.
    pub name: String,
    /// Full name of the group it is in.
    pub parent: Option<String>,
    /// A service without a group forms it.
    pub lone: bool,
    /// What it is for.
    pub description: String,
    /// What the failure of a member means for the others: `one_for_one`, `rest_for_one`,
    /// `one_for_all`.
    pub strategy: String,
    /// Failures of members until the whole group is FATAL, if there is a limit.
    pub budget: Option<BudgetStatus>,
    /// FATAL when the group has failed for good, else the state of the member that is worst off.
    pub state: State,
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
    /// Groups that may fail for good until the stack ends, if there is a limit.
    #[serde(default)]
    pub budget: Option<BudgetStatus>,
    /// Groups, each after the one it is in.
    #[serde(default)]
    pub groups: Vec<GroupStatus>,
    /// Events ever published on the bus.
    pub events: u64,
    /// The configuration in force.
    #[serde(default)]
    pub config: ConfigStatus,
    /// Services, sorted by group, then in start order.
    pub services: Vec<ServiceStatus>,
}
