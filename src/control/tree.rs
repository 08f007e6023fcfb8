//! The groups of a stack as a tree: groups, groups inside them, services.

use std::collections::HashMap;

use fathom_kernel::{ServiceStatus, StackStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The whole stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tree {
    /// Name of the stack.
    pub stack: String,
    /// Its groups, by name.
    pub groups: Vec<Branch>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Branch {
    /// Its full name; a group inside another one stands behind a dot: `outer.inner`.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its services, in start order.
    pub services: Vec<Leaf>,
    /// The groups inside it, by name.
    #[schema(no_recursion)]
    pub groups: Vec<Branch>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Leaf {
    /// Full name.
    pub name: String,
    /// `actor`, `process` or `command`.
    pub run: String,
    /// Built-in kind; nothing for a command.
    pub kind: Option<String>,
    /// State.
    pub state: String,
    /// Health, apart from the state.
    pub health: String,
    /// Text of the state.
    pub description: String,
    /// Services this one waits for or depends on.
    pub after: Vec<String>,
}

impl Tree {
    /// Makes the tree of a status; groups are described by name.
    pub fn of(status: &StackStatus, described: &HashMap<&str, &str>) -> Self {
        let mut names: Vec<&str> = status.services.iter().map(|s| s.group.as_str()).collect();
        names.extend(described.keys());
        names.sort_unstable();
        names.dedup();
        let mut groups = Vec::new();
        // A group stands before those inside it, so each finds its place.
        for name in names {
            let branch = Branch {
                name: name.to_owned(),
                description: described.get(name).copied().unwrap_or_default().to_owned(),
                services: leaves(&status.services, name),
                groups: Vec::new(),
            };
            siblings(&mut groups, name).push(branch);
        }
        Self {
            stack: status.stack.clone(),
            groups,
        }
    }
}

/// Finds the list that a group belongs into: that of the group around it, or the given one.
fn siblings<'a>(groups: &'a mut Vec<Branch>, name: &str) -> &'a mut Vec<Branch> {
    let inside = |outer: &Branch| {
        let rest = name.strip_prefix(outer.name.as_str());
        rest.is_some_and(|rest| rest.starts_with('.'))
    };
    match groups.iter().position(inside) {
        Some(at) => siblings(&mut groups[at].groups, name),
        None => groups,
    }
}

fn leaves(services: &[ServiceStatus], group: &str) -> Vec<Leaf> {
    let members = services.iter().filter(|service| service.group == group);
    let leaf = |service: &ServiceStatus| Leaf {
        name: service.name.clone(),
        run: service.run.clone(),
        kind: service.kind.clone(),
        state: service.state.to_string(),
        health: service.health.to_string(),
        description: service.description.clone(),
        after: service.after.clone(),
    };
    members.map(leaf).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_stand_inside_the_groups_that_their_names_say() {
        let mut groups = Vec::new();
        for name in ["a", "a.b", "a.b.c", "a.d", "ab", "x.y"] {
            let branch = Branch {
                name: name.to_owned(),
                description: String::new(),
                services: Vec::new(),
                groups: Vec::new(),
            };
            siblings(&mut groups, name).push(branch);
        }
        let names = |groups: &[Branch]| -> Vec<String> {
            groups.iter().map(|group| group.name.clone()).collect()
        };
        assert_eq!(names(&groups), ["a", "ab", "x.y"]);
        assert_eq!(names(&groups[0].groups), ["a.b", "a.d"]);
        assert_eq!(names(&groups[0].groups[0].groups), ["a.b.c"]);
    }
}
