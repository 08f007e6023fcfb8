//! What every verb has: the client, the output, and whether it shall be JSON.

use std::io::Write as _;
use std::process::ExitCode;

use fathom_kernel::StackStatus;
use serde::Serialize;

use super::CtlError;
use crate::config::nearest;
use crate::control::{Client, ClientError, Problem};

/// One run of `ctl`.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) json: bool,
    /// Takes colours away where they are not wanted: no terminal, `NO_COLOR`.
    out: anstream::AutoStream<std::io::Stdout>,
}

impl Session {
    pub(super) fn new(client: Client, json: bool) -> Self {
        Self {
            client,
            json,
            out: anstream::stdout(),
        }
    }

    /// Prints a line.
    pub(super) fn line(&mut self, text: &str) -> Result<(), CtlError> {
        Ok(writeln!(self.out, "{text}")?)
    }

    /// Prints bytes as they are.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), CtlError> {
        Ok(std::io::stdout().lock().write_all(bytes)?)
    }

    /// Prints a value as one line of JSON.
    pub(super) fn value(&mut self, value: &impl Serialize) -> Result<(), CtlError> {
        let text = serde_json::to_string(value).map_err(std::io::Error::other)?;
        self.line(&text)
    }

    /// Prints what became of a group; returns the exit code.
    pub(super) fn group_done<T>(
        &mut self,
        group: &str,
        done: Result<T, ClientError>,
        well: &str,
    ) -> Result<u8, CtlError> {
        let (line, code) = match done.map_err(CtlError::from) {
            Ok(_) => (format!("{group}: {well}"), 0),
            Err(error) if error.is_unreachable() => return Err(error),
            Err(error) => (format!("{group}: ERROR ({error})"), 1),
        };
        if self.json {
            self.value(&serde_json::json!({ "group": group, "result": line }))?;
        } else {
            self.line(&line)?;
        }
        Ok(code)
    }

    /// Returns the status of targets that exist, and the names of those that do not.
    pub(super) async fn status(
        &mut self,
        targets: &[String],
    ) -> Result<(Option<StackStatus>, Vec<String>), CtlError> {
        let mut targets = targets.to_vec();
        let mut unknown = Vec::new();
        loop {
            let error = match self.client.status(&targets).await {
                Ok(status) => return Ok((Some(status), unknown)),
                Err(error) => CtlError::from(error),
            };
            unknown.push(set_aside(&mut targets, error)?);
            if targets.is_empty() {
                return Ok((None, unknown));
            }
        }
    }

    /// Says on standard error which names were probably meant. Only a service for people: when it
    /// fails, the verb has said already what is wrong.
    pub(super) async fn suggest(&mut self, unknown: &[String]) {
        if self.json || unknown.is_empty() {
            return;
        }
        let Ok(status) = self.client.status(&[]).await else {
            return;
        };
        for name in unknown {
            let names = status.services.iter().map(|service| service.name.as_str());
            if let Some(meant) = nearest(name, names).filter(|meant| is_near(name, meant)) {
                anstream::eprintln!("did you mean {meant}?");
            }
        }
    }

    /// Returns the exit code of a verb and reports its error.
    pub(super) fn end(mut self, result: Result<u8, CtlError>) -> ExitCode {
        let error = match result {
            Ok(code) => return code.into(),
            Err(error) => error,
        };
        let code = error.exit_code();
        if code == 0 {
            return ExitCode::SUCCESS;
        }
        if self.json {
            let problem = Problem {
                error: error.word().to_owned(),
                subject: error.unknown_name().map(str::to_owned),
                message: error.to_string(),
                faults: error.faults().to_vec(),
            };
            // The exit code says it as well.
            self.value(&problem).ok();
        } else {
            anstream::eprintln!("fathom ctl: {error}");
        }
        code.into()
    }
}

/// Tells whether a name differs from a service's, with or without its group, by a slip of the finger.
fn is_near(name: &str, meant: &str) -> bool {
    const EDITS_MAX: usize = 2;
    let short = meant.rsplit(':').next().unwrap_or(meant);
    [meant, short]
        .iter()
        .any(|meant| strsim::damerau_levenshtein(name, meant) <= EDITS_MAX)
}

/// Takes the name that nobody has out of the targets; any other error stays an error.
pub(super) fn set_aside(targets: &mut Vec<String>, error: CtlError) -> Result<String, CtlError> {
    let place = error
        .unknown_name()
        .and_then(|name| targets.iter().position(|target| target == name));
    match place {
        Some(place) => Ok(targets.remove(place)),
        None => Err(error),
    }
}

/// Says that a name is unknown, in the words of supervisorctl.
pub(super) fn no_such(name: &str) -> String {
    if name.ends_with(":*") {
        format!("{name}: ERROR (no such group)")
    } else {
        format!("{name}: ERROR (no such process)")
    }
}
