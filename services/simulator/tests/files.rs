//! Recordings and dumps: decode, replay and record, on the reference payloads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use fathom_formats::controlhost::{Mode, Prefix, Splitter, Tag, tags};
use fathom_formats::km3net::Versioning;
use fathom_kernel::{Clock, Filter, Limits, Service, ServiceCx, Setup, Size};
use fathom_kernel::{FromConfig, Span};
use fathom_simulator::{
    DecodeOptions, InputFile, RecordOptions, Recording, RecordingWriter, Replay, ReplayOptions,
    decode, record,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

/// A reference payload.
struct Golden {
    tag: Tag,
    body: Vec<u8>,
    expect: Value,
}

fn golden(section: &str) -> Vec<Golden> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../formats/tests/data/golden-public.json"
    );
    let text = std::fs::read_to_string(path).expect("the reference values of the formats");
    let all: Value = serde_json::from_str(&text).expect("they are JSON");
    let entries = all[section].as_array().expect("a list of payloads");
    let with_payload = entries
        .iter()
        .filter(|entry| entry["payload_b64"].is_string());
    with_payload
        .map(|entry| Golden {
            tag: tag_of(section, entry),
            body: BASE64_STANDARD
                .decode(entry["payload_b64"].as_str().expect("a string"))
                .expect("base64"),
            expect: entry["expect"].clone(),
        })
        .collect()
}

fn tag_of(section: &str, entry: &Value) -> Tag {
    let by_type = match entry["expect"]["type"].as_i64() {
        Some(1002) => tags::IO_TSL0,
        Some(1003) => tags::IO_TSL1,
        Some(1004) => tags::IO_TSL2,
        _ => tags::IO_TSSN,
    };
    match section {
        "io_evt" | "io_evt_legacy" => tags::IO_EVT,
        "io_sum" => tags::IO_SUM,
        "io_monit" => tags::IO_MONIT,
        "io_oline" => tags::IO_OLINE,
        _ => by_type,
    }
}

/// Writes the payloads of one tag as a dump.
fn dump(folder: &Path, name: &str, payloads: &[&Golden]) -> PathBuf {
    let mut bytes = Vec::new();
    for payload in payloads {
        if payload.tag == tags::IO_MONIT {
            let length = u32::try_from(payload.body.len()).expect("a short packet");
            bytes.extend(length.to_le_bytes());
        }
        bytes.extend(&payload.body);
    }
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("a file in a fresh folder");
    path
}

/// Writes one dump per tag; returns them with the number of messages per tag.
fn dumps(folder: &Path) -> (Vec<PathBuf>, BTreeMap<Tag, u64>) {
    let sections = ["io_evt", "io_sum", "io_ts", "io_monit", "io_oline"];
    let all: Vec<Golden> = sections.into_iter().flat_map(golden).collect();
    let mut by_tag: BTreeMap<Tag, Vec<&Golden>> = BTreeMap::new();
    for payload in &all {
        by_tag.entry(payload.tag).or_default().push(payload);
    }
    let write = |(tag, list): (&Tag, &Vec<&Golden>)| dump(folder, &format!("{tag}.dat"), list);
    let files = by_tag.iter().map(write).collect();
    let counts = by_tag.iter().map(|(tag, list)| (*tag, list.len() as u64));
    (files, counts.collect())
}

fn decoded(path: &Path, options: DecodeOptions) -> (Vec<Value>, Vec<(u64, &'static str)>) {
    let mut file = InputFile::open(path, None).expect("a file that was just written");
    let (mut out, mut problems) = (Vec::new(), Vec::new());
    decode(&mut file, options, &mut out, |p| {
        problems.push((p.offset, p.reason))
    })
    .expect("memory takes everything");
    let lines = std::str::from_utf8(&out).expect("JSON is UTF-8").lines();
    let lines = lines.map(|line| serde_json::from_str(line).expect("each line is JSON"));
    (lines.collect(), problems)
}

#[test]
fn decoded_lines_of_golden_payloads_have_their_digests_and_values() {
    let folder = tempfile::tempdir().unwrap();
    let digest = DecodeOptions {
        digest: true,
        versioning: Versioning::AcceptLegacy,
    };
    let mut compared = 0;
    for section in [
        "io_evt",
        "io_evt_legacy",
        "io_sum",
        "io_monit",
        "io_oline",
        "io_ts",
    ] {
        for (at, payload) in golden(section).iter().enumerate() {
            let path = dump(folder.path(), &format!("{}.{at}", payload.tag), &[payload]);
            let (lines, problems) = decoded(&path, digest);
            assert_eq!((lines.len(), problems), (1, vec![]));
            let expect = payload.expect.as_object().unwrap();
            let keys = [
                "digest",
                "payload_sha256",
                "run",
                "frame_index",
                "trigger_counter",
                "trigger_mask",
                "n_snapshot",
                "n_frames",
                "rates_hz",
                "dom_id",
            ];
            for key in keys.into_iter().filter(|key| expect.contains_key(*key)) {
                assert_eq!(lines[0][key], expect[key], "{section} {at} {key}");
                compared += 1;
            }
        }
    }
    assert!(compared > 60, "{compared}");
}

#[test]
fn a_bad_message_is_reported_with_its_offset_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut events = golden("io_evt");
    let offset = events[0].body.len() as u64;
    // An impossible version.
    events[1].body[8] = 77;
    let path = dump(
        folder.path(),
        "IO_EVT.dat",
        &events.iter().collect::<Vec<_>>(),
    );
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap();
    std::io::Write::write_all(&mut file, &[200, 0, 0, 0, 17, 39]).unwrap();
    let (lines, problems) = decoded(&path, DecodeOptions::default());
    assert_eq!(lines.len(), 2);
    let end = events.iter().map(|event| event.body.len() as u64).sum();
    assert_eq!(problems, [(offset, "unknown_version"), (end, "truncated")]);
}

/// Packs a file with gzip, and cuts so many bytes from its end.
fn packed(path: &Path, name: &str, cut: usize) -> PathBuf {
    use std::io::Write;
    let bytes = std::fs::read(path).expect("a file that was just written");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&bytes).expect("memory takes everything");
    let bytes = encoder.finish().expect("memory takes everything");
    let to = path.with_file_name(name);
    std::fs::write(&to, &bytes[..bytes.len() - cut]).expect("a file beside the other");
    to
}

/// What was decoded, without the name of the file.
fn nameless(
    (mut lines, problems): (Vec<Value>, Vec<(u64, &'static str)>),
) -> (Vec<Value>, Vec<(u64, &'static str)>) {
    for line in &mut lines {
        line.as_object_mut().expect("an object").remove("file");
    }
    (lines, problems)
}

#[test]
fn a_dump_packed_with_gzip_was_read_as_a_broken_dump() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = dumps(folder.path());
    let options = DecodeOptions::default();
    for path in &files {
        let expected = nameless(decoded(path, options));
        // The content tells, not the name.
        for name in ["IO_X.dat.gz", "packed"] {
            let tag = fathom_simulator::guess_tag(path, b"");
            let packed = packed(path, name, 0);
            let mut file = InputFile::open(&packed, tag).unwrap();
            let length = std::fs::metadata(&packed).unwrap().len();
            assert_eq!(file.progress().1, length);
            let (mut out, mut problems) = (Vec::new(), Vec::new());
            let told = |p: &fathom_simulator::FileProblem| problems.push((p.offset, p.reason));
            decode(&mut file, options, &mut out, told).unwrap();
            assert_eq!(file.progress(), (length, length));
            let lines = out.split(|byte| *byte == b'\n').filter(|l| !l.is_empty());
            let lines: Vec<Value> = lines.map(|l| serde_json::from_slice(l).unwrap()).collect();
            assert!(
                nameless((lines, problems)) == expected,
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn a_packed_dump_that_is_cut_off_is_told_like_one_that_is_not_packed() {
    let folder = tempfile::tempdir().unwrap();
    let golden = golden("io_sum");
    let payloads: Vec<&Golden> = golden.iter().collect();
    let path = dump(folder.path(), "IO_SUM.dat", &payloads);
    let options = DecodeOptions::default();
    let (whole, _) = nameless(decoded(&path, options));
    // The checksum alone is missing: every message is there.
    let read = |cut: PathBuf| nameless(decoded(&cut, options));
    let (lines, problems) = read(packed(&path, "IO_SUM.dat.gz", 4));
    let length = std::fs::metadata(&path).unwrap().len();
    assert!(lines == whole);
    assert_eq!(problems, [(length, "packed_cut")]);
    let half = std::fs::metadata(folder.path().join("IO_SUM.dat.gz"))
        .unwrap()
        .len()
        / 2;
    let half = usize::try_from(half).unwrap();
    let (lines, problems) = read(packed(&path, "IO_SUM_cut.dat.gz", half));
    assert!(lines.len() < whole.len());
    assert!(lines == whole[..lines.len()]);
    let [(_, reason)] = problems[..] else {
        panic!("{problems:?}")
    };
    assert!(["truncated", "packed_cut"].contains(&reason), "{reason}");
}

/// A body of 559903 bytes, little-endian, is what packed files begin with.
#[test]
fn a_dump_that_begins_like_a_packed_file_is_not_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("IO_TSL1.dat");
    let mut bytes = vec![0x1f, 0x8b, 8, 0];
    bytes.extend(fathom_formats::km3net::data_type::TIME_SLICE_L1.to_le_bytes());
    bytes.resize(0x8_8b1f, 0);
    std::fs::write(&path, &bytes).unwrap();
    let mut file = InputFile::open(&path, None).unwrap();
    assert_eq!(file.next_message().unwrap().unwrap().body, bytes);
    assert!(file.next_message().is_none());
}

#[tokio::test]
async fn a_replay_of_golden_dumps_brings_the_exact_number_per_tag_to_the_bus() {
    let folder = tempfile::tempdir().unwrap();
    let (files, counts) = dumps(folder.path());
    let (cx, _outside) = ServiceCx::alone("replay", folder.path());
    let mut events = cx
        .bus
        .subscribe("test", Filter::all_frames(), Limits::default());
    let options = ReplayOptions {
        files,
        speed: 0.0,
        ..ReplayOptions::default()
    };
    let service = Box::new(Replay::from_config(&options, &Setup::default()));
    timeout(PATIENCE, service.run(cx)).await.unwrap().unwrap();
    let mut batch = Default::default();
    assert!(events.try_batch(&mut batch));
    let mut found: BTreeMap<Tag, u64> = BTreeMap::new();
    for event in &batch {
        if let fathom_kernel::Event::Frame(frame) = &**event {
            *found.entry(frame.tag).or_default() += 1;
        }
    }
    assert_eq!(found, counts);
}

/// Writes a recording of `number` messages, one every 100 ms.
fn recording(folder: &Path, number: u32) -> PathBuf {
    let path = folder.join("made.rec");
    let mut writer = RecordingWriter::create(&path).expect("a fresh folder");
    for n in 0..number {
        let at_ns = 1_700_000_000_000_000_000 + i64::from(n) * 100_000_000;
        let written = writer.append(at_ns, tags::MSG, format!("line {n}").as_bytes());
        written.expect("a disk with room");
    }
    writer.finish().expect("a disk with room");
    path
}

#[tokio::test(start_paused = true)]
async fn a_recording_is_played_at_the_speed_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let files = vec![recording(folder.path(), 101)];
    for (speed, expected_s) in [(1.0, 10.0), (4.0, 2.5)] {
        let (cx, _outside) = ServiceCx::alone("replay", folder.path());
        let mut events = cx
            .bus
            .subscribe("test", Filter::all_frames(), Limits::default());
        let options = ReplayOptions {
            files: files.clone(),
            speed,
            ..ReplayOptions::default()
        };
        let start = Instant::now();
        let service = Box::new(Replay::from_config(&options, &Setup::default()));
        service.run(cx).await.unwrap();
        let took_s = start.elapsed().as_secs_f64();
        assert!((took_s - expected_s).abs() < 0.1, "{took_s}");
        let mut batch = Default::default();
        events.try_batch(&mut batch);
        assert_eq!(batch.len(), 101);
    }
}

#[tokio::test(start_paused = true)]
async fn long_pauses_are_shortened_and_a_loop_ends_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gap.rec");
    let mut writer = RecordingWriter::create(&path).unwrap();
    for at_s in [0, 1, 10_000] {
        writer
            .append(at_s * 1_000_000_000, tags::MSG, b"x")
            .unwrap();
    }
    writer.finish().unwrap();
    let (cx, _outside) = ServiceCx::alone("replay", folder.path());
    let (stop, counters) = (cx.stop.clone(), cx.counters.clone());
    let options = ReplayOptions {
        files: vec![path],
        repeat: true,
        gap_max: Span::from_secs(5),
        ..ReplayOptions::default()
    };
    let service = Box::new(Replay::from_config(&options, &Setup::default()));
    let running = tokio::spawn(service.run(cx));
    // One pass takes 1 s and a shortened pause of 5 s.
    tokio::time::sleep(Duration::from_secs(60)).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    assert!((28..=33).contains(&counters.snapshot().sent));
}

#[tokio::test]
async fn a_replay_over_tcp_waits_for_a_slow_broker_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.rec");
    let mut writer = RecordingWriter::create(&path).unwrap();
    for n in 0..300 {
        writer.append(n, tags::IO_SUM, &[7; 50_000]).unwrap();
    }
    writer.finish().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (cx, _outside) = ServiceCx::alone("replay", folder.path());
    let counters = cx.counters.clone();
    let options = ReplayOptions {
        files: vec![path],
        to: listener.local_addr().unwrap().to_string(),
        speed: 0.0,
        queue: Size::from_mib(1),
        ..ReplayOptions::default()
    };
    let service = Box::new(Replay::from_config(&options, &Setup::default()));
    let running = tokio::spawn(service.run(cx));
    let (mut stream, _) = listener.accept().await.unwrap();
    let (mut splitter, mut buffer, mut frames) = (Splitter::new(1 << 20), BytesMut::new(), 0);
    while timeout(PATIENCE, stream.read_buf(&mut buffer))
        .await
        .unwrap()
        .unwrap()
        > 0
    {
        while splitter.take_frame(&mut buffer).unwrap().is_some() {
            frames += 1;
        }
        tokio::task::yield_now().await;
    }
    running.await.unwrap().unwrap();
    assert_eq!(frames, 300);
    assert_eq!(counters.snapshot().dropped, 0);
}

#[tokio::test]
async fn what_a_broker_sends_is_recorded_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.rec");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = RecordOptions {
        from: listener.local_addr().unwrap().to_string(),
        tags: vec![tags::IO_EVT, tags::MSG],
        mode: Mode::All,
        duration: None,
        messages_max: Some(3),
    };
    let broker = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let expected = Bytes::from_static(
            b"_Subscri\0\0\0\x0f\0\0\0\0 a IO_EVT a MSG_Always\0\0\0\0\0\0\0\0\0",
        );
        let mut asked = vec![0; expected.len()];
        stream.read_exact(&mut asked).await.unwrap();
        assert_eq!(asked, expected);
        for body in [&b"one"[..], b"two", b"three", b"four"] {
            let mut wire = Prefix::new(tags::MSG, body.len()).unwrap().wire().to_vec();
            wire.extend(body);
            stream.write_all(&wire).await.unwrap();
        }
        stream
    };
    let writer = RecordingWriter::create(&path).unwrap();
    let recorder = record(
        &options,
        writer,
        Clock::system(),
        std::future::pending(),
        |_| {},
    );
    let both = async { tokio::join!(recorder, broker) };
    let ((recorded, end), _stream) = timeout(PATIENCE, both).await.unwrap();
    end.unwrap();
    assert_eq!(recorded.messages(), 3);
    let mut recording = Recording::open(&path).unwrap();
    assert!(recording.has_index());
    let bodies: Vec<_> = std::iter::from_fn(|| recording.next_record())
        .map(|record| record.unwrap().body)
        .collect();
    assert_eq!(bodies, [&b"one"[..], b"two", b"three"]);
    // A recording decodes as dumps do.
    let (lines, problems) = decoded(&path, DecodeOptions::default());
    assert_eq!(
        (lines[1]["text"].as_str(), problems.len()),
        (Some("two"), 0)
    );
}
