//! Members of a group that end together, in reverse order, and start again in order, or are given up.

use std::collections::BTreeMap;
use std::sync::Arc;

use fathom_kernel::Want;

use super::kin::Kin;
use super::observed::Observed;
use super::phase::{After, Input, Phase};
use crate::config::plan::{GroupPlan, Plan, Strategy};

/// What the states of all services look like to those who decide.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    /// Their states.
    pub(super) observed: &'a [Observed],
    /// Numbers of the last orders sent to them.
    pub(super) sent: &'a [u64],
}

impl View<'_> {
    /// Tells whether a service has taken all it was told, so that its state can be relied on.
    pub(super) fn is_settled(&self, index: usize) -> bool {
        self.observed[index].order == self.sent[index]
    }

    /// Tells whether something of a service may exist; what could not be killed is given up.
    fn exists(&self, index: usize) -> bool {
        let phase = &self.observed[index].phase;
        !self.is_settled(index) || (phase.is_alive() && !matches!(phase, Phase::Lost { .. }))
    }

    /// Tells whether a service that shall run does not yet, and may still do so.
    fn is_on_its_way(&self, index: usize) -> bool {
        let shown = &self.observed[index];
        match shown.phase {
            Phase::Waiting(_)
            | Phase::Spawning { .. }
            | Phase::Warming { .. }
            | Phase::Delay { .. }
            | Phase::Term { .. }
            | Phase::Kill { .. } => shown.want == Want::Up,
            Phase::Idle
            | Phase::Up { .. }
            | Phase::Lost { .. }
            | Phase::Done
            | Phase::Fatal { .. } => false,
        }
    }
}

/// Members of a group on their common way.
#[derive(Debug, Clone)]
pub(super) struct Regroup {
    group: Arc<str>,
    members: Vec<usize>,
    /// Their full names.
    names: Vec<Arc<str>>,
    /// For each member those that have to end before it.
    dependents: BTreeMap<usize, Vec<usize>>,
    /// For members without any need those that have to be up before they start again.
    implied: BTreeMap<usize, Vec<usize>>,
    why: String,
    stage: Stage,
    /// Members that were given up: who starts one of them again afterwards means it.
    given_up: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// They end, and wait until the delay of the one that failed is over.
    Ending(usize),
    /// They start.
    Starting,
    /// They end for good.
    GivingUp,
}

impl Regroup {
    /// Begins to restart members with one that failed.
    pub(super) fn restart(
        (plan, kin): (&Plan, &Kin),
        group: &GroupPlan,
        failed: usize,
        fellows: &[usize],
    ) -> Self {
        let name = &plan.services[failed].name;
        let why = format!("{name} has failed, restart of its group");
        let members = [fellows, &[failed]].concat();
        Self::new((plan, kin), group, members, (why, Stage::Ending(failed)))
    }

    /// Begins to give up all members of a group.
    pub(super) fn give_up(of: (&Plan, &Kin), group: &GroupPlan, members: Vec<usize>) -> Self {
        Self::new(of, group, members, (String::new(), Stage::GivingUp))
    }

    /// Returns the same in another plan, where `place` tells the place of each service; `None` when
    /// nothing is left to do.
    pub(super) fn moved(
        self,
        (plan, kin): (&Plan, &Kin),
        place: impl Fn(usize) -> Option<usize>,
    ) -> Option<Self> {
        let group = plan.groups.iter().find(|group| group.name == self.group)?;
        let follow = |old: Vec<usize>| old.into_iter().filter_map(&place).collect::<Vec<_>>();
        let (members, given_up) = (follow(self.members), follow(self.given_up));
        let stage = match self.stage {
            Stage::Ending(failed) => Stage::Ending(place(failed).or(members.first().copied())?),
            Stage::Starting | Stage::GivingUp => self.stage,
        };
        Some(Self {
            given_up,
            ..Self::new((plan, kin), group, members, (self.why, stage))
        })
    }

    fn new(
        (plan, kin): (&Plan, &Kin),
        group: &GroupPlan,
        members: Vec<usize>,
        (why, stage): (String, Stage),
    ) -> Self {
        let implied = match group.strategy {
            Strategy::RestForOne => kin.implied(&members),
            Strategy::OneForOne | Strategy::OneForAll => BTreeMap::new(),
        };
        let mut dependents = kin.dependents_among(&members);
        for (&later, earlier) in &implied {
            for index in earlier {
                dependents.entry(*index).or_default().push(later);
            }
        }
        Self {
            group: group.name.clone(),
            names: members
                .iter()
                .map(|&index| plan.services[index].name.clone())
                .collect(),
            dependents,
            implied,
            members,
            why,
            stage,
            given_up: Vec::new(),
        }
    }

    /// Returns the group.
    pub(super) fn group(&self) -> &str {
        &self.group
    }

    /// Tells whether its members are given up.
    pub(super) fn gives_up(&self) -> bool {
        self.stage == Stage::GivingUp
    }

    /// Tells whether this one does all that another one is about.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        let all = other.members.iter().all(|m| self.members.contains(m));
        all && (self.gives_up() || (self.group == other.group && !other.gives_up()))
    }

    /// Tells whom it is time to tell; returns whether all is done.
    pub(super) fn advance(
        &mut self,
        view: View<'_>,
        tell: &mut dyn FnMut(usize, Input) -> Option<u64>,
    ) -> bool {
        if self.stage != Stage::Starting {
            let told = self.end_members(view, tell);
            let delayed = match self.stage {
                Stage::Ending(failed) => {
                    matches!(view.observed[failed].phase, Phase::Delay { .. })
                }
                Stage::Starting | Stage::GivingUp => false,
            };
            if told || delayed || self.members.iter().any(|&index| view.exists(index)) {
                return false;
            }
            if self.gives_up() {
                return true;
            }
            self.stage = Stage::Starting;
        }
        let mut held = self.members.iter().filter(|&&index| {
            let waits = matches!(view.observed[index].phase, Phase::Waiting(_));
            waits && self.hold(index, view).is_some()
        });
        held.next().is_none()
    }

    /// Tells the members whose dependents have ended; returns whether any was told.
    fn end_members(
        &mut self,
        view: View<'_>,
        tell: &mut dyn FnMut(usize, Input) -> Option<u64>,
    ) -> bool {
        let mut told = false;
        for index in self.members.clone() {
            let dependents = self.dependents.get(&index).into_iter().flatten();
            let is_next = view.is_settled(index) && !dependents.copied().any(|d| view.exists(d));
            let input = match is_next {
                true if self.given_up.contains(&index) => None,
                true => self.input(&view.observed[index]),
                false => None,
            };
            if let Some(input) = input {
                told = true;
                if tell(index, input).is_some() && self.gives_up() {
                    self.given_up.push(index);
                }
            }
        }
        told
    }

    /// Returns what a member hears in its present phase, if anything.
    fn input(&self, shown: &Observed) -> Option<Input> {
        let gives_up = self.gives_up() && shown.want == Want::Up;
        match &shown.phase {
            Phase::Spawning { .. } | Phase::Warming { .. } | Phase::Up { .. } => match gives_up {
                true => Some(Input::GroupExhausted),
                false => Some(Input::Rebind(self.why.clone())),
            },
            Phase::Waiting(_) | Phase::Delay { .. } => gives_up.then_some(Input::GroupExhausted),
            Phase::Term { after, .. } | Phase::Kill { after, .. } | Phase::Lost { after, .. } => {
                (gives_up && *after != After::GiveUp).then_some(Input::GroupExhausted)
            }
            Phase::Idle | Phase::Done | Phase::Fatal { .. } => None,
        }
    }

    /// Returns which other member one that waits has to wait for; itself when only its own news are
    /// still on their way.
    pub(super) fn hold(&self, index: usize, view: View<'_>) -> Option<usize> {
        if !self.members.contains(&index) {
            return None;
        }
        match self.stage {
            Stage::Ending(failed) => {
                let mut members = self.members.iter().copied();
                let alive = members.find(|&other| other != index && view.exists(other));
                Some(alive.unwrap_or(failed))
            }
            Stage::GivingUp => Some(index),
            Stage::Starting => {
                let mut earlier = self.implied.get(&index).into_iter().flatten().copied();
                earlier.find(|&other| self.is_coming(other, view))
            }
        }
    }

    /// Tells whether a member will be up by and by: it waits for nothing, or for members of which that
    /// is true. What others need is not foreseen.
    fn is_coming(&self, member: usize, view: View<'_>) -> bool {
        let mut at = member;
        for _ in 0..self.members.len() {
            if !view.is_on_its_way(at) {
                // Who waited for one that is up by now will hear of it.
                return at != member && matches!(view.observed[at].phase, Phase::Up { .. });
            }
            let Phase::Waiting(Some(block)) = &view.observed[at].phase else {
                return true;
            };
            let on = self.names.iter().position(|name| **name == *block.on);
            match on.and_then(|place| self.members.get(place)) {
                Some(&next) => at = next,
                None => return false,
            }
        }
        // They wait for each other, so their orders are not up to date yet.
        true
    }
}
