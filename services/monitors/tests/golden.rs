//! Real messages of the detector through the monitors. Another file of the same shape can be named by
//! the environment variable `FATHOM_GOLDEN`.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{Bench, close, frame};
use fathom_kernel::{Setup, Span, tags};
use fathom_monitors::{
    DomActivity, DomActivityConfig, DomRates, DomRatesConfig, PmtRates, PmtRatesConfig,
    TriggerRates, TriggerRatesConfig,
};
use serde_json::{Value, json};

/// Arrival of everything: years after it was taken.
const NOW: i64 = 1_790_000_000_000;

/// The messages of a section that were taken from the detector, with what they must give.
fn messages(section: &str) -> Vec<(Vec<u8>, Value)> {
    let own = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../formats/tests/data/golden-public.json"
    );
    let path = std::env::var("FATHOM_GOLDEN").unwrap_or(own.into());
    let all: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let real = |entry: &&Value| entry["name"].as_str().unwrap().contains(".dat");
    let body = |entry: &Value| {
        let text = entry["payload_b64"].as_str().unwrap();
        (
            BASE64_STANDARD.decode(text).unwrap(),
            entry["expect"].clone(),
        )
    };
    let entries = all[section].as_array().unwrap().iter();
    entries.filter(real).map(body).collect()
}

#[test]
fn golden_events_give_their_counts_and_rates() {
    let config = TriggerRatesConfig {
        interval: Span::from_secs(10),
        ..TriggerRatesConfig::default()
    };
    let mut bench = Bench::<TriggerRates>::new(config, &Setup::default());
    bench.tick(NOW);
    let messages = messages("io_evt");
    for (body, _) in &messages {
        bench.take(&frame(tags::IO_EVT, body.clone(), NOW + 100));
    }
    // The clock of the data runs on until the interval has ended, and late events had their time.
    bench.tick(NOW + 13_000);
    let count = |name: &str| {
        let flagged = messages.iter().filter(|(_, expect)| expect[name] == true);
        flagged.count() as u64
    };
    let sum = |name: &str| -> u64 {
        let numbers = messages
            .iter()
            .map(|(_, expect)| expect[name].as_u64().unwrap());
        numbers.sum()
    };
    for (row, expected) in [
        ("Overall", messages.len() as u64),
        ("3DMuon", count("is_3dmuon")),
        ("MXShower", count("is_mxshower")),
        ("3DShower", count("is_3dshower")),
        ("triggered hits", sum("n_triggered")),
        ("snapshot hits", sum("n_snapshot")),
        ("overlays", sum("overlays")),
    ] {
        assert_eq!(
            bench.cell("trigger_counts", row, 1),
            json!(expected),
            "{row}"
        );
    }
    let expected = messages.len() as f64 / 10.0;
    assert_eq!(bench.curve("trigger_rates", "Overall"), [expected]);
    let marks = &bench.series("trigger_rates").marks;
    assert_eq!((marks.len(), &*marks[0].text), (1, "RUN 6760"));
    assert!(bench.out.bad.is_empty());
}

#[test]
fn golden_summary_slices_give_their_rates() {
    for (body, expect) in messages("io_sum") {
        let mut bench = Bench::<DomRates>::new(DomRatesConfig::default(), &Setup::default());
        bench.take(&frame(tags::IO_SUM, body.clone(), NOW));
        bench.tick(NOW);
        let map = bench.map("dom_rates");
        assert_eq!(map.id.len() as u64, expect["n_frames"].as_u64().unwrap());
        let total_khz: f64 = map.values.iter().sum();
        let expected = expect["total_rate_hz"].as_f64().unwrap() / 1000.0;
        assert!(close(total_khz, expected, 1e-9), "{total_khz} {expected}");
        let detail = |name: &str| -> f64 {
            let detail = map.details.iter().find(|d| d.name == name).unwrap();
            detail.values.iter().sum()
        };
        for (name, key) in [
            ("channels in high-rate veto", "n_hrv_channels"),
            ("channels with full FIFO", "n_fifo_channels"),
        ] {
            assert_eq!(detail(name), expect[key].as_f64().unwrap(), "{name}");
        }
        assert_eq!(detail("slices out of sync"), 0.0);
        assert_eq!(detail("incomplete slices"), 0.0);
        let first = &expect["first_frame"];
        assert_eq!(u64::from(map.id[0]), first["dom_id"].as_u64().unwrap());

        let mut bench = Bench::<DomActivity>::new(DomActivityConfig::default(), &Setup::default());
        bench.take(&frame(tags::IO_SUM, body, NOW));
        bench.tick(NOW);
        let seconds = expect["utc_seconds"].as_f64().unwrap();
        let nanoseconds = expect["nanoseconds"].as_f64().unwrap();
        let last = &bench.map("dom_activity").details[0].values;
        assert!(
            last.iter()
                .all(|at| close(*at, seconds + 1e-9 * nanoseconds, 1e-12))
        );
    }
}

#[test]
fn golden_monitoring_packets_give_their_column() {
    let mut bench = Bench::<PmtRates>::new(PmtRatesConfig::default(), &Setup::default());
    let messages = messages("io_monit");
    for (body, _) in &messages {
        bench.take(&frame(tags::IO_MONIT, body.clone(), NOW));
    }
    bench.tick(NOW + 13_000);
    let summary = |row| bench.cell("pmt_rates_summary", row, 1);
    assert_eq!(summary("packets"), json!(messages.len()));
    assert_eq!(summary("DOMs that sent"), json!(1));
    assert_eq!(summary("silent"), json!(31), "a bench without PMTs");
    // The bench has no absolute time: 541 s after the start.
    assert_eq!(summary("newest packet [UTC]"), json!("1970-01-01 00:09:01"));
}
