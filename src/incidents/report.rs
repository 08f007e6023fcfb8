//! What a report says.

use std::sync::Arc;

use fathom_kernel::{Exit, Health, State, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gauges::Peaks;
use crate::body::{Autopsy, Spent};
use crate::chronicle::Entry;

/// What a keeper knows of a failure.
#[derive(Debug, Clone)]
pub struct Case {
    /// Full name of the service.
    pub service: Arc<str>,
    /// Counts its starts.
    pub incarnation: u64,
    /// Number of the configuration in force.
    pub generation: u64,
    /// SHA-256 of its files; empty without files.
    pub sha256: String,
    /// When the incarnation was started.
    pub started: Option<Timestamp>,
    /// When it ended, or was given up.
    pub ended: Timestamp,
    /// Why, in one short word.
    pub reason: String,
    /// How it ended, unless it still exists.
    pub exit: Option<Exit>,
    /// What is known of that end.
    pub autopsy: Autopsy,
    /// Figures taken while it ran.
    pub peaks: Peaks,
    /// Failures in a row, with this one.
    pub streak: u32,
    /// What was done next.
    pub next: String,
    /// Names of the services it depends on.
    pub upstream: Vec<String>,
}

/// All that is known of one failure of a service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Incident {
    /// Number of the report; grows by one with each, over restarts of the supervisor as well.
    pub id: u64,
    /// Full name of the service.
    pub service: String,
    /// Counts its starts.
    pub incarnation: u64,
    /// Number of the configuration in force.
    pub generation: u64,
    /// SHA-256 of its files, which tells it from those of other runs; empty without files.
    #[serde(default)]
    pub sha256: String,
    /// When the incarnation was started.
    #[schemars(with = "Option<String>")]
    pub started: Option<Timestamp>,
    /// When it ended, or was given up.
    #[schemars(with = "String")]
    pub ended: Timestamp,
    /// Time between the two (s).
    pub uptime_s: Option<f64>,
    /// Why, in one short word: `exit:3`, `signal:SEGV core`, `oom`, `ready_timeout`, `stall:RULE`,
    /// `check:RULE`, `panic`, `error`, `spawn:ENOENT`, `killed_by_operator`, `unkillable`.
    pub reason: String,
    /// The same in words: the text of the panic or of the error.
    pub detail: Option<String>,
    /// Where it panicked.
    pub backtrace: Option<String>,
    /// Failures in a row, with this one.
    pub streak: u32,
    /// What was done next.
    pub next: String,
    /// What the process used in its life.
    pub spent: Option<Spent>,
    /// Figures taken now and then while it ran.
    pub peaks: Peaks,
    /// Last lines of its standard output.
    pub stdout: Vec<Line>,
    /// Last lines of its standard error, when that is kept apart.
    pub stderr: Vec<Line>,
    /// Last records of a service inside the supervisor.
    pub records: Vec<Line>,
    /// Changes of its health, oldest first.
    pub health: Vec<HealthStep>,
    /// The services it depends on.
    pub dependencies: Vec<Dependency>,
    /// Last events of the whole stack, oldest first.
    pub events: Vec<Arc<Entry>>,
}

/// One line of a log.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// When it was read.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Its text.
    pub line: String,
}

/// One change of health.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct HealthStep {
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Health from then on.
    pub health: Health,
    /// The rule, with what was found.
    pub reason: String,
}

/// A service that another one depends on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Dependency {
    /// Its full name.
    pub name: String,
    /// Its state at the time; `None` when it had not changed it in this run.
    pub state: Option<State>,
    /// Its health at the time.
    pub health: Health,
}

/// The head of a report, for lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Number of the report.
    pub id: u64,
    /// Full name of the service.
    pub service: String,
    /// Counts its starts.
    pub incarnation: u64,
    /// When it ended, or was given up.
    #[schemars(with = "String")]
    pub ended: Timestamp,
    /// Time it had run (s).
    pub uptime_s: Option<f64>,
    /// Why, in one short word.
    pub reason: String,
    /// What was done next.
    pub next: String,
}
