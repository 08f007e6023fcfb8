//! `fathom man`: the manual pages, made from the same definitions as `--help`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};

use super::Cli;

/// Arguments of `fathom man`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Folder that gets `fathom.1`, `fathom-ctl.1`, `fathom-ctl-status.1`, …
    folder: PathBuf,
}

impl Man {
    /// Writes one page per subcommand.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let folder = self.folder.display();
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot make folder {folder}"))?;
        clap_mangen::generate_to(Cli::command(), &self.folder)
            .with_context(|| format!("cannot write pages into {folder}"))?;
        Ok(ExitCode::SUCCESS)
    }
}
