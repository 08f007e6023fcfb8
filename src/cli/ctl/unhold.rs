//! `ctl unhold`: the health of services counts again.

use clap::Args;

use super::CtlError;
use super::outcomes::{Action, carry_out};
use super::session::Session;

/// Arguments of `unhold`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done; 1 unknown name.")]
pub(super) struct Unhold {
    /// Services.
    #[arg(required = true)]
    targets: Vec<String>,
}

impl Unhold {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        carry_out(session, Action::Unhold, self.targets).await
    }
}
