//! `ctl rolling`: the short way to say `restart --rolling`.

use clap::Args;

use super::CtlError;
use super::outcomes::{Action, carry_out};
use super::session::Session;

/// Arguments of `rolling`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all restarted; 1 one failed, the rest was left alone; 2 unknown group."
)]
pub(super) struct Rolling {
    /// Services to restart.
    #[arg(required = true)]
    targets: Vec<String>,
    /// All services of one level of the dependency order at a time.
    #[arg(long)]
    level: bool,
}

impl Rolling {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let action = Action::Roll {
            by_level: self.level,
        };
        carry_out(session, action, self.targets).await
    }
}
