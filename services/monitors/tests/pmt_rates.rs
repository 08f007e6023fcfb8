//! PMT rates by hand.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Bench, Store, described_anew, packet, setup, with_disabled};
use fathom_formats::detx::Place;
use fathom_kernel::view::{Image, View};
use fathom_kernel::{Event, Frame, Monitor, Recalled, Setup, Size, Span};
use fathom_monitors::{PmtRates, PmtRatesConfig as Config};
use serde_json::json;

/// A whole multiple of 10 s.
const T0: i64 = 1_700_000_400_000;

fn dom(setup: &Setup, du: u32, floor: u32) -> u32 {
    let detector = setup.detector.as_ref().unwrap();
    detector.module_at(du, floor).unwrap().id.0
}

fn image<'a>(bench: &'a Bench<PmtRates>, name: &str) -> &'a Image {
    match &bench.output(name).view {
        View::Image(image) => image,
        other => panic!("{other:?}"),
    }
}

/// Time and rate of the lowest PMT, of every column.
fn lowest(image: &Image) -> Vec<(i64, f32)> {
    let columns = image.columns.iter();
    columns
        .map(|c| ((c.at_ms - T0) / 1000, c.values[0]))
        .collect()
}

#[test]
fn a_column_is_the_mean_of_its_own_ten_seconds() {
    let setup = setup(2);
    let id = dom(&setup, 2, 1);
    let mut bench = Bench::<PmtRates>::new(Config::default(), &setup);
    for s in 0..20 {
        let count = if s < 10 { 700 } else { 900 };
        bench.take(&packet(T0 + 1000 * s, id, count, 0));
    }
    // Late by five seconds, but its column is still open.
    bench.take(&packet(T0 + 9000, id, 1800, 0));
    bench.tick(T0 + 25_000);
    let shown = image(&bench, "pmt_rates_du2");
    assert_eq!(lowest(shown), [(10, 8000.0), (20, 9000.0)]);
    assert_eq!(shown.rows, 18 * 31);
    assert_eq!(
        (shown.row_labels[2].row, &*shown.row_labels[2].text),
        (62, "Floor 3")
    );
    assert!(
        shown.columns[0].overlay.is_empty(),
        "no veto, no memory for it"
    );
    assert!(
        !bench
            .out
            .outputs
            .iter()
            .any(|output| output.name == "pmt_rates_du1")
    );
}

#[test]
fn one_module_ahead_that_was_heard_first_led_all_columns_into_the_future() {
    let setup = setup(1);
    let ids: Vec<_> = (1..=8).map(|floor| dom(&setup, 1, floor)).collect();
    let mut bench = Bench::<PmtRates>::new(Config::default(), &setup);
    for s in 0..45 {
        let at_ms = T0 + 1000 * s;
        let ahead = packet(at_ms + 120_000, ids[0], 700, 0);
        let Event::Frame(ahead) = ahead else { panic!() };
        let received = common::ms(at_ms);
        bench.take(&Event::Frame(Frame { received, ..ahead }));
        for &id in &ids[1..] {
            bench.take(&packet(at_ms, id, 700, 0));
        }
        bench.tick(at_ms);
    }
    let shown = image(&bench, "pmt_rates_du1");
    let times: Vec<_> = lowest(shown).iter().map(|(at_s, _)| *at_s).collect();
    assert_eq!(times, [10, 20, 30, 40]);
    let newest = bench.output("pmt_rates_summary").datum.unwrap();
    assert!(newest.as_millisecond() < T0 + 45_000);
    let culprit = bench.cell("pmt_rates_summary", "last DOM far off the clock", 1);
    assert_eq!(culprit, json!(ids[0]));
    let late = bench.cell("pmt_rates_summary", "late packets", 1);
    assert_eq!(late, json!(2), "until three others agreed");
}

#[test]
fn silence_moves_the_picture_on_with_empty_columns() {
    let setup = setup(1);
    let id = dom(&setup, 1, 1);
    let mut bench = Bench::<PmtRates>::new(Config::default(), &setup);
    bench.take(&packet(T0 + 1000, id, 700, 0));
    for s in 0..45 {
        bench.tick(T0 + 1000 * s);
    }
    let shown = lowest(image(&bench, "pmt_rates_du1"));
    assert_eq!(shown.len(), 4);
    assert!(shown[1..].iter().all(|(_, rate)| rate.is_nan()));
    let datum = bench.output("pmt_rates_du1").datum.unwrap();
    assert_eq!(datum.as_millisecond(), T0 + 10_000);
}

#[test]
fn the_veto_fraction_keeps_its_side_of_the_threshold() {
    let setup = setup(1);
    let id = dom(&setup, 1, 1);
    let config = Config {
        hrv_ratio_threshold: 0.85,
        ..Config::default()
    };
    let mut bench = Bench::<PmtRates>::new(config, &setup);
    // Channel 22 is the lowest row: 17 of 20 is exactly the threshold, which is not above it.
    for n in 0..20 {
        let hrv = u32::from(n < 17) << 22 | u32::from(n < 18) << 14;
        bench.take(&packet(T0 + 100 * n, id, 700, hrv));
    }
    bench.tick(T0 + 12_000);
    let shown = image(&bench, "pmt_rates_du1");
    let red =
        |row: usize| f64::from(shown.columns[0].overlay[row]) / 255.0 > shown.overlay_threshold;
    assert!(!red(0) && red(1));
    assert_eq!(
        bench.cell("pmt_rates_summary", "high-rate veto", 1),
        json!(1)
    );
    let View::Table(table) = &bench.output("pmt_outliers").view else {
        panic!("no table")
    };
    assert_eq!(
        table.rows[0][..4],
        [json!(1), json!(1), json!(14), json!(id)]
    );
    assert_eq!(table.rows.len(), 1, "7 kHz is within the range");
}

#[test]
fn a_restart_continues_the_picture_even_when_a_dom_was_swapped() {
    let before = setup(2);
    let id = dom(&before, 1, 5);
    let mut bench = Bench::<PmtRates>::new(Config::default(), &before);
    for s in 0..620 {
        bench.take(&packet(T0 + 1000 * s, id, 720, 1 << 22));
        bench.tick(T0 + 1000 * s);
    }
    let store = Store::default();
    let old: Vec<_> = image(&bench, "pmt_rates_du1").columns.clone();
    let mut bench = bench.restarted(Config::default(), &before, &store);
    bench.tick(T0 + 620_000);
    let new = &image(&bench, "pmt_rates_du1").columns;
    assert_eq!(new.len(), old.len());
    for (new, old) in new.iter().zip(&old) {
        assert_eq!((new.at_ms, &new.overlay), (old.at_ms, &old.overlay));
        let (new, old) = (new.values[4 * 31], old.values[4 * 31]);
        assert!((new / old - 1.0).abs() < 3e-4, "{new} {old}");
    }
    assert_eq!(image(&bench, "pmt_history_10min_du1").columns.len(), 1);

    let after = common::setup_with(id, 9, 2);
    let mut bench = Bench::<PmtRates>::new(Config::default(), &after);
    bench.monitor.restore(&store.saved()).unwrap();
    bench.tick(T0 + 620_000);
    let moved = image(&bench, "pmt_rates_du9");
    assert!((moved.columns[0].values[31] - 7200.0).abs() < 2.0);
}

#[test]
fn ten_minutes_and_hours_that_a_restart_falls_into_are_whole() {
    let setup = setup(1);
    let id = dom(&setup, 1, 5);
    let feed = |bench: &mut Bench<PmtRates>, seconds: std::ops::Range<i64>, count, hrv| {
        for s in seconds {
            // As many packets as a DOM sends.
            for n in 0..10 {
                bench.take(&packet(T0 + 1000 * s + 100 * n, id, count, hrv));
            }
            bench.tick(T0 + 1000 * s + 900);
            bench
                .out
                .outputs
                .retain(|output| output.name.ends_with("_du1"));
        }
    };
    // An hour begins at second 2400; 4 min at 7 kHz before the restart, 6 at 9 kHz after it.
    assert_eq!((T0 / 1000 + 2400) % 3600, 0);
    let mut bench = Bench::<PmtRates>::new(Config::default(), &setup);
    feed(&mut bench, 2400..3240, 700, 1 << 22);
    let store = Store::default();
    let mut bench = bench.restarted(Config::default(), &setup, &store);
    feed(&mut bench, 3240..6020, 900, 0);
    let row = 4 * 31;
    let lowest = |name: &str| -> Vec<(i64, f32, u8)> {
        let columns = image(&bench, name).columns.iter();
        let veto = |c: &fathom_kernel::view::Column| c.overlay.get(row).copied().unwrap_or(0);
        columns
            .map(|c| ((c.at_ms - T0) / 1000, c.values[row].round(), veto(c)))
            .collect()
    };
    let ten = lowest("pmt_history_10min_du1");
    assert_eq!(
        ten[..3].iter().map(|c| c.0).collect::<Vec<_>>(),
        [3000, 3600, 4200]
    );
    assert!(
        (ten[1].1 - 8200.0).abs() < 30.0 && ten[1].2.abs_diff(102) <= 4,
        "{ten:?}"
    );
    let hours = lowest("pmt_history_1h_du1");
    let (rate, veto) = (9000.0 - 2000.0 * 14.0 / 60.0, 255.0 * 14.0 / 60.0);
    assert_eq!((hours.len(), hours[0].0), (1, 6000));
    assert!((hours[0].1 - rate).abs() < 10.0, "{hours:?}");
    assert!((f32::from(hours[0].2) - veto).abs() < 1.5, "{hours:?}");
}

/// The ten seconds into which a restart falls were made of what came after it only.
#[test]
fn the_column_that_is_open_at_a_restart_keeps_what_it_has() {
    let setup = setup(1);
    let id = dom(&setup, 1, 1);
    let store = Store::default();
    let mut bench = Bench::<PmtRates>::new(Config::default(), &setup);
    let feed = |bench: &mut Bench<PmtRates>, seconds: std::ops::Range<i64>, count, hrv| {
        for s in seconds {
            bench.take(&packet(T0 + 1000 * s, id, count, hrv));
            bench.tick(T0 + 1000 * s);
        }
    };
    feed(&mut bench, 0..24, 700, 1 << 22);
    // Twice within the same ten seconds, 4 s at 7 kHz, 2 s at 9 kHz and 4 s at 6 kHz.
    let mut bench = bench.restarted(Config::default(), &setup, &store);
    feed(&mut bench, 24..26, 900, 0);
    let mut bench = bench.restarted(Config::default(), &setup, &store);
    feed(&mut bench, 26..45, 600, 0);
    let expected = (4.0 * 7000.0 + 2.0 * 9000.0 + 4.0 * 6000.0) / 10.0;
    let shown = lowest(image(&bench, "pmt_rates_du1"));
    assert_eq!(shown[2], (30, expected));
    let veto = image(&bench, "pmt_rates_du1").columns[2].overlay[0];
    assert_eq!(veto, 102, "four tenths of 255");
    // Once it is a column it is not counted again.
    let mut bench = bench.restarted(Config::default(), &setup, &store);
    feed(&mut bench, 45..60, 600, 0);
    let shown = lowest(image(&bench, "pmt_rates_du1"));
    let times: Vec<_> = shown.iter().map(|column| column.0).collect();
    assert_eq!(times, [10, 20, 30, 40, 50]);
}

#[test]
fn base_modules_unknown_ids_and_broken_clocks_are_counted() {
    let setup = setup(1);
    let id = dom(&setup, 1, 1);
    let mut bench = Bench::<PmtRates>::new(Config::default(), &setup);
    bench.take(&packet(T0, id, 700, 0));
    bench.take(&packet(T0, 77, 700, 0));
    let mut modules = setup.detector.as_ref().unwrap().modules().iter();
    let base = modules.find(|module| module.is_base()).unwrap().id.0;
    bench.take(&packet(T0, base, 700, 0));
    let fathom_kernel::Event::Frame(mut off) = packet(541_000, id, 800, 0) else {
        panic!("no frame")
    };
    off.received = common::ms(T0 + 10);
    bench.take(&fathom_kernel::Event::Frame(off));
    bench.tick(T0 + 13_000);
    assert_eq!(lowest(image(&bench, "pmt_rates_du1")), [(10, 7500.0)]);
    let cell = |row| bench.cell("pmt_rates_summary", row, 1);
    assert_eq!(cell("packets of unknown modules"), json!(1));
    assert_eq!(cell("packets of base modules"), json!(1));
    assert_eq!(cell("packets far off the clock"), json!(1));
    assert!(
        bench
            .out
            .outputs
            .iter()
            .any(|o| o.name == "pmt_rates_unknown")
    );
}

#[test]
fn memory_is_bounded_by_fewer_columns() {
    let setup = setup(1);
    let id = dom(&setup, 1, 1);
    let config = Config {
        interval: Span::from_secs(1),
        hrv_pictures: false,
        // 18 DOMs of 31 PMTs at 5 bytes: 100 columns in all, of which 800 of 1280 parts are fine.
        memory: Size::from_bytes(18 * 31 * 5 * 100),
        ..Config::default()
    };
    let mut bench = Bench::<PmtRates>::new(config, &setup);
    for s in 0..200 {
        bench.take(&packet(T0 + 1000 * s, id, 700, 0));
        bench.tick(T0 + 1000 * s);
        bench
            .out
            .outputs
            .retain(|output| s > 190 && output.name == "pmt_rates_du1");
    }
    let shown = image(&bench, "pmt_rates_du1");
    assert_eq!((shown.columns.len(), shown.columns_max), (62, 62));
}

#[test]
fn damaged_messages_are_counted_and_never_panic() {
    let mut bench = Bench::<PmtRates>::new(Config::default(), &Setup::default());
    common::count_damaged(&mut bench, &packet(T0, 5, 700, 1 << 3), T0);
}

#[test]
fn the_veto_has_pictures_of_its_own_with_its_mean_fraction() {
    let setup = setup(2);
    let id = dom(&setup, 2, 3);
    let mut bench = Bench::<PmtRates>::new(Config::default(), &setup);
    // Channel 22 is the lowest row, channel 14 the one above: a quarter and all of the time.
    for n in 0..100 {
        let hrv = u32::from(n % 4 == 0) << 22 | 1 << 14;
        bench.take(&packet(T0 + 100 * n, id, 700, hrv));
    }
    bench.tick(T0 + 12_000);
    let shown = image(&bench, "pmt_hrv_du2");
    assert_eq!(
        (&*shown.colours.map, shown.colours.low, shown.colours.high),
        ("cividis", 0.0, 1.0)
    );
    assert_eq!(shown.rows, 18 * 31);
    let column = &shown.columns[0];
    assert_eq!(column.at_ms, T0 + 10_000);
    assert_eq!(column.values[62..65], [0.25, 1.0, 0.0]);
    assert!(column.values[0].is_nan(), "sent nothing");
    assert!(column.overlay.is_empty());
    assert!(bench.output("pmt_hrv_du2").title.ends_with("PMTs of DU 2"));

    let store = Store::default();
    let mut bench = bench.restarted(Config::default(), &setup, &store);
    bench.tick(T0 + 13_000);
    let kept = &image(&bench, "pmt_hrv_du2").columns[0];
    assert!((kept.values[62] - 0.25).abs() < 0.5 / 255.0);
    assert_eq!(kept.values[63..65], [1.0, 0.0]);
    assert!(kept.values[0].is_nan());

    let without = Config {
        hrv_pictures: false,
        ..Config::default()
    };
    let mut bench = Bench::<PmtRates>::new(without, &setup);
    bench.take(&packet(T0, id, 700, 1));
    bench.tick(T0 + 12_000);
    let mut outputs = bench.out.outputs.iter();
    assert!(!outputs.any(|output| output.name.starts_with("pmt_hrv")));
}

#[test]
fn pictures_of_the_veto_take_their_part_of_the_memory() {
    let setup = setup(1);
    let id = dom(&setup, 1, 1);
    let config = Config {
        interval: Span::from_secs(1),
        // 800 of 1280 columns at 9 bytes and the rest at 5: a tenth of what all would take.
        memory: Size::from_bytes(18 * 31 * (800 * 9 + 480 * 5) / 10),
        ..Config::default()
    };
    let mut bench = Bench::<PmtRates>::new(config, &setup);
    for s in 0..200 {
        bench.take(&packet(T0 + 1000 * s, id, 700, 0));
        bench.tick(T0 + 1000 * s);
        let newest = bench.out.outputs.len().saturating_sub(10);
        bench.out.outputs.drain(..newest);
    }
    for name in ["pmt_rates_du1", "pmt_hrv_du1"] {
        let shown = image(&bench, name);
        assert_eq!((shown.columns.len(), shown.columns_max), (80, 80));
    }
}

#[test]
fn much_veto_in_a_du_is_an_alarm_until_it_ends() {
    let setup = setup(2);
    let ids = [dom(&setup, 1, 1), dom(&setup, 2, 1)];
    let mut bench = Bench::<PmtRates>::new(Config::default(), &setup);
    for s in 0..100 {
        let now = T0 + 1000 * s;
        // 10 of 31 channels are more than 30 %.
        let hrv = if (20..60).contains(&s) { 0x3ff } else { 0x1ff };
        bench.take(&packet(now, ids[0], 700, hrv));
        bench.take(&packet(now, ids[1], 700, 0x1ff));
        bench.tick(now);
    }
    let alarms = [
        ("hrv_fraction", "DU 1", true),
        ("hrv_fraction", "DU 1", false),
    ];
    assert_eq!(bench.alarms(), alarms);
    let text = "PMTs of DU 1 are in high-rate veto for 32.3 % of the time (limit 30 %)";
    assert_eq!(bench.out.alarms[0].text, text);
}

#[test]
fn a_twentieth_floor_has_its_rows() {
    let setup = common::tall_setup(&[4], 20);
    let mut bench = Bench::<PmtRates>::new(Config::default(), &setup);
    bench.take(&packet(T0, dom(&setup, 4, 20), 700, 0));
    bench.tick(T0 + 12_000);
    let shown = image(&bench, "pmt_rates_du4");
    assert_eq!((shown.rows, shown.row_labels.len()), (20 * 31, 20));
    assert_eq!(shown.columns[0].values[19 * 31], 7000.0);
}

#[test]
fn strangers_alone_are_listed_as_well() {
    let mut bench = Bench::<PmtRates>::new(Config::default(), &setup(1));
    for s in 0..30 {
        bench.take(&packet(T0 + 1000 * s, 4711, 700, 0));
        bench.tick(T0 + 1000 * s);
    }
    let View::Table(table) = &bench.output("pmt_rates_unknown").view else {
        panic!("no table")
    };
    assert_eq!(table.rows[0][..2], [json!(4711), json!(21)]);
    let unknown = bench.cell("pmt_rates_summary", "packets of unknown modules", 1);
    assert_eq!(unknown, json!(21));
    let listed = bench.out.outputs.iter();
    let listed = listed.filter(|output| output.name == "pmt_rates_unknown");
    assert_eq!(listed.count(), 3, "once an interval");
}

#[test]
fn a_du_that_is_out_of_veto_after_a_restart_fired_on() {
    let setup = setup(1);
    let mut bench = Bench::<PmtRates>::new(Config::default(), &setup);
    let recalled = bench.monitor.recall("hrv_fraction", "DU 1");
    assert_eq!(recalled, Recalled::Holds);
    let recalled = bench.monitor.recall("hrv_fraction", "DU 2");
    assert_eq!(recalled, Recalled::Gone);
    for s in 0..15 {
        bench.take(&packet(T0 + 1000 * s, dom(&setup, 1, 1), 700, 0));
        bench.tick(T0 + 1000 * s);
    }
    assert_eq!(bench.alarms(), [("hrv_fraction", "DU 1", false)]);
}

#[test]
fn pmts_at_the_ends_of_the_range_are_none_out_of_range() {
    let setup = with_disabled(setup(1), Place { du: 1, floor: 9 });
    let id = |floor| dom(&setup, 1, floor);
    let mut bench = Bench::<PmtRates>::new(Config::default(), &setup);
    let rows = |bench: &Bench<PmtRates>| match &bench.output("pmt_outliers").view {
        View::Table(table) => table.rows.clone(),
        other => panic!("{other:?}"),
    };
    // 5 and 15 kHz, and 19 of 20 packets in veto.
    for n in 0..20 {
        let hrv = u32::from(n > 0);
        bench.take(&packet(T0 + 500 * n, id(1), 500, hrv));
        bench.take(&packet(T0 + 500 * n, id(2), 1500, 0));
    }
    bench.tick(T0 + 11_900);
    let drawn = |bench: &Bench<PmtRates>| !bench.out.outputs.is_empty();
    assert!(!drawn(&bench), "late packets have 2 s");
    bench.tick(T0 + 12_000);
    assert!(rows(&bench).is_empty());

    let at_ms = T0 + 20_000;
    for (floor, count, hrv) in [(3, 1600, 0), (4, 1700, 0), (5, 700, 1), (9, 1800, 0)] {
        bench.take(&packet(at_ms, id(floor), count, hrv));
    }
    bench.tick(at_ms + 12_000);
    let rows = rows(&bench);
    assert_eq!(rows.len(), 63);
    let veto = [
        json!(1),
        json!(5),
        json!(0),
        json!(id(5)),
        json!(7000.0),
        json!(100.0),
        json!("high-rate veto"),
    ];
    assert_eq!(rows[0], veto);
    let floors: Vec<_> = [1, 31, 32, 62].map(|n: usize| rows[n][1].clone()).into();
    assert_eq!(json!(floors), json!([4, 4, 3, 3]), "the highest first");
}

#[test]
fn a_mean_veto_of_just_the_limit_is_no_alarm() {
    let setup = setup(1);
    let config = Config {
        hrv_alarm: 0.5,
        ..Config::default()
    };
    let mut bench = Bench::<PmtRates>::new(config, &setup);
    // All channels of one DOM and none of another.
    bench.take(&packet(T0, dom(&setup, 1, 1), 700, u32::MAX >> 1));
    bench.take(&packet(T0, dom(&setup, 1, 2), 700, 0));
    bench.tick(T0 + 12_000);
    assert_eq!(bench.alarms(), []);
}

#[test]
fn an_hour_that_had_just_begun_at_a_restart_has_nothing_of_the_one_before() {
    let setup = setup(1);
    let id = dom(&setup, 1, 1);
    let feed = |bench: &mut Bench<PmtRates>, seconds: std::ops::Range<i64>, count| {
        for s in seconds {
            bench.take(&packet(T0 + 1000 * s, id, count, 0));
            bench.tick(T0 + 1000 * s);
            bench.out.outputs.retain(|o| o.name == "pmt_history_1h_du1");
        }
    };
    // An hour begins at second 2400: half an hour at 7 kHz, then 9 kHz, a restart 3 min later.
    let mut bench = Bench::<PmtRates>::new(Config::default(), &setup);
    feed(&mut bench, 600..2400, 700);
    feed(&mut bench, 2400..2580, 900);
    let mut bench = bench.restarted(Config::default(), &setup, &Store::default());
    feed(&mut bench, 2580..6020, 900);
    let hours = lowest(image(&bench, "pmt_history_1h_du1"));
    assert_eq!(hours.last().map(|hour| hour.0), Some(6000));
    let (_, rate) = hours.last().unwrap();
    assert!((rate - 9000.0).abs() < 5.0, "{hours:?}");
}

#[test]
fn pmts_that_are_off_by_the_detector_file_raised_alarms_and_stood_among_the_outliers() {
    let mut setup = setup(1);
    let id = dom(&setup, 1, 1);
    let run = |setup: &Setup| {
        let mut bench = Bench::<PmtRates>::new(Config::default(), setup);
        for s in 0..40 {
            bench.take(&packet(T0 + 1000 * s, id, 700, 0x3ff));
            bench.tick(T0 + 1000 * s);
        }
        bench
    };
    let reasons = |bench: &Bench<PmtRates>| -> Vec<String> {
        let View::Table(table) = &bench.output("pmt_outliers").view else {
            panic!("no table")
        };
        let reason = |row: &Vec<serde_json::Value>| row[6].as_str().unwrap().to_owned();
        table.rows.iter().map(reason).collect()
    };
    let bench = run(&setup);
    assert_eq!(bench.alarms(), [("hrv_fraction", "DU 1", true)]);
    assert_eq!(reasons(&bench), ["high-rate veto"; 10]);
    described_anew(&mut setup, |module| {
        let off = module.pmts.iter_mut().take(9);
        off.for_each(|pmt| pmt.status = Some(1));
    });
    let bench = run(&setup);
    assert_eq!(bench.alarms(), []);
    let reasons = reasons(&bench);
    assert_eq!(reasons[0], "high-rate veto");
    assert_eq!(reasons[1..], ["off by the detector file"; 9]);
    let number = bench.cell("pmt_rates_summary", "off by the detector file", 1);
    assert_eq!(number, json!(9));
    let shown = lowest(image(&bench, "pmt_rates_du1"));
    assert_eq!(shown[0], (10, 7000.0), "they are drawn all the same");
}
