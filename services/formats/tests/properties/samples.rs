//! Payloads of any content.

use fathom_formats::controlhost::{Tag, tags};
use fathom_formats::km3net::*;
use proptest::prelude::*;

pub(crate) fn header() -> impl Strategy<Value = Header> {
    any::<(i32, i32, i32, u32, bool, u32)>().prop_map(
        |(detector, run, frame_index, s, wr, ticks)| Header {
            detector_id: DetectorId(detector),
            run: RunNumber(run),
            frame_index,
            utc_seconds: s >> 1,
            white_rabbit: wr,
            ticks: ticks % 62_500_000,
        },
    )
}

pub(crate) fn snapshot_hit() -> impl Strategy<Value = SnapshotHit> {
    any::<(u32, u8, u32, u8)>()
        .prop_map(|(dom, channel, t, tot)| SnapshotHit::new(DomId(dom), ChannelId(channel), t, tot))
}

pub(crate) fn triggered_hit() -> impl Strategy<Value = TriggeredHit> {
    (snapshot_hit(), any::<u64>()).prop_map(|(hit, mask)| TriggeredHit::new(hit, TriggerMask(mask)))
}

pub(crate) fn slice_hit() -> impl Strategy<Value = SliceHit> {
    any::<(u8, u32, u8)>().prop_map(|(channel, t, tot)| SliceHit::new(ChannelId(channel), t, tot))
}

pub(crate) fn status() -> impl Strategy<Value = FrameStatus> {
    any::<(u32, u32, u32, u32, u32)>().prop_map(|(daq, status, fifo, a, b)| {
        FrameStatus::from_words(daq, status, fifo).with_spares(a, b)
    })
}

pub(crate) fn summary_frame() -> impl Strategy<Value = SummaryFrame> {
    (any::<u32>(), status(), any::<[u8; 31]>())
        .prop_map(|(dom, status, codes)| SummaryFrame::new(DomId(dom), status, codes))
}

pub(crate) fn tmch() -> impl Strategy<Value = TmchFields> {
    let words = any::<[u32; 12]>();
    let floats = any::<[[f32; 3]; 4]>();
    let optional = proptest::option::of((any::<u32>(), proptest::option::of(any::<(u16, u16)>())));
    (
        words,
        any::<[u32; 31]>(),
        floats,
        any::<(u16, u16)>(),
        optional,
    )
        .prop_map(
            |(w, rate_counts, floats, (temperature_raw, humidity_raw), optional)| TmchFields {
                run: w[0],
                udp_sequence_number: w[1],
                utc_seconds: w[2],
                ticks: w[3] % 62_500_000,
                dom_id: DomId(w[4]),
                dom_status: [w[5], w[6], w[7], w[8]],
                rate_counts,
                hrv: w[9],
                flags: w[10],
                ypr_deg: floats[0],
                acceleration_g: floats[1],
                gyroscope: floats[2],
                magnetic_gauss: floats[3],
                temperature_raw,
                humidity_raw,
                tdc_full: w[11],
                aes_full: w[0],
                flush_count: w[1],
                slice_duration_us: optional.map(|(duration, _)| duration),
                fifo_sizes: optional
                    .and_then(|(_, s)| s)
                    .map(|(tdc, aes)| FifoSizes { tdc, aes }),
            },
        )
}

fn fit() -> impl Strategy<Value = Fit> {
    any::<([f64; 9], i32, i32, i32)>().prop_map(|(v, kind, status, ndf)| Fit {
        position_m: [v[0], v[1], v[2]],
        direction: [v[3], v[4], v[5]],
        energy_gev: v[6],
        quality: v[7],
        time_ns: v[8],
        kind,
        status,
        ndf,
    })
}

fn variables() -> impl Strategy<Value = Variables> {
    any::<([f64; 6], u32, u32)>().prop_map(|(v, triggered_hits, snapshot_hits)| Variables {
        charge_centre: v[0],
        charge_total: v[1],
        charge_above: v[2],
        charge_below: v[3],
        charge_ratio: v[4],
        delta_z: v[5],
        triggered_hits,
        snapshot_hits,
    })
}

pub(crate) fn online() -> impl Strategy<Value = OnlineReco> {
    let ids = any::<(i32, i32, i32, u64, u32)>();
    (ids, fit(), fit(), proptest::option::of(variables())).prop_map(
        |((detector, run, frame_index, trigger_counter, s), shower, track, variables)| OnlineReco {
            detector_id: DetectorId(detector),
            run: RunNumber(run),
            frame_index,
            trigger_counter,
            utc_seconds: s,
            shower,
            track,
            variables,
            extra_bytes: 0,
        },
    )
}

/// One small body of each kind, with its tag.
pub(crate) fn bodies() -> Vec<(Tag, Vec<u8>)> {
    let header = Header {
        utc_seconds: 1_600_000_000,
        frame_index: 7,
        ..Header::default()
    };
    let hit = SnapshotHit::new(DomId(806_451_572), ChannelId(3), 40_380_598, 27);
    let event = Event {
        legacy: false,
        header,
        trigger_counter: 1 << 40,
        trigger_mask: TriggerMask(22),
        overlays: 1,
        triggered: &[TriggeredHit::new(hit, TriggerMask(4)); 2],
        snapshot: &[hit; 3],
    };
    let frame = SummaryFrame::new(DomId(1), FrameStatus::complete(20, 1, 2), [80; 31]);
    let hits = [
        SliceHit::new(ChannelId(1), 5, 20),
        SliceHit::new(ChannelId(1), 6, 21),
    ];
    let super_frame = |hits| SuperFrame {
        header,
        dom_id: DomId(2),
        status: FrameStatus::complete(3, 0, 0),
        hits,
    };
    let frames = [super_frame(&hits[..]), super_frame(&[])];
    let mut out = vec![Vec::new(); 6];
    event.encode(&mut out[0]).unwrap();
    SummarySlice {
        header,
        frames: &[frame; 2],
    }
    .encode(&mut out[1])
    .unwrap();
    encode_time_slice(SliceLevel::L1, &header, &frames, &mut out[2]).unwrap();
    TmchFields::default().encode(&mut out[3]);
    unfitted().encode(&mut out[4]).unwrap();
    encode_message(
        "Tue May  4 2021 192.168.0.3 F012 WARNING HRV high",
        &mut out[5],
    );
    let kinds = [
        tags::IO_EVT,
        tags::IO_SUM,
        tags::IO_TSL1,
        tags::IO_MONIT,
        tags::IO_OLINE,
        tags::MSG,
    ];
    kinds.into_iter().zip(out).collect()
}

fn unfitted() -> OnlineReco {
    OnlineReco {
        detector_id: DetectorId(1),
        run: RunNumber(2),
        frame_index: 3,
        trigger_counter: 4,
        utc_seconds: 5,
        shower: Fit::default(),
        track: Fit::default(),
        variables: Some(Variables::default()),
        extra_bytes: 0,
    }
}
