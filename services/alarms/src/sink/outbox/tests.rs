//! The queue of a sink by hand-made notices.

use fathom_kernel::{Severity, Span};

use super::*;
use crate::engine::Pattern;
use crate::sink::{Only, QueueOptions};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn taste() -> Taste {
    Taste {
        least: Severity::Warning,
        only: Only::default(),
        stages: vec![Stage::Firing, Stage::Acknowledged, Stage::Resolved],
        repeat: Duration::from_secs(900),
        per_hour: 0,
        queue: QueueOptions {
            gather: Span::ZERO,
            notices: 4,
            ..QueueOptions::default()
        },
    }
}

fn notice(entry: u64, id: u64, from: Stage, to: Stage, second: i64) -> Notice {
    Notice {
        entry,
        id,
        at: at(second),
        service: "m".into(),
        rule: "r".into(),
        subject: "s".into(),
        severity: Severity::Alert,
        from,
        to,
        text: String::new(),
        since: at(second),
        repeat: 0,
        by: None,
        until: None,
        sinks: Vec::new(),
    }
}

fn fires(entry: u64, second: i64) -> Notice {
    notice(entry, entry, Stage::Ok, Stage::Firing, second)
}

fn warns(entry: u64, second: i64) -> Notice {
    Notice {
        severity: Severity::Warning,
        ..fires(entry, second)
    }
}

fn sent(due: &Due) -> Vec<u64> {
    match due {
        Due::Send(parcel) => parcel.notices.iter().map(|n| n.entry).collect(),
        Due::Nothing | Due::At(_) => Vec::new(),
    }
}

#[test]
fn what_comes_during_an_outage_is_one_message_after_it() {
    let (mut outbox, taste) = (Outbox::default(), taste());
    outbox.take(&fires(1, 0), &taste, "me", at(0));
    assert_eq!(sent(&outbox.due(&taste, at(0))), [1]);
    outbox.take(&fires(2, 1), &taste, "me", at(1));
    assert_eq!(outbox.due(&taste, at(1)), Due::Nothing, "one at a time");
    outbox.failed(&taste, at(2));
    assert_eq!(outbox.due(&taste, at(2)), Due::At(at(3)));
    outbox.take(&fires(3, 2), &taste, "me", at(2));
    assert_eq!(sent(&outbox.due(&taste, at(3))), [1, 2, 3]);
    outbox.delivered(at(4));
    assert_eq!(outbox.due(&taste, at(4)), Due::Nothing);
    assert_eq!(outbox.figures(&taste).delivered, 3);
}

#[test]
fn waits_between_attempts_double_up_to_the_longest() {
    let (mut outbox, taste) = (Outbox::default(), taste());
    outbox.take(&fires(1, 0), &taste, "me", at(0));
    let mut waits = Vec::new();
    for _ in 0..11 {
        assert!(matches!(outbox.due(&taste, at(100_000)), Due::Send(_)));
        outbox.failed(&taste, at(0));
        waits.push(
            outbox
                .figures(&taste)
                .retry
                .unwrap()
                .duration_since(at(0))
                .as_secs(),
        );
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    outbox.hurry();
    assert_eq!(sent(&outbox.due(&taste, at(0))), [1]);
}

#[test]
fn what_finds_no_room_is_counted_and_said() {
    let (mut outbox, taste) = (Outbox::default(), taste());
    outbox.take(&fires(1, 0), &taste, "me", at(0));
    assert_eq!(sent(&outbox.due(&taste, at(0))), [1]);
    let dropped: u64 = (2..=6)
        .map(|entry| outbox.take(&fires(entry, 1), &taste, "me", at(1)))
        .sum();
    assert_eq!(dropped, 2);
    // What is under way is not taken away.
    outbox.delivered(at(2));
    let Due::Send(parcel) = outbox.due(&taste, at(2)) else {
        panic!("nothing to send")
    };
    assert_eq!(
        parcel.dropped, 2,
        "what was under way could not tell of them"
    );
    let entries: Vec<_> = parcel.notices.iter().map(|n| n.entry).collect();
    assert_eq!(entries, [4, 5, 6]);
    assert_eq!(outbox.figures(&taste).dropped, 2);
}

#[test]
fn what_is_too_old_is_dropped_at_the_next_failure() {
    let (mut outbox, taste) = (Outbox::default(), taste());
    outbox.take(&fires(1, 0), &taste, "me", at(0));
    assert_eq!(outbox.failed(&taste, at(86_400)), 0);
    assert_eq!(outbox.failed(&taste, at(86_401)), 1);
    assert_eq!(outbox.due(&taste, at(90_000)), Due::Nothing);
}

#[test]
fn repetitions_come_at_most_as_often_as_the_sink_wants() {
    let (mut outbox, taste) = (Outbox::default(), taste());
    let again = |repeat, second| Notice {
        repeat,
        ..notice(1, 1, Stage::Firing, Stage::Firing, second)
    };
    outbox.take(&fires(1, 0), &taste, "me", at(0));
    outbox.take(&again(1, 900), &taste, "me", at(900));
    assert_eq!(
        outbox.figures(&taste).waiting,
        1,
        "not while the first still waits"
    );
    outbox.due(&taste, at(900));
    outbox.delivered(at(900));
    outbox.take(&again(2, 899), &taste, "me", at(899));
    assert_eq!(outbox.figures(&taste).waiting, 0);
    outbox.take(&again(3, 900), &taste, "me", at(900));
    assert_eq!(outbox.figures(&taste).waiting, 1);
}

#[test]
fn only_the_end_of_what_was_told_is_told() {
    let taste = taste();
    let ends = |from, told: bool| {
        let mut outbox = Outbox::default();
        if told {
            outbox.take(&fires(1, 0), &taste, "me", at(0));
        }
        outbox.take(&notice(2, 1, from, Stage::Resolved, 1), &taste, "me", at(1));
        outbox.figures(&taste).waiting - usize::from(told)
    };
    assert_eq!(ends(Stage::Firing, true), 1);
    assert_eq!(ends(Stage::Firing, false), 0);
    assert_eq!(ends(Stage::Muted, true), 0, "nobody wants to hear of it");
}

#[test]
fn the_same_row_is_taken_once_and_a_gap_is_seen() {
    let (mut outbox, taste) = (Outbox::default(), taste());
    assert!(
        !outbox.misses_before(&fires(5, 0)),
        "nothing is known before the first"
    );
    outbox.take(&fires(5, 0), &taste, "me", at(0));
    outbox.take(&fires(5, 0), &taste, "me", at(0));
    assert_eq!(outbox.figures(&taste).waiting, 1);
    assert!(!outbox.misses_before(&fires(6, 1)) && outbox.misses_before(&fires(7, 1)));
    // The engine began anew: small numbers at a later time.
    outbox.take(&fires(1, 10), &taste, "me", at(10));
    assert_eq!(
        (outbox.figures(&taste).waiting, outbox.last_entry()),
        (2, Some(1))
    );
}

#[test]
fn messages_over_the_hourly_limit_wait_and_become_one() {
    let (mut outbox, mut taste) = (Outbox::default(), taste());
    taste.per_hour = 2;
    for entry in 1..=2 {
        let second = i64::try_from(entry).unwrap() * 60;
        outbox.take(&warns(entry, second), &taste, "me", at(second));
        assert_eq!(sent(&outbox.due(&taste, at(second))), [entry]);
        outbox.delivered(at(second));
    }
    outbox.take(&warns(3, 130), &taste, "me", at(130));
    outbox.take(&warns(4, 140), &taste, "me", at(140));
    assert_eq!(outbox.due(&taste, at(140)), Due::At(at(3660)));
    assert_eq!(sent(&outbox.due(&taste, at(3660))), [3, 4]);
}

#[test]
fn a_sink_hears_what_is_bad_enough_and_meant_for_it() {
    let mut taste = taste();
    taste.only.rules = vec![Pattern::new("trigger_*").unwrap()];
    taste.only.not_rules = vec![Pattern::new("*_high").unwrap()];
    let wants = |rule: &str, severity, sinks: &[&str]| {
        let notice = Notice {
            rule: rule.into(),
            severity,
            sinks: sinks.iter().map(|sink| (*sink).to_owned()).collect(),
            ..fires(1, 0)
        };
        taste.wants(&notice, "me")
    };
    assert!(wants("trigger_rate_zero", Severity::Alert, &[]));
    assert!(wants(
        "trigger_rate_zero",
        Severity::Alert,
        &["me", "other"]
    ));
    assert!(!wants("trigger_rate_zero", Severity::Alert, &["other"]));
    assert!(!wants("trigger_rate_zero", Severity::Info, &[]));
    assert!(!wants("trigger_rate_high", Severity::Alert, &[]));
    assert!(!wants("dom_inactive", Severity::Alert, &[]));
}

#[test]
fn what_is_passed_over_is_not_missing_later() {
    let (mut outbox, taste) = (Outbox::default(), taste());
    outbox.pass_over(&fires(7, 0));
    assert_eq!(
        (outbox.last_entry(), outbox.figures(&taste).waiting),
        (Some(7), 0)
    );
    outbox.take(&fires(7, 0), &taste, "me", at(0));
    assert_eq!(outbox.figures(&taste).waiting, 0);
}

#[test]
fn a_restart_keeps_what_waits() {
    let (mut outbox, taste) = (Outbox::default(), taste());
    outbox.take(&fires(1, 0), &taste, "me", at(0));
    let kept = serde_json::to_vec(&outbox).unwrap();
    let mut back: Outbox = serde_json::from_slice(&kept).unwrap();
    assert_eq!(sent(&back.due(&taste, at(0))), [1]);
}

#[test]
fn what_fired_before_the_sink_was_there_was_never_told() {
    let (mut outbox, taste) = (Outbox::default(), taste());
    outbox.pass_over(&fires(7, 0));
    let again = Notice {
        repeat: 3,
        ..fires(7, 700)
    };
    outbox.take(&again, &taste, "me", at(700));
    outbox.take(&again, &taste, "me", at(701));
    assert_eq!(
        outbox.figures(&taste).waiting,
        1,
        "told with the next repeat, once"
    );
}

#[test]
fn why_nothing_was_sent_when_the_hour_had_its_fill_was_not_shown() {
    let (mut outbox, taste) = (
        Outbox::default(),
        Taste {
            per_hour: 1,
            ..taste()
        },
    );
    for (entry, second) in [(1, 0), (2, 100)] {
        assert_eq!(outbox.figures(&taste).kept_back, None);
        outbox.take(&warns(entry, second), &taste, "me", at(second));
        if let Due::Send(_) = outbox.due(&taste, at(second + 50)) {
            outbox.delivered(at(second + 50));
        }
    }
    assert_eq!(outbox.figures(&taste).kept_back, Some(at(3650)));
}

#[test]
fn repeats_that_filled_the_hour_kept_a_new_alert_back() {
    let (mut outbox, taste) = (
        Outbox::default(),
        Taste {
            per_hour: 1,
            ..taste()
        },
    );
    let send = |outbox: &mut Outbox, notice: &Notice, second| {
        outbox.take(notice, &taste, "me", at(second));
        let is_sent = matches!(outbox.due(&taste, at(second)), Due::Send(_));
        if is_sent {
            outbox.delivered(at(second));
        }
        is_sent
    };
    assert!(send(&mut outbox, &warns(1, 0), 0));
    assert!(
        !send(&mut outbox, &warns(2, 10), 10),
        "the hour has its fill"
    );
    assert!(
        send(&mut outbox, &fires(3, 20), 20),
        "and takes the warning along"
    );
    assert!(
        !send(&mut outbox, &fires(4, 30), 30),
        "no flood of alerts either"
    );
    assert_eq!(outbox.due(&taste, at(40)), Due::At(at(3600)));
}
