//! Which events are drawn, and what their pictures show.

use super::*;

/// Hits drawn.
fn discs(panels: &Panels) -> usize {
    let layers = panels.panels.iter().flat_map(|panel| &panel.layers);
    let discs = layers.filter(|layer| layer.shape == Shape::Disc);
    discs.map(|layer| layer.x.len()).sum()
}

#[test]
fn an_event_is_drawn_with_its_ids_and_put_among_the_best() {
    let (mut bench, setup) = bench(Config::default());
    let wanted = Wanted {
        triggered: vec![(1, 1), (1, 2), (2, 5), (2, 6)],
        ..Wanted::new(T0 + 320, 17)
    };
    bench.take(&wanted.event(&setup));
    bench.tick(T0 + 500);
    let output = bench.output("ztplot").clone();
    assert_eq!(
        output.title,
        "z-t-Plot for DetID-44 Run 6760, FrameIndex 156, TriggerCounter 17, Overlays 1, \
         Trigger: 3DM 3DS, Tue Nov 14 22:13:20 2023 UTC"
    );
    assert_eq!(output.datum.unwrap().as_millisecond(), T0 + 320);
    let view = panels(&output);
    assert_eq!(output.view.fault(), None);
    let titles: Vec<_> = view.panels.iter().map(|p| &*p.title).collect();
    assert_eq!(titles, ["DU 1", "DU 2"]);
    let layers = &view.panels[0].layers;
    let (hits, pluses) = (&layers[0], layers.last().unwrap());
    assert_eq!((&*hits.colour, hits.alpha), ("#09A9DE", 0.5));
    assert_eq!((&*pluses.colour, pluses.alpha), ("#FF6363", 0.8));
    assert_eq!((discs(view), pluses.x.len()), (14, 2));
    assert_eq!(view.y.low, Some(0.0));

    assert_eq!(written(&bench), [path(17, "json"), path(17, "dat")]);
    let FileEdit::Write { bytes, .. } = &bench.out.files[1] else {
        panic!()
    };
    assert_eq!(*bytes, wanted.body(&setup));
    let FileEdit::Write { bytes, .. } = &bench.out.files[0] else {
        panic!()
    };
    let stored: Output = serde_json::from_slice(bytes).unwrap();
    assert_eq!(stored.name, "ztplot_00000044_00006760_FI156_TC17");
    assert_eq!((stored.title, stored.view), (output.title, output.view));

    for page in ["overlays", "n_hits", "n_triggered_hits"] {
        let name = format!("event_selection_{page}");
        assert_eq!(column(&bench, &name, "hits (triggered)"), ["14 (4)"]);
        assert_eq!(column(&bench, &name, "new"), ["NEW!"]);
    }
    let row = &table(&bench, "event_selection").rows[0];
    let name = "ztplot_00000044_00006760_FI156_TC17.png";
    let expected = json!([1, 14, 4, 2, name, 6760, 44, 156, "17", T0 / 1000]);
    assert_eq!(json!(row), expected);
}

#[test]
fn every_event_is_counted_but_drawn_only_when_data_time_moves_on() {
    let (mut bench, setup) = bench(small(1));
    bench.take(&Wanted::new(T0, 1).overlays(100).event(&setup));
    for n in 2..400 {
        let at_ms = T0 + i64::try_from(n).unwrap() * 100;
        bench.take(&Wanted::new(at_ms, n).event(&setup));
    }
    assert_eq!(drawn(&bench), 1);
    bench.take(&Wanted::new(T0 + 59_999, 400).event(&setup));
    assert_eq!(drawn(&bench), 1);
    bench.take(&Wanted::new(T0 + 60_000, 401).event(&setup));
    assert_eq!(drawn(&bench), 2);
    bench.tick(T0 + 61_000);
    assert_eq!(bench.cell("ztplot_counts", "events", 1), json!(401));
    assert_eq!(bench.cell("ztplot_counts", "selected", 1), json!(1));
    // A replay begins anew with older data.
    bench.take(&Wanted::new(T0 - DAY_MS, 402).event(&setup));
    assert_eq!(drawn(&bench), 3);
}

#[test]
fn events_with_too_few_triggered_dus_or_doms_are_left_out() {
    let config = Config {
        min_dus: 2,
        min_doms: 3,
        ..Config::default()
    };
    let (mut bench, setup) = bench(config);
    let with = |counter, triggered: &[(u32, u32)]| Wanted {
        triggered: triggered.to_vec(),
        ..Wanted::new(T0, counter)
    };
    bench.take(&with(1, &[(1, 1), (1, 2), (1, 3), (1, 4)]).event(&setup));
    bench.take(&with(2, &[(1, 1), (1, 1), (2, 1), (2, 1)]).event(&setup));
    bench.tick(T0);
    assert_eq!(drawn(&bench), 0);
    let too_small = bench.cell("ztplot_counts", "too few triggered DUs or DOMs", 1);
    assert_eq!(too_small, json!(2));
    bench.take(&with(3, &[(1, 1), (3, 1), (1, 2)]).event(&setup));
    assert_eq!(drawn(&bench), 1);
}

#[test]
fn one_bad_event_stops_nothing() {
    let (mut bench, setup) = bench(Config::default());
    let body = Wanted::new(T0, 1).body(&setup);
    for body in cut(&body) {
        bench.take(&frame(tags::IO_EVT, body, T0));
    }
    assert_eq!(bench.out.bad.len(), body.len());
    assert_eq!(drawn(&bench), 0);
    for body in flipped(&body) {
        bench.take(&frame(tags::IO_EVT, body, T0));
        bench.tick(T0);
    }
    for output in &bench.out.outputs {
        assert_eq!(output.view.fault(), None, "{}", output.name);
        assert!(Output::is_valid_name(&output.name), "{}", output.name);
    }
    bench.take(&Wanted::new(T0 + DAY_MS, 5).overlays(i32::MAX).event(&setup));
    bench.tick(T0 + DAY_MS);
    let counters = column(&bench, "event_selection_overlays", "trigger counter");
    assert!(counters.contains(&json!("5")));
}

#[test]
fn an_event_without_any_hit_is_left_out() {
    let config = Config {
        min_dus: 0,
        min_doms: 0,
        ..Config::default()
    };
    let (mut bench, setup) = bench(config);
    let empty = Wanted {
        triggered: vec![],
        others: 0,
        ..Wanted::new(T0, 1).overlays(0)
    };
    bench.take(&empty.event(&setup));
    bench.tick(T0);
    // Nothing in it exceeds 0: it is drawn as the first event, but no record.
    assert_eq!((drawn(&bench), written(&bench).len()), (1, 0));
    assert!(panels(bench.output("ztplot")).panels.is_empty());
}

#[test]
fn unknown_doms_are_counted_and_the_other_hits_drawn() {
    let (mut bench, setup) = bench(Config::default());
    let wanted = Wanted {
        unknown: vec![7, 7, 8],
        ..Wanted::new(T0, 1)
    };
    bench.take(&wanted.event(&setup));
    bench.tick(T0);
    assert_eq!(
        bench.cell("ztplot_counts", "hits of unknown DOMs", 1),
        json!(3)
    );
    let strangers = &table(&bench, "ztplot_unknown").rows;
    assert_eq!(strangers[0][..2], [json!(7), json!(2)]);
    let view = panels(bench.output("ztplot"));
    assert_eq!(discs(view), 14);
    // The wire count stands in the selection.
    assert_eq!(column(&bench, "event_selection", "n_hits"), [17]);
}

#[test]
fn detector_files_of_versions_4_and_5_draw_the_same() {
    use fathom_formats::detx::{Detector, DetxVersion};

    let setup = setup(3);
    let generated = setup.detector.as_ref().unwrap();
    let wanted = Wanted::new(T0, 1);
    let draw = |detector: Detector| {
        let setup = Setup {
            detector: Some(detector.into()),
            ..Setup::default()
        };
        let mut bench = Bench::<ZtPlot>::new(Config::default(), &setup);
        bench.take(&wanted.event(&setup));
        panels(bench.output("ztplot")).clone()
    };
    let mut plots = [DetxVersion::V4, DetxVersion::V5].map(|version| {
        let text = generated.to_detx(version);
        draw(Detector::parse(text.as_bytes()).unwrap().detector)
    });
    assert_eq!(discs(&plots[0]), 14);
    let last = std::mem::take(&mut plots[1]);
    assert_eq!(plots[0], last);
}
