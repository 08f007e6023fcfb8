//! What is decided for all services together: whom a failure takes along, and who may start.

use std::time::Instant;

use super::clearance;
use super::group::{Fallout, Groups};
use super::kin::Kin;
use super::phase::{Block, Input, Phase};
use super::regroup::{Regroup, View};
use crate::config::is_within;
use crate::config::plan::Plan;

/// Decides for all services of a plan. It looks at their states, never at single messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Council {
    kin: Kin,
    groups: Groups,
    regroups: Vec<Regroup>,
}

impl Council {
    /// Makes the council of a plan.
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            kin: Kin::of(plan),
            ..Self::default()
        }
    }

    /// Takes another plan; `place` tells where in it each service of the old one is.
    pub(super) fn replan(&mut self, plan: &Plan, place: impl Fn(usize) -> Option<usize>) {
        self.kin = Kin::of(plan);
        let old = std::mem::take(&mut self.regroups);
        let moved = old.into_iter();
        let moved = moved.filter_map(|regroup| regroup.moved((plan, &self.kin), &place));
        self.regroups = moved.collect();
    }

    /// Returns how the services are related.
    pub(super) fn kin(&self) -> &Kin {
        &self.kin
    }

    /// Returns the failures of groups.
    pub(super) fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Decides, and tells services by `tell`, which returns the number of the order, or `None` when
    /// it was not taken. Returns whether the budget of the stack is used up.
    pub(super) fn decide(
        &mut self,
        plan: &Plan,
        view: View<'_>,
        now: Instant,
        tell: &mut dyn FnMut(usize, Input) -> Option<u64>,
    ) -> bool {
        let fallouts = self.groups.notice(plan, &self.kin, view.observed, now);
        let ends = fallouts.contains(&Fallout::End);
        for fallout in fallouts {
            self.begin(plan, fallout);
        }
        let mut told = vec![false; view.observed.len()];
        let mut note = |index: usize, input: Input| {
            told[index] = true;
            tell(index, input)
        };
        let mut regroups = std::mem::take(&mut self.regroups);
        regroups.retain_mut(|regroup| !regroup.advance(view, &mut note));
        self.regroups = regroups;
        let ending = &self.regroups;
        self.groups.refresh(plan, view.observed, |name| {
            let mut giving_up = ending.iter().filter(|regroup| regroup.gives_up());
            giving_up.any(|regroup| is_within(name, regroup.group()))
        });
        self.clear_or_block(plan, view, &told, tell);
        ends
    }

    /// Tells whether nothing is under way for a group as a whole.
    #[cfg(test)]
    fn is_quiet(&self) -> bool {
        self.regroups.is_empty()
    }

    fn begin(&mut self, plan: &Plan, fallout: Fallout) {
        let regroup = match fallout {
            Fallout::Restart {
                group,
                failed,
                fellows,
            } => {
                let Some(group) = plan.groups.iter().find(|known| known.name == group) else {
                    return;
                };
                Regroup::restart((plan, &self.kin), group, failed, &fellows)
            }
            Fallout::GiveUp { group, members } => {
                let Some(group) = plan.groups.iter().find(|known| known.name == group) else {
                    return;
                };
                Regroup::give_up((plan, &self.kin), group, members)
            }
            Fallout::End => return,
        };
        self.regroups.retain(|other| !regroup.replaces(other));
        self.regroups.push(regroup);
    }

    fn clear_or_block(
        &self,
        plan: &Plan,
        view: View<'_>,
        told: &[bool],
        tell: &mut dyn FnMut(usize, Input) -> Option<u64>,
    ) {
        for (index, shown) in view.observed.iter().enumerate() {
            // Whoever has news on their way decides on old grounds: it comes next time.
            if told[index] || !view.is_settled(index) {
                continue;
            }
            match &shown.phase {
                Phase::Waiting(on) => match self.blocker(plan, view, index) {
                    None => {
                        tell(index, Input::Cleared);
                    }
                    Some(block) if on.as_ref() == Some(&block) => {}
                    Some(block) => {
                        tell(index, Input::Blocked(block));
                    }
                },
                Phase::Spawning { .. } | Phase::Warming { .. } | Phase::Up { .. } => {
                    if let Some(gone) = clearance::lost_bond(plan, view.observed, index) {
                        tell(index, Input::Rebind(format!("{gone} has ended")));
                    }
                }
                Phase::Idle
                | Phase::Delay { .. }
                | Phase::Term { .. }
                | Phase::Kill { .. }
                | Phase::Lost { .. }
                | Phase::Done
                | Phase::Fatal { .. } => {}
            }
        }
    }

    fn blocker(&self, plan: &Plan, view: View<'_>, index: usize) -> Option<Block> {
        let mut holds = self
            .regroups
            .iter()
            .filter_map(|regroup| regroup.hold(index, view));
        let held = holds.next().map(|on| Block {
            on: plan.services[on].name.to_string(),
            fatal: false,
        });
        held.or_else(|| clearance::blocker(plan, view, index))
    }
}

#[cfg(test)]
mod world;
