//! `fathom decode`: dumps and recordings as JSON lines.

use std::io::{BufWriter, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anstream::eprintln;
use clap::Args;
use fathom_formats::km3net::Versioning;
use fathom_kernel::Tag;
use fathom_logging::LogFile;
use fathom_simulator::{DecodeOptions, FileProblem, InputFile, decode};

use super::EXIT_ERROR;

/// Arguments of `fathom decode`.
#[derive(Debug, Args)]
pub(crate) struct Decode {
    /// Recordings or raw dumps, also packed with gzip
    #[arg(required = true)]
    files: Vec<PathBuf>,

    /// Tag of dumps whose name and first bytes do not tell it: IO_EVT
    #[arg(long)]
    tag: Option<Tag>,

    /// Add the SHA-256 of the body and the digest of its values
    #[arg(long)]
    digest: bool,

    /// Also read events and time slices from before payloads had versions
    #[arg(long)]
    legacy: bool,

    /// Report what cannot be read as JSON lines too
    #[arg(long)]
    json: bool,
}

impl Decode {
    /// Prints every message; exit code 1 when something could not be read.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let options = DecodeOptions {
            digest: self.digest,
            versioning: if self.legacy {
                Versioning::AcceptLegacy
            } else {
                Versioning::Current
            },
        };
        let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
        let mut bad = 0;
        for path in &self.files {
            if LogFile::is_one(path) {
                bad += 1;
                let shown = path.display();
                eprintln!("fathom: {shown} is a log file; `fathom run-monitor weblog` reads those");
                continue;
            }
            let mut file = match InputFile::open(path, self.tag) {
                Ok(file) => file,
                Err(error) => {
                    bad += 1;
                    eprintln!("fathom: {:#}", anyhow::Error::from(error));
                    continue;
                }
            };
            let report = |problem: &FileProblem| report(problem, self.json);
            let decoded = decode(&mut file, options, &mut out, report);
            match decoded.and_then(|decoded| out.flush().map(|()| decoded)) {
                Ok(decoded) => bad += decoded.bad,
                // Whoever read along has seen enough, as `head` does.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(match bad {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::from(EXIT_ERROR),
        })
    }
}

fn report(problem: &FileProblem, json: bool) {
    match serde_json::to_string(problem) {
        Ok(line) if json => eprintln!("{line}"),
        _ => eprintln!("{problem}"),
    }
}
