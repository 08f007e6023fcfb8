//! What the line fit costs: one DU, and a whole event of two full blocks with background.
//!
//! `cargo bench -p fathom-monitors --bench royfit`.
#![allow(clippy::expect_used, missing_docs, reason = "a benchmark")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use fathom_formats::detx::{Detector, Layout, Module};
use fathom_formats::km3net::{
    CalibratedHit, DetectorId, Event as Payload, EventHits, Header, RunNumber, Slewing,
    SnapshotHit, TriggerMask, TriggeredHit,
};
use fathom_kernel::{Event, Frame, Monitor, Outputs, Setup, Timestamp, tags};
use fathom_monitors::{
    LineTrack, Royfit, RoyfitConfig, Selection, first_guess, fit_line, select_hits,
};

const START_S: u32 = 1_700_000_400;
const SELECTION: Selection = Selection {
    window_ns: 10.0,
    multiplicity: 3,
    floors_min: 3,
    floor_spacing_m: 36.0,
};

fn track(distance_m: f64) -> LineTrack {
    LineTrack {
        distance_m,
        z_m: 300.0,
        up: -0.8,
        time_ns: 50_000.0,
    }
}

fn hit(module: &Module, channel: usize, time_ns: f64, tot_ns: u8) -> SnapshotHit {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a frame's time"
    )]
    let time_ns = (time_ns - module.pmts[channel].t0_ns) as u32;
    let channel = u8::try_from(channel).expect("below 31");
    SnapshotHit::new(module.id, channel.into(), time_ns, tot_ns)
}

/// Three hits on every second floor, one on the others; with a jitter that is always the same.
fn muon(detector: &Detector, du: u32, track: &LineTrack) -> Vec<SnapshotHit> {
    let modules = detector.optical_modules().filter(|m| m.place.du == du);
    let hits = modules.flat_map(|module| {
        let number = if module.place.floor.is_multiple_of(2) {
            3
        } else {
            1
        };
        (0..number).map(move |channel| {
            let z_m = module.pmts[channel].position_m[2];
            let jitter_ns = f64::from(module.place.floor * 7 % 5);
            let time_ns = track.arrival_ns(z_m) + jitter_ns + channel as f64;
            hit(module, channel, time_ns, 30)
        })
    });
    hits.collect()
}

/// An event in which some DUs see a muon; all 230 see 3 us of background.
fn event(detector: &Detector, muons: u32) -> Event {
    let triggered: Vec<_> = (1..=muons)
        .flat_map(|du| muon(detector, du, &track(5.0 + 10.0 * f64::from(du))))
        .collect();
    let background = detector
        .optical_modules()
        .zip(0_u32..)
        .filter(|(_, n)| n % 3 != 0);
    let background = background.map(|(module, n)| {
        let channel = (n % 31) as usize;
        hit(module, channel, 49_000.0 + f64::from(n * 37 % 3000), 25)
    });
    let snapshot: Vec<_> = triggered.iter().copied().chain(background).collect();
    let mask = TriggerMask(1 << TriggerMask::MUON_3D_BIT);
    let triggered: Vec<_> = triggered
        .iter()
        .map(|h| TriggeredHit::new(*h, mask))
        .collect();
    let payload = Payload {
        legacy: false,
        header: Header {
            detector_id: DetectorId(1),
            run: RunNumber(1),
            frame_index: 0,
            utc_seconds: START_S,
            white_rabbit: false,
            ticks: 0,
        },
        trigger_counter: 0,
        trigger_mask: mask,
        overlays: 0,
        triggered: &triggered,
        snapshot: &snapshot,
    };
    let mut body = Vec::new();
    payload.encode(&mut body).expect("short");
    Event::Frame(Frame {
        source: "bench".into(),
        tag: tags::IO_EVT,
        received: Timestamp::from_second(i64::from(START_S)).expect("a year of ours"),
        body: body.into(),
    })
}

fn hits_of(detector: &Detector, event: &Event) -> Vec<CalibratedHit> {
    let Event::Frame(frame) = event else {
        return Vec::new();
    };
    let payload = Payload::decode(&frame.body).expect("made above");
    let mut hits = EventHits::default();
    hits.calibrate(&payload, detector, Slewing::Kept);
    hits.group(10.0);
    let of_du_1 = hits.hits().iter().filter(|hit| hit.place.du == 1);
    of_du_1.copied().collect()
}

fn royfit(c: &mut Criterion) {
    let detector = Arc::new(Detector::generated(&Layout::arca(230)));
    let hits = hits_of(&detector, &event(&detector, 1));
    let mut group = c.benchmark_group("royfit");
    group.bench_function("select", |b| {
        b.iter(|| select_hits(black_box(&hits), &SELECTION));
    });
    let chosen: Vec<_> = select_hits(&hits, &SELECTION)
        .into_iter()
        .map(|n| hits[n])
        .collect();
    assert!(chosen.len() >= 9, "{}", chosen.len());
    let guess = first_guess(&hits).expect("there are hits");
    group.bench_function("fit of one DU", |b| {
        b.iter_batched(
            || chosen.clone(),
            |chosen| fit_line(chosen, black_box(&guess), 36.0),
            BatchSize::SmallInput,
        );
    });
    let setup = Setup {
        detector: Some(Arc::clone(&detector)),
        ..Setup::default()
    };
    for muons in [1, 5] {
        let event = event(&detector, muons);
        let mut monitor = Royfit::new(RoyfitConfig::default(), &setup);
        let mut out = Outputs::default();
        group.bench_function(format!("event of 230 DUs, {muons} with a muon"), |b| {
            b.iter(|| {
                monitor.on_event(black_box(&event), &mut out);
                out.lines.clear();
                out.files.clear();
            });
        });
    }
    let mut monitor = Royfit::new(RoyfitConfig::default(), &setup);
    let mut out = Outputs::default();
    monitor.on_event(&event(&detector, 5), &mut out);
    group.bench_function("tables and residuals of 230 DUs", |b| {
        let mut at = i64::from(START_S);
        b.iter(|| {
            at += 60;
            monitor.on_tick(
                Timestamp::from_second(at).expect("a year of ours"),
                &mut out,
            );
            black_box(out.outputs.drain(..).count())
        });
    });
    group.finish();
}

criterion_group!(benches, royfit);
criterion_main!(benches);
