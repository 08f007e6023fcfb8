//! What counting and calibrating K40 coincidences costs.
//!
//! `cargo bench -p fathom-monitors --bench k40`. For comparison: the reference suite decodes 3.3
//! slices of 4,140 modules with 40 hits a second, and counts 2,070 modules with 100 hits in 737 ms.
#![allow(clippy::expect_used, missing_docs, reason = "a benchmark")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fathom_formats::detx::pmt_directions;
use fathom_formats::km3net::{
    CHANNEL_BITS, CHANNELS, ChannelId, DomId, FrameStatus, Header, SliceHit, SliceLevel,
    SuperFrame, TimeSlice, encode_time_slice,
};
use fathom_kernel::{Event, Frame, Monitor, Outputs, Persist, Setup, Timestamp, tags};
use fathom_monitors::k40::{
    Counter, Inputs, Live, PAIRS, Table, Weighting, calibrate, cos_angles, expected_rate_hz,
};
use fathom_monitors::{K40Calibration, K40CalibrationConfig};

/// Numbers that look random (xorshift).
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn small(&mut self, below: u64) -> u32 {
        u32::try_from(self.next(below)).expect("small")
    }

    fn hit(&mut self, time_ns: u32) -> SliceHit {
        let channel = u8::try_from(self.next(31)).expect("small");
        SliceHit::new(ChannelId(channel), time_ns, 26)
    }
}

/// How the hits of a frame lie.
#[derive(Clone, Copy)]
enum Hits {
    /// Pairs within 10 ns, in order of time, as L1 data have them.
    Pairs,
    /// Such pairs, channel after channel.
    PairsByChannel,
    /// At any time, in no order.
    Random,
    /// At any time, in order of time within each channel, channel after channel, as L0 data are.
    ByChannel,
}

fn slice(doms: u32, hits: usize, how: Hits) -> Vec<u8> {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let frames: Vec<Vec<SliceHit>> = (0..doms)
        .map(|_| {
            let mut list: Vec<SliceHit> = Vec::new();
            while list.len() < hits {
                let time_ns = chance.small(100_000_000);
                list.push(chance.hit(time_ns));
                if matches!(how, Hits::Pairs | Hits::PairsByChannel) {
                    let apart_ns = chance.small(10);
                    list.push(chance.hit(time_ns + apart_ns));
                }
            }
            match how {
                Hits::Pairs => list.sort_by_key(SliceHit::time_ns),
                Hits::Random => {}
                Hits::PairsByChannel | Hits::ByChannel => {
                    list.sort_by_key(|hit| (hit.channel(), hit.time_ns()))
                }
            }
            list
        })
        .collect();
    let header = Header::default();
    let frames: Vec<SuperFrame<'_>> = frames
        .iter()
        .zip(0..)
        .map(|(hits, n)| SuperFrame {
            header,
            dom_id: DomId(806_451_572 + n * 701),
            status: FrameStatus::complete(8, 0, 0),
            hits,
        })
        .collect();
    let mut body = Vec::new();
    encode_time_slice(SliceLevel::L1, &header, &frames, &mut body).expect("short");
    body
}

fn decoding(c: &mut Criterion) {
    let mut group = c.benchmark_group("k40_decode");
    let body = slice(4140, 40, Hits::Pairs);
    group.throughput(Throughput::Elements(1));
    group.bench_function("slice_of_4140_doms_with_40_hits", |b| {
        b.iter(|| {
            let slice = TimeSlice::decode(SliceLevel::L1, black_box(&body)).expect("intact");
            slice.hit_count()
        });
    });
    group.finish();
}

fn counting(c: &mut Criterion) {
    let mut group = c.benchmark_group("k40_decode_and_count");
    group.sample_size(30);
    for (name, doms, hits, how) in [
        ("4140_doms_40_hits_pairs", 4140_u32, 40, Hits::Pairs),
        ("2070_doms_100_hits_random", 2070, 100, Hits::Random),
        ("2070_doms_100_hits_pairs", 2070, 100, Hits::Pairs),
        (
            "2070_doms_100_hits_pairs_by_channel",
            2070,
            100,
            Hits::PairsByChannel,
        ),
        (
            "1035_doms_340_hits_pairs_by_channel",
            1035,
            340,
            Hits::PairsByChannel,
        ),
        ("1_dom_21700_hits_by_channel", 1, 21_700, Hits::ByChannel),
    ] {
        let body = slice(doms, hits, how);
        let live = Live::new(CHANNEL_BITS, &[0; CHANNELS]);
        let mut counter = Counter::new(10);
        let mut tables: Vec<Table> = (0..doms).map(|_| Table::new(10)).collect();
        group.throughput(Throughput::Elements(u64::from(doms) * hits as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                let slice = TimeSlice::decode(SliceLevel::L1, black_box(&body)).expect("intact");
                for (frame, table) in slice.frames().zip(&mut tables) {
                    if counter.count(&frame, &live, table).is_err() {
                        table.clear();
                    }
                }
            });
        });
    }
    group.finish();
}

/// The table of three hours of a usual module, without noise.
fn table(frames: u32) -> Table {
    let livetime_s = f64::from(frames) / 10.0;
    let cosines = cos_angles(&pmt_directions());
    let count = |n: usize| {
        let (pair, bin) = (n / 21, n % 21);
        let from_mean = (bin as f64 - 10.3) / 2.9;
        let shape = (-0.5 * from_mean * from_mean).exp() / (2.9 * 2.506_628_274_631);
        let noise = ((n * 7919 % 101) as f64 - 50.0) / 30.0;
        let mean = livetime_s * (0.056 + expected_rate_hz(cosines[pair]) * shape);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small"
        )]
        let count = (mean + noise * mean.sqrt()).max(0.0) as u16;
        count
    };
    let counts = (0..PAIRS * 21).map(count).collect();
    Table::from_parts(10, counts, frames, None).expect("sizes fit")
}

fn calibrating(c: &mut Criterion) {
    let mut group = c.benchmark_group("k40_calibrate_module");
    group.sample_size(20);
    for (name, frames, weighting) in [
        ("3h_poisson", 108_000, Weighting::Poisson),
        ("3h_equal", 108_000, Weighting::Equal),
        ("1min_poisson", 600, Weighting::Poisson),
    ] {
        let table = table(frames);
        let inputs = Inputs {
            table: &table,
            cos_angles: &cos_angles(&pmt_directions()),
            channels: CHANNEL_BITS,
            singles_hz: [7500.0; CHANNELS],
            fits_offset: true,
            fractions_ns: [0.0; CHANNELS],
            compared_ns: [0.0; CHANNELS],
            weighting,
            cos_min: -1.0,
        };
        group.bench_function(name, |b| b.iter(|| calibrate(black_box(&inputs))));
    }
    group.finish();
}

/// The whole monitor on one slice, without a detector description.
fn monitoring(c: &mut Criterion) {
    let mut group = c.benchmark_group("k40_monitor");
    let body = slice(4140, 40, Hits::Pairs);
    let event = Event::Frame(Frame {
        source: "bench".into(),
        tag: tags::IO_TSL1,
        received: Timestamp::UNIX_EPOCH,
        body: body.into(),
    });
    let config = K40CalibrationConfig::default();
    let mut monitor = K40Calibration::new(config, &Setup::default());
    let mut out = Outputs::default();
    group.throughput(Throughput::Elements(1));
    group.bench_function("slice_of_4140_doms_with_40_hits", |b| {
        b.iter(|| monitor.on_event(black_box(&event), &mut out));
    });
    group.sample_size(10);
    group.bench_function("checkpoint_of_4140_doms", |b| {
        b.iter(|| {
            // The first one after a reset is written at once.
            let mut keep = Persist::default();
            monitor.reset();
            monitor.on_event(&event, &mut out);
            monitor.persist(&mut keep);
            keep
        });
    });
    group.finish();
}

criterion_group!(benches, decoding, counting, calibrating, monitoring);
criterion_main!(benches);
