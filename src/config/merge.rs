//! Puts one plan together from the one in force and a new one, taking only some of its changes.

use std::collections::HashMap;
use std::sync::Arc;

use fathom_kernel::Consequence;

use super::diff::{Diff, Step};
use super::groups::is_within;
use super::order;
use super::plan::{GroupPlan, Plan, ServicePlan};

/// Which changes are taken, and what must be right afterwards.
pub(crate) struct Take<'a> {
    /// The steps that are taken.
    pub(crate) steps: &'a dyn Fn(&Step) -> bool,
    /// What concerns the stack as a whole and groups as such is taken as well.
    pub(crate) whole: bool,
    /// A service may wait for one that is not there.
    pub(crate) gaps: bool,
}

/// Why some changes cannot be taken without others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MergeError {
    /// A service would wait for one that is not there.
    #[error("{service} waits for {missing}, which would not be there: update it as well")]
    Missing {
        /// Who waits.
        service: String,
        /// For whom.
        missing: String,
    },
    /// Services would wait for each other.
    #[error("services would wait for each other: {0}")]
    Cycle(String),
}

/// Returns the plan with the changes that are taken.
pub(crate) fn merged(
    (old, new): (&Plan, &Plan),
    diff: &Diff,
    take: &Take<'_>,
) -> Result<Plan, MergeError> {
    let mut services = Vec::new();
    let mut names: HashMap<Arc<str>, Arc<str>> = HashMap::new();
    for step in &diff.steps {
        let before = step.old.and_then(|index| old.services.get(index));
        let after = step.new.and_then(|index| new.services.get(index));
        // What does not differ stays the very same, so that nobody needs to hear of it.
        let taken = step.consequence != Consequence::None && (take.steps)(step);
        let chosen = if taken { after } else { before };
        // The others may call it by its other name.
        if let (Some(before), Some(after), Some(chosen)) = (before, after, chosen) {
            names.insert(before.name.clone(), chosen.name.clone());
            names.insert(after.name.clone(), chosen.name.clone());
        }
        services.extend(chosen.cloned());
    }
    for service in &mut services {
        rename(service, &names);
    }
    if !take.gaps {
        check_gaps(&services)?;
    }
    let levels = levels(&services)?;
    let mut slots: Vec<Option<ServicePlan>> = services.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(slots.len());
    let mut names = Vec::with_capacity(levels.len());
    for level in levels {
        let services = level.into_iter().filter_map(|at| slots.get_mut(at)?.take());
        let from = ordered.len();
        ordered.extend(services);
        let level = ordered
            .iter()
            .skip(from)
            .map(|s: &ServicePlan| s.name.clone());
        names.push(level.collect());
    }
    let base = if take.whole { new } else { old };
    Ok(Plan {
        groups: groups((old, new), &ordered, take),
        services: ordered,
        levels: names,
        setup: new.setup.clone(),
        // In force until the supervisor is started anew.
        control: old.control.clone(),
        log: old.log.clone(),
        ..base.clone()
    })
}

fn rename(service: &mut ServicePlan, names: &HashMap<Arc<str>, Arc<str>>) {
    let after = service.after.iter_mut().map(|after| &mut after.name);
    for name in after.chain(&mut service.bind) {
        if let Some(now) = names.get(name) {
            *name = now.clone();
        }
    }
}

fn check_gaps(services: &[ServicePlan]) -> Result<(), MergeError> {
    let known = |name: &Arc<str>| services.iter().any(|service| service.name == *name);
    for service in services {
        let needs = service.after.iter().map(|after| &after.name);
        if let Some(missing) = needs.chain(&service.bind).find(|name| !known(name)) {
            return Err(MergeError::Missing {
                service: service.name.to_string(),
                missing: missing.to_string(),
            });
        }
    }
    Ok(())
}

fn levels(services: &[ServicePlan]) -> Result<Vec<Vec<usize>>, MergeError> {
    let places: HashMap<&str, usize> = services.iter().map(|s| &*s.name).zip(0..).collect();
    let needs = services.iter().map(|service| {
        let after = service.after.iter().map(|after| &after.name);
        let needs = after.chain(&service.bind);
        needs
            .filter_map(|name| places.get(&**name).copied())
            .collect()
    });
    let needs: Vec<Vec<usize>> = needs.collect();
    order::levels(&needs).map_err(|cycles| {
        let cycle = cycles.first().into_iter().flatten();
        let way: Vec<&str> = cycle
            .clone()
            .chain(cycle.clone().next())
            .filter_map(|&at| services.get(at).map(|service| &*service.name))
            .collect();
        MergeError::Cycle(way.join(" -> "))
    })
}

/// Returns the groups with their members: as the new plan says when everything is taken, else as
/// they are, and of the new ones those that have a member now.
fn groups((old, new): (&Plan, &Plan), services: &[ServicePlan], take: &Take<'_>) -> Vec<GroupPlan> {
    let has_member = |group: &GroupPlan| services.iter().any(|s| is_within(&s.group, &group.name));
    let (first, second) = if take.whole { (new, old) } else { (old, new) };
    let mut groups = first.groups.clone();
    for group in &second.groups {
        if has_member(group) && groups.iter().all(|known| known.name != group.name) {
            groups.push(group.clone());
        }
    }
    // Each after the one it is in.
    groups.sort_by_key(|group| group.name.matches('.').count());
    let declared: Vec<&Arc<str>> = [first, second]
        .iter()
        .flat_map(|plan| plan.groups.iter().flat_map(|group| &group.members))
        .collect();
    for group in &mut groups {
        let members = services.iter().filter(|s| s.group == group.name);
        group.members = members.map(|s| s.name.clone()).collect();
        let place = |name: &Arc<str>| declared.iter().position(|known| *known == name);
        group
            .members
            .sort_by_key(|name| place(name).unwrap_or(usize::MAX));
    }
    groups
}

/// Returns a plan without a group and those within it.
pub(crate) fn without(plan: &Plan, group: &str) -> Plan {
    let services = plan.services.iter().filter(|s| !is_within(&s.group, group));
    let services: Vec<ServicePlan> = services.cloned().collect();
    let is_left = |name: &Arc<str>| services.iter().any(|s| s.name == *name);
    let levels = plan.levels.iter().map(|level| {
        let left = level.iter().filter(|name| is_left(name));
        left.cloned().collect::<Vec<_>>()
    });
    let groups = plan.groups.iter().filter(|g| !is_within(&g.name, group));
    Plan {
        groups: groups.cloned().collect(),
        levels: levels.filter(|level| !level.is_empty()).collect(),
        services,
        ..plan.clone()
    }
}

/// Puts services of an old plan back into a new one that has dropped them.
pub(crate) fn keep(plan: &mut Plan, old: &Plan, names: &[Arc<str>]) {
    for service in old.services.iter().filter(|s| names.contains(&s.name)) {
        plan.services.push(service.clone());
        plan.levels.push(vec![service.name.clone()]);
        match plan.groups.iter_mut().find(|g| g.name == service.group) {
            Some(group) => group.members.push(service.name.clone()),
            None => {
                let group = old.groups.iter().find(|g| g.name == service.group);
                plan.groups.extend(group.map(|group| GroupPlan {
                    members: vec![service.name.clone()],
                    ..group.clone()
                }));
            }
        }
    }
}
