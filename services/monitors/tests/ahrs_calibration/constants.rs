//! Where the constants of the boards come from.

use super::*;

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
