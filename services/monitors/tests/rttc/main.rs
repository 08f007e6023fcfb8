//! Cable round-trip times by hand and by the vectors of the reference.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../common/mod.rs"]
mod common;
mod data_base;
mod manager;
mod normal;
mod vectors;

use common::{Bench, Store, close, setup, vectors};
use fathom_kernel::view::{Layer, Panel, Panels, Shape, View};
use fathom_kernel::{Content, Fetch, FetchError, Fetched, Monitor, Recalled, Setup, Span};
use fathom_monitors::{Given, Rttc, RttcConfig as Config, rttc_ps};
use serde_json::{Value, json};

/// A whole multiple of an hour.
const T0: i64 = 1_700_002_800_000;

fn config(dus: &[u32]) -> Config {
    Config {
        dus: dus.to_vec(),
        ..Config::default()
    }
}

fn bench(dus: &[u32]) -> Bench<Rttc> {
    Bench::new(config(dus), &Setup::default())
}

fn ok(body: impl Into<Vec<u8>>) -> Result<Content, FetchError> {
    Ok(Content::Bytes(body.into().into(), None))
}

/// Takes what was asked for.
fn asked(bench: &mut Bench<Rttc>) -> Vec<Fetch> {
    std::mem::take(&mut bench.out.fetches)
}

fn answer(bench: &mut Bench<Rttc>, fetch: &Fetch, content: Result<Content, FetchError>) {
    let name = fetch.name.clone();
    bench
        .monitor
        .on_fetched(Fetched { name, content }, &mut bench.out);
}

/// The answer with these values of each DU.
fn body(dus: &[[f64; 5]]) -> String {
    let values = dus.iter().flatten();
    values
        .map(|value| json!({ "value": value }))
        .collect::<Value>()
        .to_string()
}

/// Five values whose round-trip time is as given.
fn of(rttc_ps: f64) -> [f64; 5] {
    [rttc_ps + 800_000.0, 2.0e5, 2.0e5, 2.0e5, 2.0e5]
}

/// Lets a second pass, answering everything.
fn second(bench: &mut Bench<Rttc>, at_ms: i64, dus: &[[f64; 5]]) {
    bench.tick(at_ms);
    for fetch in asked(bench) {
        let content = match fetch.name.starts_with("subscribe") {
            true => ok(*b"OK\n"),
            false => ok(body(dus)),
        };
        answer(bench, &fetch, content);
    }
}

fn panel(bench: &Bench<Rttc>, n: usize) -> &Panel {
    let View::Panels(Panels { panels, .. }) = &bench.output("rttc").view else {
        panic!("no panels")
    };
    &panels[n]
}

fn layers(panel: &Panel, shape: Shape) -> Vec<&Layer> {
    let layers = panel.layers.iter();
    layers.filter(|layer| layer.shape == shape).collect()
}

/// Sends values every ten seconds for so many minutes; a little noise that is the same each time.
fn minutes(bench: &mut Bench<Rttc>, from_ms: i64, minutes: i64, rttc_ps: f64) {
    for s in 0..60 * minutes {
        let noise = 10.0 * ((s * 7 % 13) as f64 - 6.0);
        second(bench, from_ms + 1000 * s, &[of(rttc_ps + noise)]);
    }
}

const CENTRE_PS: f64 = 5.0e8;

/// What the data base has of a parameter of DU 3: twenty values, 30 ps beside their centre.
fn values(parameter: &str) -> String {
    let k = usize::from(parameter != "wr_mu");
    let rows = (0..20).map(|n| match n % 2 {
        0 => format!("7\t{}\n", of(CENTRE_PS)[k] - 30.0),
        _ => format!("7\t{}\n", of(CENTRE_PS)[k] + 30.0),
    });
    format!("RUN\tDATA_VALUE\n{}7\t\n", rows.collect::<String>())
}
