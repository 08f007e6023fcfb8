//! The `fathom` program.

use std::process::ExitCode;

use clap::Parser;
use fathom::cli::{self, Cli};

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("fathom: {error:#}");
            ExitCode::from(cli::EXIT_ERROR)
        }
    }
}
