//! Trigger rates by hand: what comes in, what must be shown.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Bench, Store, cut, event, event_body, event_of_run, flipped, frame};
use fathom_formats::km3net::DetectorId;
use fathom_kernel::{Monitor, Setup, Span, tags};
use fathom_monitors::{TriggerRates, TriggerRatesConfig as Config};
use serde_json::json;

/// A whole multiple of every interval used here.
const T0: i64 = 1_700_000_400_000;

fn bench(interval_s: u64) -> Bench<TriggerRates> {
    Bench::new(config(interval_s), &Setup::default())
}

fn config(interval_s: u64) -> Config {
    Config {
        interval: Span::from_secs(interval_s),
        ..Config::default()
    }
}

#[test]
fn three_events_in_300_s_are_a_hundredth_of_a_hertz() {
    let mut bench = bench(300);
    bench.tick(T0);
    for n in 0..3 {
        bench.take(&event(T0 + 100_000 * n, 0x12, u64::try_from(n).unwrap()));
    }
    bench.tick(T0 + 302_000);
    assert_eq!(bench.curve("trigger_rates", "Overall"), [0.01]);
    assert_eq!(bench.curve("trigger_rates", "3DMuon"), [0.01]);
    assert_eq!(bench.curve("trigger_rates", "MXShower"), [0.0]);
    let overall = &bench.series("trigger_rates").curves[0];
    assert_eq!(overall.errors, [3.0_f64.sqrt() / 300.0]);
    assert_eq!(
        (&*overall.colour, bench.series("trigger_rates").y_log),
        ("tomato", true)
    );
    assert_eq!(bench.series("trigger_rates").times_ms, [T0 + 300_000]);
    assert_eq!(bench.cell("trigger_counts", "Overall", 1), json!(3));
    assert_eq!(bench.cell("trigger_counts", "3DShower", 1), json!(3));
    assert_eq!(bench.curve("trigger_overlays", "overlays"), [4.0]);
    assert_eq!(bench.curve("trigger_hits", "triggered hits"), [2.0]);
    assert_eq!(bench.curve("trigger_hits", "snapshot hits"), [4.0]);
}

#[test]
fn one_event_45_s_ahead_made_nine_zero_bins_and_an_alert_of_the_future() {
    let mut bench = bench(5);
    for s in 0..60_i64 {
        bench.take(&event(T0 + 1000 * s, 2, s.unsigned_abs()));
        if s == 30 {
            let body = event_body(1, T0 + 75_000, 2, 1000, 2);
            bench.take(&frame(tags::IO_EVT, body, T0 + 30_000));
        }
        bench.tick(T0 + 1000 * s);
    }
    assert_eq!(bench.alarms(), []);
    assert!(
        bench
            .curve("trigger_rates", "Overall")
            .iter()
            .all(|r| *r > 0.0)
    );
    let far = bench.cell("trigger_counts", "events far off the clock", 1);
    assert_eq!(far, json!(1));
}

#[test]
fn silence_is_drawn_as_zero_and_raises_the_alarm() {
    let mut bench = bench(10);
    bench.tick(T0);
    bench.take(&event(T0 + 1000, 2, 1));
    for s in 1..=32 {
        bench.tick(T0 + 1000 * s);
    }
    assert_eq!(bench.curve("trigger_rates", "Overall"), [0.1, 0.0, 0.0]);
    assert_eq!(bench.alarms(), [("trigger_rate_zero", "Overall", true)]);
    assert_eq!(bench.out.alarms[0].text, "Trigger rate is 0Hz!");
    assert_eq!(bench.out.lines.len(), 3);
    let stamp = T0 / 1000 + 20;
    assert_eq!(
        bench.out.lines[1].line,
        format!("{stamp}.0,0.0,0.0,0.0,0.0")
    );
    // The newest datum is still that of the last event: the view goes stale.
    assert_eq!(
        bench
            .output("trigger_rates")
            .datum
            .unwrap()
            .as_millisecond(),
        T0 + 1000
    );

    bench.take(&event(T0 + 35_000, 2, 2));
    bench.tick(T0 + 42_000);
    assert_eq!(bench.alarms()[1], ("trigger_rate_zero", "Overall", false));
}

#[test]
fn a_source_that_never_sends_is_zero_as_well() {
    let mut bench = bench(10);
    for s in 0..=23 {
        bench.tick(T0 + 1000 * s);
    }
    assert_eq!(bench.curve("trigger_rates", "Overall"), [0.0, 0.0]);
    assert!(bench.output("trigger_rates").datum.is_none());
    assert_eq!(bench.alarms(), [("trigger_rate_zero", "Overall", true)]);
}

#[test]
fn a_late_event_corrects_its_interval() {
    let mut bench = bench(10);
    bench.tick(T0);
    bench.take(&event(T0 + 1000, 2, 1));
    bench.take(&event(T0 + 11_000, 2, 3));
    bench.tick(T0 + 22_000);
    assert_eq!(bench.curve("trigger_rates", "Overall"), [0.1, 0.1]);
    assert_eq!(bench.cell("trigger_counts", "lost events", 1), json!(1));
    bench.take(&frame(
        tags::IO_EVT,
        event_body(1, T0 + 9000, 2, 2, 2),
        T0 + 23_000,
    ));
    bench.tick(T0 + 23_000);
    assert_eq!(bench.curve("trigger_rates", "Overall"), [0.2, 0.1]);
    assert_eq!(bench.cell("trigger_counts", "late events", 1), json!(1));
    assert_eq!(bench.cell("trigger_counts", "lost events", 1), json!(0));
    assert_eq!(bench.curve("trigger_lost", "lost events"), [0.0, 0.0]);
}

#[test]
fn lost_events_are_seen_in_the_trigger_counter() {
    let mut bench = bench(10);
    bench.tick(T0);
    for counter in [5, 6, 10, 11] {
        bench.take(&event(T0 + 1000, 2, counter));
    }
    bench.take(&event_of_run(2, T0 + 2000, 2, 70_000));
    bench.tick(T0 + 12_000);
    assert_eq!(bench.cell("trigger_counts", "lost events", 1), json!(3));
    assert_eq!(bench.curve("trigger_lost", "lost events"), [0.3]);
}

#[test]
fn run_changes_are_marked_downward_as_well() {
    let mut bench = bench(10);
    bench.tick(T0);
    for (n, run) in [(1, 300), (2, 300), (3, 17), (4, 18)] {
        bench.take(&event_of_run(
            run,
            T0 + 1000 * n,
            2,
            u64::try_from(n).unwrap(),
        ));
    }
    bench.tick(T0 + 12_000);
    let marks = bench.series("trigger_rates").marks.iter();
    let marks: Vec<_> = marks.map(|mark| (mark.at_ms - T0, &*mark.text)).collect();
    assert_eq!(
        marks,
        [(1000, "RUN 300"), (3000, "RUN 17"), (4000, "RUN 18")]
    );
}

#[test]
fn old_data_replayed_at_full_speed_fall_into_bins_of_their_own_time() {
    let old = 1_574_432_870_000;
    let mut bench = bench(10);
    bench.tick(T0);
    let mut counter = 0;
    for s in 0..30 {
        for _ in 0..=s / 10 {
            counter += 1;
            let body = event_body(6760, old + 1000 * s, 22, counter, 2);
            bench.take(&frame(tags::IO_EVT, body, T0 + 100));
        }
    }
    bench.tick(T0 + 1000);
    assert_eq!(bench.curve("trigger_rates", "Overall"), [1.0, 2.0]);
    // The last interval ends in the data's time, not in ours.
    bench.tick(T0 + 4000);
    assert_eq!(bench.curve("trigger_rates", "Overall"), [1.0, 2.0, 3.0]);
    assert_eq!(bench.series("trigger_rates").times_ms[0], old + 10_000);
    assert_eq!(bench.cell("trigger_counts", "Overall", 1), json!(60));
    let stamps: Vec<_> = bench
        .out
        .lines
        .iter()
        .map(|l| l.line.split(',').next().unwrap())
        .collect();
    assert_eq!(stamps, ["1574432880.0", "1574432890.0", "1574432900.0"]);
}

#[test]
fn one_event_with_a_broken_clock_is_counted_and_moves_nothing() {
    let mut bench = bench(10);
    bench.tick(T0);
    bench.take(&event(T0 + 1000, 2, 1));
    bench.take(&frame(
        tags::IO_EVT,
        event_body(1, 2_000_000_000_000, 2, 2, 2),
        T0 + 1500,
    ));
    bench.take(&frame(
        tags::IO_EVT,
        event_body(1, 5000, 2, 3, 2),
        T0 + 1600,
    ));
    bench.take(&event(T0 + 2000, 2, 4));
    bench.tick(T0 + 9000);
    assert_eq!(bench.cell("trigger_counts", "Overall", 2), json!(2), "open");
    bench.tick(T0 + 12_000);
    assert_eq!(bench.curve("trigger_rates", "Overall"), [0.2]);
    let stamps = bench
        .out
        .lines
        .iter()
        .map(|l| l.line.split(',').next().unwrap());
    assert_eq!(stamps.collect::<Vec<_>>(), ["1700000410.0"]);
    bench.take(&event(T0 + 13_000, 2, 5));
    bench.tick(T0 + 14_000);
    assert_eq!(bench.cell("trigger_counts", "Overall", 2), json!(1), "open");
    assert_eq!(bench.cell("trigger_counts", "Overall", 1), json!(5));
    assert_eq!(bench.cell("trigger_counts", "lost events", 1), json!(0));
    assert_eq!(
        bench.cell("trigger_counts", "events far off the clock", 1),
        json!(2)
    );
}

#[test]
fn a_restart_keeps_the_curves_and_shows_the_gap() {
    let store = Store::default();
    let mut bench = bench(10);
    bench.tick(T0);
    for n in 0..5 {
        bench.take(&event_of_run(
            9,
            T0 + 5000 * n,
            2,
            u64::try_from(n).unwrap(),
        ));
    }
    bench.tick(T0 + 22_500);
    let mut bench = bench.restarted(config(10), &Setup::default(), &store);
    bench.tick(T0 + 60_000);
    bench.take(&event_of_run(9, T0 + 64_000, 2, 5));
    bench.tick(T0 + 72_500);
    let curve = bench.curve("trigger_rates", "Overall");
    // The third interval was left half way, with one event in 2.5 s.
    assert_eq!(curve[..3], [0.2, 0.2, 0.4]);
    assert!(curve[3].is_nan());
    assert_eq!(curve[4..], [0.1]);
    let marks: Vec<_> = bench
        .series("trigger_rates")
        .marks
        .iter()
        .map(|m| &*m.text)
        .collect();
    assert_eq!(marks, ["RUN 9", "GAP"]);
    assert_eq!(bench.cell("trigger_counts", "Overall", 1), json!(6));
}

/// One minute with 2 events every 10 s.
fn minute(config: Config) -> Bench<TriggerRates> {
    let mut bench = Bench::new(config, &Setup::default());
    bench.tick(T0);
    for n in 0..12 {
        bench.take(&event(T0 + 5000 * n, 0x22, u64::try_from(n).unwrap()));
    }
    bench.tick(T0 + 62_500);
    bench
}

#[test]
fn a_longer_interval_takes_over_the_curves_in_longer_steps() {
    let store = Store::default();
    let mut longer = minute(config(10)).restarted(config(40), &Setup::default(), &store);
    longer.tick(T0 + 63_000);
    assert_eq!(longer.curve("trigger_rates", "Overall"), [0.2]);
    assert_eq!(longer.cell("trigger_counts", "Overall", 1), json!(12));
    // The second one goes on where it was.
    for n in 0..2 {
        bench_event(&mut longer, T0 + 65_000 + 10_000 * n);
    }
    longer.tick(T0 + 82_500);
    // From second 62.5 to 63 nobody listened.
    let curve = longer.curve("trigger_rates", "Overall");
    assert!(common::close(curve[1], 6.0 / 40.0, 0.02), "{curve:?}");

    // What is no multiple does not fit, but for what is no curve.
    let mut other = Bench::<TriggerRates>::new(config(25), &Setup::default());
    fathom_kernel::Monitor::restore(&mut other.monitor, &store.saved()).unwrap();
    other.tick(T0 + 63_000);
    assert_eq!(other.cell("trigger_counts", "Overall", 1), json!(12));
    assert!(other.curve("trigger_rates", "Overall").is_empty());
}

fn bench_event(bench: &mut Bench<TriggerRates>, at_ms: i64) {
    let counter = u64::try_from((at_ms - T0) / 1000).unwrap();
    bench.take(&event(at_ms, 0x22, counter));
}

#[test]
fn a_further_trigger_takes_nothing_from_the_curves_of_the_others() {
    let further = Config {
        further_triggers: [("NB".to_owned(), 5), ("A".to_owned(), 1)].into(),
        ..config(10)
    };
    let store = Store::default();
    let mut bench = minute(config(10)).restarted(further, &Setup::default(), &store);
    bench_event(&mut bench, T0 + 75_000);
    bench.tick(T0 + 82_500);
    assert_eq!(bench.curve("trigger_rates", "3DShower")[..6], [0.2; 6]);
    let added = bench.curve("trigger_rates", "NB");
    // It was not counted before, which is not the same as none.
    assert!(added[..6].iter().all(|rate| rate.is_nan()));
    assert_eq!(added.last(), Some(&0.1));
    assert_eq!(bench.cell("trigger_counts", "NB", 1), json!(1));

    // And one less.
    let mut bench = bench.restarted(config(10), &Setup::default(), &store);
    bench.tick(T0 + 83_000);
    assert_eq!(bench.curve("trigger_rates", "3DShower")[..6], [0.2; 6]);
}

#[test]
fn the_running_median_is_known_right_after_a_restart() {
    let mut bench = Bench::<TriggerRates>::new(config(10), &Setup::default());
    let feed = |bench: &mut Bench<TriggerRates>, tens: std::ops::Range<i64>, events: i64| {
        for ten in tens {
            for n in 0..events {
                let counter = u64::try_from(ten * 1000 + n).unwrap();
                bench.take(&event(T0 + 10_000 * ten + 10 * n, 2, counter));
            }
            bench.tick(T0 + 10_000 * ten + 9900);
        }
    };
    bench.tick(T0);
    feed(&mut bench, 0..6, 100);
    bench.tick(T0 + 62_500);
    let mut bench = bench.restarted(config(10), &Setup::default(), &Store::default());
    bench.tick(T0 + 63_000);
    feed(&mut bench, 6..7, 90);
    feed(&mut bench, 7..8, 20);
    bench.tick(T0 + 82_500);
    assert_eq!(bench.alarms(), [("trigger_rate_low", "Overall", true)]);
}

#[test]
fn further_triggers_have_curves_of_their_own() {
    let config = Config {
        further_triggers: [("NB".to_owned(), 5)].into(),
        ..config(10)
    };
    let mut bench = Bench::<TriggerRates>::new(config, &Setup::default());
    bench.tick(T0);
    bench.take(&event(T0 + 1000, 0x22, 1));
    bench.take(&event(T0 + 1000, 0x20, 2));
    bench.tick(T0 + 12_000);
    assert_eq!(bench.curve("trigger_rates", "NB"), [0.2]);
    assert_eq!(bench.curve("trigger_rates", "3DShower"), [0.1]);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    use fathom_kernel::Monitor;

    let refused = |config: Config| TriggerRates::check(&config, &Setup::default()).unwrap_err();
    let further = |name: &str, bit| Config {
        further_triggers: [(name.to_owned(), bit)].into(),
        ..Config::default()
    };
    assert!(refused(further("X", 64)).contains("expected 0 to 63"));
    assert!(refused(further("3DMuon", 7)).contains("there already"));
    assert!(refused(config(0)).contains("expected 1s or more"));
}

#[test]
fn truncated_and_flipped_events_are_counted_and_never_panic() {
    let mut bench = bench(10);
    let body = event_body(1, T0, 2, 1, 3);
    for body in cut(&body) {
        bench.take(&frame(tags::IO_EVT, body, T0));
    }
    assert_eq!(bench.out.bad.len(), body.len());
    for body in flipped(&body) {
        bench.take(&frame(tags::IO_EVT, body, T0));
        bench.tick(T0);
    }
    use fathom_kernel::Monitor;
    let bad = bench.monitor.on_request("bad", &json!(null)).unwrap();
    assert_eq!(bad.as_array().unwrap().len(), 5);
}

/// Other monitors told of them long before.
#[test]
fn events_of_other_detectors_are_told_of_and_counted_all_the_same() {
    let setup = common::setup(1);
    let mut bench = Bench::<TriggerRates>::new(config(10), &setup);
    bench.take(&event(T0, 2, 1));
    bench.tick(T0);
    assert!(bench.out.bad.is_empty());
    let Some(detector) = &setup.detector else {
        panic!("no detector")
    };
    let mut other = (**detector).clone();
    other.id = DetectorId(45);
    let setup = Setup {
        detector: Some(other.into()),
        ..Setup::default()
    };
    let mut bench = Bench::<TriggerRates>::new(config(10), &setup);
    bench.monitor.reset();
    bench.take(&event(T0, 2, 1));
    bench.tick(T0);
    assert_eq!(bench.out.bad, ["other_detector"]);
    assert_eq!(bench.cell("trigger_counts", "Overall", 1), json!(1));
    let named = "detector 44, the description is of 45";
    assert_eq!(bench.cell("trigger_unknown", named, 1), json!(1));
}

/// Feeds intervals of 10 s with so many events each.
fn feed_tens(bench: &mut Bench<TriggerRates>, tens: impl IntoIterator<Item = i64>) {
    bench.tick(T0);
    let mut counter = 0;
    for (ten, events) in (0..).zip(tens) {
        for n in 0..events {
            counter += 1;
            bench.take(&event(T0 + 10_000 * ten + 10 * n, 2, counter));
        }
        bench.tick(T0 + 10_000 * ten + 9900);
        bench.tick(T0 + 10_000 * ten + 12_000);
    }
}

#[test]
fn a_rate_is_low_or_high_beyond_its_fraction_and_beyond_chance() {
    let alarms = |tens: &[i64]| {
        let mut bench = bench(10);
        feed_tens(&mut bench, tens.iter().copied());
        let alarms = bench.out.alarms.iter().map(|a| (a.rule.clone(), a.firing));
        alarms.collect::<Vec<_>>()
    };
    let fires = |rule: &str| vec![(rule.to_owned(), true)];
    // Usually 10 Hz: half and twice of it are neither.
    assert_eq!(alarms(&[100, 100, 100, 50, 200]), []);
    assert_eq!(alarms(&[100, 100, 100, 49]), fires("trigger_rate_low"));
    assert_eq!(alarms(&[100, 100, 100, 201]), fires("trigger_rate_high"));
    // Usually 10 in an interval, and three standard deviations are 9.5.
    assert_eq!(alarms(&[10, 10, 10, 3]), []);
    // Usually 2, and three are 4.2: five may be chance.
    assert_eq!(alarms(&[2, 2, 2, 5]), []);
    assert_eq!(alarms(&[2, 2, 2, 7]), fires("trigger_rate_high"));
    // Three intervals before are needed.
    assert_eq!(alarms(&[100, 100, 20]), []);
}

#[test]
fn silent_intervals_do_not_make_the_usual_rate() {
    let mut bench = bench(10);
    feed_tens(&mut bench, [100, 100, 100, 0, 0, 0, 0, 20]);
    let rules: Vec<_> = bench.alarms().iter().map(|a| (a.0, a.2)).collect();
    let expected = [
        ("trigger_rate_zero", true),
        ("trigger_rate_low", true),
        ("trigger_rate_zero", false),
    ];
    assert_eq!(rules, expected, "20 events are low against 100");
}

#[test]
fn an_interval_counts_as_whole_from_nine_tenths_on() {
    let zero = |since_ms: i64| {
        let mut bench = bench(10);
        bench.tick(T0 + since_ms);
        bench.tick(T0 + 9900);
        bench.tick(T0 + 12_000);
        (bench.alarms().len(), bench.out.lines.len())
    };
    assert_eq!(zero(1000), (1, 1));
    assert_eq!(zero(1001), (0, 0));
    // One with events has its line, by the time that was listened to.
    let mut bench = bench(10);
    bench.tick(T0 + 6000);
    bench.take(&event(T0 + 8000, 2, 1));
    bench.tick(T0 + 12_000);
    let stamp = T0 / 1000 + 10;
    let lines: Vec<_> = bench.out.lines.iter().map(|line| &*line.line).collect();
    assert_eq!(lines, [format!("{stamp}.0,0.25,0.0,0.0,0.25")]);
    assert_eq!(bench.alarms(), []);
}

#[test]
fn what_was_counted_besides_the_curves_survives_a_restart() {
    let mut bench = bench(10);
    bench.tick(T0);
    for counter in [1, 2, 2] {
        let body = event_body(1, T0 + 1000, 2, counter, 4);
        bench.take(&frame(tags::IO_EVT, body, T0 + 1000));
    }
    let mut bench = bench.restarted(config(10), &Setup::default(), &Store::default());
    bench.tick(T0 + 2000);
    let cell = |row| bench.cell("trigger_counts", row, 1);
    assert_eq!(cell("repeated counters"), json!(1));
    let datum = bench.output("trigger_rates").datum;
    assert_eq!(datum.unwrap().as_millisecond(), T0 + 1000);
    let fathom_kernel::view::View::Histogram(hits) = &bench.output("trigger_multiplicity").view
    else {
        panic!("no histogram")
    };
    // Four triggered hits, eight in all; bins are 5 wide.
    assert_eq!(hits.counts[..2], [3.0, 0.0]);
}

#[test]
fn a_counter_of_the_run_before_is_not_found_in_the_next_one() {
    let mut bench = bench(10);
    bench.tick(T0);
    for (run, counter) in [(1, 1), (1, 5), (2, 10), (2, 3)] {
        bench.take(&event_of_run(run, T0 + 1000, 2, counter));
    }
    bench.tick(T0 + 2000);
    let cell = |row| bench.cell("trigger_counts", row, 1);
    assert_eq!(cell("lost events"), json!(3), "2, 3 and 4 of run 1");
    assert_eq!(cell("repeated counters"), json!(1));
}

#[test]
fn an_interval_that_was_whole_before_a_restart_is_not_judged_again_in_longer_steps() {
    let mut longer = minute(config(10)).restarted(config(20), &Setup::default(), &Store::default());
    longer.tick(T0 + 63_000);
    assert!(longer.out.lines.is_empty(), "{:?}", longer.out.lines);
}
