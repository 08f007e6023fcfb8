//! `fathom kinds`: the built-in kinds and their options.

use std::process::ExitCode;

use clap::Args;

use crate::registry;

/// Arguments of `fathom kinds`.
#[derive(Debug, Args)]
pub(crate) struct Kinds {}

impl Kinds {
    /// Prints the list.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        for kind in registry::kinds() {
            anstream::println!("{:<20} {}", kind.name, kind.summary);
        }
        Ok(ExitCode::SUCCESS)
    }
}
