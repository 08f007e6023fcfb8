//! What a cycle counts, and what begins and ends it.

use super::*;

#[test]
fn each_cycle_reports_its_own_counts_and_not_those_of_the_first_for_ever() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut bench = bench(config(10), &setup);
    for cycle in 1..=4 {
        let start_ms = START_MS + 10_000 * cycle;
        for n in 0..cycle {
            bench.take(&slice(module.id, &pair_of(module), start_ms + 100 * n));
        }
        bench.tick(start_ms + 9000);
        bench.tick(start_ms + 9990 + 10);
        let dom = dom_of(&bench, module.id);
        assert_eq!(dom["coincidences"], json!(cycle), "{dom}");
        assert_eq!(dom["livetime"], json!(cycle as f64 / 10.0));
    }
}

#[test]
fn a_slice_that_comes_twice_counts_once() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut bench = bench(config(10), &setup);
    for n in [0, 1, 1, 0, 2] {
        bench.take(&slice(module.id, &pair_of(module), START_MS + 100 * n));
    }
    bench.tick(START_MS + 9000);
    bench.tick(START_MS + 10_000);
    let dom = dom_of(&bench, module.id);
    assert_eq!(dom["coincidences"], json!(3), "{dom}");
    assert_eq!(dom["livetime"], json!(0.3));
}

#[test]
fn a_cycle_without_any_data_leaves_results_and_files_as_they_are() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut bench = bench(config(10), &setup);
    bench.take(&slice(module.id, &pair_of(module), START_MS));
    bench.tick(START_MS);
    bench.tick(START_MS + 10_000);
    assert_eq!(bench.out.files.len(), 2);
    for n in 1..200 {
        bench.tick(START_MS + 10_000 + 200 * n);
    }
    assert_eq!(bench.out.files.len(), 2);
    let args = json!({"dom_id": module.id.0});
    assert!(bench.monitor.on_request("dom", &args).is_ok());
    assert_eq!(progress(&bench, "state"), json!("waiting for slices"));
    // The next cycle begins with the next slice.
    bench.take(&slice(module.id, &pair_of(module), START_MS + 60_000));
    bench.tick(START_MS + 69_900);
    assert_eq!(bench.out.files.len(), 2);
    bench.tick(START_MS + 70_000);
    assert_eq!(bench.out.files.len(), 4);
}

#[test]
fn a_jump_of_the_data_time_ends_the_cycle_and_mixes_nothing() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut bench = bench(config(60), &setup);
    bench.take(&slice(module.id, &pair_of(module), START_MS));
    bench.tick(START_MS);
    // A replay from a day before begins.
    let day_ms = 86_400_000;
    let mut old = slice(module.id, &pair_of(module), START_MS - day_ms);
    if let Event::Frame(frame) = &mut old {
        frame.received = ms(START_MS + 20_000);
    }
    bench.take(&old);
    bench.tick(START_MS + 20_200);
    let dom = dom_of(&bench, module.id);
    assert_eq!(dom["coincidences"], json!(1));
    assert_eq!(dom["until"], json!("2023-11-14T22:13:20Z"));
    bench.take(&old);
    let counts = bench
        .monitor
        .on_request("counts", &json!({"dom_id": module.id.0}))
        .unwrap();
    assert_eq!(counts["frames"], 1);
    // The cycle of the replay ends a minute after it began.
    bench.tick(START_MS + 79_900);
    assert_eq!(bench.out.files.len(), 2);
    bench.tick(START_MS + 80_100);
    assert_eq!(bench.out.files.len(), 4);
}

#[test]
fn counts_of_one_detector_were_written_as_those_of_the_next() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut bench = bench(config(60), &setup);
    let hits = pair_of(module);
    bench.take(&slice(module.id, &hits, START_MS));
    bench.tick(START_MS);
    let other = Header {
        detector_id: DetectorId(45),
        ..header(1, START_MS + 100)
    };
    let frames = [SuperFrame {
        header: other,
        dom_id: module.id,
        status: fine(),
        hits: &hits,
    }];
    let mut body = Vec::new();
    encode_time_slice(SliceLevel::L1, &other, &frames, &mut body).unwrap();
    bench.take(&frame(tags::IO_TSL1, body, START_MS + 100));
    bench.tick(START_MS + 200);
    let dom = dom_of(&bench, module.id);
    assert_eq!(dom["coincidences"], json!(1), "none of the other detector");
    let all: Value = serde_json::from_str(&written(&bench, "k40calib.json")).unwrap();
    assert_eq!(all["detector_id"], json!(44));
}

#[test]
fn a_module_heard_late_in_the_cycle_counts_on_and_a_silent_one_has_no_result() {
    let setup = setup(1);
    let all = modules(&setup);
    let mut bench = bench(config(10), &setup);
    let give = |bench: &mut Bench<K40Calibration>, n: usize, at_ms: i64| {
        bench.take(&slice(all[n].id, &pair_of(&all[n]), at_ms));
        bench.tick(at_ms);
    };
    let results = |bench: &Bench<K40Calibration>| {
        let written: Value = serde_json::from_str(&written(bench, "k40calib.json")).unwrap();
        let doms = written["doms"].as_array().unwrap().iter();
        doms.map(|dom| (dom["dom_id"].clone(), dom["coincidences"].clone()))
            .collect::<Vec<_>>()
    };
    give(&mut bench, 0, START_MS);
    // Less than half of the cycle is left.
    give(&mut bench, 1, START_MS + 5100);
    bench.tick(START_MS + 10_000);
    assert_eq!(results(&bench), [(json!(all[0].id.0), json!(1))]);
    let counted = progress(&bench, "frames counted");
    assert_eq!(counted, json!(0), "the next cycle begins");
    give(&mut bench, 1, START_MS + 11_000);
    bench.tick(START_MS + 20_000);
    assert_eq!(results(&bench), [(json!(all[1].id.0), json!(2))]);
}

#[test]
fn damaged_slices_other_levels_and_unknown_modules_are_counted_and_harmless() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut bench = bench(config(10), &setup);
    let hits = pair_of(module);
    let Event::Frame(whole) = slice(module.id, &hits, START_MS) else {
        panic!()
    };
    for cut in 0..whole.body.len() {
        bench.take(&frame(tags::IO_TSL1, whole.body[..cut].to_vec(), START_MS));
    }
    assert_eq!(bench.out.bad.len(), whole.body.len());
    bench.take(&frame(tags::IO_MONIT, b"TMCH".to_vec(), START_MS));
    assert_eq!(bench.out.bad.len(), whole.body.len() + 1);
    bench.take(&slice_of(
        &[(module.id, fine(), &hits)],
        START_MS,
        SliceLevel::L0,
    ));
    assert!(
        bench
            .monitor
            .on_request("counts", &json!({"dom_id": module.id.0}))
            .is_err()
    );
    bench.take(&slice(DomId(17), &hits, START_MS));
    bench.take(&packet(START_MS, 17, 700, 0));
    bench.tick(START_MS);
    let View::Table(unknown) = &bench.output("k40_unknown").view else {
        panic!()
    };
    assert_eq!(unknown.rows[0][..2], [json!(17), json!(1)]);
    assert_eq!(
        bench
            .monitor
            .on_request("bad", &Value::Null)
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        5
    );
}

#[test]
fn the_singles_of_a_cycle_are_their_median_without_veto() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut fakes = [Fake::new(module)];
    let mut bench = bench(config(60), &setup);
    bench.take(&slice(module.id, &pair_of(module), START_MS));
    // 7 kHz, but twice 300 kHz in veto: the median stays, and the background with it.
    for (n, (count, hrv)) in [
        (700, 0),
        (700, 0),
        (30_000, u32::MAX),
        (30_000, u32::MAX),
        (700, 0),
    ]
    .into_iter()
    .enumerate()
    {
        bench.take(&packet(START_MS + 100 * n as i64, module.id.0, count, hrv));
    }
    for n in 1..600 {
        bench.take(&slice(module.id, &fakes[0].hits(0.1), START_MS + 100 * n));
    }
    bench.tick(START_MS + 60_000);
    let dom = dom_of(&bench, module.id);
    // 49e6 * 1e-9 = 0.049 Hz per bin over 21 bins is 1.03 Hz taken off a rate of 6 Hz; 300 kHz would
    // leave nothing.
    let scale = dom["scale"].as_f64().unwrap();
    assert!((0.5..1.0).contains(&scale), "{scale}");
}

#[test]
fn without_a_detector_description_modules_are_counted_as_they_come() {
    let setup = Setup::default();
    let mut bench = bench(config(10), &setup);
    let hits = [(3, 5000), (4, 5002)].map(|(c, ns)| SliceHit::new(ChannelId(c), ns, 26));
    bench.take(&slice(DomId(99), &hits, START_MS));
    bench.tick(START_MS);
    bench.tick(START_MS + 10_000);
    assert_eq!(dom_of(&bench, DomId(99))["coincidences"], json!(1));
    assert!(dom_of(&bench, DomId(99))["t0_new"][0].is_null());
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let setup = setup(2);
    let wrong: BTreeMap<&str, Config> = [
        ("cycle", config(1)),
        (
            "tmax",
            Config {
                tmax: 21,
                ..config(60)
            },
        ),
        (
            "ct_min",
            Config {
                ct_min: f64::NAN,
                ..config(60)
            },
        ),
        (
            "alarm_shift",
            Config {
                alarm_shift: -1.0,
                ..config(60)
            },
        ),
        (
            "doms_per_tick",
            Config {
                doms_per_tick: 0,
                ..config(60)
            },
        ),
        (
            "shown",
            Config {
                shown: vec![3],
                ..config(60)
            },
        ),
    ]
    .into();
    for (name, config) in wrong {
        let error = K40Calibration::check(&config, &setup).unwrap_err();
        assert!(error.starts_with(name), "{error}");
    }
    assert!(K40Calibration::check(&Config::default(), &setup).is_ok());
}
