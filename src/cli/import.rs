//! `fathom import`: a configuration of supervisord to one of fathom.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::EXIT_CONFIG;
use super::config_args::environment;
use crate::import::{Gravity, Imported, Note, Source, import};

/// Arguments of `fathom import`.
#[derive(Debug, Args)]
#[command(after_help = "\
What has no equivalent is listed on standard error with its file and line.
Exit codes: 0 done; 1 cannot be read or written; 2 done, but supervisord would refuse parts of it.")]
pub(crate) struct Import {
    /// Configuration of supervisord; files it includes are read as well
    #[arg(default_value = "supervisord.conf")]
    file: PathBuf,

    /// Write this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(short, long, requires = "output")]
    force: bool,

    /// Print one JSON object with the text and the report
    #[arg(long)]
    json: bool,
}

/// The answer for programs.
#[derive(Serialize)]
struct Answer<'a> {
    /// The file written.
    output: Option<&'a Path>,
    /// The text, when it was not written.
    toml: Option<&'a str>,
    services: &'a [String],
    notes: &'a [Note],
}

impl Import {
    /// Converts, writes and reports.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let imported = import(&Source {
            file: self.file.clone(),
            folder: self.output.as_deref().map(folder_of),
            environment: environment(),
            host: host_name(),
        })?;
        if let Some(path) = &self.output {
            self.write(path, &imported.text)?;
        }
        match self.json {
            true => self.answer(&imported)?,
            false => self.report(&imported)?,
        }
        let wrong = |note: &Note| note.gravity == Gravity::Wrong;
        Ok(match imported.notes.iter().any(wrong) {
            true => ExitCode::from(EXIT_CONFIG),
            false => ExitCode::SUCCESS,
        })
    }

    fn write(&self, path: &Path, text: &str) -> anyhow::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        options.write(true);
        match self.force {
            true => options.create(true).truncate(true),
            false => options.create_new(true),
        };
        let written = options
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        match written {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                anyhow::bail!("{} exists; --force replaces it", path.display())
            }
            written => written.with_context(|| format!("cannot write {}", path.display())),
        }
    }

    fn answer(&self, imported: &Imported) -> anyhow::Result<()> {
        let output = self.output.as_deref();
        let answer = Answer {
            output,
            toml: output.is_none().then_some(&imported.text),
            services: &imported.services,
            notes: &imported.notes,
        };
        print(&serde_json::to_string_pretty(&answer)?)
    }

    fn report(&self, imported: &Imported) -> anyhow::Result<()> {
        if self.output.is_none() {
            print(imported.text.trim_end())?;
        }
        for note in &imported.notes {
            anstream::eprintln!("{note}");
        }
        let (services, notes) = (imported.services.len(), imported.notes.len());
        let notes = match notes {
            0 => "everything carried over".to_owned(),
            1 => "1 thing to look at".to_owned(),
            more => format!("{more} things to look at"),
        };
        anstream::eprintln!("fathom: {services} services, {notes}");
        if let Some(path) = &self.output {
            let path = path.display();
            anstream::eprintln!("fathom: wrote {path}; next: fathom check {path}");
        }
        Ok(())
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    match writeln!(anstream::stdout(), "{text}") {
        // Whoever read it has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Returns the folder of a file, from the root.
fn folder_of(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole.parent().map(Path::to_owned).unwrap_or_default()
}

fn host_name() -> String {
    let name = nix::sys::utsname::uname().map(|names| names.nodename().to_owned());
    name.unwrap_or_default().to_string_lossy().into_owned()
}
