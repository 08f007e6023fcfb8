//! `k40_calibration` by slices with coincidences of known offsets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod channels;
#[path = "../common/mod.rs"]
mod common;
mod cycles;
mod restarts;
mod results;
mod shifts;

use std::collections::BTreeMap;

use common::{Bench, Store, frame, header, ms, packet, setup};
use fathom_formats::detx::{Detector, Layout, Module};
use fathom_formats::km3net::{
    CHANNELS, ChannelId, DetectorId, DomId, FrameStatus, Header, SliceHit, SliceLevel, SuperFrame,
    encode_time_slice,
};
use fathom_kernel::view::{Panels, View};
use fathom_kernel::{Event, FileEdit, Monitor, Persist, Recalled, Setup, Span, tags};
use fathom_monitors::k40::{cos_angles, expected_rate_hz, pair_list};
use fathom_monitors::{K40Calibration, K40CalibrationConfig as Config, K40Mask, K40Times};
use serde_json::{Value, json};

const START_MS: i64 = 1_700_000_000_000;

/// A module whose coincidences are made here.
struct Fake {
    module: Module,
    /// How much later than true the hits of each channel are, after calibration (ns).
    late_ns: [f64; CHANNELS],
    efficiency: [f64; CHANNELS],
    state: u64,
}

impl Fake {
    fn new(module: &Module) -> Self {
        Self {
            module: module.clone(),
            late_ns: [0.0; CHANNELS],
            efficiency: [1.0; CHANNELS],
            state: 0x9e37_79b9_7f4a_7c15 ^ u64::from(module.id.0),
        }
    }

    fn chance(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.chance()).sum::<f64>() - 6.0
    }

    fn poisson(&mut self, mean: f64) -> u32 {
        let (mut number, mut product) = (0, self.chance());
        while product > (-mean).exp() {
            product *= self.chance();
            number += 1;
        }
        number
    }

    fn time(&mut self, channel: usize, at_ns: f64) -> u32 {
        let file_ns = self.module.pmts[channel].t0_ns;
        let ns = at_ns + self.late_ns[channel] - file_ns + 2.0 * self.normal();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "in a frame"
        )]
        let ns = ns.round() as u32;
        ns
    }

    /// Genuine coincidences of so many seconds, put into one frame, 500 ns apart.
    fn hits(&mut self, seconds: f64) -> Vec<SliceHit> {
        let directions = std::array::from_fn(|c| self.module.pmts[c].direction);
        let cosines = cos_angles(&directions);
        let mut hits = Vec::new();
        let mut at_ns = 1000.0;
        for (cos, &(i, j)) in cosines.iter().zip(pair_list()) {
            let (i, j) = (usize::from(i), usize::from(j));
            let mean = seconds * expected_rate_hz(*cos) * self.efficiency[i] * self.efficiency[j];
            for _ in 0..self.poisson(mean) {
                at_ns += 500.0;
                for channel in [i, j] {
                    let id = u8::try_from(channel).unwrap();
                    hits.push(SliceHit::new(ChannelId(id), self.time(channel, at_ns), 26));
                }
            }
        }
        hits
    }
}

fn slice_of(frames: &[(DomId, FrameStatus, &[SliceHit])], at_ms: i64, level: SliceLevel) -> Event {
    let head = header(1, at_ms);
    let frames: Vec<_> = frames
        .iter()
        .map(|&(dom_id, status, hits)| SuperFrame {
            header: head,
            dom_id,
            status,
            hits,
        })
        .collect();
    let mut body = Vec::new();
    encode_time_slice(level, &head, &frames, &mut body).unwrap();
    frame(level.tag(), body, at_ms)
}

fn slice(dom: DomId, hits: &[SliceHit], at_ms: i64) -> Event {
    slice_of(&[(dom, fine(), hits)], at_ms, SliceLevel::L1)
}

fn fine() -> FrameStatus {
    FrameStatus::complete(8, 0, 0)
}

fn config(cycle_s: u64) -> Config {
    Config {
        cycle: Span::from_secs(cycle_s),
        ..Config::default()
    }
}

fn modules(setup: &Setup) -> Vec<Module> {
    setup
        .detector
        .as_ref()
        .unwrap()
        .optical_modules()
        .cloned()
        .collect()
}

fn bench(config: Config, setup: &Setup) -> Bench<K40Calibration> {
    Bench::new(config, setup)
}

/// Feeds one cycle of 60 s: 600 slices with a tenth of a second each, singles, and ticks to its end.
fn feed(bench: &mut Bench<K40Calibration>, fakes: &mut [Fake], cycle: i64) {
    let start_ms = START_MS + cycle * 60_000;
    for n in 0..600 {
        let at_ms = start_ms + 100 * n;
        let hits: Vec<_> = fakes
            .iter_mut()
            .map(|fake| (fake.module.id, fake.hits(0.1)))
            .collect();
        let frames: Vec<_> = hits
            .iter()
            .map(|(id, hits)| (*id, fine(), &**hits))
            .collect();
        bench.take(&slice_of(&frames, at_ms, SliceLevel::L1));
        if n % 50 == 0 {
            for fake in fakes.iter() {
                // No accidental coincidences are made, so no singles either.
                bench.take(&packet(at_ms, fake.module.id.0, 0, 0));
            }
            bench.tick(at_ms);
        }
    }
    for n in 0..10 {
        bench.tick(start_ms + 60_000 + 200 * n);
    }
}

fn panels(bench: &Bench<K40Calibration>, name: &str) -> Panels {
    match &bench.output(name).view {
        View::Panels(panels) => panels.clone(),
        other => panic!("{name} is {other:?}"),
    }
}

fn written(bench: &Bench<K40Calibration>, name: &str) -> String {
    let mut files = bench.out.files.iter().rev();
    let found = files.find_map(|edit| match edit {
        FileEdit::Write { path, bytes } if path.to_str() == Some(name) => Some(bytes.clone()),
        _ => None,
    });
    String::from_utf8(found.unwrap_or_else(|| panic!("no file {name}"))).unwrap()
}

fn dom_of(bench: &Bench<K40Calibration>, id: DomId) -> Value {
    let all: Value = serde_json::from_str(&written(bench, "k40calib.json")).unwrap();
    let doms = all["doms"].as_array().unwrap();
    doms.iter()
        .find(|dom| dom["dom_id"] == id.0)
        .cloned()
        .unwrap()
}

fn progress(bench: &Bench<K40Calibration>, row: &str) -> Value {
    bench.cell("k40_progress", row, 1)
}

/// Two hits of channels 3 and 4, 2 ns apart after calibration.
fn pair_of(module: &Module) -> [SliceHit; 2] {
    let hit = |channel: u8, late_ns: f64| {
        let ns = 5000.0 + late_ns - module.pmts[usize::from(channel)].t0_ns;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "5 us"
        )]
        let ns = ns.round() as u32;
        SliceHit::new(ChannelId(channel), ns, 26)
    };
    [hit(3, 0.0), hit(4, 2.0)]
}
