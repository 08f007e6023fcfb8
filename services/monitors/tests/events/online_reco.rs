//! Zenith angle and quality of the online reconstruction.

use fathom_formats::detx::{Detector, Layout};
use fathom_formats::km3net::{DetectorId, Fit, OnlineReco as Payload, RunNumber, Variables};
use fathom_kernel::view::{Panels, View};
use fathom_kernel::{Content, Event, Fetched, Location, Monitor as _, Setup, tags};
use fathom_monitors::{OnlineReco, OnlineRecoConfig as Config};
use serde_json::{Value, json};

use super::common::{Bench, Store, close, frame, ms, unhex, vectors};

const T0: i64 = 1_700_000_400_000;

fn fit(dz: f64, quality: f64, status: i32) -> Fit {
    Fit {
        direction: [0.0, (1.0 - dz * dz).sqrt(), dz],
        quality,
        status,
        kind: 2,
        ..Fit::default()
    }
}

fn event(run: i32, at_ms: i64, track: Fit, shower: Fit) -> Event {
    let payload = Payload {
        detector_id: DetectorId(44),
        run: RunNumber(run),
        frame_index: 0,
        trigger_counter: 0,
        utc_seconds: u32::try_from(at_ms / 1000).unwrap(),
        shower,
        track,
        variables: None,
        extra_bytes: 0,
    };
    let mut body = Vec::new();
    payload.encode(&mut body).unwrap();
    frame(tags::IO_OLINE, body, at_ms)
}

fn panels<'a>(bench: &'a Bench<OnlineReco>, name: &str) -> &'a Panels {
    match &bench.output(name).view {
        View::Panels(panels) => panels,
        other => panic!("{name} is {other:?}"),
    }
}

/// Bins with something, as their middle and share.
fn filled(panels: &Panels, panel: usize, layer: usize) -> Vec<(f64, f64)> {
    let layer = &panels.panels[panel].layers[layer];
    let middle = |n: usize| f64::midpoint(layer.x[n], layer.x[n + 1]);
    let bins = layer
        .y
        .iter()
        .enumerate()
        .filter(|(_, share)| **share > 0.0);
    bins.map(|(n, share)| (middle(n), *share)).collect()
}

/// Both fits of a case, number by number.
fn check_fits(case: &Value, payload: &Payload) {
    for (section, fit) in [("track", &payload.track), ("shower", &payload.shower)] {
        let number = |key: &str| case[section][key].as_f64().unwrap();
        let [x, y, z] = fit.position_m;
        let [dx, dy, dz] = fit.direction;
        let got = [
            x,
            y,
            z,
            dx,
            dy,
            dz,
            fit.energy_gev,
            fit.quality,
            fit.time_ns,
        ];
        let expected = ["x", "y", "z", "dx", "dy", "dz", "E", "Q", "t"].map(number);
        let pairs = got.into_iter().zip(expected);
        assert!(
            pairs.into_iter().all(|(a, b)| close(a, b, 1e-14)),
            "{got:?}"
        );
        let got = [fit.kind, fit.status, fit.ndf].map(f64::from);
        assert_eq!(got, ["type", "status", "ndf"].map(number));
    }
}

#[test]
fn online_reco_vectors() {
    let all = vectors();
    let cases = all["online_reco"].as_array().unwrap();
    let mut bench = Bench::<OnlineReco>::new(Config::default(), &Setup::default());
    let mut expected = Vec::new();
    for case in cases {
        let mut body = unhex(case["payload_hex"].as_str().unwrap());
        let payload = Payload::decode(&body).unwrap();
        check_fits(case, &payload);
        let at_ms = i64::from(payload.utc_seconds) * 1000;
        // Both forms: with and without the variables behind.
        bench.take(&frame(tags::IO_OLINE, body.clone(), at_ms));
        body.extend([0; 56]);
        body[..4].copy_from_slice(&256_i32.to_le_bytes());
        bench.take(&frame(tags::IO_OLINE, body, at_ms));
        if case["accepted"].as_bool().unwrap() {
            let quality = case["track"]["Q"].as_f64().unwrap();
            expected.push((case["cos_zenith"].as_f64().unwrap(), quality));
        }
    }
    assert!(bench.out.bad.is_empty());
    bench.tick(ms(T0).as_millisecond());
    let zenith = filled(panels(&bench, "reco_zenith"), 0, 0);
    let quality = filled(panels(&bench, "reco_quality"), 0, 0);
    let accepted = 2.0 * expected.len() as f64;
    assert_eq!(
        bench.cell("reco_counts", "tracks accepted", 1),
        json!(accepted as u64)
    );
    expected.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert_eq!(zenith.len(), expected.len());
    for ((middle, share), (cos, _)) in zenith.iter().zip(&expected) {
        assert!(
            (middle - cos).abs() <= 1.0 / 180.0 + 1e-12,
            "{middle} {cos}"
        );
        assert_eq!(*share, 2.0 / accepted);
    }
    // Both qualities are near -12: one or two bins of 5.
    for (_, expected) in &expected {
        assert!(
            quality
                .iter()
                .any(|(middle, _)| (middle - expected).abs() <= 2.5)
        );
    }
}

#[test]
fn tracks_of_another_status_and_fits_without_direction_are_left_out() {
    let mut bench = Bench::<OnlineReco>::new(Config::default(), &Setup::default());
    let none = Fit::default();
    bench.take(&event(1, T0, fit(-1.0, 50.0, 1), none));
    bench.take(&event(1, T0, fit(-1.0, 50.0, 0), none));
    bench.take(&event(1, T0, fit(0.5, f64::NAN, 1), none));
    let still = Fit {
        direction: [0.0; 3],
        ..fit(0.5, 10.0, 1)
    };
    bench.take(&event(1, T0, still, fit(1.0, 7.0, 0)));
    bench.tick(T0);
    let count = |row| bench.cell("reco_counts", row, 1);
    assert_eq!(
        (count("tracks accepted"), count("showers accepted")),
        (json!(1), json!(1))
    );
    assert_eq!(count("accepted without direction or quality"), json!(2));
    let zenith = panels(&bench, "reco_zenith");
    // Straight down is +1, straight up is -1.
    assert!(filled(zenith, 0, 0)[0].0 > 0.99 && filled(zenith, 1, 0)[0].0 < -0.99);
}

#[test]
fn the_run_before_becomes_the_reference() {
    let mut bench = Bench::<OnlineReco>::new(Config::default(), &Setup::default());
    let none = Fit::default();
    for n in 0..200 {
        let run = 1 + n / 100;
        let dz = if run == 1 { -0.9 } else { 0.9 };
        bench.take(&event(
            i32::try_from(run).unwrap(),
            T0 + 1000 * n,
            fit(dz, 50.0, 1),
            none,
        ));
    }
    // One of run 1 comes late: it goes where it belongs.
    bench.take(&event(1, T0 + 98_000, fit(-0.9, 50.0, 1), none));
    bench.tick(T0 + 200_000);
    let zenith = panels(&bench, "reco_zenith");
    let names: Vec<_> = zenith.panels[0].layers.iter().map(|l| &*l.name).collect();
    assert_eq!(names, ["run 1 (reference)", "run 2"]);
    assert!((filled(zenith, 0, 0)[0].0 - 0.9).abs() < 0.01);
    assert!((filled(zenith, 0, 1)[0].0 + 0.9).abs() < 0.01);
    let run = bench.cell("reco_counts", "run of the reference", 1);
    assert_eq!(run, json!(1));
    let chi2 = bench.cell(
        "reco_counts",
        "chi2 / ndf of cos(zenith) against the reference",
        1,
    );
    assert!(chi2.as_f64().unwrap() > 100.0, "{chi2}");
    let same = bench.cell(
        "reco_counts",
        "chi2 / ndf of the quality against the reference",
        1,
    );
    assert_eq!(same, json!(null), "one filled bin has no degree of freedom");
    assert!(bench.output("reco_zenith").view.fault().is_none());
}

#[test]
fn a_file_can_be_the_reference() {
    let config = Config {
        reference: Some(Location::from("good.json".to_owned())),
        ..Config::default()
    };
    let mut bench = Bench::<OnlineReco>::new(config, &Setup::default());
    bench.take(&event(3, T0, fit(-0.5, 50.0, 1), Fit::default()));
    let file = bench
        .monitor
        .on_request("histograms", &json!(null))
        .unwrap();
    bench.tick(T0);
    let [fetch] = &*bench.out.fetches else {
        panic!("nothing fetched")
    };
    assert_eq!(fetch.from, Location::from("good.json".to_owned()));
    let name = fetch.name.clone();
    let mut answer = |content| {
        let fetched = Fetched {
            name: name.clone(),
            content,
        };
        bench.monitor.on_fetched(fetched, &mut bench.out);
    };
    answer(Ok(Content::Bytes(b"{".to_vec().into(), None)));
    answer(Ok(Content::Bytes(
        serde_json::to_vec(&file).unwrap().into(),
        Some("1".into()),
    )));
    answer(Ok(Content::Unchanged));
    assert_eq!(bench.out.bad, ["reference not readable"]);
    bench.tick(T0 + 20_000);
    let layers = &panels(&bench, "reco_zenith").panels[0].layers;
    assert_eq!((layers.len(), &*layers[0].name), (2, "run 3 (reference)"));
    assert_eq!(bench.cell("reco_counts", "reference file", 1), json!(null));
}

#[test]
fn rates_and_mean_quality_are_followed_and_survive_a_restart() {
    let mut bench = Bench::<OnlineReco>::new(Config::default(), &Setup::default());
    let start = T0 / 60_000 * 60_000;
    for n in 0..240 {
        let quality = if n < 120 { 40.0 } else { 60.0 };
        bench.take(&event(
            1,
            start + 1000 * n,
            fit(-0.5, quality, 1),
            Fit::default(),
        ));
        bench.tick(start + 1000 * n);
    }
    // The time of this one is wrong: it makes no interval of two hours ago.
    let wrong = event(1, start - 7_200_000, Fit::default(), Fit::default());
    let Event::Frame(mut wrong) = wrong else {
        panic!("no frame")
    };
    wrong.received = ms(start + 239_500);
    bench.take(&Event::Frame(wrong));
    bench.tick(start + 240_000);
    let store = Store::default();
    let mut bench = bench.restarted(Config::default(), &Setup::default(), &store);
    bench.tick(start + 241_000);
    assert_eq!(bench.curve("reco_rates", "JGandalf"), [1.0; 4]);
    assert_eq!(bench.curve("reco_rates", "shower"), [0.0; 4]);
    assert_eq!(
        bench.curve("reco_quality_trend", "JGandalf"),
        [40.0, 40.0, 60.0, 60.0]
    );
    assert_eq!(
        bench.cell("reco_counts", "tracks of the current run", 1),
        json!(240.0)
    );
}

#[test]
fn a_body_that_is_cut_is_counted() {
    let mut bench = Bench::<OnlineReco>::new(Config::default(), &Setup::default());
    let Event::Frame(mut cut) = event(1, T0, Fit::default(), Fit::default()) else {
        panic!("no frame")
    };
    cut.body = cut.body.slice(..150);
    bench.take(&Event::Frame(cut));
    assert_eq!(bench.out.bad, ["length_mismatch"]);
    // Bytes behind the known ones are accepted.
    let with = Payload {
        variables: Some(Variables::default()),
        ..Payload::decode(&unhex(
            vectors()["online_reco"][0]["payload_hex"].as_str().unwrap(),
        ))
        .unwrap()
    };
    let mut body = Vec::new();
    with.encode(&mut body).unwrap();
    assert_eq!(body.len(), 256);
    assert!(Payload::decode(&body).is_ok());
}

#[test]
fn events_of_other_detectors_are_told_of_and_counted_all_the_same() {
    let generated = Detector::generated(&Layout::orca(1));
    let own = generated.id;
    let setup = Setup {
        detector: Some(generated.into()),
        ..Setup::default()
    };
    let mut bench = Bench::<OnlineReco>::new(Config::default(), &setup);
    bench.monitor.reset();
    let one = fit(-0.5, 50.0, 1);
    bench.take(&event(7, T0, one, one));
    bench.tick(T0);
    assert_eq!(bench.out.bad, ["other_detector"]);
    assert_eq!(bench.cell("reco_counts", "events", 1), json!(1));
    let named = format!("detector 44, the description is of {own}");
    assert_eq!(bench.cell("reco_unknown", &named, 1), json!(1));
}

#[test]
fn a_run_of_a_hundred_tracks_takes_the_place_of_the_reference() {
    let mut bench = Bench::<OnlineReco>::new(Config::default(), &Setup::default());
    let mut at_ms = T0;
    let mut feed = |bench: &mut Bench<OnlineReco>, run: i32, tracks: u32| {
        at_ms += 20_000;
        for _ in 0..tracks {
            at_ms += 1000;
            bench.take(&event(run, at_ms, fit(-0.9, 50.0, 1), Fit::default()));
        }
        bench.tick(at_ms + 10_000);
        let cell = |row| bench.cell("reco_counts", row, 1);
        (
            cell("run of the reference"),
            cell("tracks of the current run"),
        )
    };
    assert_eq!(feed(&mut bench, 1, 5), (json!(null), json!(5.0)));
    // The first one is better than none.
    assert_eq!(feed(&mut bench, 2, 100), (json!(1), json!(100.0)));
    assert_eq!(feed(&mut bench, 3, 99), (json!(2), json!(99.0)));
    assert_eq!(feed(&mut bench, 4, 1), (json!(2), json!(1.0)));
    // One of run 2 comes late: it is none of the current run.
    bench.take(&event(2, T0 + 50_000, fit(-0.9, 50.0, 1), Fit::default()));
    assert_eq!(feed(&mut bench, 4, 1), (json!(2), json!(2.0)));

    let mut bench = bench.restarted(Config::default(), &Setup::default(), &Store::default());
    bench.tick(T0 + 500_000);
    let cell = |row| bench.cell("reco_counts", row, 1);
    assert_eq!(cell("run of the reference"), json!(2));
    assert_eq!(cell("tracks of the current run"), json!(2.0));
    assert_eq!(cell("tracks accepted"), json!(207));
    assert_eq!(cell("events"), json!(207));
}

#[test]
fn showers_of_one_status_only_when_told_so_and_straight_down_is_in_the_last_bin() {
    let config = Config {
        shower_status: Some(1),
        ..Config::default()
    };
    let mut bench = Bench::<OnlineReco>::new(config, &Setup::default());
    for status in 0..3 {
        bench.take(&event(1, T0, fit(-1.0, 7.0, 1), fit(0.5, 7.0, status)));
    }
    bench.tick(T0);
    let count = |row| bench.cell("reco_counts", row, 1);
    assert_eq!(count("showers accepted"), json!(1));
    let zenith = panels(&bench, "reco_zenith");
    let (middle, share) = filled(zenith, 0, 0)[0];
    assert!((middle - (1.0 - 1.0 / 180.0)).abs() < 1e-9 && share == 1.0);
}

#[test]
fn a_mean_quality_of_one_track_has_no_error_and_one_of_two_has() {
    let mut bench = Bench::<OnlineReco>::new(Config::default(), &Setup::default());
    bench.tick(T0);
    for (s, quality) in [(1, 40.0), (61, 40.0), (62, 60.0)] {
        bench.take(&event(
            1,
            T0 + 1000 * s,
            fit(0.1, quality, 1),
            Fit::default(),
        ));
    }
    bench.tick(T0 + 121_000);
    let curve = &bench.series("reco_quality_trend").curves[0];
    assert_eq!(curve.values, [40.0, 50.0]);
    // Half of the distance: the spread is 14.1, by the root of two.
    assert!(curve.errors[0].is_nan() && close(curve.errors[1], 10.0, 1e-12));
}
