//! `ctl rotate`.

use clap::Args;

use super::CtlError;
use super::outcomes::{Action, carry_out};
use super::session::Session;

/// Arguments of `rotate`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 rotated; 1 unknown name, or it could not be done.")]
pub(super) struct Rotate {
    /// Services whose logs are rotated.
    #[arg(required = true)]
    targets: Vec<String>,
}

impl Rotate {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        carry_out(session, Action::RotateLogs, self.targets).await
    }
}
