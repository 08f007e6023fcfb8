//! `fathom schema`: the JSON schema of the configuration file.

use std::process::ExitCode;

use clap::Args;

use crate::config::json_schema;

/// Arguments of `fathom schema`.
#[derive(Debug, Args)]
pub(crate) struct Schema {}

impl Schema {
    /// Prints the schema.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        serde_json::to_writer_pretty(anstream::stdout(), &json_schema())?;
        anstream::println!();
        Ok(ExitCode::SUCCESS)
    }
}
