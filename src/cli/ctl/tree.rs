//! `ctl tree`: the groups with their services.

use clap::Args;
use fathom_kernel::{BudgetStatus, GroupStatus, ServiceStatus, Span, StackStatus};
use serde_json::{Value, json};

use super::CtlError;
use super::session::Session;

/// Arguments of `tree`.
#[derive(Debug, Args)]
pub(super) struct Tree {}

/// What stands below a group, or below the stack.
enum Node<'a> {
    Group(&'a GroupStatus),
    Service(&'a ServiceStatus),
}

impl Tree {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let status = session.client.status(&[]).await?;
        if session.json {
            session.value(&as_json(&status))?;
            return Ok(0);
        }
        let budget = status
            .budget
            .map(|budget| format!(" ({})", used(&budget, "failed groups")));
        session.line(&format!("{}{}", status.stack, budget.unwrap_or_default()))?;
        for line in lines(&status, None) {
            session.line(&line)?;
        }
        Ok(0)
    }
}

/// Returns the lines for what stands below a group; `None` is the stack.
fn lines(status: &StackStatus, group: Option<&str>) -> Vec<String> {
    let nodes = below(status, group);
    let mut all = Vec::new();
    for (place, node) in nodes.iter().enumerate() {
        let (branch, rest) = match place + 1 == nodes.len() {
            true => ("└─ ", "   "),
            false => ("├─ ", "│  "),
        };
        match node {
            Node::Service(service) => all.push(format!("{branch}{}", describe(service))),
            Node::Group(group) => {
                all.push(format!("{branch}{}", heading(group)));
                let inner = lines(status, Some(&group.name));
                all.extend(inner.into_iter().map(|line| format!("{rest}{line}")));
            }
        }
    }
    all
}

/// Returns what stands below a group: its services, then the groups in it. The group of a lone
/// service is not worth a line of its own.
fn below<'a>(status: &'a StackStatus, group: Option<&str>) -> Vec<Node<'a>> {
    let services = |name: &str| {
        let own = status.services.iter().filter(|s| s.group == name);
        own.map(Node::Service).collect::<Vec<_>>()
    };
    let mut nodes = group.map(services).unwrap_or_default();
    let mut inner: Vec<_> = status
        .groups
        .iter()
        .filter(|inner| inner.parent.as_deref() == group)
        .collect();
    inner.sort_by(|a, b| a.name.cmp(&b.name));
    for group in inner {
        match group.lone {
            true => nodes.extend(services(&group.name)),
            false => nodes.push(Node::Group(group)),
        }
    }
    nodes
}

fn heading(group: &GroupStatus) -> String {
    let short = group.name.rsplit('.').next().unwrap_or(&group.name);
    let mut facts = Vec::new();
    if group.strategy != "one_for_one" {
        facts.push(group.strategy.clone());
    }
    if let Some(budget) = &group.budget {
        facts.push(used(budget, "restarts"));
    }
    match facts.is_empty() {
        true => format!("{short} {}", group.state),
        false => format!("{short} ({}) {}", facts.join(", "), group.state),
    }
}

/// Returns the use of a budget as in `3 of 20 restarts in 5m`.
fn used(budget: &BudgetStatus, what: &str) -> String {
    let period = std::time::Duration::try_from_secs_f64(budget.period_s).unwrap_or_default();
    let period = Span::from(period);
    format!("{} of {} {what} in {period}", budget.used, budget.restarts)
}

fn describe(service: &ServiceStatus) -> String {
    let short = service
        .name
        .split_once(':')
        .map_or(service.name.as_str(), |(_, name)| name);
    let what = service.kind.as_deref().unwrap_or("command");
    let after = if service.after.is_empty() {
        String::new()
    } else {
        format!(", after {}", service.after.join(", "))
    };
    format!("{short} ({what}{after}) {}", service.state)
}

fn as_json(status: &StackStatus) -> Value {
    json!({
        "stack": status.stack,
        "budget": status.budget,
        "groups": groups_as_json(status, None),
    })
}

fn groups_as_json(status: &StackStatus, parent: Option<&str>) -> Vec<Value> {
    let inner = status.groups.iter();
    let inner = inner.filter(|group| group.parent.as_deref() == parent);
    inner
        .map(|group| {
            let services: Vec<_> = status
                .services
                .iter()
                .filter(|service| service.group == group.name)
                .map(|s| {
                    json!({ "name": s.name, "kind": s.kind, "after": s.after, "state": s.state })
                })
                .collect();
            json!({
                "group": group.name,
                "strategy": group.strategy,
                "budget": group.budget,
                "state": group.state,
                "services": services,
                "groups": groups_as_json(status, Some(&group.name)),
            })
        })
        .collect()
}
