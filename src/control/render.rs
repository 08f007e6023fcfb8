//! Tables for people: the columns that users of supervisorctl know.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};
use fathom_kernel::{ServiceStatus, State, Timestamp, WatchStatus};

use super::wire::Usage;

/// Width of the column of names, unless a name is longer.
const NAME_WIDTH_MIN: usize = 30;
/// Space after the names.
const NAME_GAP: usize = 3;
/// Width of the column of states.
const STATE_WIDTH: usize = 10;

/// Returns one line per service: name, state, description; sorted by group, then by name. Colours
/// are always written; the stream takes them away where they are not wanted.
pub fn status_lines(services: &[ServiceStatus]) -> Vec<String> {
    let services = sorted(services);
    let width = name_width(&services);
    services
        .into_iter()
        .map(|service| {
            let note = service.counters.note.as_deref();
            let line = format!(
                "{:width$}{}{}{}",
                service.name,
                coloured(service.state),
                service.description,
                note.map_or(String::new(), |note| format!("; {note}"))
            );
            line.trim_end().to_owned()
        })
        .collect()
}

/// What the long form shows beside the usual columns.
#[derive(Debug, Clone, Copy)]
pub struct Details {
    /// What its process uses; `None` for an in-process service.
    pub usage: Option<Usage>,
    /// Share of one processor (%), when it was measured.
    pub cpu_percent: Option<f64>,
    /// Messages in and out (1/s).
    pub rate_hz: (f64, f64),
}

/// Returns the long form: a heading, then one line per service.
pub fn long_lines(
    services: &[ServiceStatus],
    details: impl Fn(&ServiceStatus) -> Details,
    now: Timestamp,
) -> Vec<String> {
    let services = sorted(services);
    let width = name_width(&services);
    let heading = format!(
        "{:width$}{:STATE_WIDTH$}{:8}{:>8}{:>7}{:>9}{:>8}{:>8}{:>17}{:>8}{:>9}{:>9}  {}",
        "NAME",
        "STATE",
        "HEALTH",
        "RESTARTS",
        "CPU%",
        "MEM",
        "QUEUE",
        "LAG",
        "RATE in/out",
        "AGE",
        "DROPPED",
        "INCIDENT",
        "DESCRIPTION"
    );
    let mut lines = vec![heading];
    for service in services {
        let details = details(service);
        let line = format!(
            "{:width$}{}{:8}{:>8}{:>7}{:>9}{:>8}{:>8}{:>17}{:>8}{:>9}{:>9}  {}",
            service.name,
            coloured(service.state),
            service.health,
            service.restarts,
            details
                .cpu_percent
                .map_or("-".to_owned(), |cpu| format!("{cpu:.1}")),
            memory(service, details.usage.map(|usage| usage.rss_bytes)),
            service
                .queues
                .iter()
                .map(|queue| queue.queued)
                .sum::<usize>(),
            service.counters.lag_s.map_or("-".to_owned(), lag),
            format!("{}/{}", rate(details.rate_hz.0), rate(details.rate_hz.1)),
            output_age(service, now),
            service.counters.dropped,
            service
                .last_incident
                .map_or_else(|| "-".to_owned(), |id| id.to_string()),
            service.description,
        );
        lines.push(line);
        lines.extend(
            service
                .counters
                .note
                .as_ref()
                .map(|note| format!("    note    {note}")),
        );
        lines.extend(bad_line(&service.counters.bad));
        lines.extend(watch_lines(&service.watch));
    }
    lines
}

/// Says below a service what it could not read.
fn bad_line(bad: &BTreeMap<String, u64>) -> Option<String> {
    (!bad.is_empty()).then(|| format!("    bad     {}", reasons(bad)))
}

/// Lists counts of bad messages by reason.
pub(crate) fn reasons(bad: &BTreeMap<String, u64>) -> String {
    let reasons = bad
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"));
    reasons.collect::<Vec<_>>().join(", ")
}

/// Returns the resident memory of a process, or what a monitor within ours says of its state.
fn memory(service: &ServiceStatus, rss_bytes: Option<u64>) -> String {
    let own = service.counters.memory_bytes;
    rss_bytes.or(own).map_or("-".to_owned(), bytes)
}

/// Writes how late a monitor is.
pub(crate) fn lag(lag_s: f64) -> String {
    match lag_s {
        s if s < 0.9995 => format!("{:.0}ms", s * 1e3),
        s if s < 99.95 => format!("{s:.1}s"),
        s => seconds(s),
    }
}

/// Says below a service why nothing is done about its health, and what its rules read.
fn watch_lines(watch: &WatchStatus) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(hold) = &watch.hold {
        let until = hold.until.map_or("it is released".to_owned(), |at| {
            at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
        });
        lines.push(format!("    held by {} until {until}", hold.by));
    } else if let Some(why) = &watch.suspended {
        lines.push(format!("    not judged: {why}"));
    }
    for rule in &watch.rules {
        let mut line = format!("    {:8}{}", rule.health, rule.rule);
        let ages = [("in", rule.input_age_s), ("out", rule.output_age_s)];
        for (word, age_s) in ages {
            if let Some(age_s) = age_s {
                line.push_str(&format!(", {word} {} ago", seconds(age_s)));
            }
        }
        if let Some(queued) = rule.queued {
            line.push_str(&format!(", {queued} waiting"));
        }
        if let Some(rate_hz) = rule.rate_hz {
            line.push_str(&format!(", {rate_hz:.1} Hz"));
        }
        if let Some(trouble) = &rule.trouble {
            line.push_str(&format!(", {} in a row: {trouble}", rule.fails));
        }
        lines.push(line);
    }
    lines
}

fn sorted(services: &[ServiceStatus]) -> Vec<&ServiceStatus> {
    let mut services: Vec<_> = services.iter().collect();
    services.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
    services
}

fn name_width(services: &[&ServiceStatus]) -> usize {
    let longest = services.iter().map(|s| s.name.chars().count()).max();
    longest.unwrap_or(0).max(NAME_WIDTH_MIN) + NAME_GAP
}

/// Pads first and colours then, so that the escape codes do not count.
fn coloured(state: State) -> String {
    let style = style(state);
    format!("{style}{state:STATE_WIDTH$}{style:#}")
}

fn style(state: State) -> Style {
    let colour = match state {
        State::Running => AnsiColor::Green,
        State::Starting | State::Stopping => AnsiColor::Cyan,
        State::Backoff => AnsiColor::Yellow,
        State::Stopped | State::Exited => AnsiColor::BrightBlack,
        State::Fatal | State::Unknown => AnsiColor::Red,
    };
    Style::new().fg_color(Some(colour.into()))
}

fn rate(rate_hz: f64) -> String {
    match rate_hz {
        r if r >= 1e6 => format!("{:.1}M", r / 1e6),
        r if r >= 1e3 => format!("{:.1}k", r / 1e3),
        r if r >= 10.0 => format!("{r:.0}"),
        r => format!("{r:.1}"),
    }
}

fn bytes(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib >= 1024.0 {
        format!("{:.1}GiB", mib / 1024.0)
    } else {
        format!("{mib:.1}MiB")
    }
}

fn output_age(service: &ServiceStatus, now: Timestamp) -> String {
    let by_counter = service.counters.last_output;
    let by_counter = by_counter.map(|at| now.duration_since(at).as_secs_f64());
    let age_s = service.watch.output_age_s.or(by_counter);
    age_s.map_or("-".to_owned(), seconds)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole seconds"
)]
fn seconds(age_s: f64) -> String {
    let age_s = age_s.max(0.0) as u64;
    match age_s {
        0..60 => format!("{age_s}s"),
        60..3600 => format!("{}m{:02}s", age_s / 60, age_s % 60),
        _ => format!("{}h{:02}m", age_s / 3600, age_s / 60 % 60),
    }
}
