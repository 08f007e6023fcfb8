//! What is set for the process of a service: limits, priority, how it is stopped, and what becomes
//! of it when the supervisor dies.

use fathom_kernel::{Size, Span};
use nix::sys::signal::Signal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::document::{CommandDoc, ServiceDoc};
use super::plan::{Body, KindBody, Run};
use super::problem::Problem;
use super::source::Place;

/// Limits of a process and of what it starts; what is not given is inherited.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open files.
    pub nofile: Option<u64>,
    /// Address space of each process.
    pub memory: Option<Size>,
    /// Data segment of each process.
    pub data: Option<Size>,
    /// Stack of each process.
    pub stack: Option<Size>,
    /// Memory that each process may lock.
    pub memlock: Option<Size>,
    /// Core file [bytes].
    #[schemars(extend("unit" = "B"))]
    pub core: Option<u64>,
    /// Longest file written.
    pub fsize: Option<Size>,
    /// Computing time of each process.
    pub cpu: Option<Span>,
    /// Processes and threads of its user, whoever started them.
    pub nproc: Option<u64>,
    /// Signals waiting for its user's processes.
    pub sigpending: Option<u64>,
    /// Memory of all its processes together, by control group.
    pub cgroup_memory: Option<Size>,
    /// Processors that all its processes together may use, by control group.
    pub cgroup_cpu: Option<f64>,
    /// Processes and threads of all of it, by control group.
    pub cgroup_pids: Option<u64>,
}

impl Limits {
    /// Tells whether some of them need a control group.
    pub fn need_cgroup(&self) -> bool {
        self.cgroup_memory.is_some() || self.cgroup_cpu.is_some() || self.cgroup_pids.is_some()
    }
}

/// What becomes of a process when the supervisor dies without a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnDaemonDeath {
    /// It is ended.
    #[default]
    Kill,
    /// It goes on, and the next supervisor takes it over.
    Adopt,
}

/// Further properties of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessPlan {
    /// Priority, -20 to 19; `None` inherits.
    pub nice: Option<i32>,
    /// How readily the kernel kills it for memory, -1000 to 1000; `None` inherits.
    pub oom_score_adj: Option<i32>,
    /// Permission bits taken from new files; `None` inherits.
    pub umask: Option<u32>,
    /// A session of its own, not only a process group.
    pub session: bool,
    /// What becomes of it when the supervisor dies.
    pub on_daemon_death: OnDaemonDeath,
}

/// Signals that may ask a process to end: all but those that halt it, and those by which the kernel
/// reports a fault or the end of a child. Those of real time have no names.
pub(crate) const STOP_SIGNALS: [Signal; 17] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGKILL,
    Signal::SIGABRT,
    Signal::SIGALRM,
    Signal::SIGCONT,
    Signal::SIGIO,
    Signal::SIGPIPE,
    Signal::SIGPROF,
    Signal::SIGPWR,
    Signal::SIGURG,
    Signal::SIGVTALRM,
    Signal::SIGWINCH,
];

/// `stop = { … }`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StopDoc {
    /// Signal that asks a process to end: `TERM`, `INT`, `QUIT`, `HUP`, `USR1`, `USR2`, `KILL`, or
    /// another one that neither halts it nor reports a fault.
    #[schemars(with = "String", extend("default" = "TERM"))]
    #[serde(skip_serializing)]
    pub(crate) signal: Option<Spanned<String>>,
    /// Time it has until it is killed, or its task aborted.
    pub(crate) wait: Span,
    /// Signal its whole process group, not only the process itself.
    pub(crate) group: bool,
    /// Program that makes it end, run in place of the signal with MAINPID in its environment; the
    /// signal follows when this fails.
    #[schemars(with = "Option<CommandDoc>")]
    #[serde(skip_serializing)]
    pub(crate) command: Option<Spanned<CommandDoc>>,
    /// Text written to its standard input in place of the signal.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub(crate) stdin: Option<Spanned<String>>,
}

impl Default for StopDoc {
    fn default() -> Self {
        Self {
            signal: None,
            wait: Span::from_secs(10),
            group: true,
            command: None,
            stdin: None,
        }
    }
}

/// Checks what is set for a process; `body` is unknown when it was reported why.
pub(crate) fn checked(
    doc: &ServiceDoc,
    body: Option<&Body>,
    problems: &mut Vec<Problem>,
) -> ProcessPlan {
    if let Some(body) = body {
        problems.extend(misplaced(doc, body));
    }
    let mut within = |given: &Option<Spanned<i32>>, least: i32, most: i32| {
        let given = given.as_ref()?;
        if (least..=most).contains(given.get_ref()) {
            return Some(*given.get_ref());
        }
        let text = format!("expected a whole number from {least} to {most}");
        problems.push(Problem::error(text).at(given.span()));
        None
    };
    let nice = within(&doc.nice, -20, 19);
    let oom_score_adj = within(&doc.oom_score_adj, -1000, 1000);
    if let Some(limits) = &doc.limits
        && limits
            .get_ref()
            .cgroup_cpu
            .is_some_and(|cpu| cpu < 0.01 || !cpu.is_finite())
    {
        let problem = Problem::error("`cgroup_cpu` is at least 0.01");
        problems.push(problem.at(limits.span()));
    }
    let umask = doc.umask.as_ref().and_then(|given| {
        let mask = u32::from_str_radix(given.get_ref(), 8).ok();
        let mask = mask.filter(|mask| *mask <= 0o777);
        if mask.is_none() {
            let problem = Problem::error(format!("`{given}` is no file mode"))
                .at(given.span())
                .label("expected three octal digits, such as \"022\"");
            problems.push(problem);
        }
        mask
    });
    ProcessPlan {
        nice,
        oom_score_adj,
        umask,
        session: doc.session.as_ref().is_some_and(|given| *given.get_ref()),
        on_daemon_death: on_daemon_death(doc),
    }
}

fn on_daemon_death(doc: &ServiceDoc) -> OnDaemonDeath {
    let given = doc.on_daemon_death.as_ref();
    given.map(|given| *given.get_ref()).unwrap_or_default()
}

/// Finds what has no meaning for what the service runs.
fn misplaced(doc: &ServiceDoc, body: &Body) -> Vec<Problem> {
    let stop = doc.stop.as_ref().map(Spanned::get_ref);
    let on_process: [(&str, Option<Place>); 5] = [
        ("nice", doc.nice.as_ref().map(Spanned::span)),
        (
            "oom_score_adj",
            doc.oom_score_adj.as_ref().map(Spanned::span),
        ),
        ("umask", doc.umask.as_ref().map(Spanned::span)),
        ("session", doc.session.as_ref().map(Spanned::span)),
        (
            "command",
            stop.and_then(|s| s.command.as_ref()).map(Spanned::span),
        ),
    ];
    let adopts = doc.on_daemon_death.as_ref();
    let adopts = adopts.filter(|given| *given.get_ref() == OnDaemonDeath::Adopt);
    let on_command = [
        (
            "stdin",
            stop.and_then(|s| s.stdin.as_ref()).map(Spanned::span),
        ),
        ("adopt", adopts.map(Spanned::span)),
    ];
    let is_actor = matches!(
        body,
        Body::Kind(KindBody {
            run: Run::Actor,
            ..
        })
    );
    let is_kind = matches!(body, Body::Kind(_));
    let mut problems = Vec::new();
    for (key, at) in on_process {
        if let Some(at) = at.filter(|_| is_actor) {
            let problem = Problem::error(format!("`{key}` needs a process of its own"));
            problems.push(problem.at(at).help("write run = \"process\""));
        }
    }
    for (key, at) in on_command {
        if let Some(at) = at.filter(|_| is_kind) {
            let text = format!("`{key}` goes with a command, not with a kind");
            problems.push(Problem::error(text).at(at));
        }
    }
    problems
}
