//! `ctl pid`: process ids.

use clap::Args;

use super::CtlError;
use super::session::Session;

/// Arguments of `pid`.
#[derive(Debug, Args)]
pub(super) struct Pid {
    /// Services; the supervisor itself without it. An in-process service has 0.
    targets: Vec<String>,
}

impl Pid {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let status = session.client.status(&self.targets).await?;
        let pids: Vec<u32> = if self.targets.is_empty() {
            vec![status.pid]
        } else {
            status.services.iter().map(|service| service.pid).collect()
        };
        if session.json {
            session.value(&pids)?;
            return Ok(0);
        }
        for pid in pids {
            session.line(&pid.to_string())?;
        }
        Ok(0)
    }
}
