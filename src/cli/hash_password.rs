//! `fathom hash-password`: the hash of a password, to be put into the configuration.

use std::io::{BufRead as _, IsTerminal as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use argon2::{Argon2, PasswordHasher as _};
use clap::Args;

/// Arguments of `fathom hash-password`.
#[derive(Debug, Args)]
#[command(after_help = "\
On a terminal the password is asked for twice and not shown; elsewhere the first line of the standard
input is taken.")]
pub(crate) struct HashPassword {}

impl HashPassword {
    /// Reads the password and prints its hash (argon2id, PHC text).
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let password = if std::io::stdin().is_terminal() {
            ask()?
        } else {
            let mut line = String::new();
            std::io::stdin()
                .lock()
                .read_line(&mut line)
                .context("cannot read the standard input")?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        };
        if password.is_empty() {
            bail!("an empty password protects nothing");
        }
        let hash = Argon2::default()
            .hash_password(password.as_bytes())
            .map_err(|error| anyhow::anyhow!("cannot hash the password: {error}"))?;
        anstream::println!("{hash}");
        Ok(ExitCode::SUCCESS)
    }
}

fn ask() -> anyhow::Result<String> {
    let first = rpassword::prompt_password("Password: ").context("cannot read the password")?;
    let second = rpassword::prompt_password("Again: ").context("cannot read the password")?;
    if first != second {
        bail!("the two passwords differ");
    }
    Ok(first)
}
