//! Numbers of the reference suite for the event display and the event selection.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;

use common::{Bench, close, frame, header, setup, setup_with, vectors};
use fathom_formats::detx::Detector;
use fathom_formats::km3net::{
    DomId, Event as Payload, EventHits, Slewing, SnapshotHit, TriggerMask, TriggeredHit,
    photoelectrons, slew_ns,
};
use fathom_kernel::view::View;
use fathom_kernel::{FileEdit, tags};
use fathom_monitors::{ZtPlot, ZtPlotConfig};
use serde_json::{Value, json};

const T0: i64 = 1_700_000_000_000;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn slewing_and_photoelectron_vectors() {
    let section = &vectors()["royfit"];
    let table = section["slew_table_ns"].as_array().unwrap();
    assert_eq!(table.len(), 256);
    for (tot, expected) in (0..=255).zip(table) {
        assert_eq!(slew_ns(tot), number(expected), "{tot}");
    }
    for case in section["nphes"].as_array().unwrap() {
        let tot = u8::try_from(case["tot"].as_u64().unwrap()).unwrap();
        let expected = number(&case["npe"]);
        assert!((photoelectrons(tot) - expected).abs() < 1e-9, "{case}");
    }
}

/// The times of a case as offsets of the channels of one DOM, all hit at 0 ns.
fn hits_of(times: &[f64]) -> EventHits {
    let setup = setup_with(1001, 1, 1);
    let mut module = setup.detector.unwrap().modules()[0].clone();
    for (pmt, time) in module.pmts.iter_mut().zip(times) {
        pmt.t0_ns = *time;
    }
    let detector = Detector::new(1.into(), vec![module]);
    let channels = 0..u8::try_from(times.len()).unwrap();
    let hit = |channel: u8| SnapshotHit::new(DomId(1001), channel.into(), 0, 30);
    let snapshot: Vec<_> = channels.map(hit).collect();
    let event = Payload {
        legacy: false,
        header: header(1, T0),
        trigger_counter: 0,
        trigger_mask: TriggerMask(0),
        overlays: 0,
        triggered: &[],
        snapshot: &snapshot,
    };
    let mut hits = EventHits::default();
    hits.calibrate(&event, &detector, Slewing::Kept);
    hits
}

#[test]
fn multiplicities_vectors() {
    for case in vectors()["multiplicities"]["cases"].as_array().unwrap() {
        let times = case["times"].as_array().unwrap();
        let times: Vec<f64> = times.iter().map(number).collect();
        let mut hits = hits_of(&times);
        hits.group(number(&case["tmax"]));
        let sizes: Vec<_> = hits.hits().iter().map(|h| h.multiplicity).collect();
        let groups: Vec<_> = hits.hits().iter().map(|h| h.group).collect();
        assert_eq!(json!(sizes), case["multiplicity"], "{case}");
        assert_eq!(json!(groups), case["coincidence_id"], "{case}");
        assert!(close(hits.hits()[0].time_ns, times[0], 1e-12));
    }
}

/// Multiplicities of the events of the line fit, over many DOMs.
#[test]
fn royfit_multiplicities_vectors() {
    let section = &vectors()["royfit"];
    let window = number(&section["settings"]["multiplicity_window_ns"]);
    for case in section["events"].as_array().unwrap() {
        let wire = case["hits"].as_array().unwrap();
        let expected = case["multiplicities"].as_array().unwrap();
        let mut by_dom = std::collections::BTreeMap::<u64, Vec<f64>>::new();
        for hit in wire {
            let dom = by_dom.entry(hit["dom_id"].as_u64().unwrap()).or_default();
            dom.push(number(&hit["t"]));
        }
        let sizes = by_dom.values().flat_map(|times| {
            let mut hits = hits_of(times);
            hits.group(window);
            let sizes: Vec<_> = hits.hits().iter().map(|h| json!(h.multiplicity)).collect();
            sizes
        });
        let expected = expected.iter().map(|pair| pair[0].clone());
        assert!(sizes.eq(expected));
    }
}

#[test]
fn top10_vectors() {
    let setup = setup(1);
    let detector: &Arc<Detector> = setup.detector.as_ref().unwrap();
    let dom = detector.optical_modules().next().unwrap().id;
    let config = ZtPlotConfig {
        min_doms: 1,
        ..ZtPlotConfig::default()
    };
    let mut bench = Bench::<ZtPlot>::new(config, &setup);
    bench.tick(T0);
    let section = &vectors()["top10"];
    let sequence = section["sequence"].as_array().unwrap();
    assert!(sequence.len() > 10);
    let limit = |bench: &Bench<ZtPlot>, name: &str| {
        bench.cell("ztplot_counts", &format!("limit of {name}"), 1)
    };
    for (n, case) in (0..).zip(sequence) {
        let before = &case["limits_before"];
        assert_eq!(limit(&bench, "overlays"), before["overlays"], "{n} {case}");
        assert_eq!(limit(&bench, "hits"), before["n_hits"], "{n} {case}");
        let triggered_limit = limit(&bench, "triggered hits");
        assert_eq!(triggered_limit, before["n_triggered_hits"], "{n} {case}");

        let count = |name: &str| usize::try_from(case["event"][name].as_u64().unwrap()).unwrap();
        let hit = SnapshotHit::new(dom, 0.into(), 5, 30);
        let triggered = vec![TriggeredHit::new(hit, TriggerMask(2)); count("n_triggered_hits")];
        let snapshot = vec![hit; count("n_hits")];
        let payload = Payload {
            legacy: false,
            header: header(1, T0),
            trigger_counter: n,
            trigger_mask: TriggerMask(2),
            overlays: i32::try_from(count("overlays")).unwrap(),
            triggered: &triggered,
            snapshot: &snapshot,
        };
        let mut body = Vec::new();
        payload.encode(&mut body).unwrap();
        bench.out.files.clear();
        bench.take(&frame(tags::IO_EVT, body, T0));
        let is_written = bench.out.files.iter().any(
            |edit| matches!(edit, FileEdit::Write { path, .. } if path.extension().unwrap() == "dat"),
        );
        assert_eq!(json!(is_written), case["record"], "{n} {case}");
        bench.tick(T0 + 1000);
    }
    let View::Table(table) = &bench.output("event_selection").view else {
        panic!("no table")
    };
    for (column, name) in [(0, "best_overlays"), (1, "best_n_hits")] {
        assert_eq!(table.columns[column], name.trim_start_matches("best_"));
        let mut values: Vec<_> = table.rows.iter().map(|row| row[column].as_i64()).collect();
        values.sort_unstable_by(|a, b| b.cmp(a));
        values.truncate(10);
        assert_eq!(json!(values), section[name]);
    }
}
