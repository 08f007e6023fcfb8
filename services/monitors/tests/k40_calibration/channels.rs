//! Channels that do not count: in veto, masked, off.

use super::*;

#[test]
fn a_channel_in_veto_loses_time_and_hits_of_its_pairs_only() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut bench = bench(config(10), &setup);
    let hits = pair_of(module);
    for (n, status) in [
        (0, fine()),
        (1, FrameStatus::complete(8, 1 << 4, 0)),
        (2, FrameStatus::complete(8, 0, 1 << 3)),
    ] {
        bench.take(&slice_of(
            &[(module.id, status, &hits)],
            START_MS + n * 100,
            SliceLevel::L1,
        ));
    }
    let all_vetoed = FrameStatus::complete(8, u32::MAX, 0);
    let missing = FrameStatus::from_words(8 << 16 | 3, 0, 1 << 31);
    for status in [all_vetoed, missing] {
        bench.take(&slice_of(
            &[(module.id, status, &hits)],
            START_MS + 300,
            SliceLevel::L1,
        ));
    }
    let asked = json!({"dom_id": module.id.0});
    let counts = bench.monitor.on_request("counts", &asked).unwrap();
    assert_eq!(counts["frames"], 3);
    let expected =
        json!([{"channels": [3, 4], "frames": 1, "counts": counts["pairs"][0]["counts"]}]);
    assert_eq!(counts["pairs"], expected);
    bench.tick(START_MS + 400);
    assert_eq!(
        progress(&bench, "frames left out: all channels in veto"),
        json!(1)
    );
    assert_eq!(
        progress(&bench, "frames left out: packets missing"),
        json!(1)
    );
    assert_eq!(
        progress(&bench, "of these, without some channels (veto or FIFO)"),
        json!(2)
    );
}

#[test]
fn time_that_a_pair_lost_in_one_cycle_is_not_lost_in_the_next() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut bench = bench(config(10), &setup);
    let hits = pair_of(module);
    let vetoed = FrameStatus::complete(8, 1 << 4, 0);
    bench.take(&slice_of(
        &[(module.id, vetoed, &hits)],
        START_MS,
        SliceLevel::L1,
    ));
    bench.tick(START_MS);
    bench.tick(START_MS + 10_000);
    bench.take(&slice(module.id, &hits, START_MS + 10_100));
    let asked = json!({"dom_id": module.id.0});
    let counts = bench.monitor.on_request("counts", &asked).unwrap();
    assert_eq!(counts["pairs"][0]["frames"], 1);
}

#[test]
fn masked_pmts_are_not_counted() {
    let setup = setup(1);
    let all = modules(&setup);
    let masked = vec![
        K40Mask {
            dom_id: Some(all[0].id.0),
            channels: vec![4],
        },
        K40Mask {
            dom_id: None,
            channels: vec![30],
        },
    ];
    let mut bench = bench(
        Config {
            masked,
            ..config(10)
        },
        &setup,
    );
    for module in &all[..2] {
        bench.take(&slice(module.id, &pair_of(module), START_MS));
    }
    let pairs = |n: usize| {
        let counts = json!({"dom_id": all[n].id.0});
        counts
    };
    let asked: Vec<_> = (0..2).map(pairs).collect();
    let number = |bench: &mut Bench<K40Calibration>, args: &Value| {
        let counts = bench.monitor.on_request("counts", args).unwrap();
        counts["pairs"].as_array().unwrap().len()
    };
    assert_eq!(number(&mut bench, &asked[0]), 0);
    assert_eq!(number(&mut bench, &asked[1]), 1);
    let wrong = vec![K40Mask {
        dom_id: None,
        channels: vec![31],
    }];
    assert!(
        K40Calibration::check(
            &Config {
                masked: wrong,
                ..config(10)
            },
            &setup
        )
        .is_err()
    );
}
