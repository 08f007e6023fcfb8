//! `ctl kill`.

use clap::Args;

use super::CtlError;
use super::outcomes::{Action, carry_out};
use super::session::Session;

/// Arguments of `kill`.
#[derive(Debug, Args)]
#[command(after_help = "\
The services stay down until they are started. Exit codes: 0 all ended or not running; 1 otherwise.")]
pub(super) struct Kill {
    /// Services to kill at once, without their time to stop.
    #[arg(required = true)]
    targets: Vec<String>,
    /// Return at once instead of when all have ended.
    #[arg(long)]
    no_wait: bool,
}

impl Kill {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let action = Action::Kill {
            wait: !self.no_wait,
        };
        carry_out(session, action, self.targets).await
    }
}
