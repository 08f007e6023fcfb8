//! `ctl events`: what happened, and what happens.

use clap::Args;
use fathom_kernel::{LogLine, Span, Timestamp};

use super::CtlError;
use super::session::Session;
use crate::chronicle::{Entry, Subject, What};
use crate::control::{
    Announcement, EventRange, LAGGED_EVENT, LOG_EVENT, Lagged, OUTPUT_EVENT, Signal,
};

/// Arguments of `events`.
#[derive(Debug, Args)]
pub(super) struct Events {
    /// Go on with events as they come.
    #[arg(short, long)]
    follow: bool,
    /// Past events to begin with.
    #[arg(
        short = 'n',
        long,
        default_value_t = 20,
        conflicts_with = "since",
        value_name = "COUNT"
    )]
    last: usize,
    /// Begin behind the event of this number, with the first one of this time
    /// (2026-11-21T05:00:00Z), or so long ago (10m).
    #[arg(long, value_name = "NUMBER|TIME")]
    since: Option<String>,
    /// Topics out of boot, life, alarm, command, outcome, verdict, reload, rotation, incident,
    /// notice, gap, output, log; all but the last two without it. Outputs and log lines are only
    /// followed.
    #[arg(long, value_delimiter = ',')]
    topics: Vec<String>,
}

impl Events {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let topics = match self.topics.as_slice() {
            [] => Subject::ALL.map(Subject::word).join(","),
            topics => topics.join(","),
        };
        let range = match &self.since {
            Some(since) => EventRange::Since(absolute(since)),
            None => EventRange::Last(self.last),
        };
        let mut events = session
            .client
            .events_of(&topics, &range, self.follow)
            .await?;
        while let Some(event) = events.next().await {
            print(session, &event)?;
        }
        Ok(0)
    }
}

/// Makes a time of a span before now; what else it may be, the supervisor finds out.
fn absolute(since: &str) -> String {
    let is_number = since.bytes().all(|byte| byte.is_ascii_digit());
    let span = since.parse::<Span>().ok().filter(|_| !is_number);
    let time = span.and_then(|span| Timestamp::now().checked_sub(span.duration()).ok());
    time.map_or_else(|| since.to_owned(), |time| time.to_string())
}

fn print(session: &mut Session, event: &Signal) -> Result<(), CtlError> {
    if session.json {
        // The data are JSON already; parsing them only to print them again would gain nothing.
        let number = match event.id.as_str() {
            "" => String::new(),
            id => format!("\"sequence\":{id},"),
        };
        return session.line(&format!(
            "{{{number}\"event\":\"{}\",\"data\":{}}}",
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
        OUTPUT_EVENT => {
            let output: Announcement = serde_json::from_str(data).ok()?;
            Some(format!(
                "{:.3} output {}: {} version {}",
                output.updated, output.service, output.name, output.version
            ))
        }
        LOG_EVENT => {
            let line: LogLine = serde_json::from_str(data).ok()?;
            Some(format!(
                "{:.3} log    {}: {}",
                line.at, line.service, line.line
            ))
        }
        LAGGED_EVENT => {
            let Lagged { missed } = serde_json::from_str(data).ok()?;
            Some(format!("({missed} events missed)"))
        }
        name => {
            let data: serde_json::Value = serde_json::from_str(data).ok()?;
            let whole = serde_json::json!({ "sequence": 0, "event": name, "data": data });
            let entry: Entry = serde_json::from_value(whole).ok()?;
            Some(line(&entry.what))
        }
    }
}

/// Says in one line what happened.
fn line(what: &What) -> String {
    let word = what.subject().word();
    let said = what.to_string();
    match what.at() {
        Some(at) => format!("{at:.3} {word:6} {said}"),
        None => format!("{word:6} {said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_time_before_now_and_a_number_stays_one() {
        assert_eq!(absolute("17"), "17");
        let time = "2026-11-21T05:00:00Z";
        assert_eq!(absolute(time), time);
        let ago: Timestamp = absolute("10m").parse().unwrap();
        let age = Timestamp::now().duration_since(ago).as_secs();
        assert!((600..660).contains(&age));
    }
}
