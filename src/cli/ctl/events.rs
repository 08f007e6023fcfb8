//! `ctl events`: what happened, and what happens.

use clap::Args;
use fathom_kernel::{Alarm, LifeChange, LogLine};

use super::CtlError;
use super::session::Session;
use crate::control::{Announcement, Lagged, Signal};

/// Arguments of `events`.
#[derive(Debug, Args)]
pub(super) struct Events {
    /// Go on with events as they come.
    #[arg(short, long)]
    follow: bool,
    /// Past events to begin with.
    #[arg(short = 'n', long, default_value_t = 20)]
    last: usize,
    /// Topics out of life, alarm, output, log; outputs and log lines are only followed.
    #[arg(long, value_delimiter = ',', default_value = "life,alarm")]
    topics: Vec<String>,
}

impl Events {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let topics = self.topics.join(",");
        let mut events = session
            .client
            .events_since(&topics, self.last, self.follow)
            .await?;
        while let Some(event) = events.next().await {
            print(session, &event)?;
        }
        Ok(0)
    }
}

fn print(session: &mut Session, event: &Signal) -> Result<(), CtlError> {
    if session.json {
        // The data are JSON already; parsing them only to print them again would gain nothing.
        return session.line(&format!(
            "{{\"event\":\"{}\",\"data\":{}}}",
            event.name, event.data
        ));
    }
    match text(event) {
        Some(text) => session.line(&text),
        None => Ok(()),
    }
}

fn text(event: &Signal) -> Option<String> {
    let data = event.data.as_str();
    match event.name.as_str() {
        "life" => {
            let life: LifeChange = serde_json::from_str(data).ok()?;
            let reason = if life.reason.is_empty() {
                String::new()
            } else {
                format!(" ({})", life.reason)
            };
            Some(format!(
                "{:.3} life   {}: {} -> {}{reason}",
                life.at, life.service, life.from, life.to
            ))
        }
        "alarm" => {
            let alarm: Alarm = serde_json::from_str(data).ok()?;
            let now = if alarm.firing { "" } else { "cleared: " };
            Some(format!(
                "{:.3} alarm  {}: {now}{} {}: {}",
                alarm.at, alarm.service, alarm.rule, alarm.subject, alarm.text
            ))
        }
        "output" => {
            let output: Announcement = serde_json::from_str(data).ok()?;
            Some(format!(
                "{:.3} output {}: {} version {}",
                output.updated, output.service, output.name, output.version
            ))
        }
        "log" => {
            let line: LogLine = serde_json::from_str(data).ok()?;
            Some(format!(
                "{:.3} log    {}: {}",
                line.at, line.service, line.line
            ))
        }
        "lagged" => {
            let Lagged { missed } = serde_json::from_str(data).ok()?;
            Some(format!("({missed} events missed)"))
        }
        _ => None,
    }
}
