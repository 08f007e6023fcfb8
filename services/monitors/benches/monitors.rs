//! What one message costs each monitor, with payloads of two full blocks: 4,140 DOMs.
//!
//! `cargo bench -p fathom-monitors`. Times are per message; a full detector sends 41,400 `IO_MONIT`
//! packets and 10 summary slices a second.
#![allow(clippy::expect_used, missing_docs, reason = "a benchmark")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fathom_formats::detx::{Detector, Layout};
use fathom_formats::km3net::{
    CHANNELS, ChannelId, DetectorId, DomId, Event as Payload, FrameStatus, Header, RunNumber,
    SliceHit, SliceLevel, SnapshotHit, SummaryFrame, SummarySlice, SuperFrame, TmchFields,
    TriggerMask, TriggeredHit, encode_time_slice,
};
use fathom_kernel::{Event, Frame, Monitor, Outputs, Setup, Tag, Timestamp, tags};
use fathom_monitors::{
    AhrsCalibration, AhrsCalibrationConfig, DomActivity, DomActivityConfig, DomRates,
    DomRatesConfig, PmtRates, PmtRatesConfig, TimesliceRates, TimesliceRatesConfig,
    TimesyncMonitor, TimesyncMonitorConfig, TriggerMap, TriggerMapConfig, TriggerRates,
    TriggerRatesConfig, Uncalibrated,
};

const START_S: u32 = 1_700_000_400;
const DUS: u32 = 230;

fn setup() -> Setup {
    Setup {
        detector: Some(Arc::new(Detector::generated(&Layout::arca(DUS)))),
        ..Setup::default()
    }
}

fn doms(setup: &Setup) -> Vec<DomId> {
    let detector = setup.detector.as_ref().expect("made above");
    detector.optical_modules().map(|module| module.id).collect()
}

/// The header of frame number `n`, each 100 ms.
fn header(n: u32) -> Header {
    Header {
        detector_id: DetectorId(1),
        run: RunNumber(1),
        frame_index: 0,
        utc_seconds: START_S + n / 10,
        white_rabbit: false,
        ticks: n % 10 * 6_250_000,
    }
}

fn frame(tag: Tag, n: u32, body: Vec<u8>) -> Event {
    let received = i64::from(START_S) * 1000 + i64::from(n) * 100;
    Event::Frame(Frame {
        source: "bench".into(),
        tag,
        received: Timestamp::from_millisecond(received).expect("a year of ours"),
        body: body.into(),
    })
}

fn slices(setup: &Setup, count: u32) -> Vec<Event> {
    let frames: Vec<_> = doms(setup)
        .into_iter()
        .zip(0_u32..)
        .map(|(dom, n)| {
            let hrv = if n.is_multiple_of(50) {
                1 << (n % 31)
            } else {
                0
            };
            let codes =
                std::array::from_fn(|c| u8::try_from((c * 7 + n as usize) % 90).unwrap_or(0));
            SummaryFrame::new(dom, FrameStatus::complete(8, hrv, 0), codes)
        })
        .collect();
    let slice = |n| {
        let mut body = Vec::new();
        let header = header(n);
        let frames = &frames;
        SummarySlice { header, frames }
            .encode(&mut body)
            .expect("short");
        frame(tags::IO_SUM, n, body)
    };
    (0..count).map(slice).collect()
}

fn packets(setup: &Setup, frames: u32) -> Vec<Event> {
    let doms = doms(setup);
    let packet = |n: u32, dom_id: DomId| {
        let fields = TmchFields {
            utc_seconds: header(n).utc_seconds,
            ticks: header(n).ticks,
            dom_id,
            rate_counts: [700 + n; CHANNELS],
            hrv: if dom_id.0.is_multiple_of(50) { 3 } else { 0 },
            flags: 0b11,
            acceleration_g: [0.02, 0.01, 0.99],
            magnetic_gauss: [0.2, 0.1, -0.37],
            ..TmchFields::default()
        };
        let mut body = Vec::new();
        fields.encode(&mut body);
        frame(tags::IO_MONIT, n, body)
    };
    let of_frame = |n| doms.iter().map(move |&dom| packet(n, dom));
    (0..frames).flat_map(of_frame).collect()
}

fn events(setup: &Setup, count: u32) -> Vec<Event> {
    let doms = doms(setup);
    let hit = |n: u8| SnapshotHit::new(doms[usize::from(n)], ChannelId(n % 31), n.into(), 25);
    let snapshot: Vec<_> = (0..200).map(hit).collect();
    let triggered: Vec<_> = (0..50)
        .map(|n| TriggeredHit::new(hit(n), TriggerMask(18)))
        .collect();
    let event = |n| {
        let mut body = Vec::new();
        let payload = Payload {
            legacy: false,
            header: header(n),
            trigger_counter: n.into(),
            trigger_mask: TriggerMask(18),
            overlays: 3,
            triggered: &triggered,
            snapshot: &snapshot,
        };
        payload.encode(&mut body).expect("short");
        frame(tags::IO_EVT, n, body)
    };
    (0..count).map(event).collect()
}

/// Time slices of 5 MB: 200 hits of every module.
fn time_slices(setup: &Setup, count: u32) -> Vec<Event> {
    let hits = [SliceHit::new(ChannelId(3), 1000, 25); 200];
    let doms = doms(setup);
    let message = |n, body| frame(tags::IO_TSL1, n, body);
    let slice = |n| {
        let header = Header {
            frame_index: i32::try_from(n).unwrap_or(0),
            ..header(n)
        };
        let frame = |&dom_id: &DomId| SuperFrame {
            header,
            dom_id,
            status: FrameStatus::complete(8, 0, 0),
            hits: &hits,
        };
        let frames: Vec<_> = doms.iter().map(frame).collect();
        let mut body = Vec::new();
        encode_time_slice(SliceLevel::L1, &header, &frames, &mut body).expect("5 MB");
        message(n, body)
    };
    (0..count).map(slice).collect()
}

/// Feeds all messages to a fresh monitor that has seen them once already.
fn feed<M: Monitor>(c: &mut Criterion, name: &str, config: &M::Config, events: &[Event]) {
    let setup = setup();
    let mut group = c.benchmark_group("on_event");
    group.throughput(Throughput::Elements(events.len() as u64));
    group.sample_size(20);
    let warm = || {
        let mut monitor = M::new(config.clone(), &setup);
        let mut out = Outputs::default();
        events
            .iter()
            .for_each(|event| monitor.on_event(event, &mut out));
        (monitor, out)
    };
    group.bench_function(name, |b| {
        b.iter_batched(
            warm,
            |(mut monitor, mut out)| {
                for event in events {
                    monitor.on_event(black_box(event), &mut out);
                }
                (monitor, out)
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// Draws everything after ten seconds of data.
fn draw<M: Monitor>(c: &mut Criterion, name: &str, config: &M::Config, events: &[Event]) {
    let setup = setup();
    let mut group = c.benchmark_group("on_tick");
    group.sample_size(10);
    let filled = || {
        let mut monitor = M::new(config.clone(), &setup);
        let mut out = Outputs::default();
        events
            .iter()
            .for_each(|event| monitor.on_event(event, &mut out));
        (monitor, out)
    };
    let now = Timestamp::from_second(i64::from(START_S) + 13).expect("a year of ours");
    group.bench_function(name, |b| {
        b.iter_batched(
            filled,
            |(mut monitor, mut out)| {
                monitor.on_tick(now, &mut out);
                (monitor, out)
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn all(c: &mut Criterion) {
    let setup = setup();
    let slices = slices(&setup, 20);
    let packets = packets(&setup, 10);
    let events = events(&setup, 2000);
    feed::<TriggerRates>(c, "trigger_rates", &TriggerRatesConfig::default(), &events);
    feed::<DomRates>(c, "dom_rates", &DomRatesConfig::default(), &slices);
    feed::<DomActivity>(c, "dom_activity", &DomActivityConfig::default(), &slices);
    feed::<PmtRates>(c, "pmt_rates", &PmtRatesConfig::default(), &packets);
    let compasses = AhrsCalibrationConfig {
        uncalibrated: Uncalibrated::Identity,
        ..AhrsCalibrationConfig::default()
    };
    feed::<AhrsCalibration>(c, "ahrs_calibration", &compasses, &packets);
    let timesync = TimesyncMonitorConfig::default();
    feed::<TimesyncMonitor>(c, "timesync_monitor", &timesync, &slices);
    feed::<TriggerMap>(c, "triggermap", &TriggerMapConfig::default(), &events);
    draw::<TriggerMap>(c, "triggermap", &TriggerMapConfig::default(), &events);
    let (config, time_slices) = (TimesliceRatesConfig::default(), time_slices(&setup, 10));
    feed::<TimesliceRates>(c, "timeslice_rates", &config, &time_slices);
    draw::<DomRates>(c, "dom_rates", &DomRatesConfig::default(), &slices);
    draw::<DomActivity>(c, "dom_activity", &DomActivityConfig::default(), &slices);
    draw::<PmtRates>(c, "pmt_rates", &PmtRatesConfig::default(), &packets);
    draw::<AhrsCalibration>(c, "ahrs_calibration", &compasses, &packets);
    draw::<TimesyncMonitor>(c, "timesync_monitor", &timesync, &slices);
}

criterion_group!(benches, all);
criterion_main!(benches);
