//! The failures of groups: whom a failure takes along, and when a group has failed for good.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::kin::Kin;
use super::observed::Observed;
use super::phase::Phase;
use crate::config::plan::{Budget, GroupPlan, Plan, Strategy};

/// What follows from the failure of a service for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fallout {
    /// These members of a group end and start again with the one that failed.
    Restart {
        /// The group.
        group: Arc<str>,
        /// Who failed.
        failed: usize,
        /// The others, in start order.
        fellows: Vec<usize>,
    },
    /// A group has used up its budget: all its members are given up.
    GiveUp {
        /// The group.
        group: Arc<str>,
        /// All its members, in start order.
        members: Vec<usize>,
    },
    /// The stack has used up its budget.
    End,
}

/// The failures of all groups.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    states: BTreeMap<Arc<str>, State>,
    root: Failures,
    /// Restarts of each service that were seen already.
    seen: BTreeMap<Arc<str>, u64>,
}

#[derive(Debug, Clone, Default)]
struct State {
    failures: Failures,
    fatal: bool,
}

/// Times of failures inside a budget's window; never more than the budget plus one.
#[derive(Debug, Clone, Default)]
struct Failures(VecDeque<Instant>);

impl Failures {
    /// Counts a failure; `true` when there are more than the budget allows.
    fn add(&mut self, budget: Option<&Budget>, now: Instant) -> bool {
        let Some(budget) = budget.filter(|budget| budget.restarts > 0) else {
            return false;
        };
        self.0.push_back(now);
        self.prune(budget, now);
        self.0.len() > budget.restarts as usize
    }

    fn prune(&mut self, budget: &Budget, now: Instant) {
        let period = budget.period.duration();
        while let Some(oldest) = self.0.front() {
            let aged = now.saturating_duration_since(*oldest) > period;
            if !aged && self.0.len() <= budget.restarts as usize + 1 {
                break;
            }
            self.0.pop_front();
        }
    }

    fn count(&self, budget: &Budget, now: Instant) -> usize {
        let period = budget.period.duration();
        let young = |at: &&Instant| now.saturating_duration_since(**at) <= period;
        self.0.iter().filter(young).count()
    }
}

impl Groups {
    /// Looks for failures since the last time, and for members that were started anew.
    pub(super) fn notice(
        &mut self,
        plan: &Plan,
        kin: &Kin,
        observed: &[Observed],
        now: Instant,
    ) -> Vec<Fallout> {
        let mut fallouts = Vec::new();
        for (index, (service, shown)) in plan.services.iter().zip(observed).enumerate() {
            let seen = self.seen.entry(service.name.clone()).or_default();
            // A service that was removed and came back counts from the beginning.
            let before = std::mem::replace(seen, shown.restarts).min(shown.restarts);
            for _ in before..shown.restarts {
                self.failed(plan, kin, index, now, &mut fallouts);
            }
            let Some(group) = group(plan, &service.group) else {
                continue;
            };
            let is_fatal = matches!(shown.phase, Phase::Fatal { .. });
            if group.lone && is_fatal && !self.is_fatal(&group.name) {
                self.exhaust(plan, kin, group, now, &mut fallouts);
            }
        }
        fallouts
    }

    /// Gives groups that are FATAL a fresh budget once a member is on its way again.
    /// `is_ending` tells whether the members of a group are still being given up.
    pub(super) fn refresh(
        &mut self,
        plan: &Plan,
        observed: &[Observed],
        is_ending: impl Fn(&str) -> bool,
    ) {
        self.seen.retain(|name, _| plan.service(name).is_some());
        self.states.retain(|name, _| group(plan, name).is_some());
        for (name, state) in self.states.iter_mut().filter(|(_, state)| state.fatal) {
            let mut members = plan.services.iter().zip(observed);
            let returned = members.any(|(service, shown)| {
                let rests = matches!(shown.phase, Phase::Idle | Phase::Done | Phase::Fatal { .. });
                !rests && crate::config::is_within(&service.group, name)
            });
            if returned && !is_ending(name) {
                *state = State::default();
            }
        }
    }

    /// Tells whether a group has failed for good.
    pub(super) fn is_fatal(&self, group: &str) -> bool {
        self.states.get(group).is_some_and(|state| state.fatal)
    }

    /// Returns the failures of a group that count now.
    pub(super) fn failures(&self, group: &GroupPlan, now: Instant) -> usize {
        let (state, budget) = (self.states.get(&group.name), group.budget.as_ref());
        let failures = state.zip(budget);
        failures.map_or(0, |(state, budget)| state.failures.count(budget, now))
    }

    /// Returns the failures of groups that count against the budget of the whole stack.
    pub(super) fn root_failures(&self, plan: &Plan, now: Instant) -> usize {
        let budget = plan.budget.as_ref();
        budget.map_or(0, |budget| self.root.count(budget, now))
    }

    fn failed(
        &mut self,
        plan: &Plan,
        kin: &Kin,
        index: usize,
        now: Instant,
        fallouts: &mut Vec<Fallout>,
    ) {
        let Some(group) = group(plan, &plan.services[index].group) else {
            return;
        };
        let state = self.states.entry(group.name.clone()).or_default();
        // Its members are given up already.
        if state.fatal {
            return;
        }
        if state.failures.add(group.budget.as_ref(), now) {
            self.exhaust(plan, kin, group, now, fallouts);
        } else if group.strategy != Strategy::OneForOne {
            fallouts.push(Fallout::Restart {
                group: group.name.clone(),
                failed: index,
                fellows: kin.fellows(plan, group, index),
            });
        }
    }

    /// Gives a group up, and those around it when that is one failure too many for them.
    fn exhaust(
        &mut self,
        plan: &Plan,
        kin: &Kin,
        start: &GroupPlan,
        now: Instant,
        fallouts: &mut Vec<Fallout>,
    ) {
        let mut at = Some(start);
        while let Some(exhausted) = at {
            self.states.entry(exhausted.name.clone()).or_default().fatal = true;
            fallouts.push(Fallout::GiveUp {
                group: exhausted.name.clone(),
                members: kin.members(plan, &exhausted.name),
            });
            let parent = exhausted.parent.as_deref();
            at = match parent.and_then(|parent| group(plan, parent)) {
                None => {
                    if self.root.add(plan.budget.as_ref(), now) {
                        fallouts.push(Fallout::End);
                    }
                    None
                }
                Some(parent) => {
                    let state = self.states.entry(parent.name.clone()).or_default();
                    let is_one_too_many =
                        !state.fatal && state.failures.add(parent.budget.as_ref(), now);
                    is_one_too_many.then_some(parent)
                }
            };
        }
    }
}

fn group<'a>(plan: &'a Plan, name: &str) -> Option<&'a GroupPlan> {
    plan.groups.iter().find(|group| *group.name == *name)
}
