//! `ctl stop`.

use clap::Args;

use super::CtlError;
use super::outcomes::{Action, carry_out};
use super::session::Session;

/// Arguments of `stop`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 all stopped or already stopped; 1 otherwise.")]
pub(super) struct Stop {
    /// Services to stop.
    #[arg(required = true)]
    targets: Vec<String>,
    /// Stop what depends on them too.
    #[arg(long)]
    with_dependents: bool,
    /// Return at once instead of when all have ended.
    #[arg(long)]
    no_wait: bool,
}

impl Stop {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let action = Action::Stop {
            wait: !self.no_wait,
            dependents: self.with_dependents,
        };
        carry_out(session, action, self.targets).await
    }
}
