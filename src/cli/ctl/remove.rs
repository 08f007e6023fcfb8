//! `ctl remove`: drops a group of which nothing runs.

use clap::Args;

use super::CtlError;
use super::session::Session;

/// Arguments of `remove`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done; 1 otherwise.")]
pub(super) struct Remove {
    /// Groups.
    #[arg(required = true)]
    groups: Vec<String>,
}

impl Remove {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let mut code = 0;
        for group in &self.groups {
            let done = session.client.remove_group(group).await;
            code = code.max(session.group_done(group, done, "removed process group")?);
        }
        Ok(code)
    }
}
