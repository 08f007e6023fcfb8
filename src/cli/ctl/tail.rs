//! `ctl tail`: the end of one log.

use clap::Args;
use fathom_kernel::LogLine;

use super::CtlError;
use super::session::Session;
use crate::control::{LAGGED_EVENT, LIVE_EVENT, LOG_EVENT, Lagged, Signal};
use crate::telemetry::shown;

/// Arguments of `tail`.
#[derive(Debug, Args)]
pub(super) struct Tail {
    /// Service; the supervisor itself without it.
    #[arg(default_value = "")]
    name: String,
    /// Lines from the end.
    #[arg(short = 'n', long, default_value_t = 20)]
    lines: usize,
    /// Bytes from the end of the log file instead, as they are.
    #[arg(short = 'c', long, conflicts_with_all = ["lines", "follow"])]
    bytes: Option<u32>,
    /// Go on with new lines as they come.
    #[arg(short, long)]
    follow: bool,
}

impl Tail {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        if let Some(bytes) = self.bytes {
            let part = session.client.last_bytes(&self.name, bytes).await?;
            session.bytes(&part)?;
            return Ok(0);
        }
        if self.follow {
            let mut lines = session.client.follow(&self.name, self.lines).await?;
            while let Some(signal) = lines.next().await {
                print(session, &signal, None)?;
            }
            return Ok(0);
        }
        let lines = session.client.tail(&self.name, self.lines).await?;
        if session.json {
            session.value(&lines)?;
        } else {
            for line in lines {
                session.line(&line)?;
            }
        }
        Ok(0)
    }
}

/// Prints one event of a followed log, with the name of its service when several are followed.
pub(super) fn print(
    session: &mut Session,
    signal: &Signal,
    name: Option<&str>,
) -> Result<(), CtlError> {
    if signal.name == LIVE_EVENT {
        return Ok(());
    }
    if session.json {
        return session.line(&signal.data);
    }
    let prefix = name.map(|name| format!("{name} | ")).unwrap_or_default();
    match signal.name.as_str() {
        LOG_EVENT => match serde_json::from_str::<LogLine>(&signal.data) {
            Ok(line) => session.line(&format!("{prefix}{}", shown(&line))),
            Err(_) => Ok(()),
        },
        LAGGED_EVENT => {
            if let Ok(Lagged { missed }) = serde_json::from_str(&signal.data) {
                anstream::eprintln!("{prefix}({missed} lines missed)");
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
