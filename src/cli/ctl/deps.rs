//! `ctl deps`: what a service depends on and what depends on it.

use clap::Args;
use fathom_kernel::{ServiceStatus, StackStatus};
use serde_json::json;

use super::CtlError;
use super::session::Session;

/// Arguments of `deps`.
#[derive(Debug, Args)]
pub(super) struct Deps {
    /// Service.
    name: String,
    /// Over any number of steps, not only directly.
    #[arg(short, long)]
    all: bool,
}

impl Deps {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let one = session
            .client
            .status(std::slice::from_ref(&self.name))
            .await?;
        let service = match one.services.as_slice() {
            [service] => service,
            _ => {
                let text = format!("{} is not one service", self.name);
                return Err(CtlError::Usage(text));
            }
        };
        let all = session.client.status(&[]).await?;
        let needed = |service: &ServiceStatus, other: &ServiceStatus| {
            service.after.contains(&other.name) || service.bind.contains(&other.name)
        };
        let after = self.reach(&all, service, |from, to| needed(from, to));
        let needed_by = self.reach(&all, service, |from, to| needed(to, from));
        if session.json {
            let names = |list: &[&ServiceStatus]| -> Vec<String> {
                list.iter().map(|service| service.name.clone()).collect()
            };
            session.value(&json!({
                "name": service.name,
                "after": names(&after),
                "bind": service.bind,
                "needed_by": names(&needed_by),
            }))?;
            return Ok(0);
        }
        for other in after {
            let word = match service.bind.contains(&other.name) {
                true => "bound to",
                false => "after",
            };
            session.line(&line(word, other))?;
        }
        for other in needed_by {
            session.line(&line("needed by", other))?;
        }
        Ok(0)
    }

    /// Returns the services that a relation leads to, in the order of the status.
    fn reach<'a>(
        &self,
        status: &'a StackStatus,
        from: &ServiceStatus,
        leads: impl Fn(&ServiceStatus, &ServiceStatus) -> bool,
    ) -> Vec<&'a ServiceStatus> {
        let mut reached = vec![false; status.services.len()];
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            for (other, reached) in status.services.iter().zip(&mut reached) {
                if leads(at, other) && !std::mem::replace(reached, true) && self.all {
                    open.push(other);
                }
            }
        }
        let found = status.services.iter().zip(reached);
        found
            .filter(|(_, reached)| *reached)
            .map(|(s, _)| s)
            .collect()
    }
}

fn line(word: &str, other: &ServiceStatus) -> String {
    format!("{word:<9}  {:<30}  {}", other.name, other.state)
}
