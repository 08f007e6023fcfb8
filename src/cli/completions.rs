//! `fathom completions`: completion for a shell.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;

/// Arguments of `fathom completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Bash: fathom completions bash > /etc/bash_completion.d/fathom
Zsh:  fathom completions zsh > \"${fpath[1]}/_fathom\"
Fish: fathom completions fish > ~/.config/fish/completions/fathom.fish")]
pub(crate) struct Completions {
    /// Shell.
    shell: Shell,
}

impl Completions {
    /// Prints the completion script.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "fathom", &mut script);
        match std::io::stdout().write_all(&script) {
            // Whoever read it has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            written => written?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
