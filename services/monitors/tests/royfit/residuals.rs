//! Time residuals: histograms, DOMs that are off, restarts.

use fathom_formats::detx::Detector;
use fathom_kernel::view::View;
use fathom_kernel::{Event, Monitor, Recalled};
use fathom_monitors::{Royfit, RoyfitConfig};

use super::common::Store;
use super::*;

fn floor_9_of_du_2(setup: &Setup) -> u32 {
    let detector = setup.detector.as_ref().unwrap();
    detector.module_at(2, 9).unwrap().id.0
}

#[test]
fn a_dom_that_is_8_ns_late_is_listed_and_said_until_it_is_right_again() {
    let setup = setup(2);
    let late = floor_9_of_du_2(&setup);
    let mut bench = Bench::<Royfit>::new(RoyfitConfig::default(), &setup);
    for n in 0..90 {
        bench.take(&muon_event(
            &setup,
            START_MS + n,
            &two_dus(),
            (18, late, 8.0),
        ));
    }
    bench.tick(START_MS + 1000);
    assert_eq!(bench.alarms(), [], "90 residuals are too few to judge");
    for n in 90..120 {
        bench.take(&muon_event(
            &setup,
            START_MS + n,
            &two_dus(),
            (18, late, 8.0),
        ));
    }
    bench.tick(START_MS + 60_000);
    let alarm = ("dom_time_offset", "DU 2 floor 9");
    assert_eq!(bench.alarms(), [(alarm.0, alarm.1, true)]);
    let View::Table(table) = &bench.output("time_residual_outliers").view else {
        panic!()
    };
    assert_eq!(table.rows.len(), 1);
    assert_eq!(table.rows[0][2], late);
    // The other floors hold against it; the DOM takes part in its own fit, which takes some away.
    let median_ns = table.rows[0][3].as_f64().unwrap();
    assert!((5.0..8.5).contains(&median_ns), "{median_ns}");
    let map = bench.map("time_residual_medians");
    let off = map
        .values
        .iter()
        .filter(|median| median.abs() > 3.0)
        .count();
    assert_eq!((map.values.len(), off), (36, 1));

    bench.tick(START_MS + 120_000);
    assert_eq!(bench.alarms().len(), 1, "said once only");
    // Kept over a restart, said again at once, and ended when the residuals have left the window.
    let store = Store::default();
    let mut bench = bench.restarted(RoyfitConfig::default(), &setup, &store);
    bench.tick(START_MS + 121_000);
    assert_eq!(bench.alarms(), [(alarm.0, alarm.1, true)]);
    bench.tick(START_MS + 180_000);
    assert_eq!(bench.alarms().len(), 1);
    bench.tick(START_MS + 8_000_000);
    assert_eq!(bench.alarms()[1..], [(alarm.0, alarm.1, false)]);
}

#[test]
fn a_dom_that_cannot_be_judged_after_a_restart_was_off_for_ever() {
    let mut bench = Bench::<Royfit>::new(RoyfitConfig::default(), &setup(2));
    let mut recall = |subject| bench.monitor.recall("dom_time_offset", subject);
    assert_eq!(recall("DU 2 floor 9"), Recalled::Holds);
    assert_eq!(recall("DU 7 floor 1"), Recalled::Gone);
    bench.tick(START_MS + 60_000);
    let about = ("dom_time_offset", "DU 2 floor 9");
    assert_eq!(bench.alarms(), [(about.0, about.1, false)]);
}

#[test]
fn a_dom_that_is_described_no_more_ends_nothing_under_a_name_that_was_never_raised() {
    let before = setup(2);
    let detector = before.detector.as_ref().unwrap();
    let late = detector.module_at(2, 9).unwrap().id.0;
    let mut bench = Bench::<Royfit>::new(RoyfitConfig::default(), &before);
    for n in 0..120 {
        let hits = (18, late, 8.0);
        bench.take(&muon_event(&before, START_MS + n, &two_dus(), hits));
    }
    bench.tick(START_MS + 60_000);
    assert_eq!(bench.alarms().len(), 1);
    let mut modules = detector.modules().to_vec();
    modules.retain(|module| module.id.0 != late);
    let after = fathom_kernel::Setup {
        detector: Some(Detector::new(detector.id, modules).into()),
        ..before.clone()
    };
    let mut bench = bench.restarted(RoyfitConfig::default(), &after, &Store::default());
    bench.tick(START_MS + 120_000);
    assert_eq!(bench.alarms(), []);
}

#[test]
fn residuals_are_drawn_by_floor_with_a_line_per_du() {
    let setup = setup(2);
    let mut bench = Bench::<Royfit>::new(RoyfitConfig::default(), &setup);
    for n in 0..10 {
        bench.take(&muon_event(&setup, START_MS + n, &two_dus(), (12, 0, 0.0)));
    }
    bench.tick(START_MS);
    let panels = panels(&bench, "time_residuals");
    assert_eq!((panels.panels.len(), panels.columns), (18, 6));
    let panel = &panels.panels[4];
    assert_eq!(panel.title, "floor 5");
    let names: Vec<_> = panel.layers.iter().map(|l| &*l.name).collect();
    assert_eq!(names, ["DU 1", "DU 2"]);
    let line = &panel.layers[0];
    assert_eq!((line.x.len(), line.y.len()), (201, 200));
    assert_eq!((line.x[0], line.x[1], line.x[200]), (-500.0, -495.0, 500.0));
    assert_eq!(line.y.iter().sum::<f64>(), 10.0);
    assert_eq!(line.y[99..=100].iter().sum::<f64>(), 10.0);
    assert!(panels.panels[17].layers.is_empty());
}

#[test]
fn residuals_of_bad_fits_can_be_left_out() {
    let setup = setup(2);
    let config = RoyfitConfig {
        residual_q: 1e-6,
        ..RoyfitConfig::default()
    };
    let mut bench = Bench::<Royfit>::new(config, &setup);
    bench.take(&muon_event(&setup, START_MS, &two_dus(), (18, 0, 0.0)));
    bench.tick(START_MS);
    assert_eq!(count(&bench, "time residuals counted"), 0);
    assert_eq!(count(&bench, "time residuals of fits with a large Q"), 36);
    // The file has them all the same, with their Q.
    assert_eq!(bench.out.lines.len(), 36);
}

#[test]
fn a_restart_keeps_residuals_fits_and_counts() {
    let setup = setup(2);
    let store = Store::default();
    let mut bench = Bench::<Royfit>::new(RoyfitConfig::default(), &setup);
    bench.take(&muon_event(&setup, START_MS, &two_dus(), (18, 0, 0.0)));
    bench.tick(START_MS);
    // First a snapshot, then what came since.
    let mut keep = fathom_kernel::Persist::default();
    bench.monitor.persist(&mut keep);
    keep.write(&store.checkpoint()).unwrap();
    assert!(store.saved().records.is_empty());
    bench.take(&muon_event(
        &setup,
        START_MS + 70_000,
        &two_dus(),
        (18, 0, 0.0),
    ));
    bench.tick(START_MS + 70_000);
    let before = panels(&bench, "time_residuals").clone();
    let listed = bench.output("royfit_summary").view.clone();
    let mut bench = bench.restarted(RoyfitConfig::default(), &setup, &store);
    assert!(!store.saved().records.is_empty());
    bench.tick(START_MS + 71_000);
    assert_eq!(*panels(&bench, "time_residuals"), before);
    assert_eq!(bench.output("royfit_summary").view, listed);
    assert_eq!(count(&bench, "fits"), 4);
    assert_eq!(bench.series("royfit_rates").times_ms.len(), 1);

    // Counted in another way, they do not mix.
    let plain = RoyfitConfig {
        slewing: false,
        ..RoyfitConfig::default()
    };
    let mut bench = bench.restarted(plain, &setup, &store);
    bench.tick(START_MS + 72_000);
    assert!(
        panels(&bench, "time_residuals")
            .panels
            .iter()
            .all(|p| p.layers.is_empty())
    );
}

#[test]
fn kept_state_that_is_damaged_is_refused_or_ignored_but_never_fatal() {
    let setup = setup(2);
    let store = Store::default();
    let mut bench = Bench::<Royfit>::new(RoyfitConfig::default(), &setup);
    bench.take(&muon_event(&setup, START_MS, &two_dus(), (18, 0, 0.0)));
    drop(bench.restarted(RoyfitConfig::default(), &setup, &store));
    let saved = store.saved();
    let whole = saved.snapshot.unwrap();
    for cut in (0..whole.len()).step_by(7) {
        let mut monitor = Royfit::new(RoyfitConfig::default(), &setup);
        let saved = fathom_kernel::Saved {
            snapshot: Some(whole[..cut].to_vec()),
            records: vec![vec![b'C', 2, 1], vec![0xff; 20]],
        };
        assert!(monitor.restore(&saved).is_err());
    }
}

#[test]
fn a_replay_of_older_data_begins_with_empty_residuals() {
    let setup = setup(2);
    let mut bench = Bench::<Royfit>::new(RoyfitConfig::default(), &setup);
    bench.take(&muon_event(&setup, START_MS, &two_dus(), (18, 0, 0.0)));
    bench.tick(START_MS);
    let old_ms = START_MS - 40_000_000;
    for n in 0..20 {
        let Event::Frame(mut old) = muon_event(&setup, old_ms + n, &two_dus(), (18, 0, 0.0)) else {
            panic!()
        };
        old.received = common::ms(START_MS + 20_000 + n);
        bench.take(&Event::Frame(old));
    }
    bench.tick(START_MS + 80_000);
    let drawn = panels(&bench, "time_residuals").panels.iter();
    let shown: f64 = drawn.flat_map(|p| &p.layers).flat_map(|l| &l.y).sum();
    assert_eq!(shown, 20.0 * 36.0);
}

#[test]
fn two_blocks_stay_within_their_memory() {
    let setup = setup(230);
    let bench = Bench::<Royfit>::new(RoyfitConfig::default(), &setup);
    assert!(bench.monitor.memory_bytes() < 5_000_000);
}

#[test]
fn residuals_of_a_dom_do_not_outlive_its_calibration() {
    let before = setup(2);
    let store = Store::default();
    let mut bench = Bench::<Royfit>::new(RoyfitConfig::default(), &before);
    for n in 0..20 {
        bench.take(&muon_event(&before, START_MS + n, &two_dus(), (18, 0, 0.0)));
    }
    // A new description: DU 1 is gone, and one DOM of DU 2 has another t0.
    let detector = before.detector.as_ref().unwrap();
    let mut modules = detector.modules().to_vec();
    modules.retain(|module| module.place.du == 2);
    let changed = modules.iter_mut().find(|m| m.place.floor == 7).unwrap();
    changed.pmts[3].t0_ns += 5.0;
    let after = fathom_kernel::Setup {
        detector: Some(Detector::new(detector.id, modules).into()),
        ..before.clone()
    };
    let mut bench = bench.restarted(RoyfitConfig::default(), &after, &store);
    bench.tick(START_MS + 1000);
    let map = bench.map("time_residual_medians");
    let residuals = &map.details[1].values;
    for (floor, number) in map.y.iter().zip(residuals) {
        assert_eq!(*number, if *floor == 7 { 0.0 } else { 20.0 }, "{floor}");
    }
    assert_eq!(residuals.len(), 18);
}

#[test]
fn a_dom_is_judged_from_its_hundredth_residual_on() {
    let setup = setup(2);
    let late = floor_9_of_du_2(&setup);
    let alarms = |events: i64| {
        let mut bench = Bench::<Royfit>::new(RoyfitConfig::default(), &setup);
        for n in 0..events {
            let hits = (18, late, 8.0);
            bench.take(&muon_event(&setup, START_MS + n, &two_dus(), hits));
        }
        bench.tick(START_MS + 1000);
        bench.alarms().len()
    };
    assert_eq!((alarms(99), alarms(100)), (0, 1));
}

#[test]
fn residuals_are_shown_without_the_slewing_unless_told_otherwise() {
    let setup = setup(2);
    let mean_ns = |slewing: bool| {
        let config = RoyfitConfig {
            slewing,
            ..RoyfitConfig::default()
        };
        let mut bench = Bench::<Royfit>::new(config, &setup);
        bench.take(&muon_event(&setup, START_MS, &two_dus(), (18, 0, 0.0)));
        bench.tick(START_MS);
        let medians = &bench.map("time_residual_medians").values;
        medians.iter().sum::<f64>() / medians.len() as f64
    };
    // The fit takes the slewing out of the times, so that without it residuals are about 0.
    assert!(mean_ns(true).abs() < 0.3, "{}", mean_ns(true));
    assert!(mean_ns(false) < mean_ns(true) - 0.3, "{}", mean_ns(false));
}
