//! What became of conditions whose service has ended, started anew, or been asked.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use fathom_kernel::{Alarm, ServiceStatus, StackStatus, State, Want};
use jiff::Timestamp;

use super::watch::{Finding, Verdict};
use crate::engine::{Book, Case, Key};

/// Returns the ends of conditions that nobody will say any more: the service is stopped by wish or
/// gone, or was started anew and has not said it again in time. What `own` says is left alone.
pub(crate) fn orphans(
    book: &Book,
    status: &StackStatus,
    (own, now): (&str, Timestamp),
    confirm_within: Duration,
) -> Vec<Alarm> {
    let services: HashMap<&str, &ServiceStatus> = status
        .services
        .iter()
        .map(|service| (&*service.name, service))
        .collect();
    let held = book
        .cases()
        .filter(|case| case.holds && case.key.service != own);
    held.filter_map(|case| {
        let service = services.get(&*case.key.service).copied();
        let why = orphaned(case, service, now, confirm_within)?;
        Some(over(case, &why, now))
    })
    .collect()
}

fn orphaned(
    case: &Case,
    service: Option<&ServiceStatus>,
    now: Timestamp,
    confirm_within: Duration,
) -> Option<String> {
    let name = &case.key.service;
    let is_late = |since: Timestamp| {
        let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        passed > confirm_within
    };
    let Some(service) = service else {
        return is_late(case.said).then(|| format!("{name} is not part of the stack any more"));
    };
    match service.state {
        State::Stopped => {
            // Between the two halves of a restart it is stopped as well.
            let is_meant = service.want == Want::Down;
            is_meant.then(|| format!("{name} was stopped"))
        }
        State::Running => {
            let started = service.started?;
            let is_former = case.said < started;
            (is_former && is_late(started))
                .then(|| format!("not said again since {name} was started anew"))
        }
        State::Starting
        | State::Backoff
        | State::Stopping
        | State::Exited
        | State::Fatal
        | State::Unknown => None,
    }
}

/// Makes the end of a condition.
fn over(case: &Case, why: &str, now: Timestamp) -> Alarm {
    Alarm {
        service: case.key.service.clone(),
        rule: case.key.rule.clone(),
        subject: case.key.subject.clone(),
        severity: case.severity,
        firing: false,
        text: format!("{why}; before: {}", case.text),
        at: now,
    }
}

/// A service was asked which of its conditions hold.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) service: String,
    /// When it was asked: what it said later is newer than its answer.
    pub(crate) asked: Timestamp,
    pub(crate) conditions: Vec<Alarm>,
    /// When its present incarnation began.
    pub(crate) started: Option<Timestamp>,
}

/// Returns what follows from an answer: conditions that the engine missed, and ends of those that
/// this incarnation said and took back unheard. `cleared` are those that ended since it was asked.
pub(crate) fn answer(
    book: &Book,
    answered: Answered,
    cleared: &BTreeSet<Key>,
    now: Timestamp,
) -> Vec<Alarm> {
    let Answered {
        service,
        asked,
        conditions,
        started,
    } = answered;
    let key = |alarm: &Alarm| Key {
        service: service.clone(),
        rule: alarm.rule.clone(),
        subject: alarm.subject.clone(),
    };
    let named: BTreeSet<Key> = conditions.iter().map(key).collect();
    let gone = book
        .cases()
        .filter(|case| case.holds && case.key.service == service && !named.contains(&case.key))
        .filter(|case| case.said < asked && started.is_some_and(|started| case.said >= started))
        .map(|case| over(case, &format!("{service} does not say it any more"), now));
    let gone: Vec<Alarm> = gone.collect();
    let missed = conditions.into_iter();
    let missed = missed.filter(|alarm| !cleared.contains(&key(alarm)));
    gone.into_iter().chain(missed).collect()
}

/// Returns what follows from own findings, given what is held already: every finding that is bad, and
/// the ends of those that are good, or whose subject is no longer there.
pub(crate) fn findings(
    findings: Vec<Finding>,
    held: &BTreeSet<(String, String)>,
    own: &str,
    now: Timestamp,
) -> Vec<Alarm> {
    let said = |rule: &str, subject: &str, severity, firing, text: String| Alarm {
        service: own.to_owned(),
        rule: rule.to_owned(),
        subject: subject.to_owned(),
        severity,
        firing,
        text,
        at: now,
    };
    let mut seen = BTreeSet::new();
    let mut alarms = Vec::new();
    for Finding {
        rule,
        subject,
        verdict,
    } in findings
    {
        let is_held = held.contains(&(rule.clone(), subject.clone()));
        match verdict {
            Verdict::Bad(severity, text) => {
                alarms.push(said(&rule, &subject, severity, true, text));
            }
            Verdict::Good if is_held => {
                let text = format!("{subject} is in order again");
                alarms.push(said(
                    &rule,
                    &subject,
                    fathom_kernel::Severity::Info,
                    false,
                    text,
                ));
            }
            Verdict::Good | Verdict::Unknown => {}
        }
        seen.insert((rule, subject));
    }
    for (rule, subject) in held.difference(&seen) {
        let text = format!("{subject} is no longer there");
        alarms.push(said(
            rule,
            subject,
            fathom_kernel::Severity::Info,
            false,
            text,
        ));
    }
    alarms
}

#[cfg(test)]
mod tests {
    use fathom_kernel::Severity;
    use serde_json::json;

    use super::*;
    use crate::alarms::Options;
    use crate::engine::Input;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn alarm(subject: &str, firing: bool) -> Alarm {
        Alarm {
            service: "m".into(),
            rule: "r".into(),
            subject: subject.into(),
            severity: Severity::Warning,
            firing,
            text: "t".into(),
            at: at(0),
        }
    }

    /// An engine that heard of these conditions at second 100.
    fn book(subjects: &[&str]) -> Book {
        let mut book = Book::default();
        for subject in subjects {
            let input = Input::Said(alarm(subject, true));
            book.apply(input, &Options::default().house(), at(100))
                .unwrap();
        }
        book
    }

    fn status(state: &str, started: i64) -> StackStatus {
        let want = if state == "STOPPED" { "down" } else { "up" };
        let service = json!({
            "name": "m", "group": "g", "kind": "k", "run": "actor", "state": state,
            "description": "", "want": want, "health": "ok", "pid": 0, "incarnation": 1,
            "restarts": 0, "since": at(0).to_string(), "started": at(started).to_string(),
            "last_exit": null, "after": [], "counters": {}, "queues": [],
        });
        let stack = json!({
            "version": "0", "pid": 1, "started": at(0).to_string(), "stack": "t", "events": 0,
            "services": [service],
        });
        serde_json::from_value(stack).unwrap()
    }

    fn ended(status: &StackStatus, second: i64) -> Vec<String> {
        let now = ("alarms", at(second));
        let alarms = orphans(&book(&["x"]), status, now, Duration::from_secs(600));
        alarms.into_iter().map(|alarm| alarm.text).collect()
    }

    #[test]
    fn conditions_of_a_stopped_service_end_and_those_of_a_failed_one_stay() {
        assert_eq!(
            ended(&status("STOPPED", 50), 101),
            ["m was stopped; before: t"]
        );
        assert!(ended(&status("FATAL", 50), 9999).is_empty());
        assert!(ended(&status("RUNNING", 50), 9999).is_empty());
    }

    #[test]
    fn a_service_that_started_anew_has_time_to_say_it_again() {
        let status = status("RUNNING", 200);
        assert!(ended(&status, 800).is_empty());
        let text = "not said again since m was started anew; before: t";
        assert_eq!(ended(&status, 801), [text]);
    }

    #[test]
    fn an_answer_brings_what_was_missed_and_ends_what_was_taken_back_unheard() {
        let answered = |asked, started| Answered {
            service: "m".into(),
            asked: at(asked),
            conditions: vec![alarm("y", true), alarm("z", true)],
            started: Some(at(started)),
        };
        let cleared = BTreeSet::from([Key {
            service: "m".into(),
            rule: "r".into(),
            subject: "z".into(),
        }]);
        let follows = |answered| {
            let alarms = answer(&book(&["x"]), answered, &cleared, at(300)).into_iter();
            let alarms = alarms.map(|alarm| (alarm.subject, alarm.firing));
            alarms.collect::<Vec<_>>()
        };
        let (x, y) = (("x".to_owned(), false), ("y".to_owned(), true));
        let y = [y];
        assert_eq!(follows(answered(200, 50)), [&[x], &y[..]].concat());
        // Said after the question, or by a former incarnation: the answer does not tell.
        assert_eq!(follows(answered(99, 50)), y);
        assert_eq!(follows(answered(200, 150)), y);
    }

    #[test]
    fn own_findings_are_raised_and_ended_and_what_vanished_ends_too() {
        let found = |subject: &str, verdict| Finding {
            rule: "r".into(),
            subject: subject.into(),
            verdict,
        };
        let held = ["good", "early", "gone"].map(|s| ("r".to_owned(), s.to_owned()));
        let held = BTreeSet::from(held);
        let found = vec![
            found("bad", Verdict::Bad(Severity::Alert, "b".into())),
            found("good", Verdict::Good),
            found("fine", Verdict::Good),
            found("early", Verdict::Unknown),
        ];
        let alarms = findings(found, &held, "alarms", at(0)).into_iter();
        let alarms: Vec<_> = alarms.map(|alarm| (alarm.subject, alarm.firing)).collect();
        let expected = [("bad", true), ("good", false), ("gone", false)];
        let expected = expected.map(|(subject, firing)| (subject.to_owned(), firing));
        assert_eq!(alarms, expected);
    }
}
