//! `fathom guard`: the guardian of a supervisor; started by it, not by people.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::guard;

/// Arguments of `fathom guard`.
#[derive(Debug, Args)]
pub(crate) struct GuardArgs {
    /// Start of the mark of all processes of the supervisor
    boot_id: String,
    /// Control socket of the supervisor
    socket: PathBuf,
}

impl GuardArgs {
    /// Guards until standard input ends.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        guard::run(std::io::stdin().lock(), &self.boot_id, &self.socket);
        Ok(ExitCode::SUCCESS)
    }
}
