//! Carries out a change of the configuration: stops what must not run, goes over to the new plan,
//! starts what shall run.

use std::sync::Arc;

use actix::{ActorFutureExt as _, AsyncContext, Context, WrapFuture};
use fathom_kernel::{Answer, Consequence, ControlError, Outcome, Reply, Verdict, Want};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::observed::Observed;
use super::order::Goal;
use super::phase::Phase;
use super::supervisor::{Supervisor, answer};
use super::target::means;
use crate::config::Loaded;
use crate::config::diff::{Diff, Step};
use crate::config::merge::{MergeError, Take, keep, merged};
use crate::config::plan::{Plan, ServicePlan};

type To = oneshot::Sender<Answer>;

/// A change under way.
pub(super) struct Work {
    /// What is put in force once everything has stopped.
    plan: Plan,
    /// Services to be stopped, by their names until then.
    stop: Vec<Arc<str>>,
    /// Those of them that are dropped.
    removed: Vec<Arc<str>>,
    /// Services to be started afterwards, by their new names.
    start: Vec<Arc<str>>,
    /// What is known already of the others, by their new names.
    outcomes: Vec<Outcome>,
    why: String,
}

impl Supervisor {
    /// Finds out what an update has to do, and does what needs no stop.
    pub(super) fn decide_update(
        &mut self,
        (loaded, diff): (&Loaded, &Diff),
        targets: &[String],
        why: String,
    ) -> Result<Work, ControlError> {
        let old = self.plan.clone();
        let chosen = chosen(diff, (&old, &loaded.plan), targets)?;
        let is_chosen = |step: &Step| chosen.iter().any(|one| std::ptr::eq(*one, step));
        let whole = targets.is_empty();
        let take = |steps: &dyn Fn(&Step) -> bool, gaps| {
            let take = Take { steps, whole, gaps };
            merged((&old, &loaded.plan), diff, &take)
        };
        let plan = take(&is_chosen, false).map_err(refused)?;
        let observed = self.observe();
        let mut work = Work::new(plan, why);
        for step in &chosen {
            work.add(step, (&old.services, &loaded.plan.services), &observed);
        }
        // What is hot takes effect first: a new bond, or one less, counts for the stops already.
        let hot = |step: &Step| step.consequence == Consequence::Hot && is_chosen(step);
        match take(&hot, true) {
            Ok(plan) => self.adopt(plan),
            // Only together with the others; then they come together.
            Err(error) => info!(%error, "hot changes wait for the others"),
        }
        Ok(work)
    }

    /// Finds out what a reload has to do.
    pub(super) fn decide_reload(
        &mut self,
        loaded: &Loaded,
        diff: &Diff,
        why: String,
    ) -> Result<Work, ControlError> {
        let old = self.plan.clone();
        let take = Take {
            steps: &|_| true,
            whole: true,
            gaps: false,
        };
        let plan = merged((&old, &loaded.plan), diff, &take).map_err(refused)?;
        let names = |services: &mut dyn Iterator<Item = &ServicePlan>| {
            services.map(|service| service.name.clone()).collect()
        };
        let gone = diff.steps.iter().filter(|step| step.new.is_none());
        Ok(Work {
            stop: names(&mut old.services.iter()),
            removed: names(&mut gone.filter_map(|step| old.services.get(step.old?))),
            start: names(&mut plan.services.iter().filter(|service| service.autostart)),
            ..Work::new(plan, why)
        })
    }

    /// Stops what must not run, then goes on.
    pub(super) fn stop_for(&mut self, work: Work, reply: To, ctx: &mut Context<Self>) {
        let new = work.plan.services.iter().map(|service| &service.name);
        let touched = work.stop.iter().chain(&work.start).chain(new).cloned();
        self.revision.busy = Some(touched.collect());
        let indexes = self.places(&work.stop);
        if indexes.is_empty() {
            return self.go_over(work, Vec::new(), reply, ctx);
        }
        let (tell, told) = oneshot::channel();
        self.order(Goal::Down, &indexes, (work.why.clone(), true), Some(tell));
        let then = told.into_actor(self).map(|stopped, supervisor, ctx| {
            match stopped.unwrap_or(Err(ControlError::Deaf)) {
                Ok(Reply::Done(outcomes)) => supervisor.go_over(work, outcomes, reply, ctx),
                Ok(_) => supervisor.give_up(ControlError::Deaf, reply),
                Err(error) => supervisor.give_up(error, reply),
            }
        });
        ctx.spawn(then);
    }

    fn give_up(&mut self, error: ControlError, reply: To) {
        warn!(%error, "a change of the configuration was given up");
        self.revision.busy = None;
        answer(Some(reply), Err(error));
    }

    /// Everything has stopped: the new plan is put in force, and what shall run is started.
    fn go_over(
        &mut self,
        mut work: Work,
        stopped: Vec<Outcome>,
        reply: To,
        ctx: &mut Context<Self>,
    ) {
        if self.is_ending() {
            return self.give_up(ControlError::ShuttingDown, reply);
        }
        let observed = self.observe();
        let lives = |name: &Arc<str>| {
            let place = self.places(std::slice::from_ref(name)).pop();
            place.is_some_and(|index| observed[index].phase.is_alive())
        };
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut work.removed)
            .into_iter()
            .partition(|name| lives(name));
        keep(&mut work.plan, &self.plan, &kept);
        for name in kept {
            warn!(service = %name, "killed and still exists: it cannot be dropped");
            work.tell(&name, Verdict::TimedOut, "killed and still exists: kept");
        }
        for name in gone {
            work.tell(&name, Verdict::Removed, "");
        }
        let failed = stopped
            .into_iter()
            .filter(|outcome| !matches!(outcome.result, Verdict::Stopped | Verdict::NotRunning));
        for outcome in failed {
            warn!(
                service = outcome.name,
                why = outcome.message,
                "did not stop for an update"
            );
        }
        self.adopt(work.plan);
        self.settle();
        self.revision.busy = None;
        self.start_for((work.start, work.outcomes), work.why, reply, ctx);
    }

    /// Starts services and answers with what became of all.
    fn start_for(
        &mut self,
        (start, mut outcomes): (Vec<Arc<str>>, Vec<Outcome>),
        why: String,
        reply: To,
        ctx: &mut Context<Self>,
    ) {
        let indexes = self.places(&start);
        if indexes.is_empty() {
            self.look();
            return answer(Some(reply), Ok(Reply::Done(outcomes)));
        }
        let (tell, told) = oneshot::channel();
        self.order(Goal::Up, &indexes, (why, true), Some(tell));
        let then = told.into_actor(self).map(move |started, _, _| {
            let done = match started.unwrap_or(Err(ControlError::Deaf)) {
                Ok(Reply::Done(started)) => {
                    outcomes.extend(started);
                    Ok(Reply::Done(outcomes))
                }
                other => other,
            };
            answer(Some(reply), done);
        });
        ctx.spawn(then);
    }

    /// Returns the places of services in the plan, in start order.
    fn places(&self, names: &[Arc<str>]) -> Vec<usize> {
        let services = self.plan.services.iter().enumerate();
        let chosen = services.filter(|(_, service)| names.contains(&service.name));
        chosen.map(|(index, _)| index).collect()
    }
}

impl Work {
    fn new(plan: Plan, why: String) -> Self {
        Self {
            plan,
            stop: Vec::new(),
            removed: Vec::new(),
            start: Vec::new(),
            outcomes: Vec::new(),
            why,
        }
    }

    /// Adds what one step asks for.
    fn add(
        &mut self,
        step: &Step,
        (old, new): (&[ServicePlan], &[ServicePlan]),
        observed: &[Observed],
    ) {
        let before = step
            .old
            .and_then(|index| Some((old.get(index)?, observed.get(index)?)));
        let after = step.new.and_then(|index| new.get(index));
        match (step.consequence, before, after) {
            (Consequence::Remove, Some((before, _)), _) => {
                self.stop.push(before.name.clone());
                self.removed.push(before.name.clone());
            }
            (Consequence::Add, _, Some(after)) if after.autostart => {
                self.start.push(after.name.clone());
            }
            (Consequence::Add, _, Some(after)) => self.tell(&after.name, Verdict::Added, ""),
            (Consequence::Restart, Some((before, now)), Some(after)) if is_up(now) => {
                self.stop.push(before.name.clone());
                self.start.push(after.name.clone());
            }
            (Consequence::Restart | Consequence::Hot, _, Some(after)) => {
                self.tell(&after.name, Verdict::Updated, "");
            }
            _ => {}
        }
    }

    fn tell(&mut self, name: &str, result: Verdict, message: &str) {
        self.outcomes.push(Outcome {
            name: name.to_owned(),
            result,
            message: message.to_owned(),
        });
    }
}

/// Tells whether a service runs, is about to, or would if it had not failed: the new configuration
/// may be what it needs. One that has done its work is not run again.
fn is_up(observed: &Observed) -> bool {
    observed.want == Want::Up && observed.phase != Phase::Done
}

/// Returns the steps that targets mean, by old and new names; all without targets.
fn chosen<'a>(
    diff: &'a Diff,
    (old, new): (&Plan, &Plan),
    targets: &[String],
) -> Result<Vec<&'a Step>, ControlError> {
    let named = |services: &[ServicePlan], index: Option<usize>, target: &str| {
        let service = index.and_then(|index| services.get(index));
        service.is_some_and(|service| means(target, &service.name, &service.group))
    };
    let is_meant = |step: &Step, target: &str| {
        named(&old.services, step.old, target) || named(&new.services, step.new, target)
    };
    for target in targets.iter().filter(|target| *target != "all") {
        if !diff.steps.iter().any(|step| is_meant(step, target)) {
            return Err(ControlError::NoSuchName(target.clone()));
        }
    }
    let steps = diff.steps.iter();
    let chosen = steps
        .filter(|step| targets.is_empty() || targets.iter().any(|target| is_meant(step, target)));
    Ok(chosen.collect())
}

fn refused(error: MergeError) -> ControlError {
    ControlError::Refused(error.to_string())
}
