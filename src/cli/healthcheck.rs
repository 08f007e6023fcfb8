//! `fathom healthcheck`: whether the stack is ready, for containers without a shell.

use std::process::ExitCode;

use clap::Args;

use super::ctl::Door;
use crate::control::Readiness;

/// Arguments of `fathom healthcheck`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 every service that starts with the stack is ready; 1 not.")]
pub(crate) struct Healthcheck {
    #[command(flatten)]
    door: Door,
}

impl Healthcheck {
    /// Asks the supervisor. Every failure is 1: container engines reserve the other codes.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let client = self.door.client()?;
        let readiness: Readiness = runtime.block_on(client.readiness())?;
        if readiness.ready {
            anstream::println!("ready");
            return Ok(ExitCode::SUCCESS);
        }
        for (name, state) in &readiness.waiting {
            anstream::println!("{name}: {state}");
        }
        Ok(ExitCode::FAILURE)
    }
}
