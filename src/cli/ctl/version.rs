//! `ctl version`: the version of the running supervisor.

use clap::Args;

use super::CtlError;
use super::session::Session;

/// Arguments of `version`.
#[derive(Debug, Args)]
pub(super) struct Version {}

impl Version {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let status = session.client.status(&[]).await?;
        if session.json {
            session.value(&serde_json::json!({
                "version": status.version,
                "stack": status.stack,
                "pid": status.pid,
                "started": status.started,
            }))?;
        } else {
            session.line(&status.version)?;
        }
        Ok(0)
    }
}
