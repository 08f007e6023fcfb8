//! All services together: full names, groups, dependencies, start order.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::Span;
use nix::sys::signal::Signal;
use toml::Spanned;

use super::document::{AfterDoc, ServiceDoc};
use super::groups::{self, Declared, Paths, is_within};
use super::log::LogDoc;
use super::order;
use super::plan::{
    After, Body, CheckRule, FlowRule, FlowSource, GroupPlan, LogPlan, Ready, ServicePlan, StopPlan,
    Until,
};
use super::policy::Backoff;
use super::problem::Problem;
use super::process::{self, STOP_SIGNALS, StopDoc};
use super::resolve::Read;
use super::resolve::split;
use super::source::Place;

/// Longest time until a service is ready when nothing is said, beyond what it has to live for.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// The whole tree in start order.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) groups: Vec<GroupPlan>,
    pub(crate) services: Vec<ServicePlan>,
    pub(crate) levels: Vec<Vec<Arc<str>>>,
}

/// Puts services together.
pub(crate) struct Builder<'a> {
    pub(crate) groups: &'a [Declared],
    pub(crate) services: &'a [Read],
    pub(crate) problems: &'a mut Vec<Problem>,
}

/// The full names of all services and groups.
#[derive(Clone, Copy)]
struct Names<'a> {
    names: &'a [Arc<str>],
    paths: &'a Paths,
}

/// One dependency with its place.
struct Edge {
    to: usize,
    until: Until,
    /// The end of that service also ends this one.
    binds: bool,
    place: Place,
}

impl Builder<'_> {
    /// Builds the tree; what is wrong is added to the problems.
    pub(crate) fn build(mut self) -> Tree {
        let paths = Paths::of(self.groups, self.problems);
        self.groups();
        let full = |read: &Read| full_name(read, &paths);
        let names: Vec<Arc<str>> = self.services.iter().map(full).collect();
        let known = Names {
            names: &names,
            paths: &paths,
        };
        let edges: Vec<Vec<Edge>> = (0..names.len()).map(|i| self.edges(i, known)).collect();
        let needs: Vec<Vec<usize>> = edges
            .iter()
            .map(|edges| edges.iter().map(|edge| edge.to).collect())
            .collect();
        let levels = order::levels(&needs).unwrap_or_else(|cycles| {
            for cycle in &cycles {
                self.cycle(cycle, &names, &edges);
            }
            // No order, but what else is wrong shall be said as well.
            vec![(0..names.len()).collect()]
        });
        let services: Vec<ServicePlan> = levels
            .iter()
            .flatten()
            .filter_map(|&i| self.service(self.services.get(i)?, edges.get(i)?, known))
            .collect();
        let named = |i: &usize| names.get(*i).cloned();
        let levels = levels
            .iter()
            .map(|level| level.iter().filter_map(named).collect());
        Tree {
            groups: groups::plan(self.groups, &paths, (self.services, &services)),
            levels: levels.collect(),
            services,
        }
    }

    /// Checks that services only use groups that are declared, and that those without one have a
    /// name for themselves.
    fn groups(&mut self) {
        for read in self.services.iter().filter(|read| read.doc.group.is_none()) {
            // It is a group of its own, under its own name.
            if let Some(group) = self.groups.iter().find(|group| group.name == read.name) {
                let name = &read.name;
                let problem =
                    Problem::error(format!("both a service and a group are called {name}"))
                        .at(read.place.clone())
                        .also(group.place.clone(), "group")
                        .help(format!("write group = \"{name}\" to make it a member"));
                self.problems.push(problem);
            }
        }
        let used = self
            .services
            .iter()
            .filter_map(|read| read.doc.group.as_ref());
        for group in used {
            if self
                .groups
                .iter()
                .all(|known| known.name != *group.get_ref())
            {
                self.problems.push(groups::undeclared(group, self.groups));
            }
        }
    }

    fn edges(&mut self, from: usize, names: Names<'_>) -> Vec<Edge> {
        let Some(read) = self.services.get(from) else {
            return Vec::new();
        };
        let mut edges = Vec::new();
        for after in &read.doc.after {
            let AfterDoc { name, until } = after.get_ref().clone();
            for to in self.named(&name, after.span(), from, names) {
                let place = after.span();
                edges.push(Edge {
                    to,
                    until,
                    binds: false,
                    place,
                });
            }
        }
        for bind in &read.doc.bind {
            for to in self.named(bind.get_ref(), bind.span(), from, names) {
                match edges.iter_mut().find(|edge| edge.to == to) {
                    Some(edge) => edge.binds = true,
                    None => {
                        let (until, place) = (Until::Ready, bind.span());
                        edges.push(Edge {
                            to,
                            until,
                            binds: true,
                            place,
                        });
                    }
                }
            }
        }
        edges
    }

    /// Returns the services that a name stands for: one, or all others of a group.
    fn named(&mut self, name: &str, place: Place, from: usize, known: Names<'_>) -> Vec<usize> {
        let Names { names, paths } = known;
        let of_group = |read: &Read| {
            name.split_once(':')
                .is_some_and(|(group, service)| service == read.name && group == group_of(read))
        };
        let is_it = |(full, read): (&Arc<str>, &Read)| {
            **full == *name || read.name == name || of_group(read)
        };
        if let Some(found) = names.iter().zip(self.services).position(is_it) {
            return vec![found];
        }
        let group = name.strip_suffix(":*").unwrap_or(name);
        if let Some(group) = paths.meant(group) {
            let in_group = |read: &Read| is_within(&paths.full(group_of(read)), group);
            let others = self.services.iter().enumerate();
            let others = others.filter(|(i, read)| *i != from && in_group(read));
            return others.map(|(i, _)| i).collect();
        }
        let problem = Problem::error(format!("there is no service `{name}`"))
            .at(place)
            .suggest(name, names.iter().map(|name| &**name), "service");
        self.problems.push(problem);
        Vec::new()
    }

    fn cycle(&mut self, cycle: &[usize], names: &[Arc<str>], edges: &[Vec<Edge>]) {
        let round = cycle.iter().chain(cycle.first());
        let way: Vec<&str> = round
            .filter_map(|&i| names.get(i).map(|name| &**name))
            .collect();
        let mut places = Vec::new();
        for (&from, &to) in cycle.iter().zip(cycle.iter().skip(1).chain(cycle.first())) {
            let edge = edges
                .get(from)
                .and_then(|edges| edges.iter().find(|e| e.to == to));
            if let (Some(edge), Some(a), Some(b)) = (edge, names.get(from), names.get(to)) {
                places.push((edge.place.clone(), format!("{a} waits for {b}")));
            }
        }
        let way = way.join(" -> ");
        let mut problem = Problem::error(format!("services wait for each other: {way}"));
        let mut places = places.into_iter();
        if let Some((place, text)) = places.next() {
            problem = problem.at(place).label(text);
        }
        for (place, text) in places {
            problem = problem.also(place, text);
        }
        self.problems.push(problem);
    }

    fn service(&mut self, read: &Read, edges: &[Edge], known: Names<'_>) -> Option<ServicePlan> {
        let doc = &read.doc;
        let named = |edge: &Edge| known.names.get(edge.to).cloned();
        let after = edges.iter().filter_map(|edge| {
            let (name, until) = (named(edge)?, edge.until);
            Some(After { name, until })
        });
        let after = after.collect();
        let bind = edges
            .iter()
            .filter(|edge| edge.binds)
            .filter_map(named)
            .collect();
        let body = read.body.clone();
        let backoff = self.backoff(doc.backoff.as_ref());
        let ready = self.ready(doc, body.as_ref());
        let ready_timeout = self.ready_timeout(doc, &ready);
        let (flow, check) = self.health(read, known.names);
        let exit_ok = self.exit_ok(doc.exit_ok.as_ref());
        let stop = self.stop(doc.stop.as_ref());
        let process = process::checked(doc, body.as_ref(), self.problems);
        let log = self.log(doc.log.as_ref());
        Some(ServicePlan {
            name: full_name(read, known.paths),
            group: known.paths.full(group_of(read)),
            description: doc.description.clone(),
            body: body?,
            after,
            bind,
            autostart: doc.autostart,
            restart: doc.restart,
            exit_ok,
            backoff,
            budget: doc.budget.clone(),
            on_fatal: doc.on_fatal,
            ready,
            ready_timeout,
            stop,
            limits: doc
                .limits
                .as_ref()
                .map(|limits| limits.get_ref().clone())
                .unwrap_or_default(),
            process,
            log,
            flow,
            check,
        })
    }

    fn log(&mut self, log: Option<&Spanned<LogDoc>>) -> LogPlan {
        let Some(given) = log else {
            return LogPlan::default();
        };
        let plan = given.get_ref().plan();
        if plan.age.is_some_and(|age| age.is_zero()) {
            let problem = Problem::error("`age` is more than 0").at(given.span());
            self.problems
                .push(problem.help("leave it out to rotate by size only"));
        }
        plan
    }

    fn backoff(&mut self, backoff: Option<&Spanned<Backoff>>) -> Backoff {
        let Some(given) = backoff else {
            return Backoff::default();
        };
        let value = given.get_ref();
        let wrong = match value {
            Backoff { factor, .. } if !(1.0..=100.0).contains(factor) => {
                "`factor` is from 1 to 100"
            }
            Backoff { jitter, .. } if !(0.0..1.0).contains(jitter) => {
                "`jitter` is from 0 to below 1"
            }
            Backoff { base, max, .. } if base > max => "`base` is at most `max`",
            _ => return value.clone(),
        };
        self.problems.push(Problem::error(wrong).at(given.span()));
        Backoff::default()
    }

    fn ready(&mut self, doc: &ServiceDoc, body: Option<&Body>) -> Ready {
        let is_kind = matches!(body, Some(Body::Kind(_)));
        let Some(given) = &doc.ready else {
            return match is_kind {
                true => Ready::Notify,
                false => Ready::Secs(Duration::from_secs(1)),
            };
        };
        if body.is_some()
            && let Some(why) = given.get_ref().refused(is_kind, !doc.flow.is_empty())
        {
            self.problems.push(Problem::error(why).at(given.span()));
        }
        given.get_ref().clone()
    }

    /// Returns how long a service may take until it is ready: longer than it has to live for that.
    fn ready_timeout(&mut self, doc: &ServiceDoc, ready: &Ready) -> Duration {
        let lives = ready.least_life();
        let Some(given) = &doc.ready_timeout else {
            let said = doc.ready.as_ref().map_or(Duration::ZERO, |_| lives);
            return READY_TIMEOUT.saturating_add(said);
        };
        let limit = given.get_ref().duration();
        if limit <= lives {
            let least = Span::from(lives);
            let problem = Problem::error(format!("`ready_timeout` is more than {least}"))
                .at(given.span())
                .help("without it there is time enough");
            self.problems.push(match &doc.ready {
                Some(ready) if !lives.is_zero() => {
                    problem.also(ready.span(), "it has to live for so long")
                }
                _ => problem,
            });
        }
        limit
    }

    /// Checks the rules on the health of a service.
    fn health(&mut self, read: &Read, names: &[Arc<str>]) -> (Vec<FlowRule>, Vec<CheckRule>) {
        let is_kind = matches!(read.body, Some(Body::Kind(_)));
        let mut flow = Vec::new();
        for given in &read.doc.flow {
            let doc = given.get_ref();
            let mut rule = doc.checked(is_kind, self.problems);
            self.actor(&mut rule.out, doc.out.span(), names);
            if let (Some(input), Some(doc)) = (&mut rule.input, &doc.input) {
                self.actor(input, doc.span(), names);
            }
            flow.push(rule);
        }
        let check = read.doc.check.iter();
        let check = check.filter_map(|given| {
            given
                .get_ref()
                .checked(given.span(), is_kind, self.problems)
        });
        (flow, check.collect())
    }

    /// Resolves the service that a source names.
    fn actor(&mut self, source: &mut FlowSource, place: Place, names: &[Arc<str>]) {
        if let FlowSource::Actor(name) = source {
            let is_it = |(full, read): &(&Arc<str>, &Read)| **full == *name || read.name == **name;
            match names.iter().zip(self.services).find(is_it) {
                Some((full, _)) => *name = full.clone(),
                None => {
                    let problem = Problem::error(format!("there is no service `{name}`"))
                        .at(place)
                        .suggest(name, names.iter().map(|name| &**name), "service");
                    self.problems.push(problem);
                }
            }
        }
    }

    fn exit_ok(&mut self, given: Option<&Spanned<Vec<i32>>>) -> Vec<i32> {
        let Some(given) = given else {
            return vec![0];
        };
        if !given.get_ref().iter().all(|code| (0..=255).contains(code)) {
            let problem = Problem::error("exit codes are from 0 to 255").at(given.span());
            self.problems.push(problem);
        }
        given.get_ref().clone()
    }

    fn stop(&mut self, stop: Option<&Spanned<StopDoc>>) -> StopPlan {
        let defaults = StopDoc::default();
        let doc = stop.map_or(&defaults, Spanned::get_ref);
        let signal = doc
            .signal
            .as_ref()
            .map_or(Signal::SIGTERM, |given| self.signal(given));
        if let (Some(command), Some(stdin)) = (&doc.command, &doc.stdin) {
            let problem =
                Problem::error("a program is stopped by a command or by a text, not by both");
            let problem = problem.at(command.span()).label("command");
            self.problems.push(problem.also(stdin.span(), "text"));
        }
        StopPlan {
            signal,
            wait: doc.wait.duration(),
            group: doc.group,
            command: doc
                .command
                .as_ref()
                .and_then(|command| split(command, self.problems)),
            stdin: doc.stdin.as_ref().map(|text| text.get_ref().clone()),
        }
    }

    fn signal(&mut self, given: &Spanned<String>) -> Signal {
        let name = given.get_ref().to_uppercase();
        let full = format!("SIG{}", name.trim_start_matches("SIG"));
        let known = Signal::from_str(&full)
            .ok()
            .filter(|signal| STOP_SIGNALS.contains(signal));
        known.unwrap_or_else(|| {
            let names = STOP_SIGNALS.map(|signal| signal.as_str().trim_start_matches("SIG"));
            let problem = Problem::error(format!("`{given}` is no signal to stop with"))
                .at(given.span())
                .suggest(&name, names, "signal");
            self.problems.push(problem);
            Signal::SIGTERM
        })
    }
}

/// Returns the name of the group of a service, as it is declared.
pub(crate) fn group_of(read: &Read) -> &str {
    read.doc
        .group
        .as_ref()
        .map_or(&read.name, |group| group.get_ref())
}

/// Returns `group:service`, or `service` when both are equal.
pub(crate) fn full_name(read: &Read, paths: &Paths) -> Arc<str> {
    match paths.full(group_of(read)) {
        group if *group == *read.name => group,
        group => format!("{group}:{}", read.name).into(),
    }
}
