//! The JSON of the control API that is not already part of the services' contract.

use std::collections::BTreeMap;

use fathom_kernel::{
    ConfigFault, LogLine, OutputChange, ServiceStatus, Span, StackStatus, State, Timestamp,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Name of the server-sent event that tells of lost events or lines.
pub const LAGGED_EVENT: &str = "lagged";
/// Name of the server-sent event that tells of a new version of an output.
pub const OUTPUT_EVENT: &str = "output";
/// Name of the server-sent event that carries a log line.
pub const LOG_EVENT: &str = "log";
/// Name of the server-sent event between the lines that a log had and those that come.
pub const LIVE_EVENT: &str = "live";

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The reason as one word that programs can rely on, such as `no_such_name`.
    pub error: String,
    /// What the word is about: the name that is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The reason for people.
    pub message: String,
    /// What is wrong with the configuration, when that is the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub faults: Vec<ConfigFault>,
}

/// Whether the stack does its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// Every service that starts with the stack runs, or ended with success.
    pub ready: bool,
    /// The services that do not, with their state.
    pub waiting: BTreeMap<String, String>,
}

impl Readiness {
    /// Judges a stack.
    pub fn of(status: &StackStatus) -> Self {
        let waiting: BTreeMap<_, _> = status
            .services
            .iter()
            .filter(|service| !is_well(service))
            .map(|service| (service.name.clone(), waits_as(service)))
            .collect();
        Self {
            ready: waiting.is_empty(),
            waiting,
        }
    }
}

/// Says what is wrong with a service: its health while it runs, else its state.
fn waits_as(service: &ServiceStatus) -> String {
    match service.state {
        State::Running => format!("{} {}", service.state, service.health),
        state => state.to_string(),
    }
}

fn is_well(service: &ServiceStatus) -> bool {
    let up = match service.state {
        State::Running => !service.health.is_broken(),
        State::Exited => service.finished,
        State::Stopped
        | State::Starting
        | State::Backoff
        | State::Stopping
        | State::Fatal
        | State::Unknown => false,
    };
    up || !service.autostart
}

/// Where services listen, by service or `service/door`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AddressBook {
    /// `HOST:PORT` by name.
    pub addresses: BTreeMap<String, String>,
}

/// What a process uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// Processor time used since it started, in seconds.
    pub cpu_s: f64,
    /// Resident memory [bytes].
    pub rss_bytes: u64,
    /// Threads.
    pub threads: u64,
}

/// What the supervisor and its children use. In-process services are part of the supervisor.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsageReport {
    /// The process of the supervisor.
    pub supervisor: Usage,
    /// Services with a process of their own.
    pub services: BTreeMap<String, Usage>,
}

impl UsageReport {
    /// Returns the processor time of a service that is up, in seconds: what the kernel says of its
    /// process, or how long the tasks of one without a process held a thread.
    pub fn cpu_s(&self, service: &ServiceStatus) -> Option<f64> {
        let is_up = matches!(
            service.state,
            State::Starting | State::Running | State::Stopping
        );
        match self.services.get(&service.name) {
            Some(usage) => Some(usage.cpu_s),
            None => (is_up && service.pid == 0).then_some(service.counters.busy_s),
        }
    }
}

/// An output as announced to followers: what it is, not its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Announcement {
    /// Name of the output.
    pub name: String,
    /// Heading.
    pub title: String,
    /// Service that made it.
    pub service: String,
    /// Version on the board.
    pub version: u64,
    /// When it was put on the board.
    #[schema(value_type = String)]
    pub updated: Timestamp,
    /// Time of the newest datum inside.
    #[schema(value_type = Option<String>)]
    pub datum: Option<Timestamp>,
}

impl From<&OutputChange> for Announcement {
    fn from(change: &OutputChange) -> Self {
        Self {
            name: change.output.name.clone(),
            title: change.output.title.clone(),
            service: change.service.to_string(),
            version: change.version,
            updated: change.updated,
            datum: change.output.datum,
        }
    }
}

/// What a follower lost because it read too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lagged {
    /// Events or lines lost since the last one sent.
    pub missed: u64,
}

/// Which services to show.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StatusQuery {
    /// Names separated by commas: `service`, `group:service`, `group:*`, `all`; all without it.
    #[serde(default)]
    pub(super) target: String,
}

/// How to start, stop or restart.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ActQuery {
    /// Answer when the state is reached (default) or as soon as it is under way.
    #[serde(default = "yes")]
    pub(super) wait: bool,
    /// Start missing dependencies too; only for `start`.
    #[serde(default = "yes")]
    pub(super) dependencies: bool,
    /// Stop what depends on the services too; only for `stop`.
    #[serde(default)]
    pub(super) dependents: bool,
}

/// How to restart services one after the other.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RollQuery {
    /// All services of one level of the dependency order at a time instead of one service.
    #[serde(default)]
    pub(super) by_level: bool,
}

fn yes() -> bool {
    true
}

/// Which lines of a log to send.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// Most lines from the end of the log; 100 without it, 100000 with `since`.
    pub(super) lines: Option<usize>,
    /// Only lines written at this time or later. What is no more in memory is looked up in the log
    /// files; there a raw log has its times to a second or coarser, and none from before the
    /// supervisor started.
    #[param(value_type = Option<String>)]
    pub(super) since: Option<Timestamp>,
    /// Send the lines as objects with their time, stream and incarnation (0 where a file does not
    /// tell), and whether older ones were left out.
    #[serde(default)]
    pub(super) full: bool,
    /// Send further lines as they come, as server-sent events.
    #[serde(default)]
    pub(super) follow: bool,
    /// Send bytes of the log file instead: from here, or so many from its end when it is negative.
    pub(super) offset: Option<i64>,
    /// So many of them; to the end of the file for 0.
    #[serde(default)]
    pub(super) length: i64,
    /// Which file: `stdout` (with standard error unless that is separate) or `stderr`.
    #[serde(default)]
    #[param(inline)]
    pub(super) stream: Stream,
}

/// A part of a log.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct LogPart {
    /// Oldest first.
    #[schema(value_type = Vec<Object>)]
    pub lines: Vec<LogLine>,
    /// There are older ones that were asked for and are left out.
    pub cut: bool,
}

fn hundred() -> usize {
    100
}

/// A stream of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stream {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
}

/// Which events to send.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventQuery {
    /// Topics separated by commas out of `boot`, `life`, `alarm`, `command`, `outcome`, `verdict`,
    /// `reload`, `rotation`, `incident`, `notice`, `gap`, `output`, `log`; all but `log` without it.
    #[serde(default)]
    pub(super) topics: String,
    /// Begin with so many past events that are in memory.
    #[serde(default)]
    pub(super) last: usize,
    /// Begin behind the event of this number, or with the first one of this time or later.
    #[serde(default)]
    pub(super) since: String,
    /// Go on with new events (default), or end after the past ones.
    #[serde(default = "yes")]
    pub(super) follow: bool,
}

/// Which reports to list.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct IncidentsQuery {
    /// Only those of this service.
    #[serde(default)]
    pub(super) service: String,
    /// Most reports.
    #[serde(default = "hundred")]
    pub(super) count: usize,
}

/// How to show a report.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct IncidentQuery {
    /// As text for people instead of JSON.
    #[serde(default)]
    pub(super) text: bool,
}

/// Which signal to send.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalBody {
    /// Name with or without `SIG`, or number.
    pub signal: String,
}

/// How long to hold a service.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HoldBody {
    /// A time such as `1h`; until it is released without one.
    #[serde(rename = "for")]
    #[schema(value_type = Option<String>)]
    pub time: Option<Span>,
}

/// What a program shall read.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InputBody {
    /// The text, line ends included.
    pub text: String,
}

/// What to ask a running service.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestBody {
    /// What to do, such as `reset`.
    pub verb: String,
    /// Details for the service.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub args: serde_json::Value,
}

/// How to end the stack.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShutdownBody {
    /// Kill at once instead of stopping in order.
    pub now: bool,
}

/// What to put in force.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateBody {
    /// Number of the configuration in force when the changes were shown; refused when it is another
    /// one by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// SHA-256 of the files whose changes were shown; refused when they say something else by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Only these groups and services; everything when there are none.
    pub targets: Vec<String>,
}

/// How to start anew.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReloadBody {
    /// Answer when everything is ready or has failed (default) or as soon as it is under way.
    pub wait: bool,
}

impl Default for ReloadBody {
    fn default() -> Self {
        Self { wait: true }
    }
}
