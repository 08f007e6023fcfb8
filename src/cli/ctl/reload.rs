//! `ctl reload`: stops everything in order, and starts with the configuration as it is now.

use clap::Args;

use super::CtlError;
use super::session::Session;
use super::{plan, update};

/// Arguments of `reload`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 everything that starts with the stack is ready; 1 otherwise. With errors in the
configuration nothing is stopped.")]
pub(super) struct Reload {
    /// Return at once instead of when everything is ready.
    #[arg(long)]
    no_wait: bool,
}

impl Reload {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let done = session.client.reload(!self.no_wait).await;
        match done.map_err(CtlError::from) {
            Ok(_) if self.no_wait && !session.json => {
                session.line("reload is under way")?;
                Ok(0)
            }
            Ok(outcomes) => update::tell(session, &outcomes),
            Err(error) if error.word() == "bad_config" => {
                plan::report(session, &error)?;
                Ok(plan::INVALID)
            }
            Err(error) => Err(error),
        }
    }
}
