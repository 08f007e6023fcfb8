//! What another configuration would change in a running stack.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a change means for what runs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Consequence {
    /// Nothing changes.
    None,
    /// Takes effect at once; what runs is not touched.
    Hot,
    /// What runs is stopped and started anew, unless it is down.
    Restart,
    /// Is new; started when it starts with the stack.
    Add,
    /// Is stopped and dropped.
    Remove,
    /// Takes effect when the supervisor itself is started anew.
    Relaunch,
}

impl Consequence {
    /// Returns the word for it, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Hot => "hot",
            Self::Restart => "restart",
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Relaunch => "relaunch",
        }
    }
}

impl std::fmt::Display for Consequence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// One key with what it says now and what it would say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldChange {
    /// The key: `stop.wait`, `lowest_rate`.
    pub field: String,
    /// Value in force, as TOML; `None` when there is none.
    pub old: Option<String>,
    /// New value, as TOML; `None` when there is none.
    pub new: Option<String>,
    /// What the change of this key means.
    pub consequence: Consequence,
}

/// What changes for one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceChange {
    /// Its full name once the change is applied.
    pub name: String,
    /// Its full name now, where that is another one: it moves to another group.
    pub was: Option<String>,
    /// Its group once the change is applied; of a removed one, its group now.
    pub group: String,
    /// What the change means for it.
    pub consequence: Consequence,
    /// The stack ends when it fails for good.
    pub essential: bool,
    /// The keys that differ; none for a new or a removed service.
    pub fields: Vec<FieldChange>,
}

/// What changes for one group as such; its members are not touched by that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupChange {
    /// Its name.
    pub name: String,
    /// `hot`, `add` or `remove`.
    pub consequence: Consequence,
    /// The keys that differ; none for a new or a removed group.
    pub fields: Vec<FieldChange>,
}

/// What the files would change in a running stack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changes {
    /// Number of the configuration in force, which all this is compared with.
    pub generation: u64,
    /// SHA-256 of the files that were read, as hexadecimal digits.
    pub sha256: String,
    /// Services of the configuration in force.
    pub running: usize,
    /// Keys of the whole stack that differ.
    pub stack: Vec<FieldChange>,
    /// Groups that differ, by name.
    pub groups: Vec<GroupChange>,
    /// Services that differ, in start order; removed ones first.
    pub services: Vec<ServiceChange>,
    /// What is odd in the files without being wrong.
    pub warnings: Vec<ConfigFault>,
}

/// Names of groups as supervisord's users know a change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupSummary {
    /// Groups that are new.
    pub added: Vec<String>,
    /// Groups with a service that differs, is new or is gone, or whose own keys differ.
    pub changed: Vec<String>,
    /// Groups that are gone.
    pub removed: Vec<String>,
}

impl Changes {
    /// Tells whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.stack.is_empty() && self.groups.is_empty() && self.services.is_empty()
    }

    /// Returns the changes by group: each list sorted, each group in one of them.
    pub fn by_group(&self) -> GroupSummary {
        let of = |consequence| {
            let groups = self
                .groups
                .iter()
                .filter(|g| g.consequence == consequence)
                .map(|g| g.name.clone());
            groups.collect::<std::collections::BTreeSet<_>>()
        };
        let (added, removed) = (of(Consequence::Add), of(Consequence::Remove));
        let mut changed = of(Consequence::Hot);
        for service in &self.services {
            changed.insert(service.group.clone());
            // The group that loses a member changes as well.
            changed.extend(
                service
                    .was
                    .as_deref()
                    .map(|was| was.split(':').next().unwrap_or(was).to_owned()),
            );
        }
        changed.retain(|group| !added.contains(group) && !removed.contains(group));
        let list = |set: std::collections::BTreeSet<String>| set.into_iter().collect();
        GroupSummary {
            added: list(added),
            changed: list(changed),
            removed: list(removed),
        }
    }

    /// Tells whether the changes stop a service without which the stack ends, or more than half of
    /// all services.
    pub fn is_drastic(&self) -> bool {
        let stops = |change: &&ServiceChange| {
            matches!(
                change.consequence,
                Consequence::Restart | Consequence::Remove
            )
        };
        let stopped: Vec<_> = self.services.iter().filter(stops).collect();
        stopped.iter().any(|change| change.essential) || stopped.len() * 2 > self.running
    }
}

/// Which configuration a change is meant for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Number of the configuration in force.
    pub generation: Option<u64>,
    /// SHA-256 of the files whose changes were shown.
    pub sha256: Option<String>,
}

/// The configuration in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConfigStatus {
    /// Counts the configurations that were put in force, from 1.
    pub generation: u64,
    /// SHA-256 of the files it was read from, as hexadecimal digits; empty without files.
    pub sha256: String,
    /// The files now say something else; `None` when nobody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differs: Option<bool>,
}

/// One problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigFault {
    /// `error` or `warning`.
    pub gravity: String,
    /// `FILE:LINE:COLUMN`, where there is a place.
    pub at: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What would have been right.
    pub help: Option<String>,
}

impl std::fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(at) = &self.at {
            write!(f, "{at}: ")?;
        }
        write!(f, "{}: {}", self.gravity, self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// A service of the configuration that was read last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Available {
    /// Its full name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Its group is part of the configuration in force.
    pub in_use: bool,
    /// It starts with the stack.
    pub autostart: bool,
    /// Its level in the dependency order, from 0.
    pub depth: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, was: Option<&str>, consequence: Consequence) -> ServiceChange {
        ServiceChange {
            name: name.to_owned(),
            was: was.map(str::to_owned),
            group: name.split(':').next().unwrap().to_owned(),
            consequence,
            essential: false,
            fields: Vec::new(),
        }
    }

    #[test]
    fn a_group_is_named_once_however_many_of_its_members_change() {
        let group = |name: &str, consequence| GroupChange {
            name: name.to_owned(),
            consequence,
            fields: Vec::new(),
        };
        let changes = Changes {
            running: 9,
            groups: vec![
                group("new", Consequence::Add),
                group("gone", Consequence::Remove),
            ],
            services: vec![
                service("gone:x", None, Consequence::Remove),
                service("new:y", Some("old:y"), Consequence::Hot),
                service("a:p", None, Consequence::Restart),
                service("a:q", None, Consequence::Hot),
            ],
            ..Changes::default()
        };
        let summary = changes.by_group();
        assert_eq!(summary.added, ["new"]);
        assert_eq!(summary.changed, ["a", "old"]);
        assert_eq!(summary.removed, ["gone"]);
    }

    #[test]
    fn more_than_half_of_all_services_is_drastic() {
        let mut changes = Changes {
            running: 4,
            services: vec![
                service("a:p", None, Consequence::Restart),
                service("a:q", None, Consequence::Remove),
                service("a:r", None, Consequence::Hot),
                service("a:s", None, Consequence::Add),
            ],
            ..Changes::default()
        };
        assert!(!changes.is_drastic());
        changes.running = 3;
        assert!(changes.is_drastic());
        changes.running = 9;
        changes.services[2].essential = true;
        assert!(!changes.is_drastic());
        changes.services[0].essential = true;
        assert!(changes.is_drastic());
    }
}
