//! `ctl restart`.

use clap::Args;

use super::CtlError;
use super::outcomes::{Action, carry_out};
use super::session::Session;

/// Arguments of `restart`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes are those of `start`.")]
pub(super) struct Restart {
    /// Services to restart.
    #[arg(required = true)]
    targets: Vec<String>,
    /// Return at once instead of when all are ready.
    #[arg(long)]
    no_wait: bool,
}

impl Restart {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let action = Action::Restart {
            wait: !self.no_wait,
        };
        carry_out(session, action, self.targets).await
    }
}
