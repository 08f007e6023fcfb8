//! What an event of 3,000 hits costs the event display, in a block of 115 DUs.
//!
//! `cargo bench -p fathom-monitors --bench ztplot`. Throughputs are events per second on one core:
//! `looked at` is what every event costs, `drawn` what one costs that is calibrated, grouped, drawn
//! and put on the board, `record` what one costs that is also written with its picture.
#![allow(clippy::expect_used, missing_docs, reason = "a benchmark")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fathom_formats::detx::{Detector, Layout};
use fathom_formats::km3net::{
    ChannelId, DetectorId, DomId, Event as Payload, EventHits, Header, RunNumber, Slewing,
    SnapshotHit, TriggerMask, TriggeredHit,
};
use fathom_kernel::{Event, Frame, Monitor, Outputs, Setup, Timestamp, tags};
use fathom_monitors::{ZtPlot, ZtPlotConfig};

const START_S: u32 = 1_700_000_400;
const HITS: u32 = 3000;
const EVENTS: u32 = 64;

/// What the events of a bench do.
#[derive(Clone, Copy)]
enum Course {
    /// All in one second, none better than the first.
    LookedAt,
    /// A minute apart.
    Drawn,
    /// Each better than all before.
    Record,
}

fn spread(number: u32) -> u32 {
    number.wrapping_mul(2_654_435_761) >> 7
}

fn hits(doms: &[DomId], event: u32) -> Vec<SnapshotHit> {
    let hit = |n: u32| {
        let chance = spread(n + event * HITS);
        let dom = doms[chance as usize % doms.len()];
        let channel = ChannelId(u8::try_from(chance % 31).unwrap_or(0));
        let tot = u8::try_from(chance / 31 % 256).unwrap_or(0);
        SnapshotHit::new(dom, channel, 40_000_000 + chance / 7 % 6000, tot)
    };
    (0..HITS).map(hit).collect()
}

fn body(doms: &[DomId], event: u32, course: Course) -> Vec<u8> {
    let snapshot = hits(doms, event);
    let triggered = snapshot.iter().step_by(6);
    let triggered: Vec<_> = triggered
        .map(|hit| TriggeredHit::new(*hit, TriggerMask(18)))
        .collect();
    let (second, overlays) = match course {
        Course::LookedAt => (0, 1),
        Course::Drawn => (event * 60, 1),
        Course::Record => (0, event + 2),
    };
    let payload = Payload {
        legacy: false,
        header: Header {
            detector_id: DetectorId(1),
            run: RunNumber(1),
            frame_index: 0,
            utc_seconds: START_S + second,
            white_rabbit: false,
            ticks: 0,
        },
        trigger_counter: event.into(),
        trigger_mask: TriggerMask(18),
        overlays: i32::try_from(overlays).unwrap_or(i32::MAX),
        triggered: &triggered,
        snapshot: &snapshot,
    };
    let mut body = Vec::new();
    payload.encode(&mut body).expect("short");
    body
}

fn events(setup: &Setup, course: Course) -> Vec<Event> {
    let detector = setup.detector.as_ref().expect("made above");
    let doms: Vec<_> = detector.optical_modules().map(|m| m.id).collect();
    let event = |n| {
        Event::Frame(Frame {
            source: "bench".into(),
            tag: tags::IO_EVT,
            received: Timestamp::from_second(i64::from(START_S)).expect("a year of ours"),
            body: body(&doms, n, course).into(),
        })
    };
    (0..EVENTS).map(event).collect()
}

fn ztplot(c: &mut Criterion) {
    let setup = Setup {
        detector: Some(Arc::new(Detector::generated(&Layout::arca(115)))),
        ..Setup::default()
    };
    let mut group = c.benchmark_group("ztplot");
    group.throughput(Throughput::Elements(EVENTS.into()));
    group.sample_size(20);
    for (name, course) in [
        ("looked at", Course::LookedAt),
        ("drawn", Course::Drawn),
        ("record", Course::Record),
    ] {
        let events = events(&setup, course);
        // The selection is full of events that only records exceed.
        let config = ZtPlotConfig {
            best: 1,
            ..ZtPlotConfig::default()
        };
        let first = events.first().expect("there are some");
        let warm = || {
            let mut monitor = ZtPlot::new(config.clone(), &setup);
            let mut out = Outputs::default();
            monitor.on_event(first, &mut out);
            (monitor, out)
        };
        group.bench_function(name, |b| {
            b.iter_batched(
                warm,
                |(mut monitor, mut out)| {
                    for event in &events {
                        monitor.on_event(black_box(event), &mut out);
                        out.outputs.clear();
                        out.files.clear();
                    }
                    (monitor, out)
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
    calibration(c, &setup);
}

/// What the display and the line fit share.
fn calibration(c: &mut Criterion, setup: &Setup) {
    let detector = setup.detector.as_ref().expect("made above");
    let doms: Vec<_> = detector.optical_modules().map(|m| m.id).collect();
    let body = body(&doms, 1, Course::LookedAt);
    let mut group = c.benchmark_group("hits");
    group.throughput(Throughput::Elements(HITS.into()));
    let mut hits = EventHits::default();
    group.bench_function("calibrated and grouped", |b| {
        b.iter(|| {
            let event = Payload::decode(black_box(&body)).expect("encoded above");
            hits.calibrate(&event, detector, Slewing::Subtracted);
            hits.group(20.0);
            hits.hits().len()
        });
    });
    group.finish();
}

criterion_group!(benches, ztplot);
criterion_main!(benches);
