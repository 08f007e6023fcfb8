//! `ctl tree`: the groups with their services.

use std::collections::BTreeMap;

use clap::Args;
use fathom_kernel::{ServiceStatus, StackStatus};
use serde_json::json;

use super::CtlError;
use super::session::Session;

/// Arguments of `tree`.
#[derive(Debug, Args)]
pub(super) struct Tree {}

impl Tree {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let status = session.client.status(&[]).await?;
        if session.json {
            session.value(&as_json(&status))?;
            return Ok(0);
        }
        session.line(&status.stack)?;
        let groups = groups(&status);
        for (place, (group, services)) in groups.iter().enumerate() {
            let (branch, rest) = branch(place + 1 == groups.len());
            session.line(&format!("{branch}{group}"))?;
            for (place, service) in services.iter().enumerate() {
                let (branch, _) = self::branch(place + 1 == services.len());
                session.line(&format!("{rest}{branch}{}", describe(service)))?;
            }
        }
        Ok(0)
    }
}

fn groups(status: &StackStatus) -> BTreeMap<&str, Vec<&ServiceStatus>> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for service in &status.services {
        groups
            .entry(service.group.as_str())
            .or_default()
            .push(service);
    }
    groups
}

fn branch(last: bool) -> (&'static str, &'static str) {
    if last {
        ("└─ ", "   ")
    } else {
        ("├─ ", "│  ")
    }
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

fn as_json(status: &StackStatus) -> serde_json::Value {
    let groups = groups(status).into_iter().map(|(group, services)| {
        let services: Vec<_> = services
            .into_iter()
            .map(|s| json!({ "name": s.name, "kind": s.kind, "after": s.after, "state": s.state }))
            .collect();
        json!({ "group": group, "services": services })
    });
    json!({ "stack": status.stack, "groups": groups.collect::<Vec<_>>() })
}
