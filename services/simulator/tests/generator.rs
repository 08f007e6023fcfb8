//! What the simulated detector sends: repeatable, decodable, consistent, and wrong on demand.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use fathom_formats::controlhost::{Tag, tags};
use fathom_formats::detx::{Detector, Layout as Geometry};
use fathom_formats::km3net::{Payload, rate_hz};
use fathom_kernel::{Size, Span};
use fathom_simulator::{
    Disturbance, FakeDetectorOptions, FaultKind, FaultSpec, Generator, Layout, STEPS_PER_FRAME,
    SliceOptions, Step,
};

const START_S: u64 = 1_767_225_600;

fn layout(dus: u32) -> Arc<Layout> {
    Arc::new(Layout::new(&Detector::generated(&Geometry::orca(dus))))
}

fn busy() -> FakeDetectorOptions {
    let mut options = FakeDetectorOptions::default();
    options.io_evt.rate_hz = Some(40.0);
    options.io_tsl1.every = 2;
    options.bursts.per_dom_and_hour = 100.0;
    options
}

fn messages(step: &Step) -> impl Iterator<Item = (Tag, Bytes)> + '_ {
    step.chunks.iter().flat_map(|chunk| chunk.messages())
}

/// Runs so many frames and returns all messages.
fn run(options: &FakeDetectorOptions, dus: u32, frames: usize) -> Vec<(Tag, Bytes)> {
    let mut generator = Generator::new(layout(dus), options, START_S);
    (0..frames * STEPS_PER_FRAME)
        .flat_map(|_| messages(&generator.step()).collect::<Vec<_>>())
        .collect()
}

fn with_fault(spec: FaultSpec) -> FakeDetectorOptions {
    FakeDetectorOptions {
        faults: vec![spec],
        ..busy()
    }
}

fn bad_by_reason(messages: &[(Tag, Bytes)]) -> BTreeMap<&'static str, usize> {
    let mut bad = BTreeMap::new();
    for (tag, body) in messages {
        if let Err(error) = Payload::decode(*tag, body) {
            *bad.entry(error.reason()).or_default() += 1;
        }
    }
    bad
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_does_not() {
    let (one, two) = (run(&busy(), 2, 30), run(&busy(), 2, 30));
    assert!(one == two);
    let other = FakeDetectorOptions { seed: 2, ..busy() };
    assert!(one != run(&other, 2, 30));
}

#[test]
fn a_stream_switched_off_does_not_change_the_others() {
    let all = run(&busy(), 1, 20);
    let mut options = busy();
    options.io_tsl1.enabled = false;
    options.io_evt.enabled = false;
    let some = run(&options, 1, 20);
    let of = |messages: &[(Tag, Bytes)], tag| {
        let of_tag = messages.iter().filter(move |(t, _)| *t == tag).cloned();
        of_tag.collect::<Vec<_>>()
    };
    for tag in [tags::IO_SUM, tags::IO_MONIT, tags::MSG] {
        assert!(!of(&all, tag).is_empty());
        assert!(of(&all, tag) == of(&some, tag), "{tag}");
    }
    assert!(of(&some, tags::IO_EVT).is_empty() && of(&some, tags::IO_TSL1).is_empty());
}

#[test]
fn every_message_decodes_and_every_stream_has_its_rate() {
    let messages = run(&busy(), 2, 50);
    let mut counts: BTreeMap<Tag, usize> = BTreeMap::new();
    for (tag, body) in &messages {
        Payload::decode(*tag, body).unwrap();
        *counts.entry(*tag).or_default() += 1;
    }
    // Five seconds, 36 optical and 2 base modules.
    assert_eq!(counts[&tags::IO_SUM], 50);
    assert_eq!(counts[&tags::IO_TSL1], 25);
    assert_eq!(counts[&tags::IO_TSSN], 50);
    assert_eq!(counts[&tags::IO_MONIT], 50 * 38);
    assert!((130..270).contains(&counts[&tags::IO_EVT]), "{counts:?}");
    assert!(counts[&tags::MSG] >= 9);
    assert_eq!(counts[&tags::IO_OLINE], counts[&tags::IO_EVT]);
    assert!(!counts.contains_key(&tags::IO_TSL0) && !counts.contains_key(&tags::IO_TSL2));
}

#[test]
fn all_hits_and_near_coincidences_are_sent_when_asked_for_and_change_nothing_else() {
    let mut options = busy();
    for slices in [&mut options.io_tsl0, &mut options.io_tsl2] {
        (slices.enabled, slices.every) = (true, 5);
    }
    let (all, some) = (run(&options, 1, 20), run(&busy(), 1, 20));
    let of = |messages: &[(Tag, Bytes)], tag| {
        let of_tag = messages.iter().filter(move |(t, _)| *t == tag).cloned();
        of_tag.map(|(_, body)| body).collect::<Vec<_>>()
    };
    for tag in [
        tags::IO_TSL1,
        tags::IO_TSSN,
        tags::IO_EVT,
        tags::IO_OLINE,
        tags::IO_SUM,
    ] {
        assert!(of(&all, tag) == of(&some, tag), "{tag}");
    }
    let hits = |tag| {
        let bodies = of(&all, tag);
        assert_eq!(bodies.len(), 4);
        let mut hits = 0;
        for body in bodies {
            let Ok(Payload::TimeSlice(slice)) = Payload::decode(tag, &body) else {
                panic!("a time slice")
            };
            assert!(slice.frames().all(|frame| frame.defect().is_none()));
            hits += slice.hit_count();
        }
        hits
    };
    let (l0, l1, l2) = (
        hits(tags::IO_TSL0),
        of(&all, tags::IO_TSL1).len(),
        hits(tags::IO_TSL2),
    );
    // 18 modules of 31 PMTs at 7.5 kHz, four frames: 1.7 million; coincidences are far fewer.
    assert!((1_200_000..3_000_000).contains(&l0), "{l0}");
    assert_eq!(l1, 10);
    assert!((1000..100_000).contains(&l2), "{l2}");
}

#[test]
fn tracks_come_from_where_the_muons_come() {
    let messages = run(&busy(), 4, 200);
    let (mut down, mut up, mut showers, mut failed) = (0, 0, 0, 0);
    for (tag, body) in messages {
        let Payload::Online(reco) = Payload::decode(tag, &body).unwrap() else {
            continue;
        };
        showers += u32::from(reco.shower.is_fitted());
        if reco.track.status != 1 {
            failed += 1;
            continue;
        }
        let length = reco.track.direction.iter().map(|x| x * x).sum::<f64>();
        assert!((length - 1.0).abs() < 1e-9);
        down += u32::from(reco.track.cos_zenith() > 0.0);
        up += u32::from(reco.track.cos_zenith() <= 0.0);
    }
    // 20 s at 40 Hz: a tenth showers, one muon in fifty from below, and a few wrong fits.
    assert!((40..130).contains(&showers), "{showers}");
    assert!(down > 500 && (5..60).contains(&up), "{down} {up}");
    assert!(failed >= showers && failed < 200, "{failed}");
}

#[test]
fn a_lost_beacon_is_silent_and_the_others_go_on() {
    let mut options = with_fault(FaultSpec {
        beacons: vec![11],
        ..FaultSpec::of(FaultKind::BeaconLost)
    });
    options.io_toa.cycle = Span::from_secs(60);
    options.io_toa.noise_per_minute = 0.0;
    options.io_evt.enabled = false;
    options.io_tsl1.enabled = false;
    options.io_tssn.enabled = false;
    let mut emitters = std::collections::BTreeSet::new();
    for (tag, body) in run(&options, 1, 600) {
        if let Payload::Arrivals(arrivals) = Payload::decode(tag, &body).unwrap() {
            emitters.extend(arrivals.iter().map(|arrival| arrival.emitter));
        }
    }
    assert_eq!(emitters, std::collections::BTreeSet::from([12, 13]));
}

#[test]
fn headers_follow_the_run_and_its_changes() {
    let options = FakeDetectorOptions {
        first_run: 500,
        run_length: Span::from_secs(2),
        ..busy()
    };
    let mut runs: BTreeMap<i32, (i32, i32)> = BTreeMap::new();
    let mut counters: BTreeMap<i32, Vec<u64>> = BTreeMap::new();
    for (tag, body) in run(&options, 1, 50) {
        let payload = Payload::decode(tag, &body).unwrap();
        if let Payload::Event(event) = &payload {
            let of_run = counters.entry(event.header.run.0).or_default();
            of_run.push(event.trigger_counter);
        }
        let Some(header) = payload.header() else {
            continue;
        };
        let number = u64::try_from(header.run.0 - 500).unwrap();
        let run_start_ns = (START_S + 2 * number) * 1_000_000_000;
        assert_eq!(header.run_start_ns(), Some(run_start_ns), "{header:?}");
        assert!(!header.white_rabbit);
        let seen = runs.entry(header.run.0).or_insert((i32::MAX, 0));
        *seen = (
            seen.0.min(header.frame_index),
            seen.1.max(header.frame_index),
        );
    }
    let expected = [(500, (0, 19)), (501, (0, 19)), (502, (0, 9))];
    assert_eq!(runs, BTreeMap::from(expected));
    // Triggers are counted from 0 in each run, without gaps.
    for of_run in counters.values() {
        let number = of_run.len() as u64;
        assert_eq!(*of_run, (0..number).collect::<Vec<_>>());
    }
}

#[test]
fn summary_and_monitoring_agree_on_rates_and_vetoes() {
    let messages = run(&busy(), 1, 100);
    let mut monit: BTreeMap<(u32, u32, u32), ([u32; 31], u32)> = BTreeMap::new();
    for (_, body) in messages.iter().filter(|(tag, _)| *tag == tags::IO_MONIT) {
        let Ok(Payload::Monitoring(packet)) = Payload::decode(tags::IO_MONIT, body) else {
            panic!("a monitoring packet");
        };
        let key = (packet.dom_id().0, packet.utc_seconds(), packet.ticks());
        monit.insert(key, (packet.rate_counts(), packet.hrv_bits()));
    }
    let (mut vetoed, mut full) = (0, 0);
    for (_, body) in messages.iter().filter(|(tag, _)| *tag == tags::IO_SUM) {
        let Ok(Payload::Summary(slice)) = Payload::decode(tags::IO_SUM, body) else {
            panic!("a summary slice");
        };
        for frame in slice.frames {
            let key = (
                frame.dom_id().0,
                slice.header.utc_seconds,
                slice.header.ticks,
            );
            let (counts, hrv) = monit[&key];
            assert_eq!(frame.status().hrv_bits(), hrv);
            assert!(frame.status().is_complete() && frame.status().white_rabbit_ok());
            for (code, count) in frame.codes().iter().zip(counts) {
                // A code is good to half a step of 2.7 %.
                let exact = f64::from(count) * 10.0;
                assert!((rate_hz(*code) / exact - 1.0).abs() < 0.014 || exact > 2e6);
            }
            vetoed += frame.status().hrv_bits().count_ones();
            full += frame.status().fifo_bits().count_ones();
        }
    }
    // 100 bursts per module and hour: five in these ten seconds, some of them bright.
    assert!(vetoed > 0 && full < vetoed, "{vetoed} {full}");
}

#[test]
fn a_slice_in_parts_has_every_module_once() {
    let mut options = busy();
    options.io_sum = SliceOptions {
        parts: 4,
        filters: 4,
        ..SliceOptions::default()
    };
    let mut seen: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
    for (tag, body) in run(&options, 1, 20) {
        if let Payload::Summary(slice) = Payload::decode(tag, &body).unwrap() {
            let of_frame = seen.entry(slice.header.frame_index).or_default();
            of_frame.extend(slice.frames.iter().map(|frame| frame.dom_id().0));
        }
    }
    assert!(seen.len() >= 17);
    for doms in seen.values_mut() {
        doms.sort_unstable();
        doms.dedup();
        assert_eq!(doms.len(), 18);
    }
}

#[test]
fn a_dead_module_sends_nothing_and_an_unsynchronised_one_says_so() {
    let layout = layout(1);
    let (dead, lost) = (layout.doms[2].id, layout.doms[5].id);
    let spec = |kind, dom: u32| FaultSpec {
        doms: vec![dom],
        ..FaultSpec::of(kind)
    };
    let options = FakeDetectorOptions {
        faults: vec![
            spec(FaultKind::DomDead, dead.0),
            spec(FaultKind::TimeSyncLost, lost.0),
        ],
        ..busy()
    };
    let mut unsynchronised = 0;
    for (tag, body) in run(&options, 1, 20) {
        match Payload::decode(tag, &body).unwrap() {
            Payload::Summary(slice) => {
                assert!(slice.frames.iter().all(|frame| frame.dom_id() != dead));
                for frame in slice.frames {
                    assert_eq!(frame.status().white_rabbit_ok(), frame.dom_id() != lost);
                }
            }
            Payload::TimeSlice(slice) => {
                for frame in slice.frames() {
                    assert_ne!(frame.dom_id, dead);
                    assert_eq!(frame.status.white_rabbit_ok(), frame.dom_id != lost);
                    assert_eq!(frame.defect(), None);
                }
            }
            Payload::Monitoring(packet) => {
                assert_ne!(packet.dom_id(), dead);
                unsynchronised += u32::from(!packet.white_rabbit_ok());
            }
            Payload::Event(event) => {
                assert!(event.snapshot.iter().all(|hit| hit.dom_id() != dead));
            }
            _ => {}
        }
    }
    assert_eq!(unsynchronised, 20);
}

#[test]
fn no_trigger_and_silence_last_as_long_as_they_should() {
    let spec = FaultSpec {
        after: Span::from_secs(1),
        lasts: Span::from_secs(1),
        ..FaultSpec::of(FaultKind::TriggerRateZero)
    };
    let mut by_second = [0; 3];
    for (tag, body) in run(&with_fault(spec), 1, 30) {
        if tag == tags::IO_EVT {
            let payload = Payload::decode(tag, &body).unwrap();
            let index = payload.header().unwrap().frame_index;
            by_second[usize::try_from(index / 10).unwrap()] += 1;
        }
    }
    assert!(by_second[0] > 10 && by_second[1] == 0 && by_second[2] > 10);
    let silent = FaultSpec::of(FaultKind::SourceSilent);
    assert!(run(&with_fault(silent), 1, 10).is_empty());
}

#[test]
fn damaged_frames_are_found_by_the_decoders_and_others_stay_intact() {
    let spec = FaultSpec {
        share: 0.5,
        tags: vec![tags::IO_SUM, tags::IO_MONIT],
        ..FaultSpec::of(FaultKind::TruncatedFrames)
    };
    let messages = run(&with_fault(spec), 1, 40);
    let bad = bad_by_reason(&messages);
    // 40 slices and 760 packets, half of them cut; the last bytes of a packet are optional.
    let total: usize = bad.values().sum();
    assert!((300..460).contains(&total), "{bad:?}");
    let others = messages
        .iter()
        .filter(|(tag, _)| ![tags::IO_SUM, tags::IO_MONIT].contains(tag));
    assert!(bad_by_reason(&others.cloned().collect::<Vec<_>>()).is_empty());
    let corrupt = FaultSpec {
        share: 1.0,
        tags: vec![tags::IO_EVT],
        ..FaultSpec::of(FaultKind::CorruptFrames)
    };
    let (damaged, intact) = (run(&with_fault(corrupt), 1, 20), run(&busy(), 1, 20));
    let events = |messages: &[(Tag, Bytes)]| {
        let of_tag = messages.iter().filter(|(tag, _)| *tag == tags::IO_EVT);
        of_tag.map(|(_, body)| body.clone()).collect::<Vec<_>>()
    };
    let (damaged, intact) = (events(&damaged), events(&intact));
    assert_eq!(damaged.len(), intact.len());
    for (damaged, intact) in damaged.iter().zip(&intact) {
        let flipped: u32 = damaged
            .iter()
            .zip(intact)
            .map(|(a, b)| (a ^ b).count_ones())
            .sum();
        assert!((1..=8).contains(&flipped) || flipped == 0, "{flipped}");
    }
}

#[test]
fn what_breaks_connections_is_announced_beside_the_messages() {
    let spec = FaultSpec {
        every: Span::from_secs(1),
        size: Size::from_mib(80),
        ..FaultSpec::of(FaultKind::OversizedFrames)
    };
    let mut generator = Generator::new(layout(1), &with_fault(spec), START_S);
    generator
        .add_fault(FaultSpec::of(FaultKind::SourceReconnecting))
        .unwrap();
    let steps = 25 * STEPS_PER_FRAME;
    let disturbances: Vec<Disturbance> = (0..steps)
        .flat_map(|_| generator.step().disturbances)
        .collect();
    let oversized = Disturbance::Oversized(Size::from_mib(80));
    let expected = [oversized, Disturbance::Reconnect, oversized, oversized];
    assert_eq!(disturbances, expected);
    assert_eq!(generator.clear_faults(|_| true), 2);
    generator.step();
    assert!(generator.faults().is_empty());
}

#[test]
fn every_module_reads_its_sensors_from_the_first_packet_on_whatever_is_left_out() {
    for every in [1, 2, 10] {
        let mut options = busy();
        options.io_monit.every = every;
        for (tag, body) in run(&options, 1, 12) {
            if let Payload::Monitoring(packet) = Payload::decode(tag, &body).unwrap() {
                let [_, _, z] = packet.acceleration_g();
                assert!(z.abs() > 0.5, "{every} {:?}", packet.dom_id());
            }
        }
    }
}

#[test]
fn a_recording_of_all_that_a_station_sends_lacks_no_stream() {
    let mut options = busy();
    options.io_toa.noise_per_minute = 600.0;
    let every = |slices: &mut SliceOptions| (slices.enabled, slices.every) = (true, 1);
    every(&mut options.io_tsl0);
    every(&mut options.io_tsl2);
    every(&mut options.io_tssn);
    options.msg.rate_hz = 10.0;
    let mut sent: Vec<Tag> = run(&options, 1, 50).iter().map(|(tag, _)| *tag).collect();
    sent.sort_unstable();
    sent.dedup();
    let mut recorded = tags::STATION.to_vec();
    recorded.sort_unstable();
    assert_eq!(sent, recorded);
}
