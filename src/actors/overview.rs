//! What is said of groups: their budgets, and the state of the member that is worst off.

use std::time::Instant;

use fathom_kernel::{BudgetStatus, GroupStatus, State};

use super::observed::Observed;
use super::supervisor::Supervisor;
use crate::config::is_within;
use crate::config::plan::{Budget, GroupPlan};

impl Supervisor {
    /// Returns the budget of the whole stack.
    pub(super) fn stack_budget(&self) -> Option<BudgetStatus> {
        let used = self
            .council
            .groups()
            .root_failures(&self.plan, Instant::now());
        self.plan.budget.as_ref().map(|budget| shown(budget, used))
    }

    /// Returns the state of every group.
    pub(super) fn group_statuses(&self, observed: &[Observed]) -> Vec<GroupStatus> {
        let now = Instant::now();
        let known = |name: &str| self.plan.groups.iter().any(|group| *group.name == *name);
        let groups = self.plan.groups.iter().map(|group| {
            let used = self.council.groups().failures(group, now);
            GroupStatus {
                name: group.name.to_string(),
                parent: group
                    .parent
                    .as_ref()
                    .filter(|p| known(p))
                    .map(ToString::to_string),
                lone: group.lone,
                description: group.description.clone(),
                strategy: group.strategy.name().to_owned(),
                budget: group.budget.as_ref().map(|budget| shown(budget, used)),
                state: self.group_state(group, observed),
            }
        });
        groups.collect()
    }

    fn group_state(&self, group: &GroupPlan, observed: &[Observed]) -> State {
        if self.council.groups().is_fatal(&group.name) {
            return State::Fatal;
        }
        let services = self.plan.services.iter().zip(observed);
        let members = services.filter(|(service, _)| is_within(&service.group, &group.name));
        let states = members.map(|(_, shown)| shown.phase.state());
        states
            .max_by_key(|state| gravity(*state))
            .unwrap_or(State::Stopped)
    }
}

/// Tells how badly off a service is; what is down by wish weighs least.
fn gravity(state: State) -> u8 {
    match state {
        State::Stopped => 0,
        State::Exited => 1,
        State::Running => 2,
        State::Starting => 3,
        State::Stopping => 4,
        State::Backoff => 5,
        State::Fatal => 6,
        State::Unknown => 7,
    }
}

fn shown(budget: &Budget, used: usize) -> BudgetStatus {
    BudgetStatus {
        restarts: budget.restarts,
        period_s: budget.period.seconds(),
        used: u32::try_from(used).unwrap_or(u32::MAX),
    }
}
