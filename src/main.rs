//! The `fathom` program.

use std::process::ExitCode;

use clap::Parser;
use fathom::cli::{self, Cli};

fn main() -> ExitCode {
    if let Some(code) = cli::guard_early() {
        return code;
    }
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("fathom: {error:#}");
            ExitCode::from(cli::EXIT_ERROR)
        }
    }
}
