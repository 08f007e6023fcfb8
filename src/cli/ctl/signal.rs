//! `ctl signal`.

use clap::Args;

use super::CtlError;
use super::outcomes::{Action, carry_out};
use super::session::Session;

/// Arguments of `signal`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 sent; 1 unknown name or signal; 7 not running.")]
pub(super) struct Signal {
    /// Name with or without `SIG`, or number.
    signal: String,
    /// Services whose processes get it.
    #[arg(required = true)]
    targets: Vec<String>,
}

impl Signal {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let signal = self.signal;
        carry_out(session, Action::Signal { signal }, self.targets).await
    }
}
