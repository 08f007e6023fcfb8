//! `royfit` from events to outputs: muons whose light is where it should be.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(
    clippy::cast_possible_truncation,
    reason = "numbers of tests are small"
)]

#[path = "../common/mod.rs"]
mod common;
mod fits;
mod residuals;
mod vectors;

use common::{Bench, frame, header, setup};
use fathom_formats::km3net::{Event as Payload, SnapshotHit, TriggerMask, TriggeredHit};
use fathom_kernel::view::{Panels, View};
use fathom_kernel::{Event, Setup, tags};
use fathom_monitors::{LineTrack, Royfit};

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
