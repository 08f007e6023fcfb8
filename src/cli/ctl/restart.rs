//! `ctl restart`.

use clap::Args;

use super::CtlError;
use super::outcomes::{Action, carry_out};
use super::session::Session;

/// Arguments of `restart`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes are those of `start`; with --rolling: 0 all restarted; 1 one failed, the rest was left alone.")]
pub(super) struct Restart {
    /// Services to restart.
    #[arg(required = true)]
    targets: Vec<String>,
    /// Return at once instead of when all are ready.
    #[arg(long)]
    no_wait: bool,
    /// One after the other in dependency order, each when the one before is ready; ends at the first
    /// that fails. What is down stays down.
    #[arg(long, conflicts_with = "no_wait")]
    rolling: bool,
    /// With --rolling: all services of one level of the dependency order at a time.
    #[arg(long, requires = "rolling")]
    level: bool,
}

impl Restart {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let action = match self.rolling {
            true => Action::Roll {
                by_level: self.level,
            },
            false => Action::Restart {
                wait: !self.no_wait,
            },
        };
        carry_out(session, action, self.targets).await
    }
}
