//! `ctl pid`: process ids.

use clap::Args;
use fathom_kernel::State;

use super::CtlError;
use super::session::Session;

/// Exit code when there is no process, as supervisorctl has it.
const NOT_RUNNING: u8 = 7;

/// Arguments of `pid`.
#[derive(Debug, Args)]
pub(super) struct Pid {
    /// Services; the supervisor itself without it.
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
        let asked_for_all = self.targets.iter().any(|target| target == "all");
        let code = match asked_for_all || !pids.contains(&0) {
            true => 0,
            false => NOT_RUNNING,
        };
        if session.json {
            session.value(&pids)?;
            return Ok(code);
        }
        let without = status.services.iter().filter(|service| service.pid == 0);
        for service in without.filter(|_| code != 0) {
            let why = match service.state {
                State::Running => "has no process of its own",
                _ => "not running",
            };
            anstream::eprintln!("{}: ERROR ({why})", service.name);
        }
        // A 0 would be the group of whoever writes `kill $(fathom ctl pid …)`.
        for pid in pids.iter().filter(|pid| **pid != 0) {
            session.line(&pid.to_string())?;
        }
        Ok(code)
    }
}
