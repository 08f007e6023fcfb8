//! `fathom host`: runs one service for a supervisor; started by it, not by people.

use std::process::ExitCode;

use clap::Args;

use crate::host;

/// Arguments of `fathom host`.
#[derive(Debug, Args)]
pub(crate) struct HostArgs {
    /// Name of the service, for people who list processes
    #[allow(dead_code, reason = "shown by ps")]
    name: String,
}

impl HostArgs {
    /// Runs the service that the supervisor names on standard input.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        host::run()
    }
}
