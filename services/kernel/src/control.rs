//! Commands to the supervisor: the same handle serves the control socket, the web page and tests.

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::{Available, Changes, ConfigFault, Expected, Span, StackStatus};

/// Where commands go. Clones send to the same supervisor.
#[derive(Debug, Clone)]
pub struct ControlHandle {
    to: mpsc::Sender<Ask>,
}

/// A command on its way, with the place for its reply.
#[derive(Debug)]
pub struct Ask {
    /// What to do.
    pub command: Command,
    /// On whose behalf.
    pub caller: Caller,
    /// Where the reply goes.
    pub reply: oneshot::Sender<Answer>,
}

/// A reply, or why there is none.
pub type Answer = Result<Reply, ControlError>;

/// On whose behalf a command runs; stands in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// User name, or `uid 1000`.
    pub who: String,
    /// `socket`, `http 127.0.0.1`, `web`, a service.
    pub via: String,
}

impl Caller {
    /// Names a caller.
    pub fn new(who: impl Into<String>, via: impl Into<String>) -> Self {
        Self {
            who: who.into(),
            via: via.into(),
        }
    }
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} via {}", self.who, self.via)
    }
}

/// What the supervisor can be asked. Targets are `service`, `group:service`, `group`, `group:*` or
/// `all`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum Command {
    /// Returns the state of the targets; of everything when there are none.
    Status {
        /// Which services.
        targets: Vec<String>,
    },
    /// Starts the targets in dependency order and waits until they run.
    Start {
        /// Which services.
        targets: Vec<String>,
        /// Start missing dependencies too.
        dependencies: bool,
        /// Wait until every target is ready or has failed.
        wait: bool,
    },
    /// Stops the targets in reverse dependency order and waits until they have ended.
    Stop {
        /// Which services.
        targets: Vec<String>,
        /// Stop what depends on them too.
        #[serde(default)]
        dependents: bool,
        /// Wait until every target has ended.
        wait: bool,
    },
    /// Stops, then starts.
    Restart {
        /// Which services.
        targets: Vec<String>,
        /// Wait until every target is ready or has failed.
        wait: bool,
    },
    /// Restarts the targets that shall run one after the other in dependency order, each when the one
    /// before is ready; ends at the first that fails.
    Roll {
        /// Which services.
        targets: Vec<String>,
        /// All services of one level of the dependency order at a time instead of one service.
        by_level: bool,
    },
    /// Kills the targets at once, without their time to stop; they stay down.
    Kill {
        /// Which services.
        targets: Vec<String>,
        /// Wait until every target has ended.
        wait: bool,
    },
    /// Sends a signal to child processes.
    Signal {
        /// Which services.
        targets: Vec<String>,
        /// Name with or without `SIG`, or number.
        signal: String,
    },
    /// Does nothing about the health of the targets for some time.
    Hold {
        /// Which services.
        targets: Vec<String>,
        /// How long; until they are released when there is none.
        time: Option<Span>,
    },
    /// Ends a hold.
    Unhold {
        /// Which services.
        targets: Vec<String>,
    },
    /// Returns the end of a service's log.
    Tail {
        /// Which service; empty for the supervisor's own log.
        name: String,
        /// Most lines.
        lines: usize,
    },
    /// Empties the logs of services; their rotated files stay.
    Clear {
        /// Which services; the supervisor's own log without any.
        targets: Vec<String>,
    },
    /// Rotates the logs of services now.
    Rotate {
        /// Which services; the supervisor's own log without any.
        targets: Vec<String>,
    },
    /// Writes to the standard input of a program.
    Input {
        /// Which service.
        name: String,
        /// What it shall read, line ends included.
        text: String,
    },
    /// Asks a running service itself; what it understands is its own affair.
    Request {
        /// Which service.
        name: String,
        /// What to do, such as `reset`.
        verb: String,
        /// Details for the service.
        args: serde_json::Value,
    },
    /// Makes a request of those that only read: what the kind of the service does not list in
    /// [`crate::Kind::questions`] is refused before the service hears of it.
    Question {
        /// Which service.
        name: String,
        /// What is asked, such as `history`.
        verb: String,
        /// Details for the service.
        args: serde_json::Value,
    },
    /// Returns the heads of the last reports on failures, newest first.
    Incidents {
        /// Which service; empty for all.
        name: String,
        /// Most reports.
        count: usize,
    },
    /// Returns a report on a failure.
    Incident {
        /// Its number.
        id: u64,
        /// As lines for people instead of JSON.
        text: bool,
    },
    /// Reads the configuration anew, keeps it for [`Command::Add`], and says what it would change;
    /// changes nothing.
    Reread,
    /// Reads the configuration anew and puts it in force: stops what is gone or must start anew,
    /// starts what is new, leaves all else alone; waits until that is done.
    Update {
        /// Only these groups and services, by their old or new names; everything when there are none.
        targets: Vec<String>,
        /// Refuse when this is no longer what was shown.
        expected: Expected,
    },
    /// Adds a group of the configuration that was read last, and starts its members that start with
    /// the stack.
    Add {
        /// Which group.
        group: String,
    },
    /// Drops a group of which nothing runs.
    Remove {
        /// Which group.
        group: String,
    },
    /// Returns all services of the configuration that was read last.
    Available,
    /// Stops everything in order, reads the configuration anew and starts as at the beginning.
    Reload {
        /// Wait until every service that starts with the stack is ready or has failed.
        wait: bool,
    },
    /// Ends the whole stack.
    Shutdown {
        /// Kill at once instead of stopping in order.
        now: bool,
    },
}

impl Command {
    /// Requests that services make of each other regularly, and that change nothing anywhere. What
    /// comes from people who may only look is a [`Command::Question`].
    const QUESTIONS: [&str; 6] = [
        "conditions",
        "history",
        "list",
        "picture",
        "search",
        "shifters",
    ];

    /// Tells whether the command does something, or only asks.
    pub fn changes(&self) -> bool {
        match self {
            Self::Status { .. }
            | Self::Tail { .. }
            | Self::Question { .. }
            | Self::Incidents { .. }
            | Self::Incident { .. }
            | Self::Reread
            | Self::Available => false,
            Self::Start { .. }
            | Self::Stop { .. }
            | Self::Restart { .. }
            | Self::Roll { .. }
            | Self::Kill { .. }
            | Self::Signal { .. }
            | Self::Clear { .. }
            | Self::Rotate { .. }
            | Self::Input { .. }
            | Self::Hold { .. }
            | Self::Unhold { .. }
            | Self::Update { .. }
            | Self::Add { .. }
            | Self::Remove { .. }
            | Self::Reload { .. }
            | Self::Shutdown { .. } => true,
            Self::Request { verb, .. } => !Self::QUESTIONS.contains(&&**verb),
        }
    }
}

/// What comes back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "reply", content = "value", rename_all = "lowercase")]
pub enum Reply {
    /// The state of services.
    Status(StackStatus),
    /// What became of each target, in the order it was done.
    Done(Vec<Outcome>),
    /// Log lines, oldest first.
    Lines(Vec<String>),
    /// The answer of a service.
    Answer(serde_json::Value),
    /// What another configuration would change.
    Changes(Changes),
    /// Services of the configuration that was read last, by group and name.
    Available(Vec<Available>),
}

/// What became of one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Outcome {
    /// Full name of the service.
    pub name: String,
    /// The result, in words that programs can rely on.
    pub result: Verdict,
    /// Details for people; may be empty.
    pub message: String,
}

/// The result for one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Runs now.
    Started,
    /// Has ended.
    Stopped,
    /// The signal was sent.
    Signalled,
    /// Was running already.
    AlreadyStarted,
    /// Was not running.
    NotRunning,
    /// The program could not be started.
    SpawnError,
    /// It ended before it was ready.
    AbnormalTermination,
    /// Neither ready nor failed within the time allowed, or still waits for a dependency.
    TimedOut,
    /// Nothing is done about its health for now.
    Held,
    /// Its health counts again.
    Released,
    /// The signal is not known here, or the service has no process.
    BadSignal,
    /// Its log is empty now.
    Cleared,
    /// Its log was rotated.
    Rotated,
    /// It could not be done; the message says why.
    Failed,
    /// Is part of the stack now; does not run.
    Added,
    /// Is no longer part of the stack.
    Removed,
    /// Has its new configuration; what ran was not touched, or nothing ran.
    Updated,
    /// Left as it was, because another one before it failed or because it is down by wish.
    Untouched,
}

impl Verdict {
    /// Returns the word for it, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Signalled => "signalled",
            Self::AlreadyStarted => "already_started",
            Self::NotRunning => "not_running",
            Self::SpawnError => "spawn_error",
            Self::AbnormalTermination => "abnormal_termination",
            Self::TimedOut => "timed_out",
            Self::Held => "held",
            Self::Released => "released",
            Self::BadSignal => "bad_signal",
            Self::Cleared => "cleared",
            Self::Rotated => "rotated",
            Self::Failed => "failed",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Updated => "updated",
            Self::Untouched => "untouched",
        }
    }
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "error", content = "detail", rename_all = "snake_case")]
pub enum ControlError {
    /// No service, group or target of this name.
    #[error("no such service or group: {0}")]
    NoSuchName(String),
    /// The service does not run, so it cannot answer.
    #[error("{0} is not running")]
    NotRunning(String),
    /// The service refused the request.
    #[error("{0}")]
    Refused(String),
    /// The service got the request and said nothing in time.
    #[error("{0} does not answer")]
    NoAnswer(String),
    /// The service has no answer to this that changes nothing.
    #[error("{name} has no question {verb:?}, expected {}", one_of(known))]
    NoSuchQuestion {
        /// Full name of the service.
        name: String,
        /// What was asked.
        verb: String,
        /// What it can be asked.
        known: Vec<String>,
    },
    /// Nothing of this service's log can be shown.
    #[error("no log of {0}")]
    NoLog(String),
    /// There is no report of this number, or not any more.
    #[error("no incident {0}")]
    NoIncident(u64),
    /// The group is part of the stack already.
    #[error("{0} is there already")]
    AlreadyAdded(String),
    /// Something of the group still runs.
    #[error("{0} still runs")]
    StillRunning(String),
    /// The configuration has errors; nothing was changed.
    #[error("the configuration cannot be used")]
    BadConfig(Vec<ConfigFault>),
    /// What was shown is no longer what would be done.
    #[error("the configuration has changed since: generation {generation}, files {sha256}")]
    Stale {
        /// Number of the configuration in force.
        generation: u64,
        /// SHA-256 of the files that were read now.
        sha256: String,
    },
    /// Another change of the configuration is under way.
    #[error("{0}")]
    Busy(String),
    /// The supervisor is shutting down.
    #[error("the supervisor is shutting down")]
    ShuttingDown,
    /// The supervisor did not answer.
    #[error("the supervisor does not answer")]
    Deaf,
}

/// Lists what would have been right.
fn one_of(known: &[String]) -> String {
    match known {
        [] => "none".to_owned(),
        known => known.join(", "),
    }
}

impl ControlHandle {
    /// Most commands waiting for the supervisor; further callers wait.
    pub const WAITING_MAX: usize = 64;

    /// Makes a handle and the end that the supervisor listens on.
    pub fn channel() -> (Self, mpsc::Receiver<Ask>) {
        let (to, from) = mpsc::channel(Self::WAITING_MAX);
        (Self { to }, from)
    }

    /// Sends a command and waits for its reply.
    pub async fn ask(&self, command: Command, caller: Caller) -> Answer {
        let (reply, answer) = oneshot::channel();
        let ask = Ask {
            command,
            caller,
            reply,
        };
        self.to
            .send(ask)
            .await
            .map_err(|_| ControlError::ShuttingDown)?;
        answer.await.unwrap_or(Err(ControlError::Deaf))
    }
}
