//! `[group.NAME]`: what may be said of a group, groups within groups, and their full names.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::plan::{GroupPlan, ServicePlan};
use super::policy::{Budget, Strategy};
use super::problem::Problem;
use super::resolve::Read;
use super::source::Place;

/// Groups within groups, the outermost counted.
const DEPTH_MAX: usize = 4;

/// `[group.NAME]`: services that are commanded together.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GroupDoc {
    /// What the group is for.
    pub(crate) description: String,
    /// The group that this one belongs to; in commands it is then called `outer.inner`.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub(crate) group: Option<Spanned<String>>,
    /// What the failure of a member means for the others.
    pub(crate) strategy: Strategy,
    /// Failures of all members together; one more and the whole group is FATAL. Without it only
    /// the budgets of the members count.
    pub(crate) budget: Option<Budget>,
}

/// A group that was declared.
pub(crate) struct Declared {
    pub(crate) name: String,
    /// Where its name is written.
    pub(crate) place: Place,
    pub(crate) doc: GroupDoc,
}

/// Full names of groups by the names they are declared with.
#[derive(Debug, Default)]
pub(crate) struct Paths(BTreeMap<String, Arc<str>>);

impl Paths {
    /// Works out the full names; what is wrong is added to the problems.
    pub(crate) fn of(groups: &[Declared], problems: &mut Vec<Problem>) -> Self {
        let mut paths = BTreeMap::new();
        for group in groups {
            let chain = chain(group, groups, problems);
            let names: Vec<&str> = chain.iter().rev().map(|group| &*group.name).collect();
            paths.insert(group.name.clone(), names.join(".").into());
        }
        Self(paths)
    }

    /// Returns the full name of the group of this name: its own, and a lone service's, is the same.
    pub(crate) fn full(&self, name: &str) -> Arc<str> {
        self.0.get(name).cloned().unwrap_or_else(|| name.into())
    }

    /// Returns the full name of the group that a name means, if it is declared.
    pub(crate) fn meant(&self, name: &str) -> Option<&Arc<str>> {
        let by_full_name = || self.0.values().find(|full| ***full == *name);
        self.0.get(name).or_else(by_full_name)
    }
}

/// Tells whether a group is another one, or within it.
pub(crate) fn is_within(group: &str, other: &str) -> bool {
    group
        .strip_prefix(other)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Returns a group and those around it, from the inside out. Ends where something is wrong.
fn chain<'a>(
    group: &'a Declared,
    groups: &'a [Declared],
    problems: &mut Vec<Problem>,
) -> Vec<&'a Declared> {
    let mut chain = vec![group];
    let mut inner = group;
    while let Some(outer) = &inner.doc.group {
        let found = groups.iter().find(|known| known.name == *outer.get_ref());
        // What is wrong further out is reported there.
        let is_own = std::ptr::eq(inner, group);
        let wrong = match found {
            None => is_own.then(|| undeclared(outer, groups)),
            Some(outer) if chain.iter().any(|known| std::ptr::eq(*known, outer)) => {
                let text = format!("group `{}` is within itself", group.name);
                std::ptr::eq(outer, group).then(|| Problem::error(text))
            }
            Some(_) if chain.len() == DEPTH_MAX => {
                let text = format!("groups stand at most {DEPTH_MAX} deep in each other");
                Some(Problem::error(text))
            }
            Some(outer) => {
                chain.push(outer);
                inner = outer;
                continue;
            }
        };
        let place = group.doc.group.as_ref().map(Spanned::span);
        problems.extend(wrong.map(|problem| match place {
            Some(place) => problem.at(place),
            None => problem,
        }));
        break;
    }
    chain
}

/// Says that a group is not declared.
pub(crate) fn undeclared(group: &Spanned<String>, groups: &[Declared]) -> Problem {
    let names = groups.iter().map(|group| group.name.as_str());
    let problem = Problem::error(format!("group `{group}` is not declared"))
        .at(group.span())
        .suggest(group.get_ref(), names, "group");
    match problem.label {
        Some(_) => problem,
        None => problem.help(format!("declare it: [group.{group}]")),
    }
}

/// Returns the groups in declared order, each after the one it is in, then those of lone services.
pub(crate) fn plan(
    groups: &[Declared],
    paths: &Paths,
    (reads, services): (&[Read], &[ServicePlan]),
) -> Vec<GroupPlan> {
    let declared = groups.iter().map(|group| GroupPlan {
        name: paths.full(&group.name),
        parent: group
            .doc
            .group
            .as_ref()
            .map(|outer| paths.full(outer.get_ref())),
        lone: false,
        description: group.doc.description.clone(),
        strategy: group.doc.strategy,
        budget: group.doc.budget.clone(),
        members: Vec::new(),
    });
    let lone = reads.iter().filter(|read| read.doc.group.is_none());
    let lone = lone.map(|read| GroupPlan {
        name: paths.full(&read.name),
        parent: None,
        lone: true,
        description: String::new(),
        strategy: Strategy::OneForOne,
        budget: None,
        members: Vec::new(),
    });
    let mut planned: Vec<GroupPlan> = Vec::new();
    for group in declared.chain(lone) {
        if planned.iter().all(|known| known.name != group.name) {
            planned.push(group);
        }
    }
    planned.sort_by_key(|group| group.name.matches('.').count());
    for read in reads {
        let group = paths.full(super::tree::group_of(read));
        let name = super::tree::full_name(read, paths);
        let known = services.iter().any(|service| service.name == name);
        if let Some(planned) = planned.iter_mut().find(|known| known.name == group)
            && known
        {
            planned.members.push(name);
        }
    }
    planned
}
