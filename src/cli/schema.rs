//! `fathom schema`: the JSON schema of the configuration file.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Args;

use crate::config::json_schema;

/// Arguments of `fathom schema`.
#[derive(Debug, Args)]
pub(crate) struct Schema {}

impl Schema {
    /// Prints the schema.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let text = serde_json::to_string_pretty(&json_schema())?;
        match writeln!(anstream::stdout(), "{text}") {
            // Whoever read it has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            written => written?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
