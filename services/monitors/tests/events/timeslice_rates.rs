//! Rates, completeness and gaps of time slices.

use fathom_formats::km3net::{DetectorId, Header, RunNumber, SliceLevel, encode_time_slice};
use fathom_kernel::view::View;
use fathom_kernel::{Event, Monitor as _, Setup, Tag, tags};
use fathom_monitors::{TimesliceRates, TimesliceRatesConfig as Config};
use serde_json::json;

use super::common::{Bench, Store, frame, ms};

const T0: i64 = 1_700_000_400_000;

/// The slice of a frame of a run that starts at `T0`.
fn slice(tag: Tag, run: i32, index: i32) -> Event {
    let at_ms = T0 + i64::from(index) * 100;
    let header = Header {
        detector_id: DetectorId(44),
        run: RunNumber(run),
        frame_index: index,
        utc_seconds: u32::try_from(at_ms / 1000).unwrap(),
        white_rabbit: true,
        ticks: u32::try_from(at_ms % 1000).unwrap() * 62_500,
    };
    let mut body = Vec::new();
    encode_time_slice(SliceLevel::of_tag(tag).unwrap(), &header, &[], &mut body).unwrap();
    frame(tag, body, at_ms)
}

fn bench(config: Config) -> Bench<TimesliceRates> {
    Bench::new(config, &Setup::default())
}

/// Feeds frames as they come, with a tick each second.
fn feed(
    bench: &mut Bench<TimesliceRates>,
    frames: std::ops::Range<i32>,
    keep: impl Fn(i32) -> bool,
) {
    for index in frames {
        if keep(index) {
            bench.take(&slice(tags::IO_TSL1, 1, index));
        }
        if index % 10 == 9 {
            bench.tick(T0 + i64::from(index) * 100);
        }
    }
}

fn gaps(bench: &Bench<TimesliceRates>) -> Vec<Vec<serde_json::Value>> {
    match &bench.output("timeslice_gaps").view {
        View::Table(table) => table.rows.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn ten_slices_a_second_are_ten_hertz_and_complete() {
    let mut bench = bench(Config::default());
    feed(&mut bench, 0..400, |_| true);
    for name in ["timeslice_rates", "timeslice_rates_lin"] {
        let rates = bench.curve(name, "L1");
        assert_eq!(rates, [10.0; 3], "{name}");
    }
    assert!(bench.series("timeslice_rates").y_log);
    assert_eq!(bench.curve("timeslice_completeness", "L1"), [100.0; 3]);
    let curves = &bench.series("timeslice_rates").curves;
    assert_eq!(curves.len(), 1, "streams that are not sent have no curve");
    assert!(gaps(&bench).is_empty() && bench.alarms().is_empty());
}

/// The reference suite read detector and run two bytes too early since payloads have versions.
#[test]
fn detector_and_run_are_not_read_two_bytes_off() {
    let mut bench = bench(Config::default());
    for index in 0..200 {
        bench.take(&slice(tags::IO_TSSN, 13_042, index));
    }
    bench.tick(T0 + 20_000);
    bench.tick(T0 + 30_000);
    let marks = &bench.series("timeslice_rates").marks;
    assert_eq!((marks.len(), &*marks[0].text), (1, "RUN 13042"));
    assert_eq!(bench.cell("timeslice_counts", "IO_TSSN", 8), json!(13_042));
    assert_eq!(bench.cell("timeslice_counts", "IO_TSSN", 9), json!(199));
    // The flag in the seconds is no part of the time.
    assert_eq!(
        bench.cell("timeslice_counts", "IO_TSSN", 10),
        json!("2023-11-14 22:20:19")
    );
}

/// Its run annotation used a name that was never set, and the picture died with the first run.
#[test]
fn a_change_of_run_is_marked_in_either_direction() {
    let mut bench = bench(Config::default());
    for (run, from) in [(7, 0), (5, 100), (9, 200)] {
        for index in from..from + 100 {
            bench.take(&slice(tags::IO_TSL0, run, index));
        }
    }
    bench.tick(T0 + 30_000);
    bench.tick(T0 + 40_000);
    let marks = bench.series("timeslice_rates").marks.iter();
    let marks: Vec<_> = marks.map(|m| (m.at_ms - T0, &*m.text)).collect();
    assert_eq!(marks, [(0, "RUN 7"), (10_000, "RUN 5"), (20_000, "RUN 9")]);
}

#[test]
fn missing_frames_are_listed_and_lower_the_completeness() {
    let mut bench = bench(Config::default());
    feed(&mut bench, 0..400, |i| !(120..150).contains(&i));
    assert_eq!(
        bench.curve("timeslice_completeness", "L1"),
        [100.0, 70.0, 100.0]
    );
    assert_eq!(bench.curve("timeslice_rates", "L1"), [10.0, 7.0, 10.0]);
    let expected = json!(["2023-11-14 22:20:12", "IO_TSL1", 1, 120, 149, 30]);
    assert_eq!(json!(gaps(&bench)), json!([expected]));
    let low = ("timeslices_incomplete", "IO_TSL1", true);
    let fine = ("timeslices_incomplete", "IO_TSL1", false);
    assert_eq!(bench.alarms(), [low, fine]);
}

#[test]
fn a_stream_that_stops_is_an_alarm_until_it_is_forgotten() {
    let config = Config {
        forget_after: fathom_kernel::Span::from_secs(60),
        ..Config::default()
    };
    let mut bench = bench(config);
    feed(&mut bench, 0..200, |_| true);
    for s in 20..200 {
        bench.tick(T0 + s * 1000);
    }
    let alarms: Vec<_> = bench
        .out
        .alarms
        .iter()
        .map(|a| (a.firing, a.at.as_millisecond() - T0))
        .collect();
    assert_eq!(alarms, [(true, 30_000), (false, 80_000)]);
    assert_eq!(
        bench.curve("timeslice_rates", "L1")[3],
        0.0,
        "silence is zero"
    );
}

#[test]
fn a_stream_that_still_stands_after_a_restart_is_said_again() {
    let mut bench = bench(Config::default());
    feed(&mut bench, 0..200, |_| true);
    for s in 20..40 {
        bench.tick(T0 + s * 1000);
    }
    let low = ("timeslices_incomplete", "IO_TSL1", true);
    assert_eq!(bench.alarms(), [low]);
    let mut bench = bench.restarted(Config::default(), &Setup::default(), &Store::default());
    for s in 40..80 {
        bench.tick(T0 + s * 1000);
    }
    assert_eq!(bench.alarms(), [low]);
    assert_eq!(bench.out.alarms[0].at.as_millisecond(), T0 + 40_000);
}

#[test]
fn a_slice_with_a_broken_clock_fills_no_interval() {
    let mut bench = bench(Config::default());
    feed(&mut bench, 0..150, |_| true);
    // A day ahead by its time and its index.
    let Event::Frame(mut broken) = slice(tags::IO_TSL1, 1, 150 + 864_000) else {
        panic!("no frame")
    };
    broken.received = ms(T0 + 15_000);
    bench.take(&Event::Frame(broken));
    feed(&mut bench, 151..400, |_| true);
    assert_eq!(bench.cell("timeslice_counts", "IO_TSL1", 6), json!(1));
    assert_eq!(bench.curve("timeslice_rates", "L1"), [10.0, 9.9, 10.0]);
    let store = Store::default();
    drop(bench.restarted(Config::default(), &Setup::default(), &store));
    let kept: serde_json::Value = store.saved().json().unwrap().unwrap();
    let bins = kept["bins"].as_array().unwrap().iter();
    let newest = bins.map(|bin| bin[0].as_i64().unwrap()).max().unwrap();
    assert!(newest <= T0 / 10_000 + 4, "{newest}");
}

/// A few slices of 2038 stood in the table as the newest for ever.
#[test]
fn slices_of_a_wrong_time_are_not_the_newest_for_ever() {
    let mut bench = bench(Config::default());
    let newest = |bench: &Bench<TimesliceRates>, stream: &str| {
        let cell = bench.cell("timeslice_counts", stream, 10);
        let day = |text: &str| Some(text.split_once(' ')?.0.to_owned());
        cell.as_str().and_then(day)
    };
    let far = |tag: Tag, index: i32, received_ms: i64| {
        let Event::Frame(mut far) = slice(tag, 1, index + 5_000_000) else {
            panic!("no frame")
        };
        far.received = ms(received_ms);
        Event::Frame(far)
    };
    // The very first are wrong: the clock goes by them at first.
    for index in 0..3 {
        for tag in [tags::IO_TSL1, tags::IO_TSSN] {
            bench.take(&far(tag, index, T0 + i64::from(index) * 100));
        }
    }
    bench.tick(T0 + 500);
    assert_eq!(newest(&bench, "IO_TSL1").as_deref(), Some("2023-11-20"));
    feed(&mut bench, 10..1000, |_| true);
    assert_eq!(newest(&bench, "IO_TSL1").as_deref(), Some("2023-11-14"));
    assert_eq!(newest(&bench, "IO_TSSN"), None);

    // What a former version has kept does not last either.
    let store = Store::default();
    let again = bench.restarted(Config::default(), &Setup::default(), &store);
    drop(again);
    let mut kept: serde_json::Value = store.saved().json().unwrap().unwrap();
    // The second stream is L1.
    kept["streams"][1]["newest_ms"] = json!(2_147_483_647_000_i64);
    let mut keep = fathom_kernel::Persist::default();
    keep.json(&kept);
    keep.write(&store.checkpoint()).unwrap();
    let mut bench = super::timeslice_rates::bench(Config::default());
    bench.monitor.restore(&store.saved()).unwrap();
    feed(&mut bench, 1000..1010, |_| true);
    assert_eq!(newest(&bench, "IO_TSL1").as_deref(), Some("2023-11-14"));
}

#[test]
fn parts_of_a_slice_count_as_one_frame() {
    let mut bench = bench(Config::default());
    for index in 0..300 {
        for _ in 0..4 {
            bench.take(&slice(tags::IO_TSL0, 1, index));
        }
    }
    bench.tick(T0 + 30_000);
    bench.tick(T0 + 40_000);
    assert_eq!(bench.curve("timeslice_rates", "L0")[1], 40.0);
    assert_eq!(bench.curve("timeslice_completeness", "L0")[1], 100.0);
    assert_eq!(bench.cell("timeslice_counts", "IO_TSL0", 4), json!(900));
    // A slice without frames has 34 bytes.
    assert_eq!(bench.cell("timeslice_counts", "IO_TSL0", 7), json!(34));
}

#[test]
fn a_frame_that_is_sent_twice_makes_up_for_no_missing_one() {
    let mut bench = bench(Config::default());
    for index in (0..400).filter(|i| i % 2 == 0) {
        for _ in 0..2 {
            bench.take(&slice(tags::IO_TSL0, 1, index));
        }
    }
    bench.tick(T0 + 30_000);
    bench.tick(T0 + 46_000);
    assert_eq!(bench.curve("timeslice_completeness", "L0")[1], 50.0);
}

#[test]
fn nine_tenths_of_the_frames_are_enough_and_one_frame_less_is_not() {
    let mut bench = bench(Config::default());
    feed(&mut bench, 0..600, |i| {
        !(200..210).contains(&i) && !(400..411).contains(&i)
    });
    let complete = bench.curve("timeslice_completeness", "L1");
    assert_eq!(complete, [100.0, 100.0, 90.0, 100.0, 89.0]);
    let alarms: Vec<_> = bench
        .out
        .alarms
        .iter()
        .map(|a| (a.firing, &*a.text))
        .collect();
    let low = "89.0 % of the frames came in an interval";
    assert_eq!(alarms[0], (true, low));
}

#[test]
fn a_stream_of_which_no_frame_is_due_in_an_interval_is_not_judged() {
    let config = Config {
        one_in: [(tags::IO_TSL1, 200)].into(),
        ..Config::default()
    };
    let mut bench = bench(config);
    feed(&mut bench, 0..600, |i| i % 200 == 0);
    let complete = bench.curve("timeslice_completeness", "L1");
    assert!(
        complete.iter().all(|percent| percent.is_nan()),
        "{complete:?}"
    );
    assert_eq!(bench.alarms(), []);
}

#[test]
fn a_frame_is_missing_when_ten_seconds_of_later_ones_have_come() {
    let mut bench = bench(Config::default());
    let mut late = |index: i32| {
        bench.take(&slice(tags::IO_TSL1, 1, index));
        bench.tick(T0 + 20_000);
        gaps(&bench).len()
    };
    for index in (0..106).filter(|i| *i != 5) {
        assert_eq!(late(index), 0, "{index}");
    }
    assert_eq!(late(106), 1);
}

#[test]
fn a_late_frame_in_a_gap_leaves_two_with_times_of_their_own() {
    let mut bench = bench(Config::default());
    feed(&mut bench, 0..400, |i| !(120..150).contains(&i));
    bench.take(&slice(tags::IO_TSL1, 1, 130));
    bench.tick(T0 + 41_000);
    let expected = json!([
        ["2023-11-14 22:20:13", "IO_TSL1", 1, 131, 149, 19],
        ["2023-11-14 22:20:12", "IO_TSL1", 1, 120, 129, 10],
    ]);
    assert_eq!(json!(gaps(&bench)), expected);
    assert_eq!(bench.cell("timeslice_counts", "IO_TSL1", 3), json!(29));
    // Interval two was drawn before it came.
    assert_eq!(bench.cell("timeslice_counts", "IO_TSL1", 5), json!(1));
}

#[test]
fn the_end_of_a_run_and_the_beginning_of_the_next_one_have_gaps_as_well() {
    let mut bench = bench(Config::default());
    for index in (0..50).filter(|i| *i != 45) {
        bench.take(&slice(tags::IO_TSL1, 1, index));
    }
    // The first hundred frames of the next run are missing.
    for index in 100..310 {
        bench.take(&slice(tags::IO_TSL1, 2, index));
    }
    bench.tick(T0 + 40_000);
    let frames: Vec<_> = gaps(&bench).iter().map(|row| row[2..5].to_vec()).collect();
    assert_eq!(json!(frames), json!([[1, 45, 45], [2, 0, 99]]));
}

#[test]
fn a_stream_of_one_frame_in_ten_is_complete_when_told_so() {
    let config = Config {
        one_in: [(tags::IO_TSL1, 10)].into(),
        ..Config::default()
    };
    let mut bench = bench(config);
    feed(&mut bench, 0..400, |i| i % 10 == 0);
    assert_eq!(bench.curve("timeslice_completeness", "L1"), [100.0; 3]);
    assert_eq!(bench.curve("timeslice_rates", "L1"), [1.0; 3]);
    assert!(gaps(&bench).is_empty() && bench.alarms().is_empty());
}

#[test]
fn damaged_slices_are_counted_by_reason_and_end_nothing() {
    let mut bench = bench(Config::default());
    let Event::Frame(mut cut) = slice(tags::IO_TSL2, 1, 0) else {
        panic!("no frame")
    };
    cut.body = cut.body.slice(..20);
    bench.take(&Event::Frame(cut.clone()));
    cut.tag = tags::IO_TSL1;
    bench.take(&Event::Frame(cut));
    assert_eq!(bench.out.bad, ["length_mismatch", "length_mismatch"]);
    let Event::Frame(mut other) = slice(tags::IO_TSL2, 1, 0) else {
        panic!("no frame")
    };
    other.tag = tags::IO_TSL0;
    bench.take(&Event::Frame(other));
    assert_eq!(bench.out.bad[2], "wrong_type");
    assert!(bench.monitor.on_request("bad", &json!(null)).is_ok());
}

#[test]
fn curves_and_gaps_survive_a_restart_which_is_no_gap_itself() {
    let mut bench = bench(Config::default());
    feed(&mut bench, 0..300, |i| i != 150);
    let store = Store::default();
    let mut bench = bench.restarted(Config::default(), &Setup::default(), &store);
    feed(&mut bench, 400..600, |_| true);
    assert_eq!(gaps(&bench).len(), 1);
    let rates = bench.curve("timeslice_rates", "L1");
    assert_eq!(rates[..2], [10.0, 9.9]);
    assert_eq!(bench.cell("timeslice_counts", "IO_TSL1", 3), json!(1));
}
