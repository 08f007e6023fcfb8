//! The engine by hand-made cases.

use super::*;

mod life;

const T0: i64 = 1_790_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(T0 + second).unwrap()
}

fn house(rules: &str) -> House {
    House {
        policies: Policies::new(serde_json::from_str(rules).unwrap()),
        damping: Damping {
            calm: Duration::from_secs(10),
            flaps: 3,
            window: Duration::from_secs(300),
        },
        bounds: Bounds {
            alarms: 4,
            history: 6,
            resolved: Duration::from_secs(3600),
        },
    }
}

fn said(rule: &str, subject: &str, severity: Severity, firing: bool) -> Input {
    Input::Said(Alarm {
        service: "m".into(),
        rule: rule.into(),
        subject: subject.into(),
        severity,
        firing,
        text: format!("{rule} of {subject}"),
        at: at(0),
    })
}

fn raise(subject: &str) -> Input {
    said("r", subject, Severity::Warning, true)
}

fn clear(subject: &str) -> Input {
    said("r", subject, Severity::Warning, false)
}

fn mute(subject: &str, until: i64) -> Input {
    Input::Mute {
        rule: Pattern::any(),
        subject: Pattern::new(subject).unwrap(),
        until: at(until),
        by: "anna".into(),
        reason: "repair".into(),
    }
}

fn fitting(subject: &str) -> Pick {
    Pick::Fitting {
        rule: Pattern::any(),
        subject: Pattern::new(subject).unwrap(),
    }
}

fn acknowledge(subject: &str) -> Input {
    Input::Acknowledge {
        pick: fitting(subject),
        by: "ben".into(),
    }
}

/// Runs inputs, each at its second, and writes down what was told: `second from>to`.
fn run(house: &House, book: &mut Book, inputs: Vec<(i64, Input)>) -> Vec<String> {
    let mut told = Vec::new();
    for (second, input) in inputs {
        let notices = book.apply(input, house, at(second)).unwrap_or_default();
        told.extend(notices.iter().map(|n| match n.repeat {
            0 => format!("{second} {}>{}", n.from, n.to),
            repeat => format!("{second} again {repeat}"),
        }));
    }
    told
}

#[test]
fn a_condition_that_comes_and_goes_becomes_one_long_alarm() {
    let (house, mut book) = (house("[]"), Book::default());
    let mut inputs = Vec::new();
    for round in 0..10 {
        let start = round * 20;
        inputs.push((start, raise("x")));
        inputs.push((start + 1, clear("x")));
        inputs.push((start + 12, Input::Tick));
    }
    let told = run(&house, &mut book, inputs);
    // Two whole rounds, then the third beginning stays.
    assert_eq!(told.len(), 5, "{told:?}");
    let last = book.history().last().unwrap();
    assert!(last.text.contains("comes and goes"), "{}", last.text);
    // It ends when it has been calm for the whole window.
    let told = run(
        &house,
        &mut book,
        vec![(180, Input::Tick), (481, Input::Tick)],
    );
    assert_eq!(told, ["481 firing>resolved"]);
}

#[test]
fn the_number_of_alarms_is_bounded_and_the_oldest_resolved_goes_first() {
    let (house, mut book) = (house("[]"), Book::default());
    for subject in ["a", "b", "c", "d"] {
        book.apply(raise(subject), &house, at(0)).unwrap();
    }
    book.apply(raise("e"), &house, at(1)).unwrap();
    assert_eq!((book.cases().count(), book.refused()), (4, 1));
    book.apply(clear("b"), &house, at(2)).unwrap();
    book.apply(Input::Tick, &house, at(20)).unwrap();
    book.apply(raise("e"), &house, at(21)).unwrap();
    let subjects: Vec<_> = book.cases().map(|case| &*case.key.subject).collect();
    assert_eq!(subjects, ["a", "c", "d", "e"]);
    for (subject, second) in [("c", 30), ("a", 50)] {
        book.apply(clear(subject), &house, at(second)).unwrap();
        book.apply(Input::Tick, &house, at(second + 10)).unwrap();
    }
    book.apply(raise("f"), &house, at(70)).unwrap();
    let subjects: Vec<_> = book.cases().map(|case| &*case.key.subject).collect();
    assert_eq!(subjects, ["a", "d", "e", "f"], "c was resolved before a");
}

#[test]
fn a_resolved_alarm_is_shown_for_an_hour_to_its_end() {
    let (house, mut book) = (house("[]"), Book::default());
    book.apply(raise("x"), &house, at(0)).unwrap();
    book.apply(clear("x"), &house, at(1)).unwrap();
    for (second, shown) in [(11, 1), (3611, 1), (3612, 0)] {
        book.apply(Input::Tick, &house, at(second)).unwrap();
        assert_eq!(book.cases().count(), shown, "{second}");
    }
}

#[test]
fn a_thousand_mutes_are_the_most_but_each_may_be_made_anew() {
    let (house, mut book) = (house("[]"), Book::default());
    for n in 0..MUTES_MAX {
        let one = mute(&format!("DOM {n}"), 900);
        book.apply(one, &house, at(0)).unwrap();
    }
    let refused = book.apply(mute("one more", 900), &house, at(1));
    assert_eq!(refused, Err(NothingMeant::TooMany));
    book.apply(mute("DOM 7", 5000), &house, at(1)).unwrap();
    assert_eq!(book.mutes().len(), MUTES_MAX);
}

#[test]
fn rows_of_the_history_ascend_without_gaps_and_are_bounded() {
    let (house, mut book) = (house("[]"), Book::default());
    for round in 0..5 {
        let start = round * 1000;
        book.apply(raise("x"), &house, at(start)).unwrap();
        book.apply(clear("x"), &house, at(start + 1)).unwrap();
        book.apply(Input::Tick, &house, at(start + 500)).unwrap();
    }
    let entries: Vec<u64> = book.history().map(|row| row.entry).collect();
    assert_eq!(entries, [5, 6, 7, 8, 9, 10]);
    assert_eq!(book.last_entry(), 10);
}

#[test]
fn an_order_about_nothing_is_refused() {
    let (house, mut book) = (house("[]"), Book::default());
    let refused = book.apply(acknowledge("x"), &house, at(0));
    assert_eq!(refused, Err(NothingMeant::Alarm));
    let pick = Pick::Id(7);
    let by = String::new();
    let refused = book.apply(Input::Unmute { pick, by }, &house, at(0));
    assert_eq!(refused, Err(NothingMeant::Mute));
    // Nobody can look at what does not count yet.
    let waiting = self::house(r#"[{"for": "30s"}]"#);
    book.apply(raise("x"), &waiting, at(0)).unwrap();
    let refused = book.apply(acknowledge("x"), &waiting, at(1));
    assert_eq!(refused, Err(NothingMeant::Alarm));
}

#[test]
fn an_alarm_is_closed_by_hand_and_a_mute_is_taken_back() {
    let (house, mut book) = (house("[]"), Book::default());
    let close = Input::Close {
        pick: Pick::Id(1),
        by: "anna".into(),
    };
    let unmute = Input::Unmute {
        pick: fitting("*"),
        by: "anna".into(),
    };
    let told = run(
        &house,
        &mut book,
        vec![
            (0, raise("x")),
            (1, mute("*", 900)),
            (2, unmute),
            (3, close),
        ],
    );
    let expected = [
        "0 ok>firing",
        "1 firing>muted",
        "2 muted>firing",
        "3 firing>resolved",
    ];
    assert_eq!(told, expected);
    assert_eq!(book.history().last().unwrap().by.as_deref(), Some("anna"));
}

#[test]
fn a_restart_forgets_neither_an_acknowledgement_nor_tells_anything_again() {
    let (house, mut book) = (house(r#"[{"repeat": "1h"}]"#), Book::default());
    for (second, input) in [(0, raise("x")), (1, acknowledge("x")), (2, raise("y"))] {
        book.apply(input, &house, at(second)).unwrap();
    }
    let kept = serde_json::to_vec(&book).unwrap();
    let mut back: Book = serde_json::from_slice(&kept).unwrap();
    back.equip(&house);
    assert_eq!(back, book);
    // Monitors say again what holds.
    let told = run(
        &house,
        &mut back,
        vec![(9, raise("x")), (9, raise("y")), (60, Input::Tick)],
    );
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn the_text_of_four_hundred_doms_is_told_whole() {
    let (house, mut book) = (house("[]"), Book::default());
    let ids = ["4294967295"; 200].join(",");
    let text =
        format!("invalid time sync for DOM ID: {ids} and 1870 more /// valid: {ids} and 1870 more");
    let Input::Said(alarm) = raise("all DOMs") else {
        panic!("no alarm")
    };
    let said = Input::Said(Alarm {
        text: text.clone(),
        ..alarm
    });
    book.apply(said, &house, at(0)).unwrap();
    assert_eq!(book.cases().next().unwrap().text, text);
}

#[test]
fn texts_without_end_are_cut() {
    let (house, mut book) = (house("[]"), Book::default());
    let subject = "ä".repeat(10_000);
    book.apply(raise(&subject), &house, at(0)).unwrap();
    let case = book.cases().next().unwrap();
    assert_eq!(case.key.subject.chars().count(), NAME_CHARS_MAX + 1);
    assert_eq!(case.text.chars().count(), TEXT_CHARS_MAX + 1);
}

#[test]
fn who_looks_looks_on_when_a_mute_ends_unless_it_got_worse_meanwhile() {
    for (worse, expected) in [(false, "50 muted>acknowledged"), (true, "50 muted>firing")] {
        let (house, mut book) = (house("[]"), Book::default());
        let mut inputs = vec![(0, raise("x")), (1, acknowledge("x")), (2, mute("x", 50))];
        if worse {
            inputs.push((20, said("r", "x", Severity::Alert, true)));
        }
        inputs.push((50, Input::Tick));
        let told = run(&house, &mut book, inputs);
        assert_eq!(told.last().map(String::as_str), Some(expected), "{told:?}");
    }
}

#[test]
fn an_alarm_says_what_it_is_about_until_it_is_over() {
    let (house, mut book) = (house("[]"), Book::default());
    let good = Input::Said(Alarm {
        text: "x is well again".into(),
        ..match clear("x") {
            Input::Said(alarm) => alarm,
            _ => unreachable!(),
        }
    });
    run(&house, &mut book, vec![(0, raise("x")), (1, good)]);
    assert_eq!(book.cases().next().unwrap().text, "r of x");
    run(&house, &mut book, vec![(12, Input::Tick)]);
    let last = book.history().last().unwrap();
    assert_eq!((last.to, &*last.text), (Stage::Resolved, "x is well again"));
}

#[test]
fn an_alarm_that_returned_and_is_closed_does_not_say_that_it_is_well() {
    let (house, mut book) = (house("[]"), Book::default());
    let word = |text: &str, firing, second| match said("r", "x", Severity::Warning, firing) {
        Input::Said(alarm) => Input::Said(Alarm {
            text: text.into(),
            at: at(second),
            ..alarm
        }),
        _ => unreachable!(),
    };
    let close = Input::Close {
        pick: fitting("x"),
        by: "anna".into(),
    };
    let inputs = vec![
        (0, word("x is silent", true, 0)),
        (3, word("x is well again", false, 3)),
        (6, word("x is silent again", true, 5)),
        (9, close),
    ];
    run(&house, &mut book, inputs);
    let last = book.history().last().unwrap();
    assert_eq!(
        (last.to, &*last.text),
        (Stage::Resolved, "x is silent again")
    );
    // It says since when its condition holds, not when it held for the first time.
    assert_eq!(last.since, at(5));
}

#[test]
fn how_bad_it_is_says_the_configuration_whatever_the_service_says() {
    let (house, mut book) = (house(r#"[{"severity": "alert"}]"#), Book::default());
    let notices = book.apply(raise("x"), &house, at(0)).unwrap();
    assert_eq!(notices[0].severity, Severity::Alert);
    // Nor does it get worse when the service says so.
    let inputs = vec![
        (1, acknowledge("x")),
        (2, said("r", "x", Severity::Alert, true)),
    ];
    let told = run(&house, &mut book, inputs);
    assert_eq!(told, ["1 firing>acknowledged"]);
}

#[test]
fn a_later_and_shorter_mute_did_not_count() {
    let mut book = Book::default();
    let house = house("[]");
    let mut apply = |input, second| book.apply(input, &house, at(second)).unwrap();
    apply(mute("A", 3600), 0);
    apply(mute("B", 3600), 0);
    apply(mute("A", 5), 1);
    let ends: Vec<_> = book.mutes().iter().map(|mute| mute.until).collect();
    assert_eq!(ends, [at(3600), at(5)]);
}
