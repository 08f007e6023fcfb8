//! Random walks of the engine: what must hold whatever happens.

use std::collections::BTreeMap;
use std::time::Duration;

use fathom_kernel::{Alarm, Notice, Severity, Stage};
use jiff::Timestamp;
use proptest::prelude::*;

use super::book::House;
use super::{Book, Bounds, Damping, Input, Pattern, Pick, Policies};

const ALARMS_MAX: usize = 5;
const HISTORY_MAX: usize = 40;

fn house() -> House {
    let rules = r#"[{"rule": "slow", "for": "20s"}, {"rule": "loud", "repeat": "30s"}]"#;
    House {
        policies: Policies::new(serde_json::from_str(rules).unwrap()),
        damping: Damping {
            calm: Duration::from_secs(10),
            flaps: 3,
            window: Duration::from_secs(120),
        },
        bounds: Bounds {
            alarms: ALARMS_MAX,
            history: HISTORY_MAX,
            resolved: Duration::from_secs(600),
        },
    }
}

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![
        (0_u64..12).prop_map(Pick::Id),
        prop_oneof![Just("*"), Just("a"), Just("[bc]")].prop_map(|subject| Pick::Fitting {
            rule: Pattern::any(),
            subject: Pattern::new(subject).unwrap(),
        }),
    ]
}

fn said() -> impl Strategy<Value = Input> {
    let rule = prop_oneof![Just("slow"), Just("loud"), Just("plain")];
    let subject = prop_oneof![Just("a"), Just("b"), Just("c")];
    let severity = prop_oneof![
        Just(Severity::Info),
        Just(Severity::Warning),
        Just(Severity::Alert)
    ];
    (rule, subject, severity, any::<bool>()).prop_map(|(rule, subject, severity, firing)| {
        Input::Said(Alarm {
            service: "m".into(),
            rule: rule.into(),
            subject: subject.into(),
            severity,
            firing,
            text: "t".into(),
            at: Timestamp::UNIX_EPOCH,
        })
    })
}

fn input() -> impl Strategy<Value = Input> {
    let by = || "anna".to_owned();
    prop_oneof![
        4 => said(),
        2 => Just(Input::Tick),
        1 => pick().prop_map(move |pick| Input::Acknowledge { pick, by: by() }),
        1 => pick().prop_map(move |pick| Input::Close { pick, by: by() }),
        1 => pick().prop_map(move |pick| Input::Unmute { pick, by: by() }),
        1 => (0_i64..4000).prop_map(move |until| Input::Mute {
            rule: Pattern::any(),
            subject: Pattern::new("a").unwrap(),
            until: Timestamp::from_second(until).unwrap(),
            by: by(),
            reason: String::new(),
        }),
    ]
}

/// Tells whether an alarm may go from one stage to another.
fn is_legal(from: Stage, to: Stage) -> bool {
    match (from, to) {
        (Stage::Ok, Stage::Firing | Stage::Muted)
        | (Stage::Firing, Stage::Firing | Stage::Acknowledged | Stage::Muted | Stage::Resolved)
        | (Stage::Acknowledged, Stage::Firing | Stage::Muted | Stage::Resolved)
        | (Stage::Muted, Stage::Firing | Stage::Acknowledged | Stage::Resolved) => true,
        (
            Stage::Ok
            | Stage::Pending
            | Stage::Firing
            | Stage::Acknowledged
            | Stage::Muted
            | Stage::Resolved,
            _,
        ) => false,
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_rules_of_the_house_hold(
        steps in prop::collection::vec((input(), 0_i64..40), 1..200)
    ) {
        let (house, mut book, mut second) = (house(), Book::default(), 0);
        let mut stages: BTreeMap<u64, Stage> = BTreeMap::new();
        let mut last_entry = 0;
        for (input, wait_s) in steps {
            second += wait_s;
            let now = Timestamp::from_second(second).unwrap();
            // Refused orders change nothing and tell nothing.
            let told: Vec<Notice> = book.apply(input, &house, now).unwrap_or_default();
            for notice in told {
                if notice.repeat > 0 {
                    prop_assert_eq!(stages.get(&notice.id), Some(&Stage::Firing));
                    continue;
                }
                let before = stages.insert(notice.id, notice.to).unwrap_or(Stage::Ok);
                prop_assert_eq!(before, notice.from);
                prop_assert!(is_legal(notice.from, notice.to), "{} to {}", notice.from, notice.to);
                prop_assert_eq!(notice.entry, last_entry + 1);
                last_entry = notice.entry;
            }
            prop_assert!(book.cases().count() <= ALARMS_MAX);
            prop_assert!(book.history().len() <= HISTORY_MAX);
            for case in book.cases().filter(|case| case.phase.stage() == Stage::Muted) {
                prop_assert!(case.mute.is_some() || !case.holds);
            }
        }
        // Kept and taken back, it goes on as if nothing had been.
        let kept = serde_json::to_vec(&book).unwrap();
        let mut back: Book = serde_json::from_slice(&kept).unwrap();
        back.equip(&house);
        let later = Timestamp::from_second(second + 1000).unwrap();
        prop_assert_eq!(
            back.apply(Input::Tick, &house, later),
            book.apply(Input::Tick, &house, later)
        );
    }
}
