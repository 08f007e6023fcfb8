//! Fits, pictures, lines and counts.

use fathom_formats::km3net::SnapshotHit;
use fathom_kernel::view::{Shape, View};
use fathom_kernel::{Event, FileEdit, Monitor, Setup, Size, Span, tags};
use fathom_monitors::{Royfit, RoyfitConfig};

use super::*;

#[test]
fn a_muon_beside_two_dus_is_found_drawn_and_listed() {
    let setup = setup(2);
    let mut bench = Bench::<Royfit>::new(RoyfitConfig::default(), &setup);
    bench.take(&muon_event(&setup, START_MS, &two_dus(), (18, 0, 0.0)));
    bench.tick(START_MS + 500);

    let picture = bench.output("ztplot_roy");
    let named = "ROy fit of DetID-44 Run 7, FrameIndex 0, TriggerCounter 5, Overlays 0, \
                 Trigger: 3DM, Tue Nov 14 22:14:00 2023 UTC, Q: DU 1 ";
    assert!(picture.title.starts_with(named), "{}", picture.title);
    assert!(picture.title.contains(", DU 2 "), "{}", picture.title);
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
        assert_eq!(row[3], "5", "64 bits are no number in a browser");
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
fn three_floors_of_a_du_are_enough_for_a_fit_and_eight_doms_for_its_picture() {
    let setup = setup(2);
    let of = |floors: u32, picture_doms: usize| {
        let config = RoyfitConfig {
            picture_doms,
            ..RoyfitConfig::default()
        };
        let mut bench = Bench::<Royfit>::new(config, &setup);
        bench.take(&muon_event(&setup, START_MS, &two_dus(), (floors, 0, 0.0)));
        bench.tick(START_MS);
        let is_drawn = bench.out.outputs.iter().any(|o| o.name == "ztplot_roy");
        let number = |row| count(&bench, row);
        (
            number("fits"),
            number("DUs with too few hits on a line"),
            is_drawn,
        )
    };
    assert_eq!(of(2, 7), (0, 2, false));
    assert_eq!(of(3, 7), (2, 0, false));
    assert_eq!(of(4, 8), (2, 0, true));
    assert_eq!(of(4, 9), (2, 0, false));
}
