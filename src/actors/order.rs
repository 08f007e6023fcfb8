//! A command under way: which services are told what, in which order, and what became of each.

use std::time::{Duration, Instant};

use fathom_kernel::{Exit, Outcome, State, Verdict, Want};

use super::observed::Observed;
use super::phase::{Input, Phase};
use super::status::is_finished;
use crate::config::plan::{After, ServicePlan, Until};

/// Longest wait of a start for a service that is not part of the same order, or is and runs, but has
/// not done yet what is waited for.
const OTHERS_WAIT: Duration = Duration::from_secs(60);

/// Beyond the times of the escalation, for draining output and for a busy machine.
const STOP_SPARE: Duration = Duration::from_secs(3);

/// What is to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// Everything runs.
    Up,
    /// Nothing runs.
    Down,
    /// Everything has ended, by force.
    Killed,
    /// Everything has ended, then runs.
    Again,
    /// The same, one step after the other; a step that fails is the last.
    Roll,
}

/// A command under way.
#[derive(Debug)]
pub(super) struct Order {
    goal: Goal,
    why: String,
    items: Vec<Item>,
    /// What became of services that are no longer part of the stack.
    gone: Vec<Outcome>,
    since: Instant,
    /// The step that is under way; only an order that rolls has several.
    step: usize,
    rolls: bool,
}

#[derive(Debug)]
struct Item {
    index: usize,
    step: usize,
    stage: Stage,
    /// When it was found to be done.
    done: Option<Instant>,
}

#[derive(Debug)]
enum Stage {
    /// Not told yet.
    Todo,
    /// Told under this number; given up at the deadline.
    Told(u64, Instant),
    /// This became of it.
    Done(Verdict, String),
}

/// What an order needs to see of all services.
pub(super) struct Sight<'a> {
    /// Their plans, in start order.
    pub(super) plans: &'a [ServicePlan],
    /// Their states.
    pub(super) observed: &'a [Observed],
    /// Who depends on each, over any way.
    pub(super) dependents: &'a [Vec<usize>],
    /// The time.
    pub(super) now: Instant,
}

impl Sight<'_> {
    fn index_of(&self, name: &str) -> Option<usize> {
        self.plans.iter().position(|plan| *plan.name == *name)
    }
}

impl Order {
    /// Makes the order for these services.
    pub(super) fn new(goal: Goal, indexes: &[usize], why: String, now: Instant) -> Self {
        Self::of_steps(goal, &[indexes.to_vec()], why, now)
    }

    /// Makes the order for services in steps, of which the next begins when the one before is done.
    pub(super) fn of_steps(goal: Goal, steps: &[Vec<usize>], why: String, now: Instant) -> Self {
        let items = steps.iter().enumerate().flat_map(|(step, indexes)| {
            let item = move |&index| Item {
                index,
                step,
                stage: Stage::Todo,
                done: None,
            };
            indexes.iter().map(item)
        });
        Self {
            goal,
            why,
            items: items.collect(),
            gone: Vec::new(),
            since: now,
            step: 0,
            rolls: goal == Goal::Roll,
        }
    }

    /// Finds out what was reached, and tells whom it is time to tell by `tell`, which returns the
    /// number of the order, or `None` when the keeper is busy.
    pub(super) fn advance(
        &mut self,
        sight: &Sight<'_>,
        tell: &mut dyn FnMut(usize, Input) -> Option<u64>,
    ) {
        if self.goal == Goal::Roll {
            self.begin_step(sight);
        }
        match self.goal {
            Goal::Up => self.advance_up(sight, tell),
            Goal::Down | Goal::Killed => self.advance_down(sight, tell),
            Goal::Again | Goal::Roll => {
                self.advance_down(sight, tell);
                if self.is_step_done() {
                    self.goal = Goal::Up;
                    for item in self.items.iter_mut().filter(|item| item.step == self.step) {
                        let was_told = matches!(
                            item.stage,
                            Stage::Done(Verdict::Stopped | Verdict::NotRunning, _)
                        );
                        if was_told {
                            item.stage = Stage::Todo;
                        }
                    }
                    self.advance_up(sight, tell);
                }
            }
        }
        if self.rolls && self.is_step_done() && !self.is_done() {
            self.next_step(sight, tell);
        }
        for item in &mut self.items {
            item.done = match item.stage {
                Stage::Done(..) => item.done.or(Some(sight.now)),
                Stage::Todo | Stage::Told(..) => None,
            };
        }
    }

    /// Leaves those of a step alone that are down by wish.
    fn begin_step(&mut self, sight: &Sight<'_>) {
        for item in self.items.iter_mut().filter(|item| item.step == self.step) {
            let is_down = sight.observed[item.index].want == Want::Down;
            if is_down && matches!(item.stage, Stage::Todo) {
                item.stage = Stage::Done(Verdict::Untouched, "it is down".to_owned());
            }
        }
    }

    fn next_step(&mut self, sight: &Sight<'_>, tell: &mut dyn FnMut(usize, Input) -> Option<u64>) {
        let bad = self.items.iter().find(|item| match &item.stage {
            Stage::Done(verdict, _) => !matches!(
                verdict,
                Verdict::Started | Verdict::AlreadyStarted | Verdict::Untouched
            ),
            Stage::Todo | Stage::Told(..) => false,
        });
        if let Some(bad) = bad {
            let text = format!("{} failed", sight.plans[bad.index].name);
            for item in &mut self.items {
                if matches!(item.stage, Stage::Todo) {
                    item.stage = Stage::Done(Verdict::Untouched, text.clone());
                }
            }
            return;
        }
        self.step += 1;
        self.since = sight.now;
        self.goal = Goal::Roll;
        self.advance(sight, tell);
    }

    /// Tells whether nothing remains to be done.
    pub(super) fn is_done(&self) -> bool {
        self.items
            .iter()
            .all(|item| matches!(item.stage, Stage::Done(..)))
    }

    fn is_step_done(&self) -> bool {
        let mut items = self.items.iter().filter(|item| item.step == self.step);
        items.all(|item| matches!(item.stage, Stage::Done(..)))
    }

    /// Gives up what was not told yet and is now ordered otherwise.
    pub(super) fn supersede(&mut self, indexes: &[usize]) {
        for item in &mut self.items {
            if indexes.contains(&item.index) && !matches!(item.stage, Stage::Done(..)) {
                item.stage = Stage::Done(Verdict::Failed, "superseded by another order".into());
            }
        }
    }

    /// Follows its services to their places in another plan.
    pub(super) fn move_to(&mut self, old: &[ServicePlan], place: impl Fn(usize) -> Option<usize>) {
        for mut item in std::mem::take(&mut self.items) {
            if let Some(index) = place(item.index) {
                item.index = index;
                self.items.push(item);
                continue;
            }
            let (result, message) = match item.stage {
                Stage::Done(verdict, message) => (verdict, message),
                Stage::Todo | Stage::Told(..) => (Verdict::Removed, String::new()),
            };
            self.gone.push(Outcome {
                name: old[item.index].name.to_string(),
                result,
                message,
            });
        }
    }

    /// Returns what became of each service, in the order in which it did.
    pub(super) fn outcomes(&self, plans: &[ServicePlan]) -> Vec<Outcome> {
        let unwaited = || {
            let verdict = match self.goal {
                Goal::Up | Goal::Again | Goal::Roll => Verdict::Started,
                Goal::Down | Goal::Killed => Verdict::Stopped,
            };
            (verdict, "ordered, not awaited".to_owned())
        };
        let mut items: Vec<&Item> = self.items.iter().collect();
        items.sort_by_key(|item| (item.done.is_none(), item.done));
        let outcomes = items.into_iter().map(|item| {
            let (result, message) = match &item.stage {
                Stage::Todo | Stage::Told(..) => unwaited(),
                Stage::Done(verdict, message) => (*verdict, message.clone()),
            };
            Outcome {
                name: plans[item.index].name.to_string(),
                result,
                message,
            }
        });
        self.gone.iter().cloned().chain(outcomes).collect()
    }

    fn advance_down(
        &mut self,
        sight: &Sight<'_>,
        tell: &mut dyn FnMut(usize, Input) -> Option<u64>,
    ) {
        // Dependents stand after what they depend on, so one pass from the end tells all that can
        // be told now.
        for at in (0..self.items.len()).rev() {
            let index = self.items[at].index;
            if self.items[at].step != self.step {
                continue;
            }
            let is_free = self.goal == Goal::Killed || self.dependents_ended(index, sight);
            let observed = &sight.observed[index];
            match self.items[at].stage {
                Stage::Todo if !is_free => {}
                Stage::Todo => {
                    let was_up = observed.phase.is_alive()
                        || matches!(observed.phase, Phase::Waiting(_) | Phase::Delay { .. });
                    let plan = &sight.plans[index];
                    let input = match self.goal {
                        Goal::Killed => Input::Kill(self.why.clone()),
                        Goal::Up | Goal::Down | Goal::Again | Goal::Roll => {
                            Input::Stop(self.why.clone())
                        }
                    };
                    if let Some(number) = tell(index, input) {
                        let patience = plan.stop.wait + super::policy::KILL_WAIT + STOP_SPARE;
                        self.items[at].stage = match was_up {
                            true => Stage::Told(number, sight.now + patience),
                            false => Stage::Done(Verdict::NotRunning, String::new()),
                        };
                    }
                }
                Stage::Told(number, deadline) => {
                    if let Some((verdict, text)) = stopped(observed, number, deadline, sight.now) {
                        self.items[at].stage = Stage::Done(verdict, text);
                    }
                }
                Stage::Done(..) => {}
            }
        }
    }

    /// Tells whether all chosen services that depend on this one have ended, or are given up.
    fn dependents_ended(&self, index: usize, sight: &Sight<'_>) -> bool {
        self.items
            .iter()
            .filter(|item| item.step == self.step)
            .filter(|item| sight.dependents[index].contains(&item.index))
            .all(|item| matches!(item.stage, Stage::Done(..)))
    }

    fn advance_up(&mut self, sight: &Sight<'_>, tell: &mut dyn FnMut(usize, Input) -> Option<u64>) {
        for at in 0..self.items.len() {
            let index = self.items[at].index;
            if self.items[at].step != self.step {
                continue;
            }
            let observed = &sight.observed[index];
            let next = match self.items[at].stage {
                Stage::Todo if observed.phase.state() == State::Running => {
                    Some(Stage::Done(Verdict::AlreadyStarted, String::new()))
                }
                Stage::Todo => tell(index, Input::Start(self.why.clone()))
                    .map(|number| Stage::Told(number, self.since + OTHERS_WAIT)),
                Stage::Told(number, _) if observed.order < number => None,
                Stage::Told(number, _) if let Some(on) = self.behind(index, sight) => {
                    let patience = OTHERS_WAIT + flow_time(&sight.plans[on]);
                    Some(Stage::Told(number, sight.now + patience))
                }
                Stage::Told(_, deadline) => self
                    .started(index, deadline, sight)
                    .map(|(verdict, text)| Stage::Done(verdict, text)),
                Stage::Done(..) => None,
            };
            if let Some(stage) = next {
                self.items[at].stage = stage;
            }
        }
    }

    /// Returns what became of a service that was told to start, once that is known.
    fn started(
        &self,
        index: usize,
        deadline: Instant,
        sight: &Sight<'_>,
    ) -> Option<(Verdict, String)> {
        let (plan, observed) = (&sight.plans[index], &sight.observed[index]);
        match &observed.phase {
            // One after the other, each when the one before does its work.
            Phase::Up { .. } if self.rolls && !observed.flowing && !observed.idle => {
                let late = sight.now >= deadline + flow_time(plan);
                late.then(|| {
                    (
                        Verdict::TimedOut,
                        "ready, but its data does not flow".to_owned(),
                    )
                })
            }
            Phase::Up { .. } => Some((Verdict::Started, String::new())),
            Phase::Done if is_finished(observed, &plan.exit_ok) => {
                Some((Verdict::Started, "has done its work".to_owned()))
            }
            Phase::Delay { .. } | Phase::Fatal { .. } | Phase::Done => Some(failed(observed)),
            Phase::Idle => Some((Verdict::AbnormalTermination, "stopped meanwhile".to_owned())),
            Phase::Waiting(on) => {
                let on = on.as_ref().map(|block| &*block.on);
                let hopeless = on.is_some_and(|on| {
                    let mut after = plan.after.iter();
                    let gives_way = |a: &After| a.until == Until::Settled && *a.name == *on;
                    !after.any(gives_way) && self.is_hopeless(on, sight)
                });
                let text = format!("waiting for {}", on.unwrap_or("its turn"));
                let verdict = match hopeless {
                    true => Verdict::Failed,
                    false => Verdict::TimedOut,
                };
                (hopeless || sight.now >= deadline).then_some((verdict, text))
            }
            Phase::Lost { .. } => Some((Verdict::TimedOut, "killed and still exists".to_owned())),
            // These end by the deadlines of the life cycle.
            Phase::Spawning { .. }
            | Phase::Warming { .. }
            | Phase::Term { .. }
            | Phase::Kill { .. } => None,
        }
    }

    /// Returns what a service waits for, when this order has yet to bring that up, or has done so and
    /// it is at the work whose end is waited for.
    fn behind(&self, index: usize, sight: &Sight<'_>) -> Option<usize> {
        let Phase::Waiting(Some(block)) = &sight.observed[index].phase else {
            return None;
        };
        let on = sight.index_of(&block.on)?;
        let mut after = sight.plans[index].after.iter();
        let is_at_work = self.items.iter().any(|item| item.index == on)
            && sight.observed[on].phase.is_alive()
            && after.any(|after| after.until == Until::Done && *after.name == *block.on);
        (self.is_pending(on) || is_at_work).then_some(on)
    }

    fn is_pending(&self, index: usize) -> bool {
        let pending = |item: &Item| item.index == index && !matches!(item.stage, Stage::Done(..));
        self.items.iter().any(pending)
    }

    /// Tells whether nobody is going to start what is waited for.
    fn is_hopeless(&self, name: &str, sight: &Sight<'_>) -> bool {
        let Some(index) = sight.index_of(name) else {
            return false;
        };
        if self.is_pending(index) {
            return false;
        }
        match &sight.observed[index].phase {
            Phase::Idle | Phase::Done | Phase::Fatal { retry_at: None } => true,
            Phase::Waiting(Some(block)) => self.is_hopeless(&block.on, sight),
            Phase::Waiting(None)
            | Phase::Spawning { .. }
            | Phase::Warming { .. }
            | Phase::Up { .. }
            | Phase::Delay { .. }
            | Phase::Term { .. }
            | Phase::Kill { .. }
            | Phase::Lost { .. }
            | Phase::Fatal { retry_at: Some(_) } => false,
        }
    }
}

/// Returns how long the data of a service may take until it flows.
fn flow_time(plan: &ServicePlan) -> Duration {
    let rules = plan.flow.iter();
    let longest = rules.map(|rule| rule.grace.max(rule.max_age)).max();
    longest.unwrap_or_default()
}

/// Returns what became of a service that was told to stop, once that is known.
fn stopped(
    observed: &Observed,
    number: u64,
    deadline: Instant,
    now: Instant,
) -> Option<(Verdict, String)> {
    if observed.order >= number && !observed.phase.is_alive() {
        return Some((Verdict::Stopped, String::new()));
    }
    let lost = matches!(observed.phase, Phase::Lost { .. });
    (lost || now >= deadline).then(|| (Verdict::TimedOut, "killed and still exists".to_owned()))
}

fn failed(observed: &Observed) -> (Verdict, String) {
    let why = observed.trouble.clone().unwrap_or_default();
    match &observed.last_exit {
        Some(Exit::NotStarted(_)) => (Verdict::SpawnError, why),
        Some(exit) if why.is_empty() => (Verdict::AbnormalTermination, exit.to_string()),
        _ => (Verdict::AbnormalTermination, why),
    }
}

#[cfg(test)]
mod tests;
