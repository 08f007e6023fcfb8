//! Decoders beside a plain read of the same memory.
//!
//! `decode` checks a body and makes the view; `values` decodes it and takes every value out of it;
//! `memory` sums the 64 bit words of the body, the least anybody could do with it. Bodies are those
//! of the full detector: 4,140 DOMs.

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use fathom_formats::controlhost::{BODY_BYTES_MAX_DEFAULT, Splitter, encode_frame, tags};
use fathom_formats::km3net::{
    ChannelId, DomId, Event, FrameStatus, Header, SliceHit, SliceLevel, SnapshotHit, SummaryFrame,
    SummarySlice, SuperFrame, TimeSlice, Tmch, TmchFields, TriggerMask, TriggeredHit,
    encode_time_slice,
};

const DOMS: u32 = 4140;
/// About 1 kHz of coincidences per DOM, two hits each, in 100 ms.
const HITS_PER_L1_FRAME: u32 = 200;
const SNAPSHOT_HITS: u32 = 2500;
const TRIGGERED_HITS: u32 = 500;

/// Spreads values without a generator: consecutive numbers land far apart.
fn spread(number: u32) -> u32 {
    number.wrapping_mul(2_654_435_761)
}

fn byte(number: u32) -> u8 {
    spread(number).to_be_bytes()[0]
}

fn header() -> Header {
    Header {
        utc_seconds: 1_600_000_000,
        frame_index: 1,
        ..Header::default()
    }
}

fn dom(number: u32) -> DomId {
    DomId(806_451_572 + number * 701)
}

fn snapshot_hit(number: u32) -> SnapshotHit {
    let channel = ChannelId(byte(number) % 31);
    SnapshotHit::new(
        dom(number / 3),
        channel,
        spread(number) % 100_000_000,
        byte(number + 1),
    )
}

fn summary() -> Vec<u8> {
    let frames: Vec<SummaryFrame> = (0..DOMS)
        .map(|n| {
            let mut codes = [0; 31];
            codes
                .iter_mut()
                .zip(n * 31..)
                .for_each(|(code, n)| *code = 40 + byte(n) % 40);
            SummaryFrame::new(dom(n), FrameStatus::complete(30, 0, 0), codes)
        })
        .collect();
    let mut body = Vec::new();
    SummarySlice {
        header: header(),
        frames: &frames,
    }
    .encode(&mut body)
    .expect("fits into a message");
    body
}

fn l1_slice() -> Vec<u8> {
    let hits: Vec<SliceHit> = (0..HITS_PER_L1_FRAME)
        .map(|n| SliceHit::new(ChannelId(byte(n) % 31), n * 499_999, byte(n + 7)))
        .collect();
    let frames: Vec<SuperFrame<'_>> = (0..DOMS)
        .map(|n| SuperFrame {
            header: header(),
            dom_id: dom(n),
            status: FrameStatus::complete(30, 0, 0),
            hits: &hits,
        })
        .collect();
    let mut body = Vec::new();
    encode_time_slice(SliceLevel::L1, &header(), &frames, &mut body).expect("fits into a message");
    body
}

fn event() -> Vec<u8> {
    let snapshot: Vec<SnapshotHit> = (0..SNAPSHOT_HITS).map(snapshot_hit).collect();
    let triggered: Vec<TriggeredHit> = (0..TRIGGERED_HITS)
        .map(|n| TriggeredHit::new(snapshot_hit(n * 5), TriggerMask(0x12)))
        .collect();
    let event = Event {
        legacy: false,
        header: header(),
        trigger_counter: 1,
        trigger_mask: TriggerMask(0x16),
        overlays: 0,
        triggered: &triggered,
        snapshot: &snapshot,
    };
    let mut body = Vec::new();
    event.encode(&mut body).expect("fits into a message");
    body
}

fn monitoring() -> Vec<u8> {
    let mut rate_counts = [0; 31];
    rate_counts
        .iter_mut()
        .zip(0..)
        .for_each(|(count, n)| *count = 600 + u32::from(byte(n)));
    let mut body = Vec::new();
    TmchFields {
        dom_id: dom(1),
        rate_counts,
        ..TmchFields::default()
    }
    .encode(&mut body);
    body
}

fn hit_sum<'a>(hits: impl Iterator<Item = &'a SnapshotHit>) -> u64 {
    hits.map(|h| {
        u64::from(h.dom_id().0)
            + u64::from(h.channel().0)
            + u64::from(h.time_ns())
            + u64::from(h.tot_ns())
    })
    .sum()
}

fn event_values(body: &[u8]) -> u64 {
    let event = Event::decode(body).expect("made above");
    let masks: u64 = event.triggered.iter().map(|h| h.trigger_mask().0).sum();
    masks + hit_sum(event.triggered.iter().map(TriggeredHit::hit)) + hit_sum(event.snapshot.iter())
}

fn summary_values(body: &[u8]) -> f64 {
    let slice = SummarySlice::decode(body).expect("made above");
    let frames = slice.frames.iter();
    let counted = frames.filter(|f| f.status().is_complete() && f.status().white_rabbit_ok());
    counted
        .map(|f| f.dom_rate_hz() + f64::from(f.dom_id().0))
        .sum()
}

fn slice_values(body: &[u8]) -> u64 {
    let slice = TimeSlice::decode(SliceLevel::L1, body).expect("made above");
    let hits = slice.frames().flat_map(|frame| frame.hits);
    hits.map(|h| u64::from(h.channel().0) + u64::from(h.time_ns()) + u64::from(h.tot_ns()))
        .sum()
}

fn monitoring_values(body: &[u8]) -> f64 {
    let packet = Tmch::decode(body).expect("made above");
    packet.rates_hz().iter().sum::<f64>() + f64::from(packet.hrv()) + f64::from(packet.dom_id().0)
}

fn memory(body: &[u8]) -> u64 {
    let (words, rest) = body.as_chunks::<8>();
    let sum = words.iter().fold(0_u64, |sum, word| {
        sum.wrapping_add(u64::from_le_bytes(*word))
    });
    rest.iter()
        .fold(sum, |sum, byte| sum.wrapping_add(u64::from(*byte)))
}

/// Measures one payload: the view alone, every value of it, and the memory.
fn measure<T>(
    criterion: &mut Criterion,
    name: &str,
    body: &[u8],
    decode: impl Fn(&[u8]) -> bool,
    values: impl Fn(&[u8]) -> T,
) {
    let mut group: BenchmarkGroup<'_, WallTime> = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("decode", |b| b.iter(|| decode(black_box(body))));
    group.bench_function("values", |b| b.iter(|| values(black_box(body))));
    group.bench_function("memory", |b| b.iter(|| memory(black_box(body))));
    group.finish();
}

fn payloads(c: &mut Criterion) {
    let is_summary = |body: &[u8]| SummarySlice::decode(body).is_ok();
    measure(
        c,
        "summary_4140_doms",
        &summary(),
        is_summary,
        summary_values,
    );
    let is_slice = |body: &[u8]| TimeSlice::decode(SliceLevel::L1, body).is_ok();
    measure(c, "l1_slice_4140_doms", &l1_slice(), is_slice, slice_values);
    let is_event = |body: &[u8]| Event::decode(body).is_ok();
    measure(c, "event_3000_hits", &event(), is_event, event_values);
    let is_packet = |body: &[u8]| Tmch::decode(body).is_ok();
    measure(c, "tmch", &monitoring(), is_packet, monitoring_values);
}

/// Splits a read buffer of 256 KiB full of messages with bodies of 200 bytes and six tags.
fn splitter(c: &mut Criterion) {
    let kinds = [
        tags::IO_EVT,
        tags::IO_SUM,
        tags::IO_TSL1,
        tags::IO_TSSN,
        tags::IO_MONIT,
        tags::MSG,
    ];
    let mut buffer = Vec::new();
    for tag in kinds.iter().cycle() {
        if buffer.len() >= 256 << 10 {
            break;
        }
        encode_frame(*tag, &[7; 200], &mut buffer).expect("fits into a message");
    }
    let mut group = c.benchmark_group("splitter_200_byte_bodies");
    let frames = Splitter::new(BODY_BYTES_MAX_DEFAULT)
        .frames(&buffer)
        .count();
    group.throughput(Throughput::Elements(frames as u64));
    group.bench_function("frames", |b| {
        b.iter(|| {
            let mut splitter = Splitter::new(BODY_BYTES_MAX_DEFAULT);
            splitter
                .frames(black_box(&buffer))
                .flatten()
                .map(|f| f.body_len())
                .sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, payloads, splitter);
criterion_main!(benches);
