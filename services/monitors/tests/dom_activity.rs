//! DOM activity by hand.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;

use common::{Bench, Store, setup, slice, slice_of, with_disabled};
use fathom_formats::detx::{Detector, DetxVersion, Layout, Place};
use fathom_kernel::{Event, Frame, Monitor, Recalled, Setup, Span};
use fathom_monitors::{DomActivity, DomActivityConfig as Config, Reference};
use serde_json::json;

const T0: i64 = 1_700_000_400_000;

fn ids(setup: &Setup) -> Vec<u32> {
    let detector = setup.detector.as_ref().unwrap();
    detector.optical_modules().map(|m| m.id.0).collect()
}

fn age(bench: &Bench<DomActivity>, dom: u32) -> f64 {
    let map = bench.map("dom_activity");
    let at = map.id.iter().position(|&id| id == dom).unwrap();
    map.values[at]
}

#[test]
fn a_dom_that_falls_silent_raises_one_alarm_and_clears_it() {
    let setup = setup(1);
    let doms = ids(&setup);
    let mut bench = Bench::<DomActivity>::new(Config::default(), &setup);
    for s in 0..700 {
        let now = T0 + 1000 * s;
        let talks = !(50..600).contains(&s);
        let sent: Vec<_> = doms[usize::from(!talks)..]
            .iter()
            .map(|&d| (d, 50))
            .collect();
        bench.take(&slice(now, &sent));
        bench.tick(now);
        if s == 400 {
            assert_eq!(age(&bench, doms[0]), 351.0);
            assert_eq!(age(&bench, doms[1]), 0.0);
            assert_eq!(bench.cell("dom_activity_summary", "inactive", 1), json!(1));
        }
    }
    let subject = "DU 1 floor 1";
    let expected = [
        ("dom_inactive", subject, true),
        ("dom_inactive", subject, false),
    ];
    assert_eq!(bench.alarms(), expected);
    assert_eq!(bench.out.alarms[0].at.as_millisecond(), T0 + 350_000);
}

#[test]
fn a_silent_source_is_one_alarm_and_not_one_per_dom() {
    let setup = setup(1);
    let sent: Vec<_> = ids(&setup).into_iter().map(|d| (d, 50)).collect();
    let mut bench = Bench::<DomActivity>::new(Config::default(), &setup);
    for s in 0..20 {
        bench.take(&slice(T0 + 1000 * s, &sent));
        bench.tick(T0 + 1000 * s);
    }
    for s in 20..1000 {
        bench.tick(T0 + 1000 * s);
    }
    assert_eq!(bench.alarms(), [("no_summary_slices", "IO_SUM", true)]);
    let at_ms = bench.out.alarms[0].at.as_millisecond();
    assert_eq!(at_ms, T0 + 50_000, "the last slice came at second 19");
    assert_eq!(age(&bench, sent[0].0), 976.0, "drawn deeppink");
}

#[test]
fn never_seen_and_gone_are_told_apart_over_a_restart() {
    let setup = setup(1);
    let doms = ids(&setup);
    let mut bench = Bench::<DomActivity>::new(Config::default(), &setup);
    bench.take(&slice(T0, &[(doms[0], 50)]));
    let store = Store::default();
    let mut bench = bench.restarted(Config::default(), &setup, &store);
    bench.tick(T0 + 1_000_000);
    let datum = bench.output("dom_activity").datum;
    assert_eq!(datum.unwrap().as_millisecond(), T0, "as old as before");
    assert_eq!(age(&bench, doms[0]), 1000.0);
    assert!(age(&bench, doms[1]).is_nan());
    assert_eq!(bench.map("dom_activity").colours.missing, "lightgrey");
}

#[test]
fn a_clock_ahead_shows_as_negative_but_jitter_does_not() {
    let setup = setup(1);
    let doms = ids(&setup);
    let mut bench = Bench::<DomActivity>::new(Config::default(), &setup);
    let frames = |dom| {
        use fathom_formats::km3net::{DomId, FrameStatus, SummaryFrame};
        [SummaryFrame::new(
            DomId(dom),
            FrameStatus::complete(1, 0, 0),
            [9; 31],
        )]
    };
    bench.take(&slice_of(T0 + 37_000, &frames(doms[0]), T0));
    bench.take(&slice_of(T0 + 300, &frames(doms[1]), T0));
    bench.tick(T0);
    assert_eq!(age(&bench, doms[0]), -37.0);
    assert_eq!(age(&bench, doms[1]), 0.0);
    assert_eq!(
        bench.cell("dom_activity_summary", "ahead of the clock", 1),
        json!(1)
    );

    let config = Config {
        clock_offset: 37.0,
        ..Config::default()
    };
    let mut bench = Bench::<DomActivity>::new(config, &setup);
    bench.take(&slice_of(T0 + 37_000, &frames(doms[0]), T0));
    bench.tick(T0 + 2000);
    assert_eq!(age(&bench, doms[0]), 2.0);
}

#[test]
fn in_a_replay_ages_can_be_counted_against_the_data() {
    let setup = setup(1);
    let doms = ids(&setup);
    let config = Config {
        reference: Reference::Data,
        ..Config::default()
    };
    let mut bench = Bench::<DomActivity>::new(config.clone(), &setup);
    let old = 1_574_424_024_000;
    for (n, dom) in [(0, doms[0]), (60, doms[1])] {
        let fathom_kernel::Event::Frame(mut frame) = slice(old + 1000 * n, &[(dom, 50)]) else {
            panic!("no frame")
        };
        frame.received = common::ms(T0);
        bench.take(&fathom_kernel::Event::Frame(frame));
    }
    bench.tick(T0 + 5000);
    assert_eq!((age(&bench, doms[0]), age(&bench, doms[1])), (65.0, 5.0));
    // The clock of the replay is kept over a restart.
    let mut bench = bench.restarted(config, &setup, &Store::default());
    bench.tick(T0 + 10_000);
    assert_eq!((age(&bench, doms[0]), age(&bench, doms[1])), (70.0, 10.0));
}

#[test]
fn detector_files_of_versions_4_and_5_give_the_same_map() {
    let detector = Detector::generated(&Layout::orca(2));
    let map = |version| {
        let text = detector.to_detx(version);
        let read = Detector::parse(text.as_bytes()).unwrap().detector;
        let setup = Setup {
            detector: Some(Arc::new(read)),
            ..Setup::default()
        };
        let mut bench = Bench::<DomActivity>::new(Config::default(), &setup);
        bench.tick(T0);
        let map = bench.map("dom_activity").clone();
        (map.x, map.y, map.id)
    };
    let v3 = map(DetxVersion::V3);
    assert_eq!(map(DetxVersion::V4), v3);
    assert_eq!(map(DetxVersion::V5), v3);
    assert_eq!(v3.0.len(), 36);
}

#[test]
fn one_slice_from_the_far_future_does_not_make_a_dom_immortal() {
    let setup = setup(1);
    let doms = ids(&setup);
    let mut bench = Bench::<DomActivity>::new(Config::default(), &setup);
    bench.take(&slice(T0, &[(doms[0], 50)]));
    let fathom_kernel::Event::Frame(mut broken) = slice(2_100_000_000_000, &[(doms[0], 50)]) else {
        panic!("no frame")
    };
    broken.received = common::ms(T0 + 100);
    bench.take(&fathom_kernel::Event::Frame(broken));
    bench.tick(T0 + 60_000);
    assert_eq!(age(&bench, doms[0]), 60.0);
    assert_eq!(
        bench.cell("dom_activity_summary", "slices far off the clock", 1),
        json!(1)
    );
}

#[test]
fn a_du_that_loses_many_doms_is_an_alarm_of_its_own() {
    let setup = setup(2);
    let doms = ids(&setup);
    let config = Config {
        inactive_fraction: 0.1,
        ..Config::default()
    };
    let mut bench = Bench::<DomActivity>::new(config, &setup);
    for s in 0..800 {
        let now = T0 + 1000 * s;
        // Two of 18 are more than a tenth, one is less.
        let silent = if (20..500).contains(&s) { 2 } else { 0 };
        let sent: Vec<_> = doms[silent..].iter().map(|&d| (d, 50)).collect();
        bench.take(&slice(now, &sent));
        bench.tick(now);
    }
    let alarms = bench.alarms();
    let of_dus: Vec<_> = alarms.iter().filter(|a| a.0 == "du_inactive").collect();
    let expected = [
        ("du_inactive", "DU 1", true),
        ("du_inactive", "DU 1", false),
    ];
    assert_eq!(of_dus, expected.iter().collect::<Vec<_>>());
    let text = &bench
        .out
        .alarms
        .iter()
        .find(|a| a.rule == "du_inactive")
        .unwrap()
        .text;
    assert_eq!(text, "2 of 18 DOMs of DU 1 are inactive");
}

#[test]
fn an_unknown_dom_does_not_end_it_and_is_listed() {
    let setup = setup(1);
    let known = ids(&setup)[0];
    let mut bench = Bench::<DomActivity>::new(Config::default(), &setup);
    bench.take(&slice(T0, &[(77, 50), (known, 50)]));
    bench.tick(T0 + 1000);
    let fathom_kernel::view::View::Table(table) = &bench.output("dom_activity_unknown").view else {
        panic!("no table")
    };
    assert_eq!(table.rows[0][0], json!(77));
    assert_eq!(age(&bench, known), 1.0);
}

#[test]
fn dus_from_2_to_5_with_20_floors_are_all_shown() {
    let setup = common::tall_setup(&[2, 3, 5], 20);
    let doms = ids(&setup);
    let mut bench = Bench::<DomActivity>::new(Config::default(), &setup);
    bench.take(&slice(T0, &[(*doms.last().unwrap(), 50)]));
    bench.tick(T0 + 1000);
    let map = bench.map("dom_activity");
    assert_eq!(map.values.len(), 60);
    assert_eq!((map.x[59], map.y[59], map.values[59]), (5, 20, 1.0));
}

#[test]
fn an_outage_at_the_start_was_never_told_since_no_slice_had_come_before_it() {
    let setup = setup(1);
    let mut bench = Bench::<DomActivity>::new(Config::default(), &setup);
    for s in 0..100 {
        bench.tick(T0 + 1000 * s);
    }
    assert_eq!(bench.alarms(), [("no_summary_slices", "IO_SUM", true)]);
    assert_eq!(bench.out.alarms[0].at.as_millisecond(), T0 + 31_000);
}

#[test]
fn what_held_before_a_restart_is_over_only_when_it_is() {
    let setup = setup(1);
    let doms = ids(&setup);
    let mut bench = Bench::<DomActivity>::new(Config::default(), &setup);
    for (rule, subject) in [
        ("no_summary_slices", "IO_SUM"),
        ("dom_inactive", "DU 1 floor 1"),
        ("dom_inactive", "DU 1 floor 2"),
        ("du_inactive", "DU 1"),
    ] {
        assert_eq!(bench.monitor.recall(rule, subject), Recalled::Holds);
    }
    for (rule, subject) in [("dom_inactive", "DU 2 floor 1"), ("du_inactive", "DU 2")] {
        assert_eq!(bench.monitor.recall(rule, subject), Recalled::Gone);
    }
    assert_eq!(bench.monitor.recall("else", "DU 1"), Recalled::Unknown);
    for s in 0..100 {
        bench.tick(T0 + 1000 * s);
    }
    assert_eq!(bench.alarms(), [], "the outage lasts");
    for s in 100..120 {
        let sent: Vec<_> = doms.iter().map(|&d| (d, 50)).collect();
        bench.take(&slice(T0 + 1000 * s, &sent));
        bench.tick(T0 + 1000 * s);
    }
    let expected = [
        ("no_summary_slices", "IO_SUM", false),
        ("dom_inactive", "DU 1 floor 1", false),
        ("dom_inactive", "DU 1 floor 2", false),
        ("du_inactive", "DU 1", false),
    ];
    assert_eq!(bench.alarms(), expected);
}

#[test]
fn a_short_limit_alarmed_every_dom_just_before_the_silence_of_the_stream() {
    let setup = setup(2);
    let sent: Vec<_> = ids(&setup).into_iter().map(|d| (d, 50)).collect();
    let config = Config {
        inactive_after: Span::from_secs(20),
        ..Config::default()
    };
    let mut bench = Bench::<DomActivity>::new(config, &setup);
    for s in 0..100 {
        let now = T0 + 1000 * s;
        if s < 30 {
            // What comes is half a second old.
            let Event::Frame(frame) = slice(now - 500, &sent) else {
                panic!("no frame")
            };
            let received = common::ms(now);
            bench.take(&Event::Frame(Frame { received, ..frame }));
        }
        bench.tick(now);
    }
    assert_eq!(bench.alarms(), [("no_summary_slices", "IO_SUM", true)]);
    assert_eq!(bench.out.alarms[0].text, "no summary slices for 20 s");
}

#[test]
fn a_module_that_is_not_to_be_used_is_missed_by_nobody() {
    let setup = with_disabled(setup(1), Place { du: 1, floor: 1 });
    let doms = ids(&setup);
    let config = Config {
        inactive_fraction: 0.01,
        ..Config::default()
    };
    let mut bench = Bench::<DomActivity>::new(config, &setup);
    for s in 0..500 {
        let sent = doms[usize::from(s > 20)..].iter().map(|&d| (d, 50));
        bench.take(&slice(T0 + 1000 * s, &sent.collect::<Vec<_>>()));
        bench.tick(T0 + 1000 * s);
    }
    assert_eq!(bench.alarms(), []);
    assert_eq!(age(&bench, doms[0]), 475.0, "it is shown all the same");
    let recalled = bench.monitor.recall("dom_inactive", "DU 1 floor 1");
    assert_eq!(recalled, Recalled::Gone);
}

#[test]
fn a_du_is_bad_above_the_fraction_of_the_doms_that_were_ever_heard_of() {
    let setup = setup(1);
    let doms = ids(&setup);
    let alarms = |heard: usize, silent: usize, inactive_fraction: f64| {
        let config = Config {
            inactive_fraction,
            ..Config::default()
        };
        let mut bench = Bench::<DomActivity>::new(config, &setup);
        for s in 0..400 {
            let from = if s > 20 { silent } else { 0 };
            let sent: Vec<_> = doms[from..heard].iter().map(|&d| (d, 50)).collect();
            bench.take(&slice(T0 + 1000 * s, &sent));
            bench.tick(T0 + 1000 * s);
        }
        let alarms = bench.out.alarms.iter().filter(|a| a.rule == "du_inactive");
        alarms.map(|a| a.text.clone()).collect::<Vec<_>>()
    };
    // One of four is the fraction and not above it.
    assert!(alarms(4, 1, 0.25).is_empty());
    assert_eq!(
        alarms(4, 1, 0.24),
        ["1 of 4 DOMs of DU 1 are inactive"],
        "the other 14 never sent"
    );
}

#[test]
fn a_late_slice_makes_no_dom_older() {
    let setup = setup(1);
    let dom = ids(&setup)[0];
    let mut bench = Bench::<DomActivity>::new(Config::default(), &setup);
    for at_ms in [1000, 9000, 4000] {
        bench.take(&slice(T0 + at_ms, &[(dom, 50)]));
    }
    bench.tick(T0 + 10_000);
    assert_eq!(age(&bench, dom), 1.0);
}

#[test]
fn a_replay_begins_with_last_times_of_its_own() {
    let setup = setup(1);
    let dom = ids(&setup)[0];
    let config = Config {
        reference: Reference::Data,
        ..Config::default()
    };
    let mut bench = Bench::<DomActivity>::new(config, &setup);
    bench.take(&slice(T0, &[(dom, 50)]));
    bench.tick(T0);
    // Half a minute later data of the day before come.
    let Event::Frame(old) = slice(T0 - 86_400_000, &[(dom, 50)]) else {
        panic!("no frame")
    };
    let received = common::ms(T0 + 30_000);
    bench.take(&Event::Frame(Frame { received, ..old }));
    bench.tick(T0 + 35_000);
    assert_eq!(age(&bench, dom), 5.0);
}

#[test]
fn doms_are_judged_ten_seconds_after_the_first_slice_and_again_after_each_silence() {
    let setup = setup(1);
    let doms = ids(&setup);
    let all: Vec<_> = doms.iter().map(|&d| (d, 50)).collect();
    let mut bench = Bench::<DomActivity>::new(Config::default(), &setup);
    bench.take(&slice(T0, &all));
    // A restart after ten minutes; at first only one DOM sends, and after an outage again.
    let mut bench = bench.restarted(Config::default(), &setup, &Store::default());
    for s in 600..1100 {
        let now = T0 + 1000 * s;
        let sent = match s {
            600..608 | 1050..1058 => &all[..1],
            608..640 | 1058.. => &all[..],
            _ => &[],
        };
        if !sent.is_empty() {
            bench.take(&slice(now, sent));
        }
        bench.tick(now);
    }
    let outage = [true, false].map(|firing| ("no_summary_slices", "IO_SUM", firing));
    assert_eq!(bench.alarms(), outage);
}
