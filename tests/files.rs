//! `fathom decode`, `record`, `replay` and `fake-detector` as people call them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fathom_formats::km3net::{DomId, TmchFields};
use serde_json::Value;

fn fathom() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("fathom"))
}

fn output(command: &mut Command) -> (i32, String, String) {
    let output = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let code = output.status.code().expect("it is not killed");
    (code, text(output.stdout), text(output.stderr))
}

/// A dump of `number` monitoring packets, 100 ms apart.
fn packets(folder: &Path, number: u32) -> PathBuf {
    let mut bytes = Vec::new();
    for n in 0..number {
        let packet = TmchFields {
            dom_id: DomId(808_000_000 + n),
            utc_seconds: 1_700_000_000 + n / 10,
            ticks: n % 10 * 6_250_000,
            ..TmchFields::default()
        };
        let mut body = Vec::new();
        packet.encode(&mut body);
        bytes.extend(u32::try_from(body.len()).expect("244").to_le_bytes());
        bytes.extend(body);
    }
    let path = folder.join("IO_MONIT.dat");
    std::fs::write(&path, bytes).expect("a fresh folder");
    path
}

#[test]
fn decode_prints_lines_and_fails_when_something_is_bad() {
    let folder = tempfile::tempdir().unwrap();
    let path = packets(folder.path(), 3);
    let (code, out, err) = output(fathom().arg("decode").arg("--digest").arg(&path));
    assert_eq!((code, err.as_str()), (0, ""));
    let lines: Vec<Value> = out
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (lines[2]["offset"].as_u64(), lines[2]["tag"].as_str()),
        (Some(500), Some("IO_MONIT"))
    );
    assert_eq!(lines[2]["dom_id"], 808_000_002);
    assert_eq!(lines[2]["payload_sha256"].as_str().unwrap().len(), 64);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4] = b'X';
    bytes.extend([9, 0, 0, 0, 1]);
    std::fs::write(&path, bytes).unwrap();
    let (code, out, err) = output(fathom().arg("decode").arg(&path));
    assert_eq!((code, out.lines().count()), (1, 2));
    let problems: Vec<&str> = err.lines().collect();
    assert!(
        problems[0].contains("IO_MONIT.dat: offset 4: packet starts with"),
        "{err}"
    );
    assert!(problems[1].contains("offset 744: body of 9 bytes"), "{err}");
    let (_, _, err) = output(fathom().args(["decode", "--json"]).arg(&path));
    let problem: Value = serde_json::from_str(err.lines().next().unwrap()).unwrap();
    assert_eq!(
        (problem["offset"].as_u64(), problem["reason"].as_str()),
        (Some(4), Some("wrong_magic"))
    );
    let (code, _, err) = output(fathom().args(["decode", "/nowhere/IO_EVT.dat"]));
    assert_eq!(code, 1);
    assert!(
        err.starts_with("fathom: cannot open /nowhere/IO_EVT.dat: "),
        "{err}"
    );
}

#[test]
fn decode_ends_quietly_when_nobody_reads_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = packets(folder.path(), 2000);
    let mut child = fathom()
        .arg("decode")
        .arg(&path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}

#[test]
fn replay_without_a_broker_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = packets(folder.path(), 12);
    let (code, out, err) = output(fathom().arg("replay").arg(&path));
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (0, "12 messages, 2928B: IO_MONIT 12\n", "")
    );
    let (code, _, err) = output(fathom().args(["replay", "--to", "127.0.0.1:1"]).arg(&path));
    assert_eq!(code, 1);
    assert!(err.contains("cannot connect to 127.0.0.1:1"), "{err}");
}

/// Ends the program of a test even when the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let id = self.0.id().to_string();
        let asked = Command::new("kill").args(["-INT", &id]).status();
        assert!(asked.is_ok() && self.0.wait().is_ok());
    }
}

#[test]
fn what_the_fake_detector_sends_is_recorded_and_decodes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let running = fathom()
        .args([
            "fake-detector",
            "--listen",
            "127.0.0.1:0",
            "--dus",
            "1",
            "--speed",
            "5",
        ])
        .args(["--set", "io_evt.rate_hz=50", "--data"])
        .arg(&data)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(Running)
        .unwrap();
    let began = std::time::Instant::now();
    let address = loop {
        let text = std::fs::read_to_string(data.join("addresses.json")).unwrap_or_default();
        let addresses: Value = serde_json::from_str(&text).unwrap_or_default();
        if let Some(address) = addresses["ligier"].as_str() {
            break address.to_owned();
        }
        assert!(began.elapsed().as_secs() < 30, "{text}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let file = folder.path().join("new.rec");
    let (code, _, err) = output(
        fathom()
            .args([
                "record",
                "--from",
                &address,
                "--tags",
                "IO_EVT,IO_SUM",
                "--count",
                "100",
            ])
            .arg(&file),
    );
    drop(running);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("100 messages"), "{err}");
    let (code, out, err) = output(fathom().arg("decode").arg(&file));
    assert_eq!((code, out.lines().count(), err.as_str()), (0, 100, ""));
}
