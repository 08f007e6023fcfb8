//! The same payloads decoded, counted and drawn by fathom and by km3pipe, in one run.
//!
//! `benches/versus/run.sh` installs km3pipe and starts this. Alone, with `cargo bench --bench versus`,
//! only fathom is measured, unless `KM3PIPE_PYTHON` names an interpreter that has km3pipe. Numbers are
//! per second on one core.
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]
#![allow(
    clippy::disallowed_methods,
    reason = "times of two processes are compared"
)]

mod payloads;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fathom_formats::detx::{Detector, Layout};
use fathom_formats::km3net::{
    CHANNEL_BITS, CHANNELS, Event, EventHits, Slewing, SliceLevel, SummarySlice, TimeSlice,
};
use fathom_kernel::view::View;
use fathom_kernel::{Monitor, Output, Outputs, Setup, Tag, Timestamp, tags};
use fathom_monitors::k40::{Counter, Live, Table};
use fathom_monitors::{TriggerMap, TriggerMapConfig, ZtPlot, ZtPlotConfig};
use fathom_web::picture::{Size, draw};
use serde::Deserialize;

/// Each measure goes on for at least so long.
const LEAST: Duration = Duration::from_secs(2);

/// DUs in the pictures: one block.
const DUS: u32 = 115;

/// One line of the other side.
#[derive(Deserialize)]
struct Said {
    measure: String,
    per_second: f64,
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let ours = fathom(folder.path());
    let theirs = std::env::var_os("KM3PIPE_PYTHON").map(|python| km3pipe(&python, folder.path()));
    println!(
        "{:<16} {:>12} {:>12} {:>10}",
        "per second", "fathom", "km3pipe", "ratio"
    );
    for (measure, rate) in &ours {
        let other = theirs.as_ref().and_then(|theirs| theirs.get(*measure));
        match other {
            Some(other) => println!(
                "{measure:<16} {rate:>12.1} {other:>12.2} {:>10.0}",
                rate / other
            ),
            None => println!("{measure:<16} {rate:>12.1} {:>12} {:>10}", "-", "-"),
        }
    }
}

fn km3pipe(python: &std::ffi::OsStr, folder: &Path) -> BTreeMap<String, f64> {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/benches/versus/km3pipe_side.py"
    );
    let mut command = Command::new(python);
    command.arg(script).arg(folder).stderr(Stdio::null());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Said>(line).ok());
    let said: BTreeMap<_, _> = lines.map(|said| (said.measure, said.per_second)).collect();
    assert!(
        output.status.success(),
        "km3pipe's side failed after {:?}",
        said.keys()
    );
    said
}

/// Measures fathom, and leaves the payloads in a folder for the other side.
fn fathom(folder: &Path) -> Vec<(&'static str, f64)> {
    let detector = Detector::generated(&Layout::arca(DUS));
    let write = |name: &str, body: &[u8]| std::fs::write(folder.join(name), body).unwrap();
    let summary = payloads::summary(4140);
    write("IO_SUM.dat", &summary);
    let l1 = payloads::slice(4140, 40);
    write("IO_TSL1.dat", &l1);
    let event = payloads::event(&detector, 3000);
    write("IO_EVT.dat", &event);
    let k40 = payloads::slice(2070, 100);
    write("K40.dat", &k40);
    let mut hits = EventHits::default();
    let mut rates = vec![
        ("summary slices", per_second(|| summary_values(&summary))),
        ("L1 slices", per_second(|| slice_values(&l1))),
        (
            "events",
            per_second(|| event_values(&event, &mut hits, &detector)),
        ),
        ("K40 counting", k40_rate(&k40)),
    ];
    rates.extend(pictures(folder, detector, &event, &hits));
    rates
}

/// Times something until the clock can be trusted.
fn per_second<T>(mut work: impl FnMut() -> T) -> f64 {
    black_box(work());
    let (mut done, begun) = (0_u32, Instant::now());
    while begun.elapsed() < LEAST {
        black_box(work());
        done += 1;
    }
    f64::from(done) / begun.elapsed().as_secs_f64()
}

/// Every rate of every channel, and its sum per module.
fn summary_values(body: &[u8]) -> f64 {
    let slice = SummarySlice::decode(black_box(body)).unwrap();
    let frames = slice.frames.iter();
    frames
        .map(|frame| frame.dom_rate_hz() + f64::from(frame.dom_id().0))
        .sum()
}

/// Every value of every hit.
fn slice_values(body: &[u8]) -> u64 {
    let slice = TimeSlice::decode(SliceLevel::L1, black_box(body)).unwrap();
    let hits = slice.frames().flat_map(|frame| frame.hits);
    hits.map(|h| u64::from(h.channel().0) + u64::from(h.time_ns()) + u64::from(h.tot_ns()))
        .sum()
}

/// The table of hits, with what was triggered, place, direction and calibrated time.
fn event_values(body: &[u8], hits: &mut EventHits, detector: &Detector) -> usize {
    let event = Event::decode(black_box(body)).unwrap();
    hits.calibrate(&event, detector, Slewing::Subtracted);
    hits.hits().iter().filter(|hit| hit.is_triggered).count()
}

/// Slices per second, decoded and counted.
fn k40_rate(body: &[u8]) -> f64 {
    let live = Live::new(CHANNEL_BITS, &[0; CHANNELS]);
    let mut counter = Counter::new(10);
    let mut tables: Vec<Table> = (0..2070).map(|_| Table::new(10)).collect();
    per_second(|| {
        let slice = TimeSlice::decode(SliceLevel::L1, black_box(body)).unwrap();
        for (frame, table) in slice.frames().zip(&mut tables) {
            if counter.count(&frame, &live, table).is_err() {
                table.clear();
            }
        }
    })
}

/// Draws what the monitors make of an event and of a thousand of them, and leaves the same for the
/// other side.
fn pictures(
    folder: &Path,
    detector: Detector,
    event: &[u8],
    hits: &EventHits,
) -> Vec<(&'static str, f64)> {
    let mut hits = hits.clone();
    hits.group(20.0);
    let first_ns = hits.first_triggered_ns().unwrap_or_default();
    let rows = hits.hits().iter().map(|hit| {
        let triggered = u8::from(hit.is_triggered);
        let (du, time_ns) = (hit.place.du, hit.time_ns - first_ns);
        (du, time_ns, hit.position_m[2], hit.multiplicity, triggered)
    });
    let rows: Vec<_> = rows.collect();
    let zt = serde_json::to_vec(&(detector.dus(), rows)).unwrap();
    std::fs::write(folder.join("zt.json"), zt).unwrap();

    let setup = Setup {
        detector: Some(std::sync::Arc::new(detector)),
        ..Setup::default()
    };
    let plot = output::<ZtPlot>(ZtPlotConfig::default(), &setup, &[event.to_vec()], "ztplot");
    let events: Vec<_> = payloads::events(&setup, 1000);
    let map = output::<TriggerMap>(TriggerMapConfig::default(), &setup, &events, "hitmap");
    let View::HitMap(view) = &map.view else {
        panic!("hitmap is no hit map")
    };
    let columns = view.columns.iter().enumerate();
    let cells = columns.flat_map(|(at, column)| {
        let cells = column.rows.iter().zip(&column.counts);
        cells.map(move |(row, count)| (*row, at, *count))
    });
    let cells: Vec<_> = cells.collect();
    let names = view.row_labels.iter().map(|label| (label.row, &label.text));
    let names: Vec<_> = names.collect();
    let shape = [view.rows as usize, view.columns.len()];
    let json = serde_json::to_vec(&(shape, cells, names)).unwrap();
    std::fs::write(folder.join("hitmap.json"), json).unwrap();
    vec![
        ("zt plots", picture_rate(&plot)),
        ("hit maps", picture_rate(&map)),
    ]
}

/// Feeds a monitor and returns one of its outputs.
fn output<M: Monitor>(config: M::Config, setup: &Setup, events: &[Vec<u8>], name: &str) -> Output {
    let mut monitor = M::new(config, setup);
    let mut out = Outputs::default();
    for body in events {
        monitor.on_event(&payloads::frame(tag::<M>(), body), &mut out);
    }
    monitor.on_tick(payloads::now(), &mut out);
    let mut all = out.outputs.into_iter().rev();
    all.find(|output| output.name == name).unwrap()
}

fn tag<M: Monitor>() -> Tag {
    M::TOPICS.tags.first().copied().unwrap_or(tags::IO_EVT)
}

fn picture_rate(output: &Output) -> f64 {
    let now: Timestamp = payloads::now();
    let size = Size::of(&output.view);
    per_second(|| draw(output, now, now, size).len())
}
