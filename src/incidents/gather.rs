//! Makes the report of a case: what the keeper knows, and the last lines and events around it.

use std::sync::Arc;

use fathom_kernel::{Exit, Health, LogLine, LogStream};

use super::report::{Case, Dependency, HealthStep, Incident, Line};
use super::shelf::Sources;
use crate::chronicle::{Subject, Subjects, What};
use crate::telemetry::Records;

/// Most lines of each stream.
const LINES_MAX: usize = 200;

/// Longer lines are cut here.
const LINE_BYTES_MAX: usize = 4 << 10;

/// Most bytes of all lines of one stream.
const STREAM_BYTES_MAX: usize = 256 << 10;

/// Most events.
const EVENTS_MAX: usize = 50;

/// Most changes of health.
const HEALTH_MAX: usize = 50;

/// Makes the report of a case.
pub(super) fn gather(id: u64, case: Case, sources: &Sources) -> Incident {
    let tail = sources.records.tail(&case.service, Records::LINES_MAX);
    let tail = tail.unwrap_or_default();
    let uptime = case
        .started
        .map(|started| case.ended.duration_since(started));
    Incident {
        id,
        stdout: lines_of(&tail, LogStream::Stdout),
        stderr: lines_of(&tail, LogStream::Stderr),
        records: lines_of(&tail, LogStream::Record),
        health: health_of(&case, sources),
        dependencies: dependencies_of(&case, sources),
        events: sources.chronicle.last(EVENTS_MAX, &Subject::ALL.into()),
        service: case.service.to_string(),
        incarnation: case.incarnation,
        generation: case.generation,
        sha256: case.sha256,
        started: case.started,
        ended: case.ended,
        uptime_s: uptime.map(|uptime| uptime.as_secs_f64().max(0.0)),
        detail: case.exit.as_ref().and_then(detail_of),
        reason: case.reason,
        backtrace: case.autopsy.backtrace,
        streak: case.streak,
        next: case.next,
        spent: case.autopsy.spent,
        peaks: case.peaks,
    }
}

fn lines_of(tail: &[Arc<LogLine>], stream: LogStream) -> Vec<Line> {
    let of_stream = tail.iter().rev().filter(|line| line.stream == stream);
    let mut bytes = 0;
    let mut lines: Vec<Line> = of_stream
        .take(LINES_MAX)
        .map(|line| Line {
            at: line.at,
            line: cut(&line.line),
        })
        .take_while(|line| {
            bytes += line.line.len();
            bytes <= STREAM_BYTES_MAX
        })
        .collect();
    lines.reverse();
    lines
}

fn cut(line: &str) -> String {
    match line.get(..line.floor_char_boundary(LINE_BYTES_MAX)) {
        Some(part) if part.len() < line.len() => format!("{part}…"),
        Some(_) | None => line.to_owned(),
    }
}

fn health_of(case: &Case, sources: &Sources) -> Vec<HealthStep> {
    let verdicts: Subjects = [Subject::Verdict].into();
    let mut steps: Vec<HealthStep> = sources
        .chronicle
        .last(usize::MAX, &verdicts)
        .iter()
        .rev()
        .filter_map(|entry| match &entry.what {
            What::Verdict(verdict)
                if *verdict.service == *case.service && verdict.incarnation == case.incarnation =>
            {
                Some(HealthStep {
                    at: verdict.at,
                    health: verdict.to,
                    reason: verdict.reason.clone(),
                })
            }
            _ => None,
        })
        .take(HEALTH_MAX)
        .collect();
    steps.reverse();
    steps
}

fn dependencies_of(case: &Case, sources: &Sources) -> Vec<Dependency> {
    let standings = case.upstream.iter().map(|name| {
        let standing = sources.chronicle.standing(name);
        Dependency {
            name: name.clone(),
            state: standing.map(|standing| standing.state),
            health: standing.map_or(Health::Unknown, |standing| standing.health),
        }
    });
    standings.collect()
}

/// Returns what the short reason does not say.
fn detail_of(exit: &Exit) -> Option<String> {
    match exit {
        Exit::NotStarted(text) | Exit::Failed(text) | Exit::Panicked(text) => Some(text.clone()),
        Exit::Code(_) | Exit::Signal(_) | Exit::Aborted | Exit::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use fathom_kernel::Timestamp;

    use super::*;

    #[test]
    fn the_last_lines_of_each_stream_are_kept_within_bounds() {
        let line = |number: usize, stream| {
            Arc::new(LogLine {
                service: "a".to_owned(),
                incarnation: 1,
                stream,
                line: format!("{number}{}", "x".repeat(number)),
                at: Timestamp::UNIX_EPOCH,
            })
        };
        let tail: Vec<_> = (0..500)
            .map(|number| line(number, [LogStream::Stdout, LogStream::Stderr][number % 2]))
            .chain([line(10_000, LogStream::Record)])
            .collect();
        let out = lines_of(&tail, LogStream::Stdout);
        assert_eq!(out.len(), LINES_MAX);
        assert!(out.last().unwrap().line.starts_with("498x"));
        let records = lines_of(&tail, LogStream::Record);
        assert!(records[0].line.len() <= LINE_BYTES_MAX + '…'.len_utf8());
        let long: Vec<_> = (0..200).map(|_| line(4000, LogStream::Stdout)).collect();
        let kept = lines_of(&long, LogStream::Stdout);
        let bytes: usize = kept.iter().map(|line| line.line.len()).sum();
        assert!(bytes <= STREAM_BYTES_MAX && bytes > STREAM_BYTES_MAX / 2);
    }
}
