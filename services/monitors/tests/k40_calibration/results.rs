//! What a cycle tells of modules and PMTs, and when it is reckoned.

use super::*;

#[test]
fn offsets_and_efficiencies_come_back_within_their_errors() {
    let setup = setup(1);
    let mut fakes: Vec<Fake> = modules(&setup)[..2].iter().map(Fake::new).collect();
    for (n, fake) in fakes.iter_mut().enumerate() {
        for channel in 0..CHANNELS {
            fake.late_ns[channel] = ((channel * 7 + n * 3) % 11) as f64 / 10.0 - 0.5;
            fake.efficiency[channel] = 0.8 + 0.04 * ((channel * 5 + n) % 11) as f64;
        }
    }
    let mut bench = bench(config(60), &setup);
    feed(&mut bench, &mut fakes, 0);
    let (mut squares, mut squares_qe, mut number) = (0.0, 0.0, 0.0);
    for fake in &fakes {
        let dom = dom_of(&bench, fake.module.id);
        let list = |name: &str| -> Vec<f64> {
            let list = dom[name].as_array().unwrap().iter();
            list.map(|n| n.as_f64().unwrap()).collect()
        };
        let centre = fathom_hist::median(fake.late_ns).unwrap();
        let usual = list("qe").iter().sum::<f64>() / fake.efficiency.iter().sum::<f64>();
        for channel in 0..CHANNELS {
            let off = list("shift")[channel] - (fake.late_ns[channel] - centre);
            squares += (off / list("shift_error")[channel]).powi(2);
            let off = list("qe")[channel] - fake.efficiency[channel] * usual;
            squares_qe += (off / list("qe_error")[channel]).powi(2);
            number += 1.0;
            // What is to be put into the next detector file.
            let new = list("t0_new")[channel];
            let expected = fake.module.pmts[channel].t0_ns - list("shift")[channel];
            assert!((new - expected).abs() < 2e-4);
        }
        let [before, after] = [0, 1].map(|n| dom["rms_means"][n].as_f64().unwrap());
        assert!(after < before, "{before} {after}");
        assert!(dom["pairs_used"].as_u64().unwrap() > 80);
    }
    let (t0, qe) = (squares / number, squares_qe / number);
    assert!((0.5..1.8).contains(&t0), "t0 {t0}");
    assert!((0.5..1.8).contains(&qe), "qe {qe}");
}

#[test]
fn a_pmt_that_never_coincides_is_unknown_and_its_failed_fits_are_listed_not_taken_for_zero() {
    let setup = setup(1);
    let mut fakes = [Fake::new(&modules(&setup)[0])];
    fakes[0].efficiency[12] = 0.0;
    fakes[0].late_ns = [0.3; CHANNELS];
    fakes[0].late_ns[5] = 1.3;
    let mut bench = bench(config(60), &setup);
    feed(&mut bench, &mut fakes, 0);
    let dom = dom_of(&bench, fakes[0].module.id);
    assert!(dom["t0s"][12].is_null() && dom["qe"][12].is_null() && dom["t0_new"][12].is_null());
    let shift = dom["shift"][5].as_f64().unwrap();
    assert!((shift - 1.0).abs() < 0.35, "{shift}");
    let View::Table(failed) = &bench.output("k40_failed_fits").view else {
        panic!()
    };
    let of_dead = failed
        .rows
        .iter()
        .filter(|row| row[3] == 12 || row[4] == 12);
    assert!(of_dead.count() >= 5, "{failed:?}");
    let csv = written(&bench, "k40calib.csv");
    let line = csv
        .lines()
        .find(|line| line.split(',').nth(2) == Some("12"))
        .unwrap();
    assert!(line.contains(",,,,,,,"), "{line}");
}

#[test]
fn a_module_with_hardly_any_data_is_reported_without_a_calibration() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut bench = bench(config(10), &setup);
    bench.take(&slice(module.id, &pair_of(module), START_MS));
    bench.tick(START_MS);
    bench.tick(START_MS + 10_000);
    let dom = dom_of(&bench, module.id);
    assert!(dom["t0s"].as_array().unwrap().iter().all(Value::is_null));
    assert_eq!(panels(&bench, "intradom").panels.len(), 1);
    assert!(bench.alarms().is_empty());
}

#[test]
fn a_detector_without_du_1_is_calibrated_with_the_angles_of_its_own_modules() {
    let generated = Detector::generated(&Layout::orca(1));
    let mut list: Vec<Module> = generated.optical_modules().take(2).cloned().collect();
    for (module, floor) in list.iter_mut().zip(1..) {
        module.place.du = 5;
        module.place.floor = floor;
    }
    // In the second one all channels look elsewhere.
    list[1].pmts.rotate_right(7);
    let detector = Detector::new(DetectorId(44), list.clone());
    let setup = Setup {
        detector: Some(std::sync::Arc::new(detector)),
        ..Setup::default()
    };
    let mut fakes: Vec<Fake> = list.iter().map(Fake::new).collect();
    let mut bench = bench(config(60), &setup);
    feed(&mut bench, &mut fakes, 0);
    for (panel, module) in panels(&bench, "angular_k40rate_distribution")
        .panels
        .iter()
        .zip(&list)
    {
        let before = &panel.layers[0];
        let directions = std::array::from_fn(|c| module.pmts[c].direction);
        let own: Vec<f64> = cos_angles(&directions).to_vec();
        assert!(before.x.len() > 80);
        let all_own = before
            .x
            .iter()
            .all(|x| own.iter().any(|cos| (cos - x).abs() < 1e-3));
        assert!(all_own);
        // With wrong angles rates would scatter about the curve by several Hz.
        let off = before
            .x
            .iter()
            .zip(&before.y)
            .map(|(x, y)| (y - expected_rate_hz(*x)).powi(2));
        let rms = (off.sum::<f64>() / before.x.len() as f64).sqrt();
        assert!(rms < 0.5, "{rms}");
    }
}

#[test]
fn all_modules_are_reached_not_only_the_eighteen_of_one_picture() {
    let setup = setup(2);
    let all = modules(&setup);
    let mut bench = bench(config(10), &setup);
    for module in &all {
        bench.take(&slice(module.id, &pair_of(module), START_MS));
    }
    bench.tick(START_MS);
    bench.tick(START_MS + 10_000);
    assert_eq!(
        progress(&bench, "state"),
        json!("calibrating, 4 of 36 modules")
    );
    for n in 1..80 {
        bench.tick(START_MS + 10_000 + 10 * n);
    }
    let View::Table(summary) = &bench.output("k40_summary").view else {
        panic!()
    };
    assert_eq!(summary.rows.len(), 36);
    assert_eq!(panels(&bench, "intradom").panels.len(), 18);
    let of_second = bench
        .monitor
        .on_request("intradom", &json!({"du": 2}))
        .unwrap();
    assert_eq!(
        of_second["intradom"]["panels"].as_array().unwrap().len(),
        18
    );
    // The page draws it like any view.
    assert_eq!(of_second["intradom"]["form"], "panels");
    let first = json!({"du": 1, "floor": 1});
    let first = bench.monitor.on_request("dom", &first).unwrap();
    assert_eq!(first["dom_id"], all[0].id.0);
    let asked = json!({"dom_ids": [all[0].id.0, all[35].id.0]});
    assert_eq!(
        bench.monitor.on_request("show", &asked).unwrap()["modules"],
        2
    );
    bench.tick(START_MS + 12_000);
    assert_eq!(panels(&bench, "intradom").panels.len(), 2);
    for (x, name) in [(18, "k40_t0_du2"), (18, "k40_qe_du1")] {
        assert_eq!(bench.map(name).values.len(), x * 31);
    }
    assert!(
        bench
            .monitor
            .on_request("show", &json!({"dus": []}))
            .is_err()
    );
    assert!(
        bench
            .monitor
            .on_request("dom", &json!({"dom_id": 1}))
            .is_err()
    );
}

#[test]
fn modules_are_calibrated_some_per_tick() {
    let setup = setup(2);
    let mut bench = bench(config(10), &setup);
    for module in &modules(&setup) {
        bench.take(&slice(module.id, &pair_of(module), START_MS));
    }
    bench.tick(START_MS);
    let mut ticks = 0;
    while bench.out.files.is_empty() {
        ticks += 1;
        bench.take(&packet(START_MS + 9_800 + 200 * ticks, 17, 700, 0));
        bench.tick(START_MS + 9_800 + 200 * ticks);
    }
    assert_eq!(ticks, 36 / 4);
}

#[test]
fn a_large_detector_whose_pass_takes_longer_than_the_cycle_was_stale_all_the_time() {
    let setup = setup(230);
    let mut bench = bench(config(60), &setup);
    let modules = modules(&setup);
    let hits = pair_of(&modules[0]);
    for n in 0..=61 {
        bench.take(&slice(modules[0].id, &hits, START_MS + n * 1000));
        bench.tick(START_MS + n * 1000);
    }
    for n in 0..5000 {
        bench.tick(START_MS + 61_000 + n * 200);
    }
    // By hand: 4140 modules at four per tick are 1035 ticks, which take 207 s beside the cycle of 60 s.
    let interval_s = bench.output("k40_summary").interval_s;
    assert!((interval_s - 267.0).abs() < 1.0e-9, "{interval_s}");
}

#[test]
fn ticks_that_take_long_do_not_keep_messages_waiting() {
    let setup = setup(1);
    let mut bench = bench(config(10), &setup);
    for module in &modules(&setup) {
        bench.take(&slice(module.id, &pair_of(module), START_MS));
    }
    bench.tick(START_MS);
    bench.tick(START_MS + 10_000);
    let state = |bench: &mut Bench<K40Calibration>, at_ms: i64| {
        bench.tick(at_ms);
        bench.tick(at_ms + 5000);
        progress(bench, "state")
    };
    // The next ticks come at once, before any message: they leave the time to those.
    let waiting = json!("calibrating, 4 of 18 modules");
    assert_eq!(state(&mut bench, START_MS + 11_000), waiting);
    // When no message comes at all, it goes on nevertheless.
    assert_eq!(state(&mut bench, START_MS + 17_000), waiting);
    let going_on = json!("calibrating, 8 of 18 modules");
    assert_eq!(state(&mut bench, START_MS + 23_000), going_on);
}
