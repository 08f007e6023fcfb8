//! `ctl alarms`: what fires, and what is done about it.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::{Args, Subcommand};
use fathom_kernel::{Severity, Span, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::CtlError;
use super::session::Session;

const BAD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));
const WARN: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)));

/// How long a mute lasts when nothing is said.
const MUTE: Duration = Duration::from_secs(3600);

/// Arguments of `alarms`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without a verb, lists the alarms. Rules and subjects may have wildcards: `*` stands for any characters.
Exit codes: 0 done; 1 nothing is meant, or the stack has no alarm engine.")]
pub(super) struct Alarms {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List alarms: what fires first, what is over last.
    List(List),
    /// Say that somebody looks at it: it is not told again.
    Ack(Pick),
    /// Say that it is over, whatever the service says.
    Resolve(Pick),
    /// Do not tell alarms for some time, those that come included.
    Mute(Mute),
    /// Tell alarms again.
    Unmute(Pick),
    /// Send a notice to all sinks, to see whether it arrives.
    Test(Test),
}

#[derive(Debug, Default, Args)]
struct List {
    /// Those that are over as well.
    #[arg(short, long)]
    all: bool,
}

/// What is meant, and by whom.
#[derive(Debug, Args)]
struct Pick {
    /// Number of an alarm (of a mute, for `unmute`), or a rule.
    what: String,
    /// What the alarm is about; any subject when not given.
    subject: Option<String>,
    #[command(flatten)]
    author: Author,
}

#[derive(Debug, Args)]
struct Author {
    /// In whose name; by default the user.
    #[arg(
        long,
        value_name = "NAME",
        env = "USER",
        hide_env_values = true,
        default_value = "ctl"
    )]
    by: String,
}

#[derive(Debug, Args)]
struct Mute {
    /// Which rule.
    rule: String,
    /// What the alarms are about; any subject when not given.
    subject: Option<String>,
    /// How long [default: 1h].
    #[arg(long = "for", value_name = "TIME", conflicts_with = "until")]
    time: Option<Span>,
    /// When it ends (UTC), such as `18:00`, `2026-11-21 18:00` or `2026-11-21T18:00:00Z`.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    author: Author,
}

#[derive(Debug, Args)]
struct Test {
    /// How bad it shall be: `info`, `warning` or `alert`.
    #[arg(long, default_value = "alert", value_parser = severity)]
    severity: Severity,
    #[command(flatten)]
    author: Author,
}

fn severity(text: &str) -> Result<Severity, String> {
    let read = serde_json::from_value(Value::from(text));
    read.map_err(|_| "expected info, warning or alert".to_owned())
}

/// What the engine tells of alarms.
#[derive(Debug, Deserialize)]
struct Told {
    alarms: Vec<Alarm>,
    mutes: Vec<MuteTold>,
}

#[derive(Debug, Deserialize)]
struct Alarm {
    id: u64,
    key: Key,
    severity: Severity,
    stage: String,
    text: String,
    since: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Key {
    rule: String,
    subject: String,
}

#[derive(Debug, Deserialize)]
struct MuteTold {
    id: u64,
    rule: String,
    subject: String,
    until: Timestamp,
    by: String,
    reason: String,
}

impl Alarms {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let (verb, args) = match self.verb.unwrap_or(Verb::List(List::default())) {
            Verb::List(list) => return list.run(session).await,
            Verb::Ack(pick) => ("acknowledge", pick.args()),
            Verb::Resolve(pick) => ("resolve", pick.args()),
            Verb::Unmute(pick) => ("unmute", pick.args()),
            Verb::Mute(mute) => ("mute", mute.args()),
            Verb::Test(test) => {
                let Test { severity, author } = test;
                ("test", json!({ "severity": severity, "by": author.by }))
            }
        };
        let answer = ask(session, verb, args).await?;
        if session.json {
            session.value(&answer)?;
            return Ok(0);
        }
        let ids = answer.get("alarms").and_then(Value::as_array);
        let ids = ids.map(Vec::as_slice).unwrap_or_default();
        let ids: Vec<String> = ids.iter().map(|id| format!("#{id}")).collect();
        match ids.is_empty() {
            true => session.line("done; no alarm changes now")?,
            false => session.line(&format!("done: {}", ids.join(", ")))?,
        }
        Ok(0)
    }
}

/// Asks the alarm engine of the stack.
async fn ask(session: &mut Session, verb: &str, args: Value) -> Result<Value, CtlError> {
    let status = session.client.status(&[]).await?;
    let mut services = status.services.into_iter();
    let engine = services.find(|service| service.kind.as_deref() == Some("alarms"));
    let engine = engine.ok_or_else(|| {
        CtlError::Missing("this stack has no service of kind `alarms`".to_owned())
    })?;
    Ok(session.client.request(&engine.name, verb, args).await?)
}

impl Pick {
    fn args(self) -> Value {
        let by = self.author.by;
        let number = self.what.trim_start_matches('#').parse::<u64>();
        match (number, &self.subject) {
            (Ok(id), None) => json!({ "id": id, "by": by }),
            _ => json!({
                "rule": self.what, "subject": self.subject.unwrap_or_else(any), "by": by,
            }),
        }
    }
}

impl Mute {
    fn args(self) -> Value {
        let mut args = Map::new();
        args.insert("rule".to_owned(), self.rule.into());
        args.insert(
            "subject".to_owned(),
            self.subject.unwrap_or_else(any).into(),
        );
        args.insert("by".to_owned(), self.author.by.into());
        args.insert("reason".to_owned(), self.reason.into());
        match self.until {
            Some(until) => args.insert("until".to_owned(), until.into()),
            None => {
                let time = self.time.unwrap_or(MUTE.into());
                args.insert("for".to_owned(), time.to_string().into())
            }
        };
        Value::Object(args)
    }
}

fn any() -> String {
    "*".to_owned()
}

impl List {
    async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let answer = ask(session, "list", Value::Null).await?;
        if session.json {
            session.value(&answer)?;
            return Ok(0);
        }
        let told = Told::deserialize(&answer).map_err(std::io::Error::other)?;
        for line in lines(&told, self.all) {
            session.line(&line)?;
        }
        Ok(0)
    }
}

fn lines(told: &Told, all: bool) -> Vec<String> {
    let rank = |alarm: &Alarm| match &*alarm.stage {
        "firing" => 0,
        "acknowledged" => 1,
        "muted" => 2,
        "pending" => 3,
        _ => 4,
    };
    let shown = told.alarms.iter();
    let mut shown: Vec<&Alarm> = shown.filter(|a| all || a.stage != "resolved").collect();
    shown.sort_by_key(|alarm| (rank(alarm), std::cmp::Reverse(alarm.severity), alarm.id));
    let width = |text: fn(&Alarm) -> &str| {
        let widths = shown.iter().map(|alarm| text(alarm).chars().count());
        widths.max().unwrap_or(0)
    };
    let (rule, subject) = (width(|a| &a.key.rule), width(|a| &a.key.subject));
    let line = |alarm: &&Alarm| {
        let style = match (alarm.severity, &*alarm.stage) {
            (Severity::Alert, "firing") => BAD,
            (Severity::Warning, "firing") => WARN,
            _ => Style::new(),
        };
        let Alarm {
            id, stage, since, ..
        } = alarm;
        let Key {
            rule: r,
            subject: s,
        } = &alarm.key;
        let severity = json!(alarm.severity);
        let severity = severity.as_str().unwrap_or_default();
        let number = format!("#{id}");
        format!(
            "{number:>6}  {style}{severity:8}{stage:13}{style:#}{r:rule$}  {s:subject$}  {since:.0}  {}",
            alarm.text
        )
    };
    let mut lines: Vec<String> = shown.iter().map(line).collect();
    if lines.is_empty() {
        lines.push("no alarms".to_owned());
    }
    for mute in &told.mutes {
        let MuteTold {
            id,
            rule,
            subject,
            until,
            by,
            reason,
        } = mute;
        let why = if reason.is_empty() {
            String::new()
        } else {
            format!(": {reason}")
        };
        lines.push(format!(
            "mute {id} of {rule} {subject} until {until:.0} by {by}{why}"
        ));
    }
    lines
}
