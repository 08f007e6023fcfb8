//! DOM rates by hand.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Bench, Store, close, described_anew, setup, slice, slice_of, with_disabled};
use fathom_formats::detx::Place;
use fathom_formats::km3net::{CHANNELS, DomId, FrameStatus, SummaryFrame, rate_hz};
use fathom_kernel::view::View;
use fathom_kernel::{Monitor, Recalled, Setup};
use fathom_monitors::{DomRates, DomRatesConfig as Config};
use serde_json::json;

const T0: i64 = 1_700_000_400_000;

fn first_dom(setup: &Setup) -> u32 {
    let detector = setup.detector.as_ref().unwrap();
    detector.module_at(1, 1).unwrap().id.0
}

fn khz(code: u8) -> f64 {
    31.0 * rate_hz(code) / 1000.0
}

#[test]
fn the_map_shows_mean_and_extremes_of_the_interval() {
    let setup = setup(2);
    let dom = first_dom(&setup);
    let mut bench = Bench::<DomRates>::new(Config::default(), &setup);
    for (n, code) in [40, 60, 50].into_iter().enumerate() {
        bench.take(&slice(T0 + 100 * i64::try_from(n).unwrap(), &[(dom, code)]));
    }
    bench.tick(T0 + 1000);
    let map = bench.map("dom_rates");
    assert_eq!(
        map.values.len(),
        setup.detector.unwrap().optical_modules().count()
    );
    assert_eq!((map.x[0], map.y[0], map.id[0]), (1, 1, dom));
    assert!(close(
        map.values[0],
        (khz(40) + khz(60) + khz(50)) / 3.0,
        1e-12
    ));
    assert!(close(map.details[1].values[0], khz(40), 1e-12), "min");
    assert!(close(map.details[2].values[0], khz(60), 1e-12), "max");
    assert!(
        map.values[1..].iter().all(|value| value.is_nan()),
        "the others sent nothing"
    );
    assert_eq!(map.colours.missing, "black");

    assert!(close(map.details[0].values[0], khz(50), 1e-12), "newest");
    let shown = bench.out.outputs.len();
    bench.tick(T0 + 20_000);
    assert_eq!(
        bench.out.outputs.len(),
        shown,
        "without slices the map stays and goes stale"
    );
    bench.take(&slice(T0 + 21_000, &[]));
    bench.tick(T0 + 30_000);
    assert!(
        bench.map("dom_rates").values[0].is_nan(),
        "a DOM that is not in the slices is missing"
    );
}

#[test]
fn the_last_slice_to_come_was_taken_for_the_newest() {
    let setup = setup(1);
    let dom = first_dom(&setup);
    let mut bench = Bench::<DomRates>::new(Config::default(), &setup);
    for (at_ms, code) in [(T0, 40), (T0 + 200, 60), (T0 + 100, 50)] {
        bench.take(&slice(at_ms, &[(dom, code)]));
    }
    bench.tick(T0 + 1000);
    let newest_khz = bench.map("dom_rates").details[0].values[0];
    assert!(close(newest_khz, khz(60), 1e-12), "{newest_khz}");
}

#[test]
fn vetoed_and_full_channels_are_left_out() {
    let setup = setup(1);
    let status = FrameStatus::complete(4, 0b11, 0b110);
    let frame = SummaryFrame::new(DomId(first_dom(&setup)), status, [50; CHANNELS]);
    let mut bench = Bench::<DomRates>::new(Config::default(), &setup);
    bench.take(&slice_of(T0, &[frame], T0));
    bench.tick(T0);
    let map = bench.map("dom_rates");
    let detail = |name: &str| map.details.iter().find(|d| d.name == name).unwrap().values[0];
    assert!(close(map.values[0], khz(50), 1e-12));
    let live = 28.0 * rate_hz(50) / 1000.0;
    assert!(close(detail("without vetoed channels [kHz]"), live, 1e-12));
    assert_eq!(detail("live channels"), 28.0);
    assert_eq!(detail("channels in high-rate veto"), 2.0);
    assert_eq!(detail("channels with full FIFO"), 2.0);
}

#[test]
fn unknown_doms_are_listed() {
    let setup = setup(1);
    let mut bench = Bench::<DomRates>::new(Config::default(), &setup);
    bench.take(&slice(T0, &[(1, 50), (first_dom(&setup), 50)]));
    bench.take(&slice(T0 + 100, &[(1, 50)]));
    bench.tick(T0 + 1000);
    let View::Table(table) = &bench.output("dom_rates_unknown").view else {
        panic!("no table")
    };
    assert_eq!(
        table.rows,
        [[json!(1), json!(2), json!("2023-11-14 22:20:00")]]
    );
}

#[test]
fn slices_of_another_detector_are_listed_and_counted() {
    let mut setup = setup(1);
    let dom = first_dom(&setup);
    let detector = setup.detector.as_ref().unwrap();
    let modules = detector.modules().to_vec();
    let other =
        fathom_formats::detx::Detector::new(fathom_formats::km3net::DetectorId(43), modules);
    setup.detector = Some(other.into());
    let mut bench = Bench::<DomRates>::new(Config::default(), &setup);
    bench.take(&slice(T0, &[(dom, 50)]));
    bench.tick(T0 + 1000);
    let View::Table(table) = &bench.output("dom_rates_unknown").view else {
        panic!("no table")
    };
    let text = "detector 44, the description is of 43";
    assert_eq!(
        table.rows,
        [[json!(text), json!(1), json!("2023-11-14 22:20:00")]]
    );
    assert_eq!(bench.out.bad, ["other_detector"]);
    assert!(
        close(bench.map("dom_rates").values[0], khz(50), 1e-12),
        "used all the same"
    );
}

fn history(bench: &mut Bench<DomRates>, dom: u32, level: &str) -> serde_json::Value {
    let args = json!({"dom_id": dom, "level": level});
    bench.monitor.on_request("history", &args).unwrap()
}

#[test]
fn the_history_has_seconds_and_minutes_and_survives_a_restart() {
    let setup = setup(1);
    let dom = first_dom(&setup);
    let mut bench = Bench::<DomRates>::new(Config::default(), &setup);
    // Two minutes and a bit: the first minute at one rate, the second at another.
    for n in 0..1250 {
        let code = if n < 600 { 40 } else { 80 };
        bench.take(&slice(T0 + 100 * n, &[(dom, code)]));
    }
    let seconds = history(&mut bench, dom, "1s");
    assert_eq!(seconds["times_ms"].as_array().unwrap().len(), 122);
    let check = |minutes: &serde_json::Value| {
        assert_eq!(minutes["times_ms"], json!([T0, T0 + 60_000]));
        for (n, code) in [40, 80].into_iter().enumerate() {
            for name in ["mean_khz", "min_khz", "max_khz"] {
                let value = minutes[name][n].as_f64().unwrap();
                assert!(close(value, khz(code), 3e-4), "{name} {value}");
            }
        }
    };
    // The second minute is complete when a second of the third is.
    check(&history(&mut bench, dom, "1min"));
    bench.tick(T0 + 125_000);
    let View::Image(image) = &bench.output("dom_rates_history").view else {
        panic!("no image")
    };
    assert_eq!((image.rows, image.columns.len()), (18, 2));
    assert!(close(image.columns[1].values[0].into(), khz(80), 3e-4));
    assert_eq!(image.columns[1].at_ms, T0 + 120_000, "the end of it");
    assert_eq!(
        (image.row_labels.len(), &*image.row_labels[0].text),
        (1, "DU 1")
    );
    let args = json!({"dom_id": dom, "from_ms": T0 + 60_000, "to_ms": T0 + 60_000});
    let second = bench.monitor.on_request("history", &args).unwrap();
    assert_eq!(second["times_ms"], json!([T0 + 60_000]));
    let store = Store::default();
    let mut bench = bench.restarted(Config::default(), &setup, &store);
    check(&history(&mut bench, dom, "1min"));
    bench.tick(T0 + 200_000);
    let trend = bench.curve("dom_rates_trend", "median of DOMs");
    assert!(close(trend[0], khz(40), 3e-4) && close(trend[1], khz(80), 3e-4));
    let error = bench
        .monitor
        .on_request("history", &json!({"du": 99, "floor": 1}));
    assert!(error.unwrap_err().contains("no such DOM"));
}

#[test]
fn the_times_of_the_trend_do_not_run_back_when_the_clock_does() {
    let setup = setup(1);
    let dom = first_dom(&setup);
    let mut bench = Bench::<DomRates>::new(Config::default(), &setup);
    let hour_ms = 3_600_000;
    for n in 0..3 {
        bench.take(&slice(T0 + 60_000 * n, &[(dom, 40)]));
        bench.tick(T0 + 60_000 * n);
    }
    // A replay of data that are two hours old begins half a minute later.
    for n in 0..10 {
        let frame = SummaryFrame::new(DomId(dom), FrameStatus::complete(4, 0, 0), [80; CHANNELS]);
        let now = T0 + 150_000 + 60_000 * n;
        bench.take(&slice_of(now - 2 * hour_ms, &[frame], now));
        bench.tick(now);
    }
    let times = &bench.series("dom_rates_trend").times_ms;
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(times.len(), 10);
}

#[test]
fn rates_are_inside_the_range_at_both_ends() {
    let config = Config {
        lowest_rate: 150.0,
        highest_rate: 350.0,
        ..Config::default()
    };
    let mut bench = Bench::<DomRates>::new(config, &Setup::default());
    bench.tick(T0);
    let colours = &bench.map("dom_rates").colours;
    assert_eq!((colours.low, colours.high), (150.0, 350.0));
    assert_eq!(colours.under.as_deref(), Some("darkorchid"));
    assert_eq!(colours.over.as_deref(), Some("deeppink"));
}

#[test]
fn damaged_messages_are_counted_and_never_panic() {
    let mut bench = Bench::<DomRates>::new(Config::default(), &Setup::default());
    common::count_damaged(&mut bench, &slice(T0, &[(1, 50), (2, 60)]), T0);
}

#[test]
fn a_rate_byte_above_127_is_not_taken_for_a_low_rate() {
    let setup = setup(1);
    let dom = first_dom(&setup);
    let mut bench = Bench::<DomRates>::new(Config::default(), &setup);
    bench.take(&slice(T0, &[(dom, 128)]));
    bench.tick(T0 + 1000);
    // 2 kHz * 1000^(128/255), 31 times.
    let expected = 31.0 * 2.0 * 1000_f64.powf(128.0 / 255.0);
    assert!(close(bench.map("dom_rates").values[0], expected, 1e-9));
    assert!(expected > 1980.0);
}

#[test]
fn a_dom_out_of_range_for_a_minute_is_an_alarm_and_a_burst_is_not() {
    let setup = setup(1);
    let detector = setup.detector.clone().unwrap();
    let doms: Vec<u32> = detector.optical_modules().map(|m| m.id.0).collect();
    let mut bench = Bench::<DomRates>::new(Config::default(), &setup);
    for s in 0..360 {
        let now = T0 + 1000 * s;
        // 55 is 275 kHz, 20 is 107 kHz, 90 is 710 kHz.
        let low = if s < 180 { 20 } else { 55 };
        let burst = if (70..75).contains(&s) { 90 } else { 55 };
        // The third one says nothing after two minutes.
        let mut sent = vec![(doms[0], low), (doms[1], burst), (doms[2], 90)];
        sent.truncate(if s < 120 { 3 } else { 2 });
        bench.take(&slice(now, &sent));
        bench.tick(now);
    }
    let (one, three) = ("DU 1 floor 1", "DU 1 floor 3");
    let expected = [
        ("dom_rate", one, true),
        ("dom_rate", three, true),
        ("dom_rate", one, false),
    ];
    assert_eq!(bench.alarms(), expected);
    let low_khz = khz(20).round();
    let id = doms[0];
    let text = format!("DOM {id} (DU 1 floor 1) has {low_khz} kHz, outside of 200 to 400 kHz");
    assert_eq!(bench.out.alarms[0].text, text);
    let off = Config {
        alarm_over: fathom_kernel::Span::ZERO,
        ..Config::default()
    };
    let mut bench = Bench::<DomRates>::new(off, &setup);
    for s in 0..200 {
        bench.take(&slice(T0 + 1000 * s, &[(doms[0], 20)]));
        bench.tick(T0 + 1000 * s);
    }
    assert!(bench.alarms().is_empty());
}

#[test]
fn two_seconds_of_data_were_judged_as_if_they_were_a_minute() {
    let setup = setup(1);
    let detector = setup.detector.clone().unwrap();
    let doms: Vec<u32> = detector.optical_modules().map(|m| m.id.0).collect();
    let mut bench = Bench::<DomRates>::new(Config::default(), &setup);
    // The monitor starts 2 s before a span ends; the second DOM begins 2 s before the end of another,
    // the third ends 2 s after its beginning.
    for s in 58..300 {
        let now = T0 + 1000 * s;
        let low = |is: bool| if is { 20 } else { 55 };
        let mut sent = vec![(doms[0], low(s < 60))];
        if s >= 118 {
            sent.push((doms[1], low(s < 120)));
        }
        if s < 122 {
            sent.push((doms[2], low(s >= 120)));
        }
        bench.take(&slice(now, &sent));
        bench.tick(now);
    }
    assert_eq!(bench.alarms(), []);
}

#[test]
fn a_dom_that_was_back_in_range_after_a_restart_fired_on() {
    let setup = setup(1);
    let dom = first_dom(&setup);
    let mut bench = Bench::<DomRates>::new(Config::default(), &setup);
    let gone = bench.monitor.recall("dom_rate", "DU 9 floor 1");
    assert_eq!(gone, Recalled::Gone);
    let holds = bench.monitor.recall("dom_rate", "DU 1 floor 1");
    assert_eq!(holds, Recalled::Holds);
    for s in 0..180 {
        bench.take(&slice(T0 + 1000 * s, &[(dom, 55)]));
        bench.tick(T0 + 1000 * s);
    }
    assert_eq!(bench.alarms(), [("dom_rate", "DU 1 floor 1", false)]);
}

#[test]
fn a_frame_without_all_its_packets_is_incomplete_even_with_its_trailer() {
    let setup = setup(1);
    let dom = DomId(first_dom(&setup));
    let mut bench = Bench::<DomRates>::new(Config::default(), &setup);
    let top = 1 << 31;
    for (n, received) in [(0, 29), (1, 28)] {
        let status = FrameStatus::from_words(28 << 16 | received, top, top);
        let frame = SummaryFrame::new(dom, status, [50; CHANNELS]);
        bench.take(&slice_of(T0 + 100 * n, &[frame], T0));
    }
    bench.tick(T0);
    let details = &bench.map("dom_rates").details;
    let incomplete = details.iter().find(|d| d.name == "incomplete slices");
    assert_eq!(incomplete.unwrap().values[0], 1.0);
}

#[test]
fn the_trend_shows_the_tenth_below_and_above_and_the_live_channels() {
    let setup = setup(1);
    let doms: Vec<u32> = {
        let detector = setup.detector.as_ref().unwrap();
        detector.optical_modules().map(|m| m.id.0).collect()
    };
    assert_eq!(doms.len(), 18);
    // Codes 30 to 47; one channel of the first DOM is in veto.
    let frames = |at_ms: i64| {
        let frame = |(n, &dom): (u8, &u32)| {
            let status = FrameStatus::complete(4, u32::from(n == 0), 0);
            SummaryFrame::new(DomId(dom), status, [30 + n; CHANNELS])
        };
        let frames: Vec<_> = (0..).zip(&doms).map(frame).collect();
        slice_of(at_ms, &frames, at_ms)
    };
    let mut bench = Bench::<DomRates>::new(Config::default(), &setup);
    let check = |bench: &Bench<DomRates>, tolerance: f64| {
        let of = |name: &str| bench.curve("dom_rates_trend", name)[0];
        let middle = f64::midpoint(khz(38), khz(39));
        assert!(close(of("median of DOMs"), middle, tolerance));
        // Of 18 the third from either end.
        assert!(close(of("10 % below"), khz(32), tolerance));
        assert!(close(of("10 % above"), khz(45), tolerance));
    };
    // The same time twice is one point.
    for n in 0..2 {
        bench.take(&frames(T0));
        bench.tick(T0 + 5000 * n);
    }
    assert_eq!(bench.series("dom_rates_trend").times_ms, [T0]);
    check(&bench, 1e-12);
    let live = bench.curve("dom_rates_trend", "live channels [%]")[0];
    assert!(close(live, 100.0 * 557.0 / 558.0, 1e-12));
    for s in 1..64 {
        bench.take(&frames(T0 + 1000 * s));
    }
    let mut bench = bench.restarted(Config::default(), &setup, &Store::default());
    bench.take(&frames(T0 + 200_000));
    bench.tick(T0 + 200_000);
    check(&bench, 3e-4);
}

#[test]
fn an_hour_that_a_restart_fell_into_was_kept_as_two_parts_of_it() {
    let setup = setup(1);
    let dom = first_dom(&setup);
    let hour_ms = 3_600_000;
    let start = T0.div_euclid(hour_ms) * hour_ms;
    // The first minute swings between codes 40 and 80, all others are at 60.
    let feed = |bench: &mut Bench<DomRates>, seconds: std::ops::Range<i64>| {
        for s in seconds {
            let code = match s {
                0..60 if s % 2 == 0 => 40,
                0..60 => 80,
                _ => 60,
            };
            bench.take(&slice(start + 1000 * s, &[(dom, code)]));
        }
    };
    let mut bench = Bench::<DomRates>::new(Config::default(), &setup);
    feed(&mut bench, 0..1825);
    let swing = history(&mut bench, dom, "1min");
    let of = |answer: &serde_json::Value, name: &str| answer[name][0].as_f64().unwrap();
    assert!(close(of(&swing, "min_khz"), khz(40), 3e-4));
    assert!(close(of(&swing, "max_khz"), khz(80), 3e-4));
    let mean = f64::midpoint(khz(40), khz(80));
    assert!(close(of(&swing, "mean_khz"), mean, 3e-4));
    let mut bench = bench.restarted(Config::default(), &setup, &Store::default());
    feed(&mut bench, 1825..3700);
    let hour = history(&mut bench, dom, "1h");
    assert_eq!(hour["times_ms"], json!([start]));
    assert!(close(of(&hour, "min_khz"), khz(40), 3e-4));
    assert!(close(of(&hour, "max_khz"), khz(80), 3e-4));
    // The minute of the restart weighs less than a whole one.
    let mean = (mean + 59.0 * khz(60)) / 60.0;
    assert!(close(of(&hour, "mean_khz"), mean, 3e-4));
}

#[test]
fn what_is_open_when_the_clock_is_set_back_gets_into_the_history() {
    let setup = setup(1);
    let dom = first_dom(&setup);
    let mut bench = Bench::<DomRates>::new(Config::default(), &setup);
    for s in 0..90 {
        bench.take(&slice(T0 + 1000 * s, &[(dom, 40)]));
    }
    // A replay of the day before begins after a pause.
    let frame = SummaryFrame::new(DomId(dom), FrameStatus::complete(4, 0, 0), [80; CHANNELS]);
    bench.take(&slice_of(T0 - 86_400_000, &[frame], T0 + 150_000));
    let minutes = history(&mut bench, dom, "1min");
    assert_eq!(minutes["times_ms"], json!([T0, T0 + 60_000]));
    let hours = history(&mut bench, dom, "1h");
    assert_eq!(hours["times_ms"].as_array().unwrap().len(), 1);
}

#[test]
fn a_dom_is_judged_by_half_of_the_slices_of_a_span_that_it_sent_in_from_the_beginning() {
    let setup = with_disabled(setup(1), Place { du: 1, floor: 4 });
    let detector = setup.detector.clone().unwrap();
    let doms: Vec<u32> = detector.optical_modules().map(|m| m.id.0).collect();
    let mut bench = Bench::<DomRates>::new(Config::default(), &setup);
    for s in 0..300 {
        let now = T0 + 1000 * s;
        let mut sent = vec![(doms[0], 55)];
        // Half of the slices, always too low.
        if s % 2 == 0 {
            sent.push((doms[1], 20));
        }
        // Begins 40 s before the end of a span, and is too low until then.
        if s >= 80 {
            sent.push((doms[2], if s < 120 { 20 } else { 55 }));
        }
        // Is not to be used.
        sent.push((doms[3], 20));
        bench.take(&slice(now, &sent));
        bench.tick(now);
    }
    assert_eq!(bench.alarms(), [("dom_rate", "DU 1 floor 2", true)]);
}

#[test]
fn a_tick_that_comes_late_makes_the_next_span_no_part() {
    let setup = setup(1);
    let dom = first_dom(&setup);
    let mut bench = Bench::<DomRates>::new(Config::default(), &setup);
    for s in 0..240 {
        // The tick of second 120 comes 0.4 s late, the one of second 180 does not.
        let late_ms = if s < 150 { 400 } else { 0 };
        let low = (121..181).contains(&s);
        bench.take(&slice(T0 + 1000 * s, &[(dom, if low { 20 } else { 55 })]));
        bench.tick(T0 + 1000 * s + late_ms);
    }
    let alarms: Vec<_> = bench.out.alarms.iter().map(|a| (a.firing, a.at)).collect();
    let at = |s: i64| common::ms(T0 + 1000 * s);
    assert_eq!(alarms[0], (true, at(180)));
}

#[test]
fn the_rate_of_pmts_that_are_off_by_the_detector_file_raised_an_alarm() {
    let mut setup = setup(1);
    let dom = first_dom(&setup);
    // 55 is 8.9 kHz; two channels spark.
    let mut codes = [55; CHANNELS];
    codes[3] = 140;
    codes[7] = 140;
    let run = |setup: &Setup| {
        let mut bench = Bench::<DomRates>::new(Config::default(), setup);
        for s in 0..180 {
            let status = FrameStatus::complete(4, 1, 0);
            let frame = SummaryFrame::new(DomId(dom), status, codes);
            bench.take(&slice_of(T0 + 1000 * s, &[frame], T0 + 1000 * s));
            bench.tick(T0 + 1000 * s);
        }
        bench
    };
    let detail = |bench: &Bench<DomRates>, name: &str| {
        let details = &bench.map("dom_rates").details;
        let named = details.iter().find(|detail| detail.name == name);
        named.map(|detail| detail.values[0])
    };
    let off = "PMTs off by the detector file";
    let bench = run(&setup);
    assert_eq!(bench.alarms(), [("dom_rate", "DU 1 floor 1", true)]);
    assert_eq!(detail(&bench, off), None, "the file says it of none");
    described_anew(&mut setup, |module| {
        for channel in [3, 7] {
            module.pmts[channel].status = Some(1);
        }
    });
    let bench = run(&setup);
    assert_eq!(bench.alarms(), []);
    assert_eq!(detail(&bench, off), Some(2.0));
    assert_eq!(detail(&bench, "live channels"), Some(28.0));
    let live_khz = detail(&bench, "without vetoed channels [kHz]").unwrap();
    assert!(close(live_khz, 28.0 * rate_hz(55) / 1000.0, 1e-12));
    let all_khz = (29.0 * rate_hz(55) + 2.0 * rate_hz(140)) / 1000.0;
    let map = bench.map("dom_rates");
    assert!(
        close(map.values[0], all_khz, 1e-12),
        "the sum over all is shown"
    );
    let live = *bench
        .curve("dom_rates_trend", "live channels [%]")
        .last()
        .unwrap();
    assert!(close(live, 100.0 * 28.0 / 29.0, 1e-12), "of those in use");
}
