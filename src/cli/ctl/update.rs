//! `ctl update`: puts the configuration in force as the files say now.

use std::io::IsTerminal as _;

use clap::Args;
use fathom_kernel::{Outcome, Verdict};

use super::CtlError;
use super::session::Session;
use super::{diff, outcomes, plan};
use crate::control::UpdateBody;

/// Arguments of `update`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done, and everything that was started is ready; 1 otherwise; 2 --yes is missing. With
--dry-run those of `diff`.")]
pub(super) struct Update {
    /// Groups and services to update, by their old or new names; all without it.
    targets: Vec<String>,
    /// Show what would be done, and do nothing.
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Also stop a service that ends the stack when it fails, or more than half of all services;
    /// asked for on a terminal only.
    #[arg(short, long)]
    yes: bool,
}

impl Update {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let Some(changes) = plan::ask(session).await? else {
            return Ok(plan::INVALID);
        };
        if self.dry_run {
            return diff::show(session, &changes);
        }
        if changes.is_drastic() && !self.yes && std::io::stdin().is_terminal() {
            for line in plan::lines(&changes) {
                session.line(&line)?;
            }
            let text = format!("{}; say --yes to do that", plan::summary(&changes));
            return Err(CtlError::Usage(text));
        }
        let body = UpdateBody {
            generation: Some(changes.generation),
            sha256: Some(changes.sha256),
            targets: self.targets,
        };
        let outcomes = match session.client.update(&body).await.map_err(CtlError::from) {
            Ok(outcomes) => outcomes,
            Err(error) if error.word() == "bad_config" => {
                plan::report(session, &error)?;
                return Ok(plan::INVALID);
            }
            Err(error) => return Err(error),
        };
        tell(session, &outcomes)
    }
}

/// Says what became of each service; returns the exit code.
pub(super) fn tell(session: &mut Session, outcomes: &[Outcome]) -> Result<u8, CtlError> {
    if session.json {
        session.value(&serde_json::json!({ "outcomes": outcomes }))?;
    } else if outcomes.is_empty() {
        session.line("no service was touched")?;
    } else {
        for outcome in outcomes {
            session.line(&outcomes::line(outcome))?;
        }
    }
    let is_well = |outcome: &Outcome| {
        matches!(
            outcome.result,
            Verdict::Started
                | Verdict::AlreadyStarted
                | Verdict::Added
                | Verdict::Removed
                | Verdict::Updated
        )
    };
    Ok(u8::from(!outcomes.iter().all(is_well)))
}
