//! How services of a plan are related: who needs whom, who stands in which group, in which order.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::is_within;
use crate::config::plan::{GroupPlan, Plan, Strategy};

/// The relations of all services, by their index in the plan.
#[derive(Debug, Clone, Default)]
pub(super) struct Kin {
    /// What each needs: its `after` and `bind`.
    needs: Vec<Vec<usize>>,
    /// Who needs each.
    dependents: Vec<Vec<usize>>,
    /// The place of each in the order of declaration: the own services of a group, then the groups
    /// within it.
    declared: Vec<usize>,
    /// The place of each in one order that keeps all needs and otherwise follows the declaration.
    rank: Vec<usize>,
}

impl Kin {
    /// Finds out the relations of a plan.
    pub(super) fn of(plan: &Plan) -> Self {
        let index_of: BTreeMap<&str, usize> = plan
            .services
            .iter()
            .enumerate()
            .map(|(index, service)| (&*service.name, index))
            .collect();
        let needs: Vec<Vec<usize>> = plan
            .services
            .iter()
            .map(|service| {
                let after = service.after.iter().map(|after| &after.name);
                let names = after.chain(&service.bind);
                let mut needs: Vec<usize> = names
                    .filter_map(|name| index_of.get(&**name).copied())
                    .collect();
                needs.sort_unstable();
                needs.dedup();
                needs
            })
            .collect();
        let mut dependents = vec![Vec::new(); needs.len()];
        for (index, needs) in needs.iter().enumerate() {
            for &need in needs {
                dependents[need].push(index);
            }
        }
        let order = declared_order(plan, &index_of);
        let mut declared = vec![usize::MAX; needs.len()];
        for (place, &index) in order.iter().enumerate() {
            declared[index] = place;
        }
        let rank = ranks(&needs, &order);
        Self {
            needs,
            dependents,
            declared,
            rank,
        }
    }

    /// Returns these services in levels: each level needs, over any way, only services of earlier ones.
    pub(super) fn levels(&self, chosen: &[usize]) -> Vec<Vec<usize>> {
        // In the order of ranks everything comes after what it needs.
        let mut depth = vec![0; self.needs.len()];
        for index in self.ordered((0..self.needs.len()).collect()) {
            let below = self.needs[index].iter();
            let below = below.map(|&need| depth[need] + usize::from(chosen.contains(&need)));
            depth[index] = below.max().unwrap_or(0);
        }
        let deepest = chosen.iter().map(|&index| depth[index]).max().unwrap_or(0);
        let level = |at: usize| {
            chosen
                .iter()
                .copied()
                .filter(|&index| depth[index] == at)
                .collect()
        };
        let levels = (0..=deepest).map(level);
        levels
            .filter(|level: &Vec<usize>| !level.is_empty())
            .collect()
    }

    /// Returns these services and all that depend on them, over any way, in the order of the plan.
    pub(super) fn with_dependents(&self, chosen: &[usize]) -> Vec<usize> {
        let mut reached = vec![false; self.needs.len()];
        let mut open = chosen.to_vec();
        while let Some(at) = open.pop() {
            if !std::mem::replace(&mut reached[at], true) {
                open.extend(&self.dependents[at]);
            }
        }
        (0..reached.len()).filter(|&index| reached[index]).collect()
    }

    /// Returns, for every service, those that depend on it over any way.
    pub(super) fn all_dependents(&self) -> Vec<Vec<usize>> {
        let of = |index: usize| {
            let mut all = self.with_dependents(&[index]);
            all.retain(|&other| other != index);
            all
        };
        (0..self.needs.len()).map(of).collect()
    }

    /// Returns the services of a group and of the groups within it, in an order that keeps all needs.
    pub(super) fn members(&self, plan: &Plan, group: &str) -> Vec<usize> {
        let services = plan.services.iter().enumerate();
        let within = services.filter(|(_, service)| is_within(&service.group, group));
        self.ordered(within.map(|(index, _)| index).collect())
    }

    /// Returns the members of a group that are restarted when one of them has failed, that one not
    /// counted.
    pub(super) fn fellows(&self, plan: &Plan, group: &GroupPlan, failed: usize) -> Vec<usize> {
        let members = self.members(plan, &group.name);
        let chosen = match group.strategy {
            Strategy::OneForOne => Vec::new(),
            Strategy::OneForAll => members,
            Strategy::RestForOne => {
                let before = self.implied(&members);
                let mut reached = vec![false; self.needs.len()];
                reached[failed] = true;
                // In the order of ranks everything comes after what it depends on.
                let all = self.ordered((0..self.needs.len()).collect());
                for index in all {
                    let implied = before.get(&index).into_iter().flatten();
                    reached[index] |= self.needs[index].iter().chain(implied).any(|&n| reached[n]);
                }
                members
                    .into_iter()
                    .filter(|&index| reached[index])
                    .collect()
            }
        };
        chosen
            .into_iter()
            .filter(|&index| index != failed)
            .collect()
    }

    /// Returns what members without any need count as depending on: those declared before them.
    pub(super) fn implied(&self, members: &[usize]) -> BTreeMap<usize, Vec<usize>> {
        let free = members
            .iter()
            .filter(|&&index| self.needs[index].is_empty());
        free.map(|&index| {
            let earlier = members.iter().copied().filter(|&other| {
                self.declared[other] < self.declared[index] && self.rank[other] < self.rank[index]
            });
            (index, earlier.collect())
        })
        .collect()
    }

    /// Returns for each of these which others of them depend on it, over any way.
    pub(super) fn dependents_among(&self, members: &[usize]) -> BTreeMap<usize, Vec<usize>> {
        let mut found = BTreeMap::new();
        for &index in members {
            let mut reached = vec![false; self.needs.len()];
            let mut open = vec![index];
            while let Some(at) = open.pop() {
                for &dependent in &self.dependents[at] {
                    if !std::mem::replace(&mut reached[dependent], true) {
                        open.push(dependent);
                    }
                }
            }
            let others = members.iter().copied().filter(|&other| reached[other]);
            found.insert(index, others.collect());
        }
        found
    }

    fn ordered(&self, mut indexes: Vec<usize>) -> Vec<usize> {
        indexes.sort_by_key(|&index| self.rank[index]);
        indexes
    }
}

/// Returns the services in the order of declaration.
fn declared_order(plan: &Plan, index_of: &BTreeMap<&str, usize>) -> Vec<usize> {
    fn visit(plan: &Plan, parent: Option<&Arc<str>>, order: &mut Vec<Arc<str>>) {
        let inner = plan
            .groups
            .iter()
            .filter(|group| group.parent.as_ref() == parent);
        for group in inner {
            order.extend(group.members.iter().cloned());
            visit(plan, Some(&group.name), order);
        }
    }
    let mut names = Vec::new();
    visit(plan, None, &mut names);
    let known = names
        .iter()
        .filter_map(|name| index_of.get(&**name).copied());
    let mut order: Vec<usize> = known.collect();
    // The group around theirs may not be part of the stack.
    let others: Vec<usize> = (0..plan.services.len())
        .filter(|i| !order.contains(i))
        .collect();
    order.extend(others);
    order
}

/// Returns the place of each service in the order of declaration, with what it needs drawn forward.
fn ranks(needs: &[Vec<usize>], declared: &[usize]) -> Vec<usize> {
    let mut rank = vec![usize::MAX; needs.len()];
    let mut next = 0;
    for &start in declared {
        // Each entry is a service and how many of its needs were followed already.
        let mut path = vec![(start, 0)];
        while let Some((index, followed)) = path.pop() {
            if rank[index] != usize::MAX {
                continue;
            }
            match needs[index].get(followed) {
                Some(&need) => path.extend([(index, followed + 1), (need, 0)]),
                None => {
                    rank[index] = next;
                    next += 1;
                }
            }
        }
    }
    rank
}
