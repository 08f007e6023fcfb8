//! `fathom guard`: the guardian of a supervisor; started by it, not by people.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::guard;

/// Is the guardian if that is what was asked for, without a look at all other commands: it stands
/// beside every supervisor, and its memory counts.
pub fn guard_early() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let is_guard = words.next().is_some_and(|word| word == "guard");
    let (boot_id, socket) = (words.next(), words.next());
    let (true, Some(boot_id), Some(socket), None) = (is_guard, boot_id, socket, words.next())
    else {
        return None;
    };
    let boot_id = boot_id.into_string().ok()?;
    guard::run(std::io::stdin().lock(), &boot_id, Path::new(&socket));
    Some(ExitCode::SUCCESS)
}

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
