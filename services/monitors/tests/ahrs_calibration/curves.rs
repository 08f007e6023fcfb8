//! Orientations over time, and modules that turn.

use super::*;

const HOUR_S: i64 = 3600;

#[test]
fn invalid_packets_and_single_wild_readings_do_not_count() {
    let setup = setup(1);
    let id = dom(&setup, 1);
    let mut bench = running(&setup);
    for n in 0..100 {
        let now = T0 + 100 * n;
        match n % 5 {
            0 => bench.take(&packet(now, id, level(200.0), false)),
            1 if n < 40 => bench.take(&packet(now, id, ([9.0; 3], [-9.0; 3]), true)),
            2 => bench.take(&packet(now, id, ([f32::NAN; 3], [0.0; 3]), true)),
            _ => bench.take(&packet(now, id, level(90.0), true)),
        }
    }
    bench.tick(T0 + 12_000);
    let yaw = bench.curve("yaw_calib_du1", "Floor 1")[0];
    assert!(apart(yaw, 90.0) < 0.004, "{yaw}");
    assert_eq!(summary(&bench, "packets not marked as valid"), json!(20));
    assert_eq!(summary(&bench, "packets with no numbers"), json!(20));
}

#[test]
fn yaws_on_both_sides_of_north_do_not_average_to_south() {
    let setup = setup(1);
    let id = dom(&setup, 1);
    // Points are 5 minutes apart, and each the mean of 30 windows.
    let config = Config {
        time_range: 72.0,
        ..config()
    };
    let mut bench = Bench::<AhrsCalibration>::new(config, &setup);
    bench.tick(T0);
    answer(&mut bench, bytes(board(id, &unity()).as_bytes(), None));
    for window in 0..30 {
        let yaw_deg = if window % 2 == 0 { 356.0 } else { 6.0 };
        bench.take(&packet(T0 + 10_000 * window, id, level(yaw_deg), true));
    }
    bench.tick(T0 + 315_000);
    let series = bench.series("yaw_calib_du1");
    assert_eq!(series.times_ms, [T0 + 300_000]);
    let yaw = series.curves[0].values[0];
    assert!(apart(yaw, 1.0) < 0.01, "{yaw}");
}

#[test]
fn every_floor_has_a_curve_in_a_colour_of_its_own_and_base_modules_are_listed() {
    let setup = setup(1);
    let detector = setup.detector.clone().unwrap();
    let base = detector.modules().iter().find(|m| m.is_base()).unwrap();
    let mut bench = running(&setup);
    for module in detector.modules() {
        bench.take(&packet(T0, module.id.0, level(10.0), true));
    }
    bench.take(&packet(T0 + 100, base.id.0, level(10.0), false));
    bench.take(&packet(T0, 77, level(10.0), true));
    bench.tick(T0 + 13_000);
    let curves = &bench.series("roll_calib_du1").curves;
    let mut colours: Vec<_> = curves.iter().map(|curve| &curve.colour).collect();
    colours.dedup();
    assert_eq!((curves.len(), colours.len()), (18, 18));
    assert!(curves[4].values[0].is_finite() && curves[5].values[0].is_nan());
    let View::Table(table) = &bench.output("ahrs_modules").view else {
        panic!("no table")
    };
    assert_eq!(table.rows.len(), 13 + 1);
    assert_eq!(table.rows[0][3], "no calibration constants");
    let expected = [json!(1), json!(0), json!(base.id.0), json!("base module")];
    assert_eq!(table.rows[13][..4], expected);
    assert_eq!(
        table.rows[13][4..],
        [json!(2), json!(1)],
        "packets and valid ones"
    );
    assert_eq!(summary(&bench, "of these without constants"), json!(13));
    let View::Table(table) = &bench.output("ahrs_unknown").view else {
        panic!("no table")
    };
    assert_eq!(table.rows[0][0], json!(77));
}

#[test]
fn without_constants_nothing_is_shown_unless_asked_for_and_then_it_says_so() {
    let setup = setup(1);
    let id = dom(&setup, 3);
    let run = |uncalibrated| {
        let config = Config {
            constants: None,
            uncalibrated,
            ..config()
        };
        let mut bench = Bench::<AhrsCalibration>::new(config, &setup);
        bench.take(&packet(T0, id, level(45.0), true));
        bench.tick(T0 + 13_000);
        assert!(bench.out.fetches.is_empty());
        bench
    };
    let bench = run(Uncalibrated::Skip);
    let shown = |name: &str| bench.out.outputs.iter().any(|output| output.name == name);
    assert!(!shown("yaw_calib_du1"));
    let from = summary(&bench, "constants from");
    assert!(from.as_str().unwrap().starts_with("none configured"));
    let bench = run(Uncalibrated::Identity);
    let yaw = bench.output("yaw_calib_du1");
    assert!(yaw.title.contains("NOT calibrated: floors 1, 2, 3"));
    assert!(apart(bench.curve("yaw_calib_du1", "Floor 3")[0], 45.0) < 0.004);
}

#[test]
fn a_turn_is_an_alarm_until_it_turns_back() {
    let setup = setup(1);
    let id = dom(&setup, 2);
    let mut bench = running(&setup);
    minutes(&mut bench, id, T0, 10, 355.0);
    minutes(&mut bench, id, T0 + 600_000, 3, 8.0);
    minutes(&mut bench, id, T0 + 780_000, 3, 356.0);
    let subject = "DU 1 floor 2";
    let expected = [("yaw_moved", subject, true), ("yaw_moved", subject, false)];
    assert_eq!(bench.alarms(), expected);
    assert!(bench.out.alarms[0].text.contains("is +13.0 deg"));
}

#[test]
fn a_compass_that_is_off_by_the_detector_file_raised_an_alarm() {
    let mut setup = setup(1);
    let compass_off = fathom_formats::detx::status_bits::COMPASS_OFF;
    described_anew(&mut setup, |module| module.status = Some(compass_off));
    let id = dom(&setup, 1);
    let mut bench = running(&setup);
    minutes(&mut bench, id, T0, 10, 355.0);
    minutes(&mut bench, id, T0 + 600_000, 3, 8.0);
    assert_eq!(bench.alarms(), []);
    let yaw = bench.curve("yaw_calib_du1", "Floor 1");
    assert!(apart(*yaw.last().unwrap(), 8.0) < 0.004, "it is drawn");
    assert_eq!(
        summary(&bench, "compasses off by the detector file"),
        json!(1)
    );
    let recalled = bench.monitor.recall("yaw_moved", "DU 1 floor 1");
    assert_eq!(recalled, Recalled::Gone);
}

#[test]
fn a_turn_that_is_over_after_a_restart_fired_on() {
    let setup = setup(1);
    let mut bench = running(&setup);
    let mut recall = |subject| bench.monitor.recall("yaw_moved", subject);
    assert_eq!(recall("DU 1 floor 2"), Recalled::Holds);
    assert_eq!(recall("DU 7 floor 2"), Recalled::Gone);
    minutes(&mut bench, dom(&setup, 2), T0, 10, 355.0);
    assert_eq!(bench.alarms(), [("yaw_moved", "DU 1 floor 2", false)]);
}

#[test]
fn the_history_and_the_last_hour_survive_a_restart() {
    let setup = setup(1);
    let id = dom(&setup, 2);
    let mut bench = running(&setup);
    minutes(&mut bench, id, T0, 10, 355.0);
    let before = bench.series("yaw_calib_du1").clone();
    let store = Store::default();
    let mut bench = bench.restarted(config(), &setup, &store);
    bench.tick(T0 + 600_000);
    answer(&mut bench, bytes(board(id, &unity()).as_bytes(), None));
    minutes(&mut bench, id, T0 + 600_000, 3, 30.0);
    let after: &Series = bench.series("yaw_calib_du1");
    let kept = before.times_ms.len() - 2;
    assert!(kept > 50);
    assert_eq!(after.times_ms[..kept], before.times_ms[..kept]);
    assert_eq!(
        after.curves[1].values[..kept],
        before.curves[1].values[..kept]
    );
    assert_eq!(bench.alarms(), [("yaw_moved", "DU 1 floor 2", true)]);
}

#[test]
fn a_turn_against_the_whole_hour_before_restarts_is_an_alarm() {
    let setup = setup(1);
    let (id, store) = (dom(&setup, 2), Store::default());
    let mut bench = Bench::<AhrsCalibration>::new(config(), &setup);
    // The median of the last half hour is 8 degrees, that of the hour is 0.
    for (leg, yaw_deg) in [0.0, 0.0, 0.0, 8.0, 8.0, 12.0].into_iter().enumerate() {
        let start_ms = T0 + 720_000 * i64::try_from(leg).unwrap();
        bench = bench.restarted(config(), &setup, &store);
        bench.tick(start_ms);
        answer(&mut bench, bytes(board(id, &unity()).as_bytes(), None));
        let length = if leg == 5 { 3 } else { 12 };
        minutes(&mut bench, id, start_ms, length, yaw_deg);
        let moved = [("yaw_moved", "DU 1 floor 2", true)];
        assert_eq!(bench.alarms(), moved[..usize::from(leg == 5)]);
    }
}

#[test]
fn pitch_and_roll_stay_what_they_are_over_a_restart() {
    let setup = setup(1);
    let id = dom(&setup, 2);
    let mut bench = running(&setup);
    let tilted = ([0.3, 0.1, 0.9], [0.2, 0.1, -0.3]);
    for s in 0..60 {
        bench.take(&packet(T0 + 1000 * s, id, tilted, true));
        bench.tick(T0 + 1000 * s);
    }
    let first = |bench: &Bench<AhrsCalibration>, name: &str| bench.curve(name, "Floor 2")[0];
    let both = |bench: &Bench<AhrsCalibration>| {
        ["pitch_calib_du1", "roll_calib_du1"].map(|name| first(bench, name))
    };
    let before = both(&bench);
    assert!((before[0] - before[1]).abs() > 1.0, "{before:?}");
    let mut bench = bench.restarted(config(), &setup, &Store::default());
    bench.tick(T0 + 60_000);
    assert_eq!(both(&bench), before);
}

#[test]
fn the_range_shown_is_bounded() {
    let setup = setup(1);
    let id = dom(&setup, 2);
    let mut bench = running(&setup);
    minutes(&mut bench, id, T0, 75, 10.0);
    let series = bench.series("yaw_calib_du1");
    let first = (series.times_ms[0] - T0) / 1000;
    assert!((15 * 60 - 20..=15 * 60 + 20).contains(&first), "{first}");
    assert!(series.times_ms.len() as i64 <= HOUR_S / 10 + 1);
    assert!(bench.monitor.memory_bytes() < 500_000);
}

#[test]
fn damaged_messages_are_counted_and_never_panic() {
    let setup = setup(1);
    let mut bench = running(&setup);
    common::count_damaged(
        &mut bench,
        &packet(T0, dom(&setup, 1), level(10.0), true),
        T0,
    );
}
