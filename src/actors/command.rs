//! What the supervisor does with each command.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::{Duration, Instant};

use actix::{AsyncContext, Context, WrapFuture};
use fathom_kernel::{
    Answer, Caller, Command, ControlError, Outcome, Reply, Request, ServiceStatus, Span,
    StackStatus, State, SubscriberStatus, Verdict, Want,
};
use jiff::tz::TimeZone;
use nix::sys::signal::Signal;
use tokio::sync::oneshot;
use tracing::info;

use super::logs::Chore;
use super::messages::{Deliver, Refusal, SendSignal};
use super::observed::Observed;
use super::order::Goal;
use super::phase::Phase;
use super::status::{description, is_finished};
use super::supervisor::{Ended, Supervisor, answer};
use super::target;
use crate::config::plan::{Body, Until};
use crate::incidents;

/// Longest wait for the answer of a service.
const REQUEST_WAIT: Duration = Duration::from_secs(30);

/// Longest wait for the answer to a question: whoever looks at a page will not wait longer.
const QUESTION_WAIT: Duration = Duration::from_secs(10);

/// Name of a service, what it is asked, details.
type Question = (String, String, serde_json::Value);

type To = oneshot::Sender<Answer>;

impl Supervisor {
    /// Carries out a command, now or by and by.
    pub(super) fn command(
        &mut self,
        command: Command,
        caller: &Caller,
        reply: To,
        ctx: &mut Context<Self>,
    ) {
        let why = |what: &str, wait| (format!("{what} by {caller}"), wait);
        match command {
            Command::Status { targets } => answer(Some(reply), self.status(&targets)),
            Command::Start {
                targets,
                dependencies,
                wait,
            } => {
                let why = why("start requested", wait);
                self.order_targets(Goal::Up, (&targets, dependencies), why, reply);
            }
            Command::Stop {
                targets,
                dependents,
                wait,
            } => {
                let why = why("stop requested", wait);
                self.order_targets(Goal::Down, (&targets, dependents), why, reply);
            }
            Command::Restart { targets, wait } => {
                let why = why("restart requested", wait);
                self.order_targets(Goal::Again, (&targets, false), why, reply);
            }
            Command::Roll { targets, by_level } => {
                let why = format!("rolling restart requested by {caller}");
                self.order_roll(&targets, by_level, why, reply);
            }
            Command::Kill { targets, wait } => {
                let why = why("killed", wait);
                self.order_targets(Goal::Killed, (&targets, false), why, reply);
            }
            Command::Signal { targets, signal } => self.signal(&targets, &signal, reply, ctx),
            Command::Tail { name, lines } => self.tail(&name, lines, reply),
            // Who gave these stands in the event log.
            Command::Clear { targets } => self.tend_logs(Chore::Clear, &targets, reply, ctx),
            Command::Rotate { targets } => self.tend_logs(Chore::Rotate, &targets, reply, ctx),
            Command::Input { name, text } => self.input(name, text, reply, ctx),
            Command::Hold { targets, time } => {
                let time = Some(time.map(Span::duration));
                answer(Some(reply), self.hold(&targets, time, caller));
            }
            Command::Unhold { targets } => answer(Some(reply), self.hold(&targets, None, caller)),
            Command::Request { name, verb, args } => self.request((name, verb, args), reply, ctx),
            Command::Question { name, verb, args } => self.question((name, verb, args), reply, ctx),
            Command::Incidents { name, count } => self.incidents(&name, count, reply),
            Command::Incident { id, text } => {
                incidents::show(self.world.incidents.clone(), (id, text), reply);
            }
            Command::Reread => self.reread(reply, ctx),
            Command::Update { targets, expected } => {
                self.update((targets, expected), caller, reply, ctx);
            }
            Command::Add { group } => self.add_group(&group, caller, reply),
            Command::Remove { group } => self.remove_group(&group, caller, reply),
            Command::Available => answer(Some(reply), Ok(self.available())),
            Command::Reload { wait } => self.reload(wait, caller, reply, ctx),
            Command::Shutdown { now } => self.shut_down(now, caller, reply),
        }
    }

    fn shut_down(&mut self, now: bool, caller: &Caller, reply: To) {
        info!(%caller, now, "shutdown requested");
        answer(Some(reply), Ok(Reply::Done(Vec::new())));
        self.end(Ended::Ordered, now);
    }

    fn order_targets(
        &mut self,
        goal: Goal,
        (targets, others_too): (&[String], bool),
        why: (String, bool),
        reply: To,
    ) {
        if self.is_ending() {
            return answer(Some(reply), Err(ControlError::ShuttingDown));
        }
        let chosen = target::resolve(&self.plan, targets);
        match chosen.and_then(|chosen| self.check_unchanging(&chosen).map(|()| chosen)) {
            Ok(chosen) => {
                info!(services = chosen.len(), "{}", why.0);
                let chosen = match (others_too, goal) {
                    (true, Goal::Up) => self.with_missing(chosen),
                    (true, Goal::Down) => self.council.kin().with_dependents(&chosen),
                    _ => chosen,
                };
                self.order(goal, &chosen, why, Some(reply));
            }
            Err(error) => answer(Some(reply), Err(error)),
        }
    }

    fn order_roll(&mut self, targets: &[String], by_level: bool, why: String, reply: To) {
        if self.is_ending() {
            return answer(Some(reply), Err(ControlError::ShuttingDown));
        }
        let chosen = target::resolve(&self.plan, targets);
        match chosen.and_then(|chosen| self.check_unchanging(&chosen).map(|()| chosen)) {
            Ok(chosen) => {
                info!(services = chosen.len(), "{why}");
                let steps = match by_level {
                    true => self.council.kin().levels(&chosen),
                    false => chosen.into_iter().map(|index| vec![index]).collect(),
                };
                self.order_steps(Goal::Roll, &steps, (why, true), Some(reply));
            }
            Err(error) => answer(Some(reply), Err(error)),
        }
    }

    /// Adds the dependencies that are down, and theirs, in start order.
    fn with_missing(&self, chosen: Vec<usize>) -> Vec<usize> {
        let observed = self.observe();
        let mut all: BTreeSet<usize> = chosen.iter().copied().collect();
        let mut open = chosen;
        while let Some(index) = open.pop() {
            let service = &self.plan.services[index];
            let after = service.after.iter().map(|after| (&after.name, after.until));
            let bonds = service.bind.iter().map(|name| (name, Until::Ready));
            for (name, until) in after.chain(bonds) {
                let Some(at) = self.plan.services.iter().position(|s| s.name == *name) else {
                    continue;
                };
                if is_down(&observed[at], until, &self.plan.services[at].exit_ok) && all.insert(at)
                {
                    open.push(at);
                }
            }
        }
        all.into_iter().collect()
    }

    fn signal(&self, targets: &[String], signal: &str, reply: To, ctx: &mut Context<Self>) {
        let chosen = match target::resolve(&self.plan, targets) {
            Ok(chosen) => chosen,
            Err(error) => return answer(Some(reply), Err(error)),
        };
        let Some(signal) = signal_of(signal) else {
            let refused = ControlError::Refused(format!("no signal is called {signal}"));
            return answer(Some(reply), Err(refused));
        };
        let observed = self.observe();
        let keepers: Vec<_> = chosen
            .into_iter()
            .map(|index| {
                (
                    self.plan.services[index].name.clone(),
                    self.rows[index].keeper.clone(),
                    observed[index].phase.state(),
                )
            })
            .collect();
        let send = async move {
            let mut outcomes = Vec::with_capacity(keepers.len());
            for (name, keeper, state) in keepers {
                let sent = keeper.send(SendSignal(signal)).await.unwrap_or(false);
                let (result, message) = match (sent, state) {
                    (true, _) => (Verdict::Signalled, String::new()),
                    (false, State::Starting | State::Running | State::Stopping) => {
                        (Verdict::Failed, "has no process".to_owned())
                    }
                    (false, _) => (Verdict::NotRunning, String::new()),
                };
                outcomes.push(Outcome {
                    name: name.to_string(),
                    result,
                    message,
                });
            }
            answer(Some(reply), Ok(Reply::Done(outcomes)));
        };
        ctx.spawn(send.into_actor(self));
    }

    /// Passes a question on when the kind of the service says that it only reads.
    fn question(&self, question: Question, reply: To, ctx: &mut Context<Self>) {
        let (name, verb, _) = &question;
        let chosen = target::resolve(&self.plan, std::slice::from_ref(name));
        let plan = match chosen.as_deref() {
            Ok([index]) => &self.plan.services[*index],
            _ => return answer(Some(reply), Err(ControlError::NoSuchName(name.clone()))),
        };
        let known = plan.questions();
        if !known.contains(&&**verb) {
            let error = ControlError::NoSuchQuestion {
                name: plan.name.to_string(),
                verb: verb.clone(),
                known: known.iter().copied().map(str::to_owned).collect(),
            };
            return answer(Some(reply), Err(error));
        }
        self.put(question, QUESTION_WAIT, reply, ctx);
    }

    fn request(&self, request: Question, reply: To, ctx: &mut Context<Self>) {
        self.put(request, REQUEST_WAIT, reply, ctx);
    }

    /// Asks a service and waits so long for its answer.
    fn put(
        &self,
        (name, verb, args): Question,
        wait: Duration,
        reply: To,
        ctx: &mut Context<Self>,
    ) {
        let chosen = target::resolve(&self.plan, std::slice::from_ref(&name));
        let keeper = match chosen.as_deref() {
            Ok([index]) => self.rows[*index].keeper.clone(),
            _ => return answer(Some(reply), Err(ControlError::NoSuchName(name))),
        };
        let (ask, told) = oneshot::channel();
        let request = Request {
            verb,
            args,
            reply: ask,
        };
        let deliver = async move {
            let said = match keeper.send(Deliver(request)).await {
                Ok(Ok(())) => match tokio::time::timeout(wait, told).await {
                    Ok(Ok(Ok(value))) => Ok(Reply::Answer(value)),
                    Ok(Ok(Err(refusal))) => Err(ControlError::Refused(refusal)),
                    // It ended, or does not listen.
                    Ok(Err(_)) => Err(ControlError::NotRunning(name)),
                    Err(_) => Err(ControlError::NoAnswer(name)),
                },
                Ok(Err(Refusal::Busy)) => {
                    Err(ControlError::Refused("it takes no questions".into()))
                }
                Ok(Err(Refusal::NotRunning)) => Err(ControlError::NotRunning(name)),
                Err(_) => Err(ControlError::Deaf),
            };
            answer(Some(reply), said);
        };
        ctx.spawn(deliver.into_actor(self));
    }

    fn incidents(&self, name: &str, count: usize, reply: To) {
        let service = match target::resolve(&self.plan, &[name.to_owned()]) {
            _ if name.is_empty() => None,
            // One that is not in the configuration any more may have left reports.
            Err(_) if self.world.incidents.last_of(name).is_some() => Some(name.to_owned()),
            Err(error) => return answer(Some(reply), Err(error)),
            Ok(chosen) => match chosen.as_slice() {
                [index] => Some(self.plan.services[*index].name.to_string()),
                _ => return answer(Some(reply), Err(ControlError::NoSuchName(name.to_owned()))),
            },
        };
        incidents::list(self.world.incidents.clone(), (service, count), reply);
    }

    fn status(&self, targets: &[String]) -> Answer {
        let chosen = match targets {
            [] => (0..self.rows.len()).collect(),
            targets => target::resolve(&self.plan, targets)?,
        };
        let observed = self.observe();
        let queues = self.world.bus.subscribers();
        let mut services: Vec<ServiceStatus> = chosen
            .into_iter()
            .map(|index| self.service_status(index, &observed[index], &queues))
            .collect();
        // Stable: within a group the start order stays.
        services.sort_by(|a, b| a.group.cmp(&b.group));
        Ok(Reply::Status(StackStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started,
            stack: self.plan.name.clone(),
            budget: self.stack_budget(),
            groups: self.group_statuses(&observed),
            events: self.world.bus.published(),
            config: self.config_status(),
            services,
        }))
    }

    fn service_status(
        &self,
        index: usize,
        observed: &Observed,
        queues: &[SubscriberStatus],
    ) -> ServiceStatus {
        let (plan, row) = (&self.plan.services[index], &self.rows[index]);
        let state = observed.phase.state();
        let counters = row.counters.snapshot();
        let (health, mut watch) = self.ward.status(&plan.name);
        let now = self.world.clock.now().to_zoned(TimeZone::system());
        if state == State::Running && watch.output_age_s.is_none() {
            let now = now.timestamp();
            let age = counters.last_output.map(|at| now.duration_since(at));
            watch.output_age_s = age.map(|age| age.as_secs_f64().max(0.0));
        }
        ServiceStatus {
            name: plan.name.to_string(),
            group: plan.group.to_string(),
            kind: match &plan.body {
                Body::Kind(body) => Some(body.kind.name.to_owned()),
                Body::Command(_) => None,
            },
            run: plan.run_word().to_owned(),
            state,
            description: description(observed, &now, Instant::now()),
            want: observed.want,
            health,
            pid: observed.phase.pid(),
            incarnation: observed.incarnation,
            restarts: observed.restarts,
            since: observed.since,
            started: observed.started,
            ended: observed.ended,
            trouble: observed.trouble.clone(),
            last_incident: observed.incident,
            last_incident_reason: observed.incident_reason.clone(),
            last_exit: observed.last_exit.as_ref().map(ToString::to_string),
            after: plan.after.iter().map(|a| a.name.to_string()).collect(),
            bind: plan.bind.iter().map(ToString::to_string).collect(),
            questions: plan
                .questions()
                .iter()
                .copied()
                .map(str::to_owned)
                .collect(),
            counters,
            queues: queues
                .iter()
                .filter(|queue| {
                    let alias = observed.alias.as_deref();
                    *queue.name == *plan.name || alias == Some(&*queue.name)
                })
                .cloned()
                .collect(),
            autostart: plan.autostart,
            finished: is_finished(observed, &plan.exit_ok),
            watch,
        }
    }
}

/// Tells whether a dependency is down and must be started to fulfil a condition.
fn is_down(observed: &Observed, until: Until, exit_ok: &[i32]) -> bool {
    match observed.phase {
        // It is as good as any other end of a start.
        _ if until == Until::Settled => false,
        Phase::Done => until != Until::Done || !is_finished(observed, exit_ok),
        Phase::Idle | Phase::Fatal { .. } => true,
        _ => observed.want == Want::Down,
    }
}

/// Reads a signal: a number, or a name with or without `SIG`.
pub(crate) fn signal_of(text: &str) -> Option<Signal> {
    if let Ok(number) = text.parse::<i32>() {
        return Signal::try_from(number).ok();
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    Signal::from_str(&format!("SIG{name}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_go_by_name_or_number() {
        for text in ["TERM", "SIGTERM", "term", "15"] {
            assert_eq!(signal_of(text), Some(Signal::SIGTERM), "{text}");
        }
        assert_eq!(signal_of("SIGNONSENSE"), None);
        assert_eq!(signal_of("0"), None);
    }
}
