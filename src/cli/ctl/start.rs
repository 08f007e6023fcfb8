//! `ctl start`.

use clap::Args;

use super::CtlError;
use super::outcomes::{Action, carry_out};
use super::session::Session;

/// Arguments of `start`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 all started or already started; 1 unknown name or not in time; 2 unknown group; 7 a
service could not be started, or died.")]
pub(super) struct Start {
    /// Services to start.
    #[arg(required = true)]
    targets: Vec<String>,
    /// Do not start missing dependencies.
    #[arg(long)]
    no_deps: bool,
    /// Return at once instead of when all are ready.
    #[arg(long)]
    no_wait: bool,
}

impl Start {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let action = Action::Start {
            wait: !self.no_wait,
            dependencies: !self.no_deps,
        };
        carry_out(session, action, self.targets).await
    }
}
