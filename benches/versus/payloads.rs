//! Payloads of a full detector, without chance: the same in every run.

use fathom_formats::detx::Detector;
use fathom_formats::km3net::{
    ChannelId, DetectorId, DomId, Event, FrameStatus, Header, RunNumber, SliceHit, SliceLevel,
    SnapshotHit, SummaryFrame, SummarySlice, SuperFrame, TriggerMask, TriggeredHit,
    encode_time_slice,
};
use fathom_kernel::{Frame, Setup, Tag, Timestamp};

const START_S: u32 = 1_700_000_000;

/// Spreads values: consecutive numbers land far apart.
fn spread(number: u32) -> u32 {
    number.wrapping_mul(2_654_435_761)
}

fn byte(number: u32) -> u8 {
    spread(number).to_be_bytes()[0]
}

fn header(frame: u32) -> Header {
    Header {
        detector_id: DetectorId(1),
        run: RunNumber(7),
        frame_index: i32::try_from(frame).unwrap(),
        utc_seconds: START_S + frame / 10,
        ticks: frame % 10 * 6_250_000,
        ..Header::default()
    }
}

/// The time of all messages.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(i64::from(START_S) + 200).unwrap()
}

/// A message of the bus.
pub(crate) fn frame(tag: Tag, body: &[u8]) -> fathom_kernel::Event {
    fathom_kernel::Event::Frame(Frame {
        source: "bench".into(),
        tag,
        received: now(),
        body: body.to_vec().into(),
    })
}

/// A summary slice with usual rates.
pub(crate) fn summary(doms: u32) -> Vec<u8> {
    let frame = |n: u32| {
        let codes = std::array::from_fn(|c| 40 + byte(n * 31 + u32::try_from(c).unwrap()) % 40);
        SummaryFrame::new(
            DomId(806_451_572 + n * 701),
            FrameStatus::complete(30, 0, 0),
            codes,
        )
    };
    let frames: Vec<_> = (0..doms).map(frame).collect();
    let mut body = Vec::new();
    let header = header(1);
    let slice = SummarySlice {
        header,
        frames: &frames,
    };
    slice.encode(&mut body).unwrap();
    body
}

/// A slice whose modules have hits in pairs, as L1 data have them.
pub(crate) fn slice(doms: u32, hits: u32) -> Vec<u8> {
    let hit = |dom: u32, n: u32| {
        let pair_ns = spread(dom * 1000 + n / 2) % 100_000_000;
        let apart_ns = n % 2 * (u32::from(byte(n)) % 10);
        let channel = ChannelId(byte(dom + n * 7) % 31);
        SliceHit::new(channel, pair_ns + apart_ns, 26)
    };
    let of = |dom: u32| {
        let mut list: Vec<_> = (0..hits).map(|n| hit(dom, n)).collect();
        list.sort_by_key(|hit| (hit.channel(), hit.time_ns()));
        list
    };
    let lists: Vec<Vec<SliceHit>> = (0..doms).map(of).collect();
    let frames = lists.iter().zip(0..).map(|(hits, n)| SuperFrame {
        header: header(1),
        dom_id: DomId(806_451_572 + n * 701),
        status: FrameStatus::complete(8, 0, 0),
        hits,
    });
    let frames: Vec<_> = frames.collect();
    let mut body = Vec::new();
    encode_time_slice(SliceLevel::L1, &header(1), &frames, &mut body).unwrap();
    body
}

/// An event with hits all over the detector, a sixth of them triggered.
pub(crate) fn event(detector: &Detector, hits: u32) -> Vec<u8> {
    numbered(detector, hits, 1)
}

fn numbered(detector: &Detector, hits: u32, number: u32) -> Vec<u8> {
    let doms: Vec<DomId> = detector.optical_modules().map(|module| module.id).collect();
    let hit = |n: u32| {
        let dom = doms[spread(number * 8191 + n / 3) as usize % doms.len()];
        let time_ns = 50_000_000 + spread(n) % 4000;
        SnapshotHit::new(
            dom,
            ChannelId(byte(n) % 31),
            time_ns,
            20 + byte(n + 1) % 100,
        )
    };
    let snapshot: Vec<_> = (0..hits).map(hit).collect();
    let triggered = (0..hits)
        .step_by(6)
        .map(|n| TriggeredHit::new(hit(n), TriggerMask(0x12)));
    let triggered: Vec<_> = triggered.collect();
    let mut body = Vec::new();
    let event = Event {
        legacy: false,
        header: header(number),
        trigger_counter: number.into(),
        trigger_mask: TriggerMask(0x12),
        overlays: 3,
        triggered: &triggered,
        snapshot: &snapshot,
    };
    event.encode(&mut body).unwrap();
    body
}

/// So many events of 300 hits, 100 ms apart.
pub(crate) fn events(setup: &Setup, count: u32) -> Vec<Vec<u8>> {
    let detector = setup.detector.as_deref().unwrap();
    (0..count)
        .map(|number| numbered(detector, 300, number))
        .collect()
}
