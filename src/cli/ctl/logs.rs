//! `ctl logs`: the ends of several logs, or all of them as they grow.

use clap::Args;
use fathom_kernel::{LogLine, Span, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::CtlError;
use super::session::Session;
use super::tail::print;
use crate::control::{LIVE_EVENT, LOG_EVENT, Signal};
use crate::telemetry::shown;

/// Lines waiting to be printed; the readers wait when it is full, and the supervisor drops for them.
const WAITING_MAX: usize = 256;

/// Most logs of which each has a connection of its own. More come over the bus of the stack.
const STREAMS_MAX: usize = 16;

/// Arguments of `logs`.
#[derive(Debug, Args)]
#[command(after_help = "\
More than 16 logs are followed over the bus of the stack: at most 1000 lines a second of each, what is
left out is said.")]
pub(super) struct Logs {
    /// Services or groups; all without it.
    targets: Vec<String>,
    /// Lines from the end of each.
    #[arg(short = 'n', long, default_value_t = 20)]
    lines: usize,
    /// Lines since a time, or since so long ago (`10m`), instead.
    #[arg(long, value_name = "TIME|SPAN", value_parser = since, conflicts_with = "lines")]
    since: Option<Timestamp>,
    /// Go on with new lines as they come.
    #[arg(short, long)]
    follow: bool,
}

impl Logs {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let status = session.client.status(&self.targets).await?;
        let names: Vec<String> = status.services.into_iter().map(|s| s.name).collect();
        match (self.follow, names.len() > STREAMS_MAX) {
            (false, _) => self.show(session, &names).await?,
            (true, false) => self.follow(session, names).await?,
            (true, true) => self.follow_bus(session, &names).await?,
        }
        Ok(0)
    }

    async fn show(&self, session: &mut Session, names: &[String]) -> Result<(), CtlError> {
        let mut all = Vec::new();
        for name in names {
            let part = match self.since {
                Some(since) => session.client.lines_since(name, since).await?,
                None => session.client.last_lines(name, self.lines).await?,
            };
            if part.cut {
                anstream::eprintln!("{name} | (older lines are left out)");
            }
            all.extend(part.lines);
        }
        merged(session, all)
    }

    /// Follows many logs at once. Subscribed first: what comes while the past is shown may be shown
    /// twice, but is not missed.
    async fn follow_bus(&self, session: &mut Session, names: &[String]) -> Result<(), CtlError> {
        let mut events = session.client.events(LOG_EVENT).await?;
        self.show(session, names).await?;
        while let Some(signal) = events.next().await {
            let line = serde_json::from_str::<LogLine>(&signal.data).ok();
            let name = line.map(|line| line.service);
            if name.as_ref().is_none_or(|name| names.contains(name)) {
                print(session, &signal, name.as_deref())?;
            }
        }
        Ok(())
    }

    async fn follow(&self, session: &mut Session, names: Vec<String>) -> Result<(), CtlError> {
        let (to, mut from) = mpsc::channel::<(String, Signal)>(WAITING_MAX);
        let mut readers = JoinSet::new();
        for name in names {
            let mut lines = match self.since {
                Some(since) => session.client.follow_since(&name, since).await?,
                None => session.client.follow(&name, self.lines).await?,
            };
            let to = to.clone();
            readers.spawn(async move {
                while let Some(signal) = lines.next().await {
                    if to.send((name.clone(), signal)).await.is_err() {
                        return;
                    }
                }
            });
        }
        drop(to);
        // What was there of all is shown in order, then what comes as it does.
        let (mut past, mut pasts) = (Vec::new(), readers.len());
        while let Some((name, signal)) = from.recv().await {
            match signal.name.as_str() {
                LIVE_EVENT => {
                    pasts -= 1;
                    if pasts == 0 {
                        merged(session, std::mem::take(&mut past))?;
                    }
                }
                LOG_EVENT if pasts > 0 => {
                    past.extend(serde_json::from_str::<LogLine>(&signal.data))
                }
                _ => print(session, &signal, Some(&name))?,
            }
        }
        merged(session, past)
    }
}

/// Prints lines of several logs in the order of time; each log is in order, and stays so.
fn merged(session: &mut Session, mut lines: Vec<LogLine>) -> Result<(), CtlError> {
    lines.sort_by_key(|line| line.at);
    for line in lines {
        match session.json {
            true => session.value(&line)?,
            false => session.line(&format!("{} | {}", line.service, shown(&line)))?,
        }
    }
    Ok(())
}

/// Reads a time, or a span before now.
fn since(text: &str) -> Result<Timestamp, String> {
    let time = match text.parse::<Span>() {
        Ok(span) => Timestamp::now().checked_sub(span.duration()).ok(),
        Err(_) => text.parse().ok(),
    };
    time.ok_or_else(|| "expected a time (2026-01-31T12:00:00Z) or a span (10m)".to_owned())
}
