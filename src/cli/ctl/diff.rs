//! `ctl diff`: what the files would change, key by key.

use clap::Args;
use fathom_kernel::Changes;

use super::CtlError;
use super::plan;
use super::session::Session;

/// Arguments of `diff`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 nothing differs; 2 something does; 1 the configuration has errors."
)]
pub(super) struct Diff {}

impl Diff {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        match plan::ask(session).await? {
            Some(changes) => show(session, &changes),
            None => Ok(plan::INVALID),
        }
    }
}

/// Shows the changes; returns the exit code that says whether there are any.
pub(super) fn show(session: &mut Session, changes: &Changes) -> Result<u8, CtlError> {
    if session.json {
        session.value(changes)?;
    } else if changes.is_empty() {
        session.line("nothing differs")?;
    } else {
        for line in plan::lines(changes) {
            session.line(&line)?;
        }
        session.line(&plan::summary(changes))?;
    }
    Ok(match changes.is_empty() {
        true => plan::SAME,
        false => plan::DIFFERS,
    })
}
