//! A report for people. Colours are always written; the stream takes them away where they are not
//! wanted.

use anstyle::{AnsiColor, Style};
use fathom_kernel::{Health, Timestamp};

use super::report::{Incident, Line};

const HEAD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const BAD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));

/// Returns the lines of a report.
pub fn lines(incident: &Incident) -> Vec<String> {
    let mut lines = vec![format!(
        "{HEAD}incident {}{HEAD:#}  {HEAD}{}{HEAD:#}  {BAD}{}{BAD:#}",
        incident.id, incident.service, incident.reason
    )];
    lines.extend(facts(incident).into_iter().map(|(name, text)| {
        let mut parts = text.lines();
        let first = parts.next().unwrap_or_default();
        let rest: String = parts.map(|part| format!("\n{:14}{part}", "")).collect();
        format!("  {FAINT}{name:12}{FAINT:#}{first}{rest}")
    }));
    section(&mut lines, "backtrace", backtrace(incident));
    section(&mut lines, "health", health(incident));
    section(&mut lines, "standard output", output(&incident.stdout));
    section(&mut lines, "standard error", output(&incident.stderr));
    section(&mut lines, "records", output(&incident.records));
    let events = incident.events.iter().map(|entry| {
        let subject = entry.what.subject().word();
        format!("{} {subject:8} {}", time(entry.what.at()), entry.what)
    });
    section(&mut lines, "events of the stack", events.collect());
    lines
}

/// Returns the figures, each with its name.
fn facts(incident: &Incident) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    facts.push(("incarnation", incident.incarnation.to_string()));
    let files = incident.sha256.get(..12).unwrap_or_default();
    let configuration = format!("{} {files}", incident.generation);
    facts.push(("generation", configuration.trim_end().to_owned()));
    if let Some(started) = incident.started {
        facts.push(("started", format!("{started:.3}")));
    }
    facts.push(("ended", format!("{:.3}", incident.ended)));
    if let Some(uptime_s) = incident.uptime_s {
        facts.push(("uptime", format!("{uptime_s:.3} s")));
    }
    if let Some(detail) = &incident.detail {
        facts.push(("detail", detail.clone()));
    }
    facts.push(("failures", format!("{} in a row", incident.streak)));
    facts.push(("next", incident.next.clone()));
    if let Some(spent) = &incident.spent {
        if let Some(bytes) = spent.max_rss_bytes {
            facts.push(("memory", format!("{:.1} MiB at most", mib(bytes))));
        }
        let cpu = format!("{:.3} s user, {:.3} s system", spent.user_s, spent.system_s);
        facts.push(("processor", cpu));
        let (minor, major) = (spent.minor_faults, spent.major_faults);
        facts.push(("page faults", format!("{minor} minor, {major} major")));
        let (own, other) = (spent.voluntary_switches, spent.involuntary_switches);
        facts.push(("switches", format!("{own} voluntary, {other} involuntary")));
    }
    let peaks = &incident.peaks;
    if peaks.looks > 0 {
        let seen = format!(
            "{:.1} MiB, {} threads, {} open files ({} looks)",
            mib(peaks.rss_bytes),
            peaks.threads,
            peaks.open_files,
            peaks.looks
        );
        facts.push(("peaks", seen));
    }
    if let (Some(messages), Some(bytes)) = (peaks.queued, peaks.queued_bytes) {
        facts.push(("queue", format!("{messages} messages, {bytes} bytes")));
    }
    let dependencies = incident.dependencies.iter().map(|dependency| {
        let state = dependency.state.map_or("unknown", |state| state.name());
        match dependency.health {
            Health::Unknown => format!("{} {state}", dependency.name),
            health => format!("{} {state} {health}", dependency.name),
        }
    });
    let dependencies: Vec<String> = dependencies.collect();
    if !dependencies.is_empty() {
        facts.push(("depends on", dependencies.join("\n")));
    }
    facts
}

fn section(lines: &mut Vec<String>, name: &str, content: Vec<String>) {
    if !content.is_empty() {
        lines.push(String::new());
        lines.push(format!("{HEAD}{name}{HEAD:#}"));
        lines.extend(content.into_iter().map(|line| format!("  {line}")));
    }
}

fn backtrace(incident: &Incident) -> Vec<String> {
    let text = incident.backtrace.as_deref().unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn health(incident: &Incident) -> Vec<String> {
    let steps = incident.health.iter();
    steps
        .map(|step| format!("{} {:8} {}", time(Some(step.at)), step.health, step.reason))
        .collect()
}

fn output(lines: &[Line]) -> Vec<String> {
    let lines = lines.iter();
    lines
        .map(|line| format!("{} {}", time(Some(line.at)), line.line))
        .collect()
}

fn time(at: Option<Timestamp>) -> String {
    let text = at.map_or_else(|| "-".to_owned(), |at| format!("{at:.3}"));
    format!("{FAINT}{text:24}{FAINT:#}")
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
