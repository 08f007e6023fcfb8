//! Compass calibration by hand and by the vectors of the reference.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Bench, Store, described_anew, frame, ms, setup, unhex, vectors};
use fathom_formats::km3net::{DomId, TmchFields};
use fathom_kernel::view::{Series, View};
use fathom_kernel::{
    Content, Event, Fetch, FetchError, Fetched, Location, Monitor, Recalled, Setup, Span, tags,
};
use fathom_monitors::{
    AhrsCalibration, AhrsCalibrationConfig as Config, BoardTest, Constants, Uncalibrated,
};
use serde_json::{Value, json};

/// A whole multiple of five minutes.
const T0: i64 = 1_700_000_400_000;
const HOUR_S: i64 = 3600;

fn array<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// The shortest way between two angles.
fn apart(a: f64, b: f64) -> f64 {
    ((a - b + 180.0).rem_euclid(360.0) - 180.0).abs()
}

fn assert_constants(found: &Constants, expected: &Value) {
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{found:?} {expected}");
    let vector = |a: [f64; 3], b: &Value| a.into_iter().zip(array::<[f64; 3]>(b));
    vector(found.a_offset, &expected["Aoff"]).for_each(|(a, b)| close(a, b));
    vector(found.h_offset, &expected["Hoff"]).for_each(|(a, b)| close(a, b));
    for row in 0..3 {
        let (a, h) = (&expected["Arot"][row], &expected["Hrot"][row]);
        vector(found.a_rotation[row], a).for_each(|(a, b)| close(a, b));
        vector(found.h_rotation[row], h).for_each(|(a, b)| close(a, b));
    }
}

#[test]
fn ahrs_fit_vectors() {
    for case in vectors()["ahrs"]["fit"].as_array().unwrap() {
        let constants: Constants = array(case);
        let found = constants.orientation(array(&case["A"]), array(&case["H"]));
        let close = |value: f64, name: &str| {
            let expected = case[name].as_f64().unwrap();
            assert!((value - expected).abs() < 1e-9, "{name} {value} {case}");
        };
        close(found.yaw_deg, "yaw_deg");
        close(found.pitch_deg, "pitch_deg");
        close(found.roll_deg, "roll_deg");
    }
}

#[test]
fn ahrs_xml_extraction_vectors() {
    let all = vectors();
    let cases = all["ahrs"]["xml_extraction"].as_array().unwrap();
    assert!(cases.len() >= 2);
    for case in cases {
        let xml = case["xml"].as_str().unwrap();
        let test = BoardTest::read(xml.as_bytes()).unwrap();
        assert_constants(&test.constants, case);
        assert!(xml.contains(&format!("<EndTime>{}</EndTime>", test.end_time)));
        for cut in 0..xml.len() {
            assert!(BoardTest::read(&xml.as_bytes()[..cut]).is_err());
        }
    }
}

/// The vectors through the whole monitor: packets in, curves out.
#[test]
fn ahrs_vectors_come_out_as_curves() {
    for case in vectors()["ahrs"]["fit"].as_array().unwrap() {
        let setup = setup(1);
        let id = dom(&setup, 5);
        let mut bench = Bench::<AhrsCalibration>::new(config(), &setup);
        bench.tick(T0);
        answer(&mut bench, bytes(board(id, case).as_bytes(), None));
        let reading: ([f32; 3], [f32; 3]) = (array(&case["A"]), array(&case["H"]));
        for n in 0..200 {
            bench.take(&packet(T0 + 100 * n, id, reading, true));
        }
        bench.tick(T0 + 33_000);
        for (name, signed) in [("yaw", false), ("pitch", true), ("roll", true)] {
            let expected = case[format!("{name}_deg")].as_f64().unwrap();
            let values = bench.curve(&format!("{name}_calib_du1"), "Floor 5");
            assert_eq!(values.len(), 2);
            assert!(
                apart(values[1], expected) < 0.004,
                "{name} {values:?} {case}"
            );
            let is_negative = signed && expected < -0.003 && expected > -179.9;
            assert!(!is_negative || values[1] < 0.0, "{values:?}");
        }
    }
}

fn config() -> Config {
    Config {
        time_range: 1.0,
        constants: Some(Location::from("boards.toml".to_owned())),
        interval: Span::from_secs(1),
        ..Config::default()
    }
}

fn dom(setup: &Setup, floor: u32) -> u32 {
    let detector = setup.detector.as_ref().unwrap();
    detector.module_at(1, floor).unwrap().id.0
}

/// An entry of a constants file; the values are written alike in TOML and JSON.
fn board(id: u32, constants: &Value) -> String {
    let keys = ["Aoff", "Arot", "Hoff", "Hrot"].map(|key| format!("{key} = {}", constants[key]));
    format!("[[board]]\ndom_id = {id}\n{}\n", keys.join("\n"))
}

fn unity() -> Value {
    json!({
        "Aoff": [0.0, 0.0, 0.0], "Arot": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        "Hoff": [0.0, 0.0, 0.0], "Hrot": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    })
}

fn packet(at_ms: i64, id: u32, (a, h): ([f32; 3], [f32; 3]), valid: bool) -> Event {
    let fields = TmchFields {
        utc_seconds: u32::try_from(at_ms / 1000).unwrap(),
        ticks: u32::try_from(at_ms % 1000).unwrap() * 62_500,
        dom_id: DomId(id),
        flags: 0b10 | u32::from(valid),
        acceleration_g: a,
        magnetic_gauss: h,
        ..TmchFields::default()
    };
    let mut body = Vec::new();
    fields.encode(&mut body);
    frame(tags::IO_MONIT, body, at_ms)
}

/// What a board without offsets reads in a level module with this yaw.
fn level(yaw_deg: f32) -> ([f32; 3], [f32; 3]) {
    let (sin, cos) = yaw_deg.to_radians().sin_cos();
    ([0.0, 0.0, 1.0], [0.25 * cos, 0.25 * sin, -0.37])
}

fn bytes(content: &[u8], version: Option<&str>) -> Result<Content, FetchError> {
    let content = content.to_vec().into();
    Ok(Content::Bytes(content, version.map(str::to_owned)))
}

/// Answers the only fetch under way.
fn answer(bench: &mut Bench<AhrsCalibration>, content: Result<Content, FetchError>) -> Fetch {
    let [fetch] = &*std::mem::take(&mut bench.out.fetches) else {
        panic!("not one fetch")
    };
    let name = fetch.name.clone();
    let fetched = Fetched { name, content };
    bench.monitor.on_fetched(fetched, &mut bench.out);
    fetch.clone()
}

fn summary(bench: &Bench<AhrsCalibration>, row: &str) -> Value {
    bench.cell("ahrs_summary", row, 1)
}

/// A monitor with constants for the first five floors, that knows a yaw on floor 1.
fn running(setup: &Setup) -> Bench<AhrsCalibration> {
    let config = Config {
        interval: Span::from_secs(10),
        ..config()
    };
    let mut bench = Bench::<AhrsCalibration>::new(config, setup);
    bench.tick(T0);
    let boards: String = (1..=5).map(|f| board(dom(setup, f), &unity())).collect();
    answer(&mut bench, bytes(boards.as_bytes(), None));
    bench
}

/// Sends one packet each second for so many minutes.
fn minutes(bench: &mut Bench<AhrsCalibration>, id: u32, from_ms: i64, minutes: i64, yaw_deg: f32) {
    for s in 0..60 * minutes {
        bench.take(&packet(from_ms + 1000 * s, id, level(yaw_deg), true));
        bench.tick(from_ms + 1000 * s);
        let newest = bench.out.outputs.len().saturating_sub(20);
        bench.out.outputs.drain(..newest);
    }
}

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
fn unchanged_constants_are_not_parsed_again_and_new_ones_count_at_once() {
    let setup = setup(1);
    let id = dom(&setup, 1);
    let mut bench = running(&setup);
    bench.tick(T0 + 59_000);
    assert!(bench.out.fetches.is_empty(), "looked at once a minute");
    let mut text: String = (1..=5).map(|f| board(dom(&setup, f), &unity())).collect();
    bench.tick(T0 + 61_000);
    let fetch = answer(&mut bench, bytes(text.as_bytes(), Some("v2")));
    assert_eq!(fetch.known, None);
    bench.tick(T0 + 122_000);
    assert_eq!(
        summary(&bench, "contents parsed"),
        json!(1),
        "the same bytes"
    );
    let fetch = answer(&mut bench, Ok(Content::Unchanged));
    assert_eq!(fetch.known.as_deref(), Some("v2"));
    // What cannot be read leaves the constants as they are.
    bench.tick(T0 + 183_000);
    answer(&mut bench, bytes(b"[[board]", Some("v3")));
    bench.take(&packet(T0 + 183_000, id, level(20.0), true));
    bench.tick(T0 + 203_000);
    assert!(apart(bench.curve("yaw_calib_du1", "Floor 1")[0], 20.0) < 0.004);
    assert_eq!(bench.out.bad, ["constants not read"]);
    assert!(summary(&bench, "last reason").is_string());
    // Turned by a quarter: x and y of the field change places.
    text.clear();
    let mut turned = unity();
    turned["Hrot"] = json!([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]);
    text.push_str(&board(id, &turned));
    bench.tick(T0 + 250_000);
    answer(&mut bench, bytes(text.as_bytes(), Some("v4")));
    bench.take(&packet(T0 + 250_000, id, level(20.0), true));
    bench.tick(T0 + 263_000);
    let yaw = *bench.curve("yaw_calib_du1", "Floor 1").last().unwrap();
    assert!(apart(yaw, 110.0) < 0.004, "{yaw}");
    assert_eq!(summary(&bench, "modules with constants"), json!(1));
}

/// Answers all fetches until none is under way.
fn answer_all(
    bench: &mut Bench<AhrsCalibration>,
    content: impl Fn(&str) -> Result<Content, FetchError>,
) -> usize {
    let mut answered = 0;
    while !bench.out.fetches.is_empty() {
        let fetches = std::mem::take(&mut bench.out.fetches);
        assert!(fetches.len() <= 8, "no more at a time");
        for fetch in fetches {
            answered += 1;
            let content = content(&fetch.from.to_string());
            let name = fetch.name;
            let fetched = Fetched { name, content };
            bench.monitor.on_fetched(fetched, &mut bench.out);
        }
    }
    answered
}

#[test]
fn of_several_tests_of_a_board_the_one_that_ended_last_counts() {
    let all = vectors();
    let cases = all["ahrs"]["xml_extraction"].as_array().unwrap();
    let setup = setup(1);
    let id = dom(&setup, 1);
    let config = Config {
        tests: Some("http://db/test?upi={upi}&testtype=AHRS-CALIBRATION-v{version}".into()),
        ..config()
    };
    let mut bench = Bench::<AhrsCalibration>::new(config, &setup);
    bench.tick(T0);
    let upis = format!("[upi]\n{id} = \"3.4.3.2/AHRS/1.161\"\n");
    answer(&mut bench, bytes(upis.as_bytes(), None));
    bench.tick(T0 + 1000);
    // Version 4 does not exist, the newest text is that of version 2, version 1 is broken.
    let place = |version| {
        format!("http://db/test?upi=3.4.3.2/AHRS/1.161&testtype=AHRS-CALIBRATION-v{version}")
    };
    let content = |from: &str| match from {
        _ if from == place(3) => bytes(cases[0]["xml"].as_str().unwrap().as_bytes(), None),
        _ if from == place(2) => bytes(cases[1]["xml"].as_str().unwrap().as_bytes(), None),
        _ if from == place(1) => bytes(b"<html>", None),
        _ if from == place(4) => Err(FetchError::Status {
            location: from.to_owned(),
            status: 404,
        }),
        other => panic!("nobody asked for {other}"),
    };
    assert_eq!(answer_all(&mut bench, content), 4);
    bench.tick(T0 + 2000);
    assert_eq!(summary(&bench, "modules with constants"), json!(1));
    assert_eq!(
        summary(&bench, "constants not read"),
        json!(1),
        "the broken one"
    );
    assert!(
        cases[0]["xml"]
            .as_str()
            .unwrap()
            .contains("<EndTime>2019-01-01<")
    );
    let reading = ([0.1, 0.2, 0.9], [0.2, 0.1, -0.3]);
    bench.take(&packet(T0 + 3000, id, reading, true));
    bench.tick(T0 + 13_000);
    let constants: Constants = array(&cases[1]);
    let wide = |v: [f32; 3]| v.map(f64::from);
    let expected = constants.orientation(wide(reading.0), wide(reading.1));
    let yaw = bench.curve("yaw_calib_du1", "Floor 1")[0];
    assert!(apart(yaw, expected.yaw_deg) < 0.004);
    // An hour later everything is asked for again, and nothing parsed twice but the broken one.
    let parsed = summary(&bench, "contents parsed").as_u64().unwrap();
    bench.tick(T0 + 3_700_000);
    let content = |from: &str| match from {
        "boards.toml" => bytes(upis.as_bytes(), None),
        other => content(other),
    };
    assert_eq!(answer_all(&mut bench, content), 5);
    bench.tick(T0 + 3_701_000);
    assert_eq!(summary(&bench, "contents parsed"), json!(parsed + 1));
}

/// When the server of the tests came up after us, nobody asked it again for an hour.
#[test]
fn tests_that_failed_at_the_start_were_asked_for_only_an_hour_later() {
    let setup = setup(1);
    let modules = 18;
    let config = Config {
        constants: None,
        tests: Some("http://db/{dom_id}/{version}".into()),
        ..config()
    };
    let all = vectors();
    let good = all["ahrs"]["xml_extraction"][0]["xml"].as_str().unwrap();
    let mut bench = Bench::<AhrsCalibration>::new(config, &setup);
    bench.tick(T0);
    let refused = |from: &str| {
        Err(FetchError::Failed {
            location: from.to_owned(),
            why: "connection refused".to_owned(),
        })
    };
    assert_eq!(answer_all(&mut bench, refused), 4 * modules);
    bench.tick(T0 + 29_000);
    assert_eq!(answer_all(&mut bench, refused), 0);
    // Half a minute later the server is there, but one test is still a page for people.
    bench.tick(T0 + 30_000);
    let up = |from: &str| match from.ends_with("/4") {
        true => bytes(b"<html>", None),
        false => bytes(good.as_bytes(), None),
    };
    assert_eq!(answer_all(&mut bench, up), 4 * modules);
    bench.tick(T0 + 31_000);
    assert_eq!(summary(&bench, "modules with constants"), json!(modules));
    // Only what failed is asked for again, a minute later, and then all after an hour.
    bench.tick(T0 + 90_000);
    let ready = |_: &str| bytes(good.as_bytes(), None);
    assert_eq!(answer_all(&mut bench, ready), modules);
    bench.tick(T0 + 3_599_000);
    assert_eq!(answer_all(&mut bench, ready), 0);
    bench.tick(T0 + 3_600_000);
    assert_eq!(answer_all(&mut bench, ready), 4 * modules);
}

/// The file with the product ids came late: the tests waited for their next round.
#[test]
fn tests_are_asked_for_as_soon_as_the_product_ids_are_known() {
    let setup = setup(1);
    let id = dom(&setup, 1);
    let config = Config {
        tests: Some("http://db/{upi}/{version}".into()),
        ..config()
    };
    let mut bench = Bench::<AhrsCalibration>::new(config, &setup);
    bench.tick(T0);
    let absent = FetchError::Absent {
        location: "boards.toml".to_owned(),
        why: "no such file".to_owned(),
    };
    answer(&mut bench, Err(absent));
    bench.tick(T0 + 1000);
    assert!(bench.out.fetches.is_empty());
    bench.tick(T0 + 60_000);
    let upis = format!("[upi]\n{id} = \"compass\"\n");
    answer(&mut bench, bytes(upis.as_bytes(), None));
    bench.tick(T0 + 61_000);
    assert_eq!(bench.out.fetches.len(), 4);
}

/// The compass is a board of its own: the product id of the central logic board, which is what the map
/// of boards has, was taken for that of the compass.
#[test]
fn the_product_id_of_the_central_logic_board_is_not_that_of_the_compass() {
    let table = "DOMID\tDUID\tFLOORID\tUPI\n808\t1\t1\t3.4/1\n809\t1\t2\t3.4/2\n";
    let id = fathom_formats::km3net::DetectorId(44);
    let detector = fathom_formats::detx::Detector::from_table(table.as_bytes(), id, None).unwrap();
    let setup = Setup {
        detector: Some(detector.into()),
        ..Setup::default()
    };
    let asked = |tests: &str| {
        let config = Config {
            tests: Some(tests.to_owned()),
            ..config()
        };
        let mut bench = Bench::<AhrsCalibration>::new(config, &setup);
        bench.tick(T0);
        answer(&mut bench, bytes(b"[upi]\n809 = \"compass\"\n", None));
        bench.tick(T0 + 1000);
        let places = bench.out.fetches.iter().map(|f| f.from.to_string());
        places.collect::<Vec<_>>()
    };
    let all = |upis: &[&str]| {
        let of = |upi: &&str| [4, 3, 2, 1].map(|n| format!("http://db/{upi}/{n}"));
        upis.iter().flat_map(of).collect::<Vec<_>>()
    };
    assert_eq!(asked("http://db/{upi}/{version}"), all(&["compass"]));
    assert_eq!(
        asked("http://db/{clb_upi}/{version}"),
        all(&["3.4/1", "3.4/2"])
    );
}

#[test]
fn tmch_vectors_are_read_with_their_valid_flag() {
    let setup = setup(1);
    let mut bench = running(&setup);
    for packet in vectors()["tmch"]["packets"].as_array().unwrap() {
        let body = unhex(packet["payload_hex"].as_str().unwrap());
        bench.take(&frame(tags::IO_MONIT, body, T0));
    }
    bench.monitor.on_tick(ms(T0 + 11_000), &mut bench.out);
    assert_eq!(summary(&bench, "packets"), json!(4));
    assert!(bench.out.bad.is_empty());
}

#[test]
fn damaged_messages_are_counted_and_never_panic() {
    let setup = setup(1);
    let Event::Frame(intact) = packet(T0, dom(&setup, 1), level(10.0), true) else {
        panic!("no frame")
    };
    let mut bench = running(&setup);
    let mut damaged = |body: Vec<u8>, n: i64| {
        bench.take(&frame(intact.tag, body, T0 + n));
        bench.tick(T0 + 10 * n);
        bench.out.outputs.clear();
    };
    for bit in 0..intact.body.len() * 8 {
        let mut body = intact.body.to_vec();
        body[bit / 8] ^= 1 << (bit % 8);
        damaged(body, i64::try_from(bit).unwrap());
    }
    for cut in 0..intact.body.len() {
        damaged(intact.body[..cut].to_vec(), 100_000);
    }
    assert!(bench.out.bad.len() >= intact.body.len() - 8);
}
