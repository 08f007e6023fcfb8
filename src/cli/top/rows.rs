//! The lines of the tree: which services are shown, in which order, folded or not.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use fathom_kernel::{ServiceStatus, State};

use super::figures::Figures;

/// What a line is about; survives changes of order and filter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    Group(String),
    Service(String),
}

impl Item {
    /// Returns the target that commands take.
    pub(super) fn target(&self) -> String {
        match self {
            Self::Group(name) => format!("{name}:*"),
            Self::Service(name) => name.clone(),
        }
    }
}

/// A line of the tree.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) item: Item,
    /// Steps to the right.
    pub(super) depth: u16,
    /// Members, and how many of them run; of a group.
    pub(super) members: Option<(usize, usize)>,
    /// Its members are not shown.
    pub(super) folded: bool,
    /// Of the service, or of all members.
    pub(super) figures: Figures,
}

/// Order of the lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// Groups with their services, by name.
    #[default]
    Tree,
    /// What needs a look first.
    Trouble,
    Cpu,
    Memory,
    Rate,
    Queue,
    Drops,
    Restarts,
}

impl Order {
    const ALL: [Self; 8] = [
        Self::Tree,
        Self::Trouble,
        Self::Cpu,
        Self::Memory,
        Self::Rate,
        Self::Queue,
        Self::Drops,
        Self::Restarts,
    ];

    /// Returns the order that comes next when one goes through them all.
    pub(super) fn next(self) -> Self {
        let at = Self::ALL.iter().position(|order| *order == self);
        let next = at.map_or(0, |at| at + 1) % Self::ALL.len();
        Self::ALL.get(next).copied().unwrap_or_default()
    }

    /// Returns its name for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tree => "tree",
            Self::Trouble => "trouble",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Rate => "rate",
            Self::Queue => "queue",
            Self::Drops => "drops",
            Self::Restarts => "restarts",
        }
    }
}

/// What decides which lines there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) services: &'a [ServiceStatus],
    pub(super) figures: &'a HashMap<String, Figures>,
    pub(super) folded: &'a BTreeSet<String>,
    pub(super) filter: &'a str,
    pub(super) order: Order,
}

/// Returns the lines from top to bottom.
pub(super) fn rows(shown: Shown<'_>) -> Vec<Row> {
    let filter = shown.filter.to_lowercase();
    let kept = shown.services.iter();
    let mut kept: Vec<&ServiceStatus> = kept
        .filter(|service| service.name.to_lowercase().contains(&filter))
        .collect();
    if shown.order == Order::Tree {
        return tree(&kept, &shown);
    }
    let figures = |service: &ServiceStatus| of(&shown, &service.name);
    kept.sort_by(|a, b| {
        let by_order = compare(shown.order, (a, figures(a)), (b, figures(b)));
        by_order.then_with(|| a.name.cmp(&b.name))
    });
    let flat = kept.into_iter().map(|service| leaf(service, 0, &shown));
    flat.collect()
}

fn tree(services: &[&ServiceStatus], shown: &Shown<'_>) -> Vec<Row> {
    let mut groups: BTreeMap<&str, Vec<&ServiceStatus>> = BTreeMap::new();
    for service in services {
        groups.entry(&service.group).or_default().push(service);
    }
    let mut rows = Vec::new();
    for (group, mut members) in groups {
        members.sort_by(|a, b| a.name.cmp(&b.name));
        if let [only] = members.as_slice()
            && only.name == group
        {
            rows.push(leaf(only, 0, shown));
            continue;
        }
        let sum = |sum: Figures, member: &&ServiceStatus| sum.plus(of(shown, &member.name));
        let folded = shown.folded.contains(group);
        let runs = members
            .iter()
            .filter(|member| member.state == State::Running);
        rows.push(Row {
            item: Item::Group(group.to_owned()),
            depth: 0,
            members: Some((members.len(), runs.count())),
            folded,
            figures: members.iter().fold(Figures::default(), sum),
        });
        if !folded {
            rows.extend(members.into_iter().map(|member| leaf(member, 1, shown)));
        }
    }
    rows
}

fn leaf(service: &ServiceStatus, depth: u16, shown: &Shown<'_>) -> Row {
    Row {
        item: Item::Service(service.name.clone()),
        depth,
        members: None,
        folded: false,
        figures: of(shown, &service.name),
    }
}

fn of(shown: &Shown<'_>, name: &str) -> Figures {
    shown.figures.get(name).copied().unwrap_or_default()
}

/// Compares two services: what is first comes first.
fn compare(
    order: Order,
    (a, of_a): (&ServiceStatus, Figures),
    (b, of_b): (&ServiceStatus, Figures),
) -> Ordering {
    let falling = |a: f64, b: f64| b.total_cmp(&a);
    match order {
        Order::Tree => Ordering::Equal,
        Order::Trouble => trouble(b).cmp(&trouble(a)),
        Order::Cpu => falling(
            of_a.cpu_percent.unwrap_or(-1.0),
            of_b.cpu_percent.unwrap_or(-1.0),
        ),
        Order::Memory => Reverse(of_a.memory_bytes).cmp(&Reverse(of_b.memory_bytes)),
        Order::Rate => falling(of_a.in_hz + of_a.out_hz, of_b.in_hz + of_b.out_hz),
        Order::Queue => Reverse(of_a.queued).cmp(&Reverse(of_b.queued)),
        Order::Drops => Reverse(of_a.dropped).cmp(&Reverse(of_b.dropped)),
        Order::Restarts => Reverse(of_a.restarts).cmp(&Reverse(of_b.restarts)),
    }
}

/// Returns how urgently somebody should look at a service.
fn trouble(service: &ServiceStatus) -> u8 {
    match service.state {
        State::Fatal | State::Unknown => 6,
        State::Backoff => 5,
        State::Running if service.health.is_broken() => 4,
        State::Starting | State::Stopping => 3,
        State::Running if service.health == fathom_kernel::Health::Lagging => 2,
        State::Exited if !service.finished => 2,
        State::Running | State::Exited => 1,
        State::Stopped => 0,
    }
}
