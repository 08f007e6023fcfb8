//! Offsets against those of the detector file.

use super::*;

#[test]
fn a_shift_of_two_ns_raises_an_alarm_that_goes_when_the_shift_goes() {
    let setup = setup(1);
    let mut fakes = [Fake::new(&modules(&setup)[3])];
    fakes[0].late_ns[9] = 2.0;
    let mut bench = bench(config(60), &setup);
    feed(&mut bench, &mut fakes, 0);
    assert_eq!(bench.alarms(), [("k40_t0_shift", "DU 1 floor 4", true)]);
    let text = &bench.out.alarms[0].text;
    assert!(text.contains("channel 9 by +"), "{text}");
    let worst = bench.map("k40_t0").values[3];
    assert!((worst - 2.0).abs() < 0.4, "{worst}");
    // The alarm engine takes for over what is not said again soon after a restart.
    let mut bench = bench.restarted(config(60), &setup, &Store::default());
    bench.tick(START_MS + 60_000 + 2500);
    bench.tick(START_MS + 60_000 + 2700);
    assert_eq!(bench.alarms(), [("k40_t0_shift", "DU 1 floor 4", true)]);
    fakes[0].late_ns[9] = 0.0;
    feed(&mut bench, &mut fakes, 1);
    assert_eq!(
        bench.alarms()[1..],
        [("k40_t0_shift", "DU 1 floor 4", false)]
    );
}

#[test]
fn a_shift_that_a_higher_limit_allows_after_a_restart_fired_on() {
    let setup = setup(1);
    let mut fakes = [Fake::new(&modules(&setup)[3])];
    fakes[0].late_ns[9] = 2.0;
    let mut bench = bench(config(60), &setup);
    feed(&mut bench, &mut fakes, 0);
    let higher = Config {
        alarm_shift: 5.0,
        ..config(60)
    };
    let mut bench = bench.restarted(higher, &setup, &Store::default());
    let mut recall = |subject| bench.monitor.recall("k40_t0_shift", subject);
    assert_eq!(recall("DU 1 floor 4"), Recalled::Holds);
    assert_eq!(recall("DU 1 floor 5"), Recalled::Unknown);
    assert_eq!(recall("DU 9 floor 5"), Recalled::Gone);
    bench.tick(START_MS + 60_000 + 2500);
    assert_eq!(bench.alarms(), [("k40_t0_shift", "DU 1 floor 4", false)]);
}

#[test]
fn raw_times_are_compared_with_the_detector_file_as_well() {
    let generated = Detector::generated(&Layout::orca(1));
    let mut module = generated.optical_modules().next().unwrap().clone();
    for (pmt, n) in module.pmts.iter_mut().zip(0..) {
        pmt.t0_ns = 200.0 + f64::from(n % 5) * 0.7;
    }
    let detector = Detector::new(DetectorId(44), vec![module.clone()]);
    let setup = Setup {
        detector: Some(std::sync::Arc::new(detector)),
        ..Setup::default()
    };
    let mut fakes = [Fake::new(&module)];
    fakes[0].late_ns[9] = 1.5;
    let raw = Config {
        times: K40Times::Raw,
        ..config(60)
    };
    let mut bench = bench(raw, &setup);
    feed(&mut bench, &mut fakes, 0);
    let dom = dom_of(&bench, module.id);
    for channel in 0..CHANNELS {
        let shift = dom["shift"][channel].as_f64().unwrap();
        let expected = if channel == 9 { 1.5 } else { 0.0 };
        assert!((shift - expected).abs() < 0.4, "{channel} {shift}");
    }
    // Channel 4 has 2.8 ns more to be added than channel 0, so its raw hits are earlier.
    let raw_ns = dom["t0s"][4].as_f64().unwrap();
    assert!((raw_ns + 2.8).abs() < 0.4, "{raw_ns}");
}

#[test]
fn fractions_of_a_nanosecond_in_the_detector_file_are_not_lost() {
    let generated = Detector::generated(&Layout::orca(1));
    let mut module = generated.optical_modules().next().unwrap().clone();
    for (pmt, n) in module.pmts.iter_mut().zip(0..) {
        // Rounded up and down by nearly half a nanosecond.
        pmt.t0_ns = 200.0 + if n % 2 == 0 { 0.49 } else { 0.51 };
    }
    let detector = Detector::new(DetectorId(44), vec![module.clone()]);
    let setup = Setup {
        detector: Some(std::sync::Arc::new(detector)),
        ..Setup::default()
    };
    let mut bench = bench(config(60), &setup);
    feed(&mut bench, &mut [Fake::new(&module)], 0);
    let dom = dom_of(&bench, module.id);
    let mean = |from: usize| {
        let list = (from..CHANNELS)
            .step_by(2)
            .map(|c| dom["t0s"][c].as_f64().unwrap());
        list.sum::<f64>() / 15.0
    };
    // Without the fractions, 0.98 ns lie between even and odd channels.
    assert!((mean(1) - mean(0)).abs() < 0.12, "{} {}", mean(1), mean(0));
}
