//! `royfit` from events to outputs: muons whose light is where it should be.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Bench, Store, frame, header, setup};
use fathom_formats::km3net::{Event as Payload, SnapshotHit, TriggerMask, TriggeredHit};
use fathom_kernel::view::{Panels, Shape, View};
use fathom_kernel::{Event, FileEdit, Monitor, Setup, Size, Span, tags};
use fathom_monitors::{LineTrack, Royfit, RoyfitConfig};

const START_MS: i64 = 1_700_000_040_000;

/// A muon straight down between DUs.
fn muon(distance_m: f64) -> LineTrack {
    LineTrack {
        distance_m,
        z_m: 110.0,
        up: -0.95,
        time_ns: 50_000.0,
    }
}

/// An event in which a muon passes each of these DUs: three triggered hits on each of the lowest
/// floors, those of one DOM later than they should be.
fn muon_event(
    setup: &Setup,
    at_ms: i64,
    dus: &[(u32, LineTrack)],
    (floors, late_dom, late_ns): (u32, u32, f64),
) -> Event {
    let detector = setup.detector.as_ref().unwrap();
    let mut snapshot = Vec::new();
    for (du, track) in dus {
        for floor in 1..=floors {
            let module = detector.module_at(*du, floor).unwrap();
            for (channel, number) in [(3_u8, 0.0), (9, 1.0), (14, 2.0)] {
                let pmt = &module.pmts[usize::from(channel)];
                let z_m = pmt.position_m[2];
                let late_ns = if module.id.0 == late_dom {
                    late_ns
                } else {
                    0.0
                };
                let time_ns = track.arrival_ns(z_m) + number + late_ns - pmt.t0_ns;
                // The pulse of as many photoelectrons as the model has.
                let tot_ns = 26.0 + (72.0 / track.light_path_m(z_m) - 1.0).max(0.0) / 0.28;
                let (time_ns, tot_ns) = (time_ns.round() as u32, tot_ns.round() as u8);
                snapshot.push(SnapshotHit::new(module.id, channel.into(), time_ns, tot_ns));
            }
        }
    }
    event_of(at_ms, &snapshot)
}

fn event_of(at_ms: i64, snapshot: &[SnapshotHit]) -> Event {
    let mask = TriggerMask(1 << TriggerMask::MUON_3D_BIT);
    let triggered: Vec<_> = snapshot
        .iter()
        .map(|hit| TriggeredHit::new(*hit, mask))
        .collect();
    let payload = Payload {
        legacy: false,
        header: header(7, at_ms),
        trigger_counter: 5,
        trigger_mask: mask,
        overlays: 0,
        triggered: &triggered,
        snapshot,
    };
    let mut body = Vec::new();
    payload.encode(&mut body).unwrap();
    frame(tags::IO_EVT, body, at_ms)
}

fn panels<'a>(bench: &'a Bench<Royfit>, name: &str) -> &'a Panels {
    match &bench.output(name).view {
        View::Panels(panels) => panels,
        other => panic!("{name} is {other:?}"),
    }
}

fn two_dus() -> [(u32, LineTrack); 2] {
    [(1, muon(8.0)), (2, muon(14.0))]
}

fn count(bench: &Bench<Royfit>, row: &str) -> u64 {
    bench.cell("royfit_counts", row, 1).as_u64().unwrap()
}

#[test]
fn a_muon_beside_two_dus_is_found_drawn_and_listed() {
    let setup = setup(2);
    let mut bench = Bench::<Royfit>::new(RoyfitConfig::default(), &setup);
    bench.take(&muon_event(&setup, START_MS, &two_dus(), (18, 0, 0.0)));
    bench.tick(START_MS + 500);

    let picture = bench.output("ztplot_roy");
    assert!(picture.title.contains("Q: DU 1 "), "{}", picture.title);
    assert!(
        picture
            .title
            .contains("Run 7, FrameIndex 0, TriggerCounter 5")
    );
    assert!(
        picture.title.ends_with("Tue Nov 14 22:14:00 2023 UTC"),
        "{}",
        picture.title
    );
    let [panel] = &panels(&bench, "ztplot_roy").panels[..] else {
        panic!("one panel holds all DUs")
    };
    let shapes: Vec<_> = panel.layers.iter().map(|l| (l.shape, l.x.len())).collect();
    let of_a_du = [
        (Shape::Disc, 54),
        (Shape::Ring, 54),
        (Shape::Cross, 18),
        (Shape::Line, 81),
    ];
    assert_eq!(shapes, [of_a_du, of_a_du].concat());
    assert_eq!(panel.layers[3].name, "DU 1");
    assert_ne!(panel.layers[3].colour, panel.layers[7].colour);
    // The axis begins at the first triggered hit; heights end at 183.2 + 10 m, rounded.
    let first = panel
        .layers
        .iter()
        .filter(|l| l.shape == Shape::Ring)
        .flat_map(|l| &l.x);
    assert_eq!(first.copied().min_by(f64::total_cmp), Some(0.0));
    assert_eq!(panels(&bench, "ztplot_roy").y.high, Some(190.0));

    let View::Table(table) = &bench.output("royfit_summary").view else {
        panic!()
    };
    for (row, distance_m) in table.rows.iter().zip([14.0, 8.0]) {
        let number = |column: usize| row[column].as_f64().unwrap();
        assert_eq!(number(5), 18.0);
        assert!(number(6) < 1.0, "{row:?}");
        assert!((number(7) - 0.95).abs() < 0.01, "{row:?}");
        assert!((number(8) - distance_m).abs() < 1.0, "{row:?}");
        assert!((number(9) - 110.0).abs() < 3.0, "{row:?}");
    }
    assert_eq!(count(&bench, "fits"), 2);
    assert_eq!(count(&bench, "time residuals counted"), 36);
    let View::Histogram(zenith) = &bench.output("royfit_zenith").view else {
        panic!()
    };
    assert_eq!(zenith.counts[96..99].iter().sum::<f64>(), 2.0);
    for output in &bench.out.outputs {
        assert_eq!(output.view.fault(), None, "{}", output.name);
    }
}

#[test]
fn one_panel_per_du_when_asked_for() {
    let setup = setup(2);
    let config = RoyfitConfig {
        split_dus: true,
        ..RoyfitConfig::default()
    };
    let mut bench = Bench::<Royfit>::new(config, &setup);
    bench.take(&muon_event(&setup, START_MS, &two_dus(), (18, 0, 0.0)));
    bench.tick(START_MS);
    let panels = panels(&bench, "ztplot_roy");
    assert_eq!((panels.panels.len(), panels.columns), (2, 2));
    assert!(panels.panels[1].title.starts_with("DU 2, Q "));
}

#[test]
fn every_selected_hit_has_a_line_with_both_residuals() {
    let setup = setup(2);
    let mut bench = Bench::<Royfit>::new(RoyfitConfig::default(), &setup);
    bench.take(&muon_event(&setup, START_MS, &two_dus(), (18, 0, 0.0)));
    assert_eq!(bench.out.lines.len(), 36);
    let line = &bench.out.lines[0];
    assert_eq!(line.file, "reco_timeres.csv");
    // km3mon's columns in their order; ours comes last.
    assert_eq!(
        line.header,
        "run,timestamp,du,floor,dom_id,t_res,Q,t_res_slew"
    );
    let cells: Vec<f64> = line.line.split(',').map(|n| n.parse().unwrap()).collect();
    assert_eq!(cells[..3], [7.0, 1_700_000_040.0, 1.0]);
    let detector = setup.detector.as_ref().unwrap();
    for line in &bench.out.lines {
        let cells: Vec<f64> = line.line.split(',').map(|n| n.parse().unwrap()).collect();
        let module = detector
            .module_at(cells[2] as u32, cells[3] as u32)
            .unwrap();
        assert_eq!(f64::from(module.id.0), cells[4]);
        // The fit is about the corrected times, so the plain ones are off by the slewing.
        assert!(cells[7].abs() < 2.0, "{}", line.line);
        assert!(
            (-9.1..0.2).contains(&(cells[5] - cells[7])),
            "{}",
            line.line
        );
    }
}

#[test]
fn the_csv_file_turns_over_instead_of_growing_for_ever() {
    let setup = setup(2);
    let config = RoyfitConfig {
        csv_size: Size::from_bytes(3000),
        ..RoyfitConfig::default()
    };
    let mut bench = Bench::<Royfit>::new(config, &setup);
    let event = muon_event(&setup, START_MS, &two_dus(), (18, 0, 0.0));
    let bytes = |bench: &Bench<Royfit>| {
        let lines = bench.out.lines.iter();
        lines.map(|line| line.line.len() + 1).sum::<usize>()
    };
    bench.take(&event);
    assert!((1500..3000).contains(&bytes(&bench)), "{}", bytes(&bench));
    assert!(bench.out.files.is_empty());
    bench.take(&event);
    let turned = FileEdit::Rename {
        from: "reco_timeres.csv".into(),
        to: "reco_timeres.1.csv".into(),
    };
    assert_eq!(bench.out.files, [turned]);
    bench.take(&event);
    assert_eq!(bench.out.files.len(), 1);
}

#[test]
fn without_csv_there_are_no_lines() {
    let setup = setup(2);
    let config = RoyfitConfig {
        csv: false,
        ..RoyfitConfig::default()
    };
    let mut bench = Bench::<Royfit>::new(config, &setup);
    bench.take(&muon_event(&setup, START_MS, &two_dus(), (18, 0, 0.0)));
    assert!(bench.out.lines.is_empty() && bench.out.files.is_empty());
}

#[test]
fn every_event_is_fitted_and_not_a_random_half() {
    let setup = setup(2);
    let mut bench = Bench::<Royfit>::new(RoyfitConfig::default(), &setup);
    for n in 0..100 {
        bench.take(&muon_event(&setup, START_MS + n, &two_dus(), (18, 0, 0.0)));
    }
    bench.tick(START_MS + 500);
    assert_eq!(count(&bench, "events with a fit"), 100);
    assert_eq!(count(&bench, "fits"), 200);
}

#[test]
fn events_of_fewer_than_four_doms_are_counted_but_not_fitted() {
    let setup = setup(1);
    let mut bench = Bench::<Royfit>::new(RoyfitConfig::default(), &setup);
    for floors in 2..=4 {
        let dus = [(1, muon(8.0))];
        bench.take(&muon_event(&setup, START_MS, &dus, (floors, 0, 0.0)));
    }
    bench.tick(START_MS);
    assert_eq!(count(&bench, "events"), 3);
    assert_eq!(count(&bench, "events with too few triggered DOMs"), 2);
    assert_eq!(count(&bench, "fits"), 1);
    // One DU, or six DOMs, are too little for the picture.
    assert!(bench.out.outputs.iter().all(|o| o.name != "ztplot_roy"));
}

#[test]
fn a_dom_that_is_8_ns_late_is_listed_and_said_until_it_is_right_again() {
    let setup = setup(2);
    let late = setup
        .detector
        .as_ref()
        .unwrap()
        .module_at(2, 9)
        .unwrap()
        .id
        .0;
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

    // Said once only, kept over a restart, and ended when the residuals have left the window.
    let store = Store::default();
    let mut bench = bench.restarted(RoyfitConfig::default(), &setup, &store);
    bench.tick(START_MS + 120_000);
    assert_eq!(bench.alarms(), []);
    bench.tick(START_MS + 8_000_000);
    assert_eq!(bench.alarms(), [(alarm.0, alarm.1, false)]);
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
fn payloads_that_cannot_be_read_and_unknown_doms_are_counted() {
    let setup = setup(2);
    let mut bench = Bench::<Royfit>::new(RoyfitConfig::default(), &setup);
    let Event::Frame(whole) = muon_event(&setup, START_MS, &two_dus(), (18, 0, 0.0)) else {
        panic!()
    };
    for cut in 0..whole.body.len() {
        bench.take(&frame(tags::IO_EVT, whole.body[..cut].to_vec(), START_MS));
    }
    assert_eq!(bench.out.bad.len(), whole.body.len());
    let strangers: Vec<_> = (0..8)
        .map(|n| SnapshotHit::new((1000 + n).into(), 0.into(), 100, 30))
        .collect();
    bench.take(&event_of(START_MS, &strangers));
    bench.take(&Event::Frame(whole));
    bench.tick(START_MS);
    assert_eq!(
        count(&bench, "hits without a PMT in the detector description"),
        8
    );
    let View::Table(table) = &bench.output("royfit_unknown").view else {
        panic!()
    };
    let ids: Vec<_> = table
        .rows
        .iter()
        .map(|row| row[0].as_u64().unwrap())
        .collect();
    assert_eq!(ids, (1000..1008).collect::<Vec<_>>());
    assert_eq!(count(&bench, "fits"), 2);
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
fn a_detector_is_needed_and_options_are_checked() {
    let refused = |config: RoyfitConfig, setup: &Setup| Royfit::check(&config, setup).unwrap_err();
    let default = RoyfitConfig::default;
    assert!(refused(default(), &Setup::default()).contains("[detector]"));
    let setup = setup(1);
    let wrong = [
        RoyfitConfig {
            coincidence_window: f64::NAN,
            ..default()
        },
        RoyfitConfig {
            min_hits: 1,
            ..default()
        },
        RoyfitConfig {
            residual_window: Span::from_secs(30),
            ..default()
        },
        RoyfitConfig {
            interval: Span::from_secs(0),
            ..default()
        },
    ];
    for config in wrong {
        assert!(refused(config, &setup).contains("expected"));
    }
    assert_eq!(Royfit::check(&default(), &setup), Ok(()));
}

#[test]
fn two_blocks_stay_within_their_memory() {
    let setup = setup(230);
    let bench = Bench::<Royfit>::new(RoyfitConfig::default(), &setup);
    assert!(bench.monitor.memory_bytes() < 5_000_000);
}
