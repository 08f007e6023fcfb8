//! Compass calibration by hand and by the vectors of the reference.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../common/mod.rs"]
mod common;
mod constants;
mod curves;
mod vectors;

use common::{Bench, Store, described_anew, frame, ms, setup, unhex, vectors};
use fathom_formats::km3net::{DomId, TmchFields};
use fathom_kernel::view::{Series, View};
use fathom_kernel::{
    Content, Event, Fetch, FetchError, Fetched, Location, Monitor, Recalled, Setup, Span, tags,
};
use fathom_monitors::{
    AhrsCalibration, AhrsCalibrationConfig as Config, BoardTest, Constants, Uncalibrated,
};
use serde_json::{Value, json};

/// A whole multiple of five minutes.
const T0: i64 = 1_700_000_400_000;

fn array<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// The shortest way between two angles.
fn apart(a: f64, b: f64) -> f64 {
    ((a - b + 180.0).rem_euclid(360.0) - 180.0).abs()
}

fn config() -> Config {
    Config {
        time_range: 1.0,
        constants: Some(Location::from("boards.toml".to_owned())),
        interval: Span::from_secs(1),
        ..Config::default()
    }
}

fn dom(setup: &Setup, floor: u32) -> u32 {
    let detector = setup.detector.as_ref().unwrap();
    detector.module_at(1, floor).unwrap().id.0
}

/// An entry of a constants file; the values are written alike in TOML and JSON.
fn board(id: u32, constants: &Value) -> String {
    let keys = ["Aoff", "Arot", "Hoff", "Hrot"].map(|key| format!("{key} = {}", constants[key]));
    format!("[[board]]\ndom_id = {id}\n{}\n", keys.join("\n"))
}

fn unity() -> Value {
    json!({
        "Aoff": [0.0, 0.0, 0.0], "Arot": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        "Hoff": [0.0, 0.0, 0.0], "Hrot": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    })
}

fn packet(at_ms: i64, id: u32, (a, h): ([f32; 3], [f32; 3]), valid: bool) -> Event {
    let fields = TmchFields {
        utc_seconds: u32::try_from(at_ms / 1000).unwrap(),
        ticks: u32::try_from(at_ms % 1000).unwrap() * 62_500,
        dom_id: DomId(id),
        flags: 0b10 | u32::from(valid),
        acceleration_g: a,
        magnetic_gauss: h,
        ..TmchFields::default()
    };
    let mut body = Vec::new();
    fields.encode(&mut body);
    frame(tags::IO_MONIT, body, at_ms)
}

/// What a board without offsets reads in a level module with this yaw.
fn level(yaw_deg: f32) -> ([f32; 3], [f32; 3]) {
    let (sin, cos) = yaw_deg.to_radians().sin_cos();
    ([0.0, 0.0, 1.0], [0.25 * cos, 0.25 * sin, -0.37])
}

fn bytes(content: &[u8], version: Option<&str>) -> Result<Content, FetchError> {
    let content = content.to_vec().into();
    Ok(Content::Bytes(content, version.map(str::to_owned)))
}

/// Answers the only fetch under way.
fn answer(bench: &mut Bench<AhrsCalibration>, content: Result<Content, FetchError>) -> Fetch {
    let [fetch] = &*std::mem::take(&mut bench.out.fetches) else {
        panic!("not one fetch")
    };
    let name = fetch.name.clone();
    let fetched = Fetched { name, content };
    bench.monitor.on_fetched(fetched, &mut bench.out);
    fetch.clone()
}

fn summary(bench: &Bench<AhrsCalibration>, row: &str) -> Value {
    bench.cell("ahrs_summary", row, 1)
}

/// A monitor with constants for the first five floors, that knows a yaw on floor 1.
fn running(setup: &Setup) -> Bench<AhrsCalibration> {
    let config = Config {
        interval: Span::from_secs(10),
        ..config()
    };
    let mut bench = Bench::<AhrsCalibration>::new(config, setup);
    bench.tick(T0);
    let boards: String = (1..=5).map(|f| board(dom(setup, f), &unity())).collect();
    answer(&mut bench, bytes(boards.as_bytes(), None));
    bench
}

/// Sends one packet each second for so many minutes.
fn minutes(bench: &mut Bench<AhrsCalibration>, id: u32, from_ms: i64, minutes: i64, yaw_deg: f32) {
    for s in 0..60 * minutes {
        bench.take(&packet(from_ms + 1000 * s, id, level(yaw_deg), true));
        bench.tick(from_ms + 1000 * s);
        let newest = bench.out.outputs.len().saturating_sub(20);
        bench.out.outputs.drain(..newest);
    }
}
