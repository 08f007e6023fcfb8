//! `ctl add`: adds a group of the configuration that was read last.

use clap::Args;

use super::CtlError;
use super::session::Session;

/// Arguments of `add`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done; 1 otherwise.")]
pub(super) struct Add {
    /// Groups.
    #[arg(required = true)]
    groups: Vec<String>,
}

impl Add {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let mut code = 0;
        for group in &self.groups {
            let done = session.client.add_group(group).await;
            code = code.max(session.group_done(group, done, "added process group")?);
        }
        Ok(code)
    }
}
