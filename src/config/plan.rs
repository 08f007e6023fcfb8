//! The checked form of a configuration: names resolved, defaults filled in, order known.
//!
//! Past this point nothing is validated again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fathom_formats::detx::Detector;
use fathom_formats::km3net::DetectorId;
use fathom_kernel::{Kind, Service, Setup, Size};
use nix::sys::signal::Signal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::flow::FlowSource;
pub use super::health::{CheckProbe, CheckRule, FlowRule, HealthAction, HealthPlan};
pub use super::log::{LineFormat, LogPlan, LogTarget, OnFull, Stderr};
pub use super::policy::{Backoff, Budget, OnFatal, Restart, Strategy};
pub use super::process::{Limits, OnDaemonDeath, ProcessPlan};
pub use super::ready::Ready;
use crate::detector::Page;

/// A whole stack, ready to be run.
#[derive(Clone)]
pub struct Plan {
    /// Name of the stack, shown to shifters.
    pub name: String,
    /// Data folder, folder of the file, detector: what every kind may know.
    pub setup: Setup,
    /// Where the description of the detector comes from; `None` for a generated one, or none.
    pub detector: Option<DetectorPlan>,
    /// Longest time an ordered end may take.
    pub shutdown_limit: Duration,
    /// Groups that may fail for good before the whole stack ends; `None` is any number.
    pub budget: Option<Budget>,
    /// How health is judged.
    pub health: HealthPlan,
    /// Who may command, and where.
    pub control: ControlPlan,
    /// The supervisor's own log.
    pub log: OwnLog,
    /// Groups, in declared order, each after the one it is in; a service without a group forms one
    /// of its own of the same name.
    pub groups: Vec<GroupPlan>,
    /// Services in start order: each after all it depends on.
    pub services: Vec<ServicePlan>,
    /// Names of services by level: those of a level can start together once earlier levels are up.
    pub levels: Vec<Vec<Arc<str>>>,
}

impl Plan {
    /// Returns the service of a full name.
    pub fn service(&self, name: &str) -> Option<&ServicePlan> {
        self.services.iter().find(|service| *service.name == *name)
    }
}

/// Where the description of the detector comes from, and what was found there first.
#[derive(Debug, Clone)]
pub struct DetectorPlan {
    /// A DETX file.
    pub file: Option<PathBuf>,
    /// A page of the data base, over the file.
    pub url: Option<String>,
    /// Time between two questions for the page.
    pub every: Duration,
    /// Id of the detector, for pages that do not say.
    pub id: Option<DetectorId>,
    /// What the file said.
    pub ground: Option<Arc<Detector>>,
    /// Where the last good page is kept.
    pub(crate) page: Option<Page>,
    /// What it was.
    pub(crate) kept: Option<Bytes>,
}

impl DetectorPlan {
    /// Time between two questions for the page, unless said otherwise.
    pub(crate) const EVERY: Duration = Duration::from_secs(60);

    /// Tells whether both name the same places.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let places = |plan: &Self| (plan.file.clone(), plan.url.clone(), plan.every, plan.id);
        places(self) == places(other)
    }
}

impl Default for DetectorPlan {
    fn default() -> Self {
        Self {
            file: None,
            url: None,
            every: Self::EVERY,
            id: None,
            ground: None,
            page: None,
            kept: None,
        }
    }
}

/// Where the supervisor takes commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlPlan {
    /// TCP address beside the Unix socket, if any.
    pub listen: Option<SocketAddr>,
    /// Permission bits of the Unix socket.
    pub socket_mode: u32,
    /// Name or number of the group that owns it; `None` is ours.
    pub socket_group: Option<String>,
    /// User and password that may command over TCP, beside the token.
    pub account: Option<AccountPlan>,
    /// Take the calls of supervisord's clients on TCP from everybody.
    pub rpc_open: bool,
    /// File with the token for commands over TCP; `None` makes a new one at every start.
    pub token_file: Option<PathBuf>,
    /// Names, beside addresses and `localhost`, that lead to the TCP address.
    pub hosts: Vec<String>,
}

/// A user with a password.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountPlan {
    /// Name.
    pub user: String,
    /// Argon2 hash of the password (PHC text).
    pub password_hash: String,
}

impl std::fmt::Debug for AccountPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccountPlan({})", self.user)
    }
}

/// The supervisor's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnLog {
    /// Filter as `tracing` reads it: `info`, `info,fathom_ligier=debug`.
    pub level: String,
    /// A file of this size is rotated.
    pub max: Size,
    /// Rotated files kept.
    pub backups: usize,
    /// Form of its lines.
    pub format: LogFormat,
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// A group of services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPlan {
    /// Full name: `outer.inner` when it is within another group.
    pub name: Arc<str>,
    /// Full name of the group it is in.
    pub parent: Option<Arc<str>>,
    /// It was not declared: a service without a group forms it.
    pub lone: bool,
    /// What it is for.
    pub description: String,
    /// What the failure of a member means for the others.
    pub strategy: Strategy,
    /// Failures of all members until it is FATAL; `None` is any number.
    pub budget: Option<Budget>,
    /// Full names of its own services, in declared order.
    pub members: Vec<Arc<str>>,
}

/// One service.
#[derive(Clone)]
pub struct ServicePlan {
    /// `group:service`, or `service` when both are equal.
    pub name: Arc<str>,
    /// Full name of its group.
    pub group: Arc<str>,
    /// What it is for.
    pub description: String,
    /// What runs.
    pub body: Body,
    /// What must be true before it starts.
    pub after: Vec<After>,
    /// Full names of services whose end also ends this one, until they fulfil `after` again.
    pub bind: Vec<Arc<str>>,
    /// Start with the stack.
    pub autostart: bool,
    /// When to start it again.
    pub restart: Restart,
    /// Exit codes that are no failure.
    pub exit_ok: Vec<i32>,
    /// Delays between restarts.
    pub backoff: Backoff,
    /// Failures until it is FATAL.
    pub budget: Budget,
    /// What to do then.
    pub on_fatal: OnFatal,
    /// When it counts as ready.
    pub ready: Ready,
    /// Longest time until then.
    pub ready_timeout: Duration,
    /// How it is stopped.
    pub stop: StopPlan,
    /// Limits of its process.
    pub limits: Limits,
    /// Further properties of its process.
    pub process: ProcessPlan,
    /// What becomes of its output.
    pub log: LogPlan,
    /// Rules on its data flow.
    pub flow: Vec<FlowRule>,
    /// Checks of its health from outside.
    pub check: Vec<CheckRule>,
}

impl ServicePlan {
    /// Returns the full names of the services that it depends on directly: to start, to live, or to
    /// be fed; each once.
    pub fn upstream(&self) -> BTreeSet<&Arc<str>> {
        let inputs = self.flow.iter().filter_map(|rule| match &rule.input {
            Some(FlowSource::Actor(name)) => Some(name),
            _ => None,
        });
        let after = self.after.iter().map(|after| &after.name);
        after.chain(&self.bind).chain(inputs).collect()
    }

    /// Returns `actor`, `process` or `command`.
    pub fn run_word(&self) -> &'static str {
        match &self.body {
            Body::Kind(KindBody {
                run: Run::Actor, ..
            }) => "actor",
            Body::Kind(KindBody {
                run: Run::Process, ..
            }) => "process",
            Body::Command(_) => "command",
        }
    }

    /// Tells whether a program is listened to on `NOTIFY_SOCKET`, which it is given when it starts.
    pub fn is_listened_to(&self) -> bool {
        let is_notify = |source: &FlowSource| *source == FlowSource::Notify;
        let by_flow = |rule: &FlowRule| is_notify(&rule.out) || rule.input.iter().any(is_notify);
        let by_check = |rule: &CheckRule| rule.probe == CheckProbe::Notify;
        let is_asked = self.ready == Ready::Notify
            || self.flow.iter().any(by_flow)
            || self.check.iter().any(by_check);
        is_asked && matches!(self.body, Body::Command(_))
    }

    /// Returns the requests that change nothing; a program has none.
    pub fn questions(&self) -> &'static [&'static str] {
        match &self.body {
            Body::Kind(body) => body.kind.questions,
            Body::Command(_) => &[],
        }
    }
}

/// What a service runs.
#[derive(Clone)]
pub enum Body {
    /// A built-in kind.
    Kind(KindBody),
    /// A program.
    Command(CommandBody),
}

/// A built-in kind with its options.
#[derive(Clone)]
pub struct KindBody {
    /// The kind.
    pub kind: &'static Kind,
    /// Makes a fresh service for each start.
    pub factory: Arc<dyn Fn() -> Box<dyn Service> + Send + Sync>,
    /// The options as TOML, for a child of our own binary.
    pub options: String,
    /// In this process or in a child.
    pub run: Run,
    /// On which threads.
    pub placement: Placement,
}

/// Where a kind runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Run {
    /// As a task of the supervisor's process.
    #[default]
    Actor,
    /// In a child of the same binary.
    Process,
}

/// On which threads a kind runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// On the shared pool.
    Pool,
    /// On a thread of its own, for what computes for long.
    Thread,
}

impl Placement {
    /// Returns where services of a kind run when nothing is said: what computes for long, or hangs, shall
    /// disturb nobody.
    pub(crate) fn usual(kind: &Kind) -> Self {
        match kind.own_thread {
            true => Self::Thread,
            false => Self::Pool,
        }
    }
}

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandBody {
    /// Program and arguments; never empty.
    pub argv: Vec<String>,
    /// Variables added to the supervisor's environment.
    pub env: BTreeMap<String, String>,
    /// Folder to run in; `None` is the folder of the configuration file.
    pub cwd: Option<PathBuf>,
    /// User to run as; `None` is the supervisor's.
    pub user: Option<String>,
}

/// A condition on another service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// Full name of that service.
    pub name: Arc<str>,
    /// What it must have reached.
    pub until: Until,
}

/// What a dependency must have reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Until {
    /// It exists.
    Started,
    /// It is RUNNING.
    #[default]
    Ready,
    /// It is RUNNING and all its flow rules are fulfilled.
    Flowing,
    /// It EXITED with a code in `exit_ok`.
    Done,
    /// Its start is over, whatever came of it: it exists, has failed, has ended, or shall not run.
    Settled,
}

impl std::fmt::Display for After {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        f.write_str(match self.until {
            Until::Ready => "",
            Until::Started => "=started",
            Until::Flowing => "=flowing",
            Until::Done => "=done",
            Until::Settled => "=settled",
        })
    }
}

/// How a service is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopPlan {
    /// Signal that asks it to end.
    pub signal: Signal,
    /// Time it has until it is killed (or its task aborted).
    pub wait: Duration,
    /// Signal the whole process group, not only its leader.
    pub group: bool,
    /// Program and arguments that make it end, in place of the signal.
    pub command: Option<Vec<String>>,
    /// Text on its standard input that makes it end, in place of the signal.
    pub stdin: Option<String>,
}
