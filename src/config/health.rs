//! Rules on the health of a service: its data flow, and checks from outside.

use std::time::Duration;

use fathom_kernel::{Span, without_passwords};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::flow::FlowSource;
use super::problem::Problem;
use super::source::Place;

/// Longest time in a rule; anything longer is a mistake.
const TIME_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Shortest time in a rule: health is judged once a second.
const TIME_MIN: Duration = Duration::from_secs(1);

/// A rule on the data flow of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct FlowRule {
    /// What it must produce.
    pub out: FlowSource,
    /// What it feeds on.
    pub input: Option<FlowSource>,
    /// Longest silence.
    pub max_age: Duration,
    /// Further silence until it is restarted.
    pub patience: Duration,
    /// Time after it became ready until the rule holds.
    pub grace: Duration,
    /// Least rate of `out` (Hz).
    pub min_rate_hz: Option<f64>,
    /// Most messages waiting for it.
    pub max_queue: Option<u64>,
    /// What is done when it stalls.
    pub action: HealthAction,
}

impl std::fmt::Display for FlowRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{{ out = \"{}\"", self.out)?;
        if let Some(input) = &self.input {
            write!(f, ", in = \"{input}\"")?;
        }
        let (max_age, patience) = (Span::from(self.max_age), Span::from(self.patience));
        write!(f, ", max_age = \"{max_age}\", patience = \"{patience}\"")?;
        write!(f, ", grace = \"{}\"", Span::from(self.grace))?;
        if let Some(min_rate_hz) = self.min_rate_hz {
            write!(f, ", min_rate = {min_rate_hz}")?;
        }
        if let Some(max_queue) = self.max_queue {
            write!(f, ", max_queue = {max_queue}")?;
        }
        write!(f, ", action = \"{}\" }}", self.action.word())
    }
}

/// A check of a service from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRule {
    /// How to check.
    pub probe: CheckProbe,
    /// Time from check to check.
    pub every: Duration,
    /// Longest time for an answer.
    pub timeout: Duration,
    /// Failures in a row until the service is failing.
    pub fails: u32,
    /// Successes in a row until it is not any more.
    pub ok_after: u32,
    /// Time after it became ready until the first check.
    pub grace: Duration,
    /// What is done when it fails.
    pub action: HealthAction,
}

impl std::fmt::Display for CheckRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.probe {
            CheckProbe::Http(url) => write!(f, "{{ http = \"{url}\"")?,
            CheckProbe::Tcp(address) => write!(f, "{{ tcp = \"{address}\"")?,
            CheckProbe::Exec(argv) => write!(f, "{{ exec = {:?}", argv.join(" "))?,
            CheckProbe::Notify => f.write_str("{ notify = true")?,
        }
        let (every, timeout) = (Span::from(self.every), Span::from(self.timeout));
        write!(f, ", every = \"{every}\", timeout = \"{timeout}\"")?;
        write!(f, ", fails = {}, ok_after = {}", self.fails, self.ok_after)?;
        let (grace, action) = (Span::from(self.grace), self.action.word());
        write!(f, ", grace = \"{grace}\", action = \"{action}\" }}")
    }
}

impl HealthAction {
    fn word(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Warn => "warn",
        }
    }
}

/// How to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckProbe {
    /// A GET answers 2xx.
    Http(String),
    /// Somebody accepts connections at `host:port`.
    Tcp(String),
    /// This command exits with 0.
    Exec(Vec<String>),
    /// It said `WATCHDOG=1` on `NOTIFY_SOCKET` since the last check.
    Notify,
}

impl std::fmt::Display for CheckProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http(url) => write!(f, "http:{}", without_passwords(url)),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Exec(argv) => write!(f, "exec:{}", argv.join(" ")),
            Self::Notify => f.write_str("notify"),
        }
    }
}

/// What is done about bad health.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthAction {
    /// The service is restarted.
    #[default]
    Restart,
    /// It is only said.
    Warn,
}

/// How health is judged in the whole stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealthPlan {
    /// When a service was restarted, those that depend on it are left alone for so long after it is
    /// ready again.
    pub hold: Span,
    /// Most services that are restarted for their health at a time.
    #[schemars(range(min = 1))]
    pub max_parallel_restarts: std::num::NonZeroU32,
}

impl Default for HealthPlan {
    fn default() -> Self {
        Self {
            hold: Span::from_secs(30),
            max_parallel_restarts: std::num::NonZeroU32::MIN,
        }
    }
}

/// `flow = [{ … }]`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FlowDoc {
    /// What the service must produce: `tag:TAG`, `bus:TOPIC`, `actor:NAME`, `queue`, `file:PATH`,
    /// `stdout`, `log:REGEX`, `metric:NAME`, `notify`, `http:URL#POINTER`.
    #[schemars(with = "String")]
    #[serde(skip_serializing)]
    pub(crate) out: Spanned<FlowSource>,
    /// What it feeds on, in the same forms; while that is silent, so may the service be.
    #[schemars(with = "Option<String>")]
    #[serde(rename = "in", skip_serializing)]
    pub(crate) input: Option<Spanned<FlowSource>>,
    /// Longest silence of `out` while `in` flows.
    #[schemars(with = "Span")]
    #[serde(skip_serializing)]
    pub(crate) max_age: Spanned<Span>,
    /// Further silence until it is restarted; by default `max_age`.
    #[schemars(with = "Option<Span>")]
    #[serde(skip_serializing)]
    pub(crate) patience: Option<Spanned<Span>>,
    /// Time after it became ready until the rule holds; by default `max_age`.
    #[schemars(with = "Option<Span>")]
    #[serde(skip_serializing)]
    pub(crate) grace: Option<Spanned<Span>>,
    /// A lower rate of `out` while `in` flows is lagging (Hz).
    #[schemars(with = "Option<f64>", extend("unit" = "Hz"))]
    #[serde(skip_serializing)]
    pub(crate) min_rate: Option<Spanned<f64>>,
    /// More messages waiting for it is lagging.
    pub(crate) max_queue: Option<u64>,
    /// What is done when it stalls.
    #[serde(default)]
    pub(crate) action: HealthAction,
}

/// `check = [{ … }]`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CheckDoc {
    /// A GET of this URL answers 2xx.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub(crate) http: Option<Spanned<String>>,
    /// `HOST:PORT` accepts connections.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub(crate) tcp: Option<Spanned<String>>,
    /// This command exits with 0.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub(crate) exec: Option<Spanned<String>>,
    /// It says `WATCHDOG=1` on `NOTIFY_SOCKET` from check to check.
    #[schemars(with = "bool")]
    #[serde(skip_serializing)]
    pub(crate) notify: Option<Spanned<bool>>,
    /// Time from check to check.
    #[schemars(with = "Span", extend("default" = "10s"))]
    #[serde(skip_serializing)]
    pub(crate) every: Option<Spanned<Span>>,
    /// Longest time for an answer.
    #[schemars(with = "Span", extend("default" = "2s"))]
    #[serde(skip_serializing)]
    pub(crate) timeout: Option<Spanned<Span>>,
    /// Failures in a row until the service is failing.
    pub(crate) fails: std::num::NonZeroU32,
    /// Successes in a row until it is not any more.
    pub(crate) ok_after: std::num::NonZeroU32,
    /// Time after it became ready until the first check; by default none.
    pub(crate) grace: Span,
    /// What is done when it fails.
    pub(crate) action: HealthAction,
}

impl Default for CheckDoc {
    fn default() -> Self {
        Self {
            http: None,
            tcp: None,
            exec: None,
            notify: None,
            every: None,
            timeout: None,
            fails: std::num::NonZeroU32::MIN.saturating_add(2),
            ok_after: std::num::NonZeroU32::MIN,
            grace: Span::ZERO,
            action: HealthAction::Restart,
        }
    }
}

impl FlowDoc {
    /// Returns the checked rule, but for the names in it, or all that is wrong.
    pub(crate) fn checked(&self, is_kind: bool, problems: &mut Vec<Problem>) -> FlowRule {
        let sources = [Some(&self.out), self.input.as_ref()];
        for source in sources.into_iter().flatten() {
            if let Some(why) = source.get_ref().refused(is_kind) {
                problems.push(Problem::error(why).at(source.span()));
            }
        }
        let max_age = time(&self.max_age, "max_age", problems);
        let or_max_age = |given: &Option<Spanned<Span>>, name, problems: &mut Vec<Problem>| {
            let given = given.as_ref();
            given.map_or(max_age, |given| {
                bounded(given, name, Duration::ZERO, problems)
            })
        };
        let min_rate_hz = self.min_rate.as_ref().map(|rate| {
            let fits = rate.get_ref().is_finite() && *rate.get_ref() > 0.0;
            if !fits {
                let problem = Problem::error("`min_rate` is above 0").at(rate.span());
                problems.push(problem);
            } else if !self.out.get_ref().counts() {
                let text =
                    "`min_rate` needs something that counts; files and documents only change";
                problems.push(Problem::error(text).at(rate.span()));
            }
            *rate.get_ref()
        });
        FlowRule {
            out: self.out.get_ref().clone(),
            input: self.input.as_ref().map(|input| input.get_ref().clone()),
            max_age,
            patience: or_max_age(&self.patience, "patience", problems),
            grace: or_max_age(&self.grace, "grace", problems),
            min_rate_hz,
            max_queue: self.max_queue,
            action: self.action,
        }
    }
}

impl CheckDoc {
    /// Returns the checked rule; what is wrong is added to the problems.
    pub(crate) fn checked(
        &self,
        at: Place,
        is_kind: bool,
        problems: &mut Vec<Problem>,
    ) -> Option<CheckRule> {
        let mut probes = Vec::new();
        if let Some(url) = &self.http {
            if !super::ready::is_web(url.get_ref()) {
                let problem = Problem::error(format!("`{url}` is no URL")).at(url.span());
                problems.push(problem.label("expected http://… or https://…"));
            }
            probes.push(CheckProbe::Http(url.get_ref().clone()));
        }
        if let Some(address) = &self.tcp {
            if !super::ready::is_host_port(address.get_ref()) {
                let problem = Problem::error(format!("`{address}` is no address"));
                problems.push(problem.at(address.span()).label("expected HOST:PORT"));
            }
            probes.push(CheckProbe::Tcp(address.get_ref().clone()));
        }
        if let Some(line) = &self.exec {
            let argv = shlex::split(line.get_ref()).unwrap_or_default();
            if argv.is_empty() {
                let text = "the command is empty, or has an open quote or a trailing \\";
                problems.push(Problem::error(text).at(line.span()));
            }
            probes.push(CheckProbe::Exec(argv));
        }
        if let Some(wanted) = self.notify.as_ref().filter(|wanted| *wanted.get_ref()) {
            if is_kind {
                let text = "a kind has no NOTIFY_SOCKET; see `flow` rules";
                problems.push(Problem::error(text).at(wanted.span()));
            }
            probes.push(CheckProbe::Notify);
        }
        let default = |seconds| Spanned::new(at.clone(), Span::from_secs(seconds));
        let (every, timeout) = (self.every.clone(), self.timeout.clone());
        let every = time(&every.unwrap_or_else(|| default(10)), "every", problems);
        let shortest = Duration::from_millis(10);
        let timeout = timeout.unwrap_or_else(|| default(2));
        let timeout = bounded(&timeout, "timeout", shortest, problems);
        if probes.len() != 1 {
            let text = "a check has one of `http`, `tcp`, `exec` and `notify = true`";
            problems.push(Problem::error(text).at(at));
        }
        Some(CheckRule {
            probe: probes.pop()?,
            every,
            timeout,
            fails: self.fails.get(),
            ok_after: self.ok_after.get(),
            grace: self.grace.duration(),
            action: self.action,
        })
    }
}

fn time(given: &Spanned<Span>, name: &str, problems: &mut Vec<Problem>) -> Duration {
    bounded(given, name, TIME_MIN, problems)
}

fn bounded(
    given: &Spanned<Span>,
    name: &str,
    shortest: Duration,
    problems: &mut Vec<Problem>,
) -> Duration {
    let time = given.get_ref().duration();
    if time < shortest || time > TIME_MAX {
        let (low, high) = (Span::from(shortest), Span::from(TIME_MAX));
        let problem = Problem::error(format!("`{name}` is from {low} to {high}"));
        problems.push(problem.at(given.span()));
    }
    time
}
