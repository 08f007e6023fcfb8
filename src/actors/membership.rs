//! Adds and removes whole groups one by one, as supervisord's clients do.

use fathom_kernel::{
    Answer, Available, Caller, Consequence, ControlError, Outcome, Reply, Verdict, Want,
};
use tokio::sync::oneshot;
use tracing::info;

use super::order::Goal;
use super::phase::Phase;
use super::supervisor::{Supervisor, answer};
use crate::config::diff::{Step, diff};
use crate::config::is_within;
use crate::config::merge::{Take, merged, without};

type To = oneshot::Sender<Answer>;

impl Supervisor {
    /// Adds a group as it was read last, and starts its members that start with the stack.
    pub(super) fn add_group(&mut self, group: &str, caller: &Caller, reply: To) {
        let added = self.add(group, caller);
        answer(Some(reply), added.map(Reply::Done));
    }

    /// Drops a group of which nothing runs.
    pub(super) fn remove_group(&mut self, group: &str, caller: &Caller, reply: To) {
        let removed = self.remove(group, caller);
        answer(Some(reply), removed.map(Reply::Done));
    }

    /// Returns all services of the configuration that was read last.
    pub(super) fn available(&self) -> Reply {
        let read = self.read_plan();
        let in_use = |group: &str| self.plan.groups.iter().any(|known| *known.name == *group);
        let depth = |name: &str| {
            let mut levels = read.levels.iter();
            let level = levels.position(|level| level.iter().any(|known| **known == *name));
            level.unwrap_or_default()
        };
        let services = read.services.iter().map(|service| Available {
            name: service.name.to_string(),
            group: service.group.to_string(),
            in_use: in_use(&service.group),
            autostart: service.autostart,
            depth: depth(&service.name),
        });
        let mut list: Vec<_> = services.collect();
        list.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
        Reply::Available(list)
    }

    fn add(&mut self, group: &str, caller: &Caller) -> Result<Vec<Outcome>, ControlError> {
        self.check_quiet()?;
        if self.plan.groups.iter().any(|known| *known.name == *group) {
            return Err(ControlError::AlreadyAdded(group.to_owned()));
        }
        let read = self.read_plan();
        if read.groups.iter().all(|known| *known.name != *group) {
            return Err(ControlError::NoSuchName(group.to_owned()));
        }
        let diff = diff(&self.plan, &read);
        let is_member = |step: &Step| {
            let service = step.new.and_then(|index| read.services.get(index));
            service.is_some_and(|service| *service.group == *group)
        };
        if let Some(step) = diff.steps.iter().find(|s| is_member(s) && s.old.is_some()) {
            let service = step.old.map(|index| self.plan.services[index].name.clone());
            let name = service.unwrap_or_else(|| group.into());
            let text =
                format!("{name} would move to {group}: update it, or remove its group first");
            return Err(ControlError::Refused(text));
        }
        let take = Take {
            steps: &|step| step.consequence == Consequence::Add && is_member(step),
            whole: false,
            // Whoever waits for a group that is added later waits until then.
            gaps: true,
        };
        let mut plan = merged((&self.plan, &read), &diff, &take)
            .map_err(|error| ControlError::Refused(error.to_string()))?;
        // Also one that has no member at all.
        if plan.groups.iter().all(|known| *known.name != *group) {
            let declared = read.groups.iter().find(|known| *known.name == *group);
            plan.groups.extend(declared.cloned());
        }
        info!(%caller, group, "group added");
        self.adopt(plan);
        self.settle();
        let members = self.plan.services.iter().enumerate();
        let members = members.filter(|(_, service)| *service.group == *group);
        let start: Vec<usize> = members
            .clone()
            .filter(|(_, service)| service.autostart)
            .map(|(index, _)| index)
            .collect();
        let outcomes = members.map(|(_, service)| outcome(&service.name, Verdict::Added));
        let outcomes = outcomes.collect();
        let why = format!("group {group} added by {caller}");
        self.order(Goal::Up, &start, (why, false), None);
        Ok(outcomes)
    }

    fn remove(&mut self, group: &str, caller: &Caller) -> Result<Vec<Outcome>, ControlError> {
        self.check_quiet()?;
        if self.plan.groups.iter().all(|known| *known.name != *group) {
            return Err(ControlError::NoSuchName(group.to_owned()));
        }
        let observed = self.observe();
        let mut outcomes = Vec::new();
        for (service, now) in self.plan.services.iter().zip(&observed) {
            if !is_within(&service.group, group) {
                continue;
            }
            let rests = matches!(now.phase, Phase::Idle | Phase::Done | Phase::Fatal { .. });
            // One that has failed may be about to try again by itself.
            let retries = matches!(now.phase, Phase::Fatal { retry_at: Some(_) });
            if !rests || (retries && now.want == Want::Up) {
                return Err(ControlError::StillRunning(group.to_owned()));
            }
            outcomes.push(outcome(&service.name, Verdict::Removed));
        }
        info!(%caller, group, "group removed");
        self.adopt(without(&self.plan, group));
        self.settle();
        self.look();
        Ok(outcomes)
    }
}

fn outcome(name: &str, result: Verdict) -> Outcome {
    Outcome {
        name: name.to_owned(),
        result,
        message: String::new(),
    }
}
