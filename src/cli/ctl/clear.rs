//! `ctl clear`.

use clap::Args;

use super::CtlError;
use super::outcomes::{Action, carry_out};
use super::session::Session;

/// Arguments of `clear`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 cleared; 1 unknown name, or it could not be done.")]
pub(super) struct Clear {
    /// Services whose logs are cleared; rotated files stay.
    #[arg(required = true)]
    targets: Vec<String>,
}

impl Clear {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        carry_out(session, Action::ClearLogs, self.targets).await
    }
}
