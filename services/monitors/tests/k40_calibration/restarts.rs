//! What survives a restart.

use super::*;

#[test]
fn counts_and_results_survive_a_restart_in_mid_cycle() {
    let setup = setup(1);
    let mut fakes = [Fake::new(&modules(&setup)[0])];
    let id = fakes[0].module.id;
    let mut before = bench(config(60), &setup);
    feed(&mut before, &mut fakes, 0);
    let found = before
        .monitor
        .on_request("dom", &json!({"dom_id": id.0}))
        .unwrap();
    for n in 0..5 {
        before.take(&slice(
            id,
            &pair_of(&fakes[0].module),
            START_MS + 62_000 + 100 * n,
        ));
    }
    let counts = before
        .monitor
        .on_request("counts", &json!({"dom_id": id.0}))
        .unwrap();
    let store = Store::default();
    let mut after = before.restarted(config(60), &setup, &store);
    let args = json!({"dom_id": id.0});
    assert_eq!(after.monitor.on_request("counts", &args).unwrap(), counts);
    assert_eq!(after.monitor.on_request("dom", &args).unwrap(), found);
    after.tick(START_MS + 63_000);
    assert_eq!(panels(&after, "intradom").panels.len(), 1);
    assert_eq!(after.map("k40_t0_du1").values.len(), 31);
    // The cycle goes on where it was, and ends in time.
    after.take(&slice(id, &pair_of(&fakes[0].module), START_MS + 119_000));
    after.tick(START_MS + 119_500);
    assert!(after.out.files.is_empty());
    after.tick(START_MS + 125_000);
    assert_eq!(dom_of(&after, id)["coincidences"], json!(6));

    let other = Config {
        tmax: 12,
        ..config(60)
    };
    let mut refused = bench(other, &setup);
    assert!(refused.monitor.restore(&store.saved()).is_err());
    let mut damaged = store.saved();
    let bytes = damaged.snapshot.as_mut().unwrap();
    bytes.truncate(bytes.len() - 10);
    let mut fresh = bench(config(60), &setup);
    fresh.monitor.restore(&damaged).unwrap();
    assert!(fresh.monitor.on_request("counts", &args).is_err());
}

#[test]
fn a_large_detector_is_kept_whole_at_its_end_however_late_that_was_done_before() {
    let setup = setup(12);
    let all = modules(&setup);
    let mut bench = bench(config(600), &setup);
    let fill = |bench: &mut Bench<K40Calibration>, at_ms: i64| {
        for module in &all {
            bench.take(&slice(module.id, &pair_of(module), at_ms));
        }
        bench.tick(at_ms);
    };
    let is_kept = |bench: &mut Bench<K40Calibration>, mut keep: Persist| {
        bench.monitor.persist(&mut keep);
        let store = Store::default();
        keep.write(&store.checkpoint()).unwrap();
        store.saved().snapshot.is_some()
    };
    fill(&mut bench, START_MS);
    assert!(bench.monitor.memory_bytes() > 4 << 20);
    assert!(is_kept(&mut bench, Persist::default()));
    fill(&mut bench, START_MS + 30_000);
    assert!(!is_kept(&mut bench, Persist::default()));
    assert!(is_kept(&mut bench, Persist::last()));
}

#[test]
fn a_restart_in_the_midst_of_a_round_lost_the_results_that_were_there() {
    let setup = setup(1);
    let all = &modules(&setup)[..2];
    let one_each = || Config {
        doms_per_tick: 1,
        ..config(10)
    };
    let mut before = bench(one_each(), &setup);
    for module in all {
        before.take(&slice(module.id, &pair_of(module), START_MS));
    }
    before.tick(START_MS + 10_000);
    assert!(before.out.files.is_empty(), "the second is still to come");
    let mut after = before.restarted(one_each(), &setup, &Store::default());
    after.take(&slice(all[1].id, &pair_of(&all[1]), START_MS + 10_100));
    (1..10).for_each(|n| after.tick(START_MS + 10_100 + 200 * n));
    assert_eq!(dom_of(&after, all[1].id)["coincidences"], json!(2));
    assert_eq!(dom_of(&after, all[0].id)["coincidences"], json!(1));
}

#[test]
fn counts_made_with_other_time_offsets_are_not_taken_over() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut before = bench(config(60), &setup);
    before.take(&slice(module.id, &pair_of(module), START_MS));
    let mut other = module.clone();
    other.pmts[7].t0_ns += 3.0;
    let detector = Detector::new(DetectorId(44), vec![other]);
    let recalibrated = Setup {
        detector: Some(std::sync::Arc::new(detector)),
        ..Setup::default()
    };
    let mut after = before.restarted(config(60), &recalibrated, &Store::default());
    assert!(
        after
            .monitor
            .on_request("counts", &json!({"dom_id": module.id.0}))
            .is_err()
    );
}
