//! Real messages of the detector, replayed over TCP through a ligier into the monitors, give the
//! reference counts and rates. The messages come from the reference file; with FATHOM_TESTDATA (the
//! folder of km3net_testdata's data) the whole dumps are played too.
#![allow(
    clippy::unwrap_used,
    clippy::string_slice,
    reason = "a test that cannot go on fails"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fathom::config::{Origin, load};
use fathom::stack::{Options, Stack};
use fathom_kernel::Output;
use fathom_kernel::view::View;
use serde_json::Value;

/// Longest wait for a number to appear; only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bins close by the clock after data end, so they are short.
const CONFIG: &str = r#"
[service.ligier]
kind = "ligier"
listen = "127.0.0.1:0"

[service.trigger_rates]
kind = "trigger_rates"
after = ["ligier"]
interval = "1s"
lateness = "100ms"

[service.dom_rates]
kind = "dom_rates"
after = ["ligier"]
interval = "1s"

[service.dom_activity]
kind = "dom_activity"
after = ["ligier"]
reference = "data"
interval = "1s"

[service.pmt_rates]
kind = "pmt_rates"
after = ["ligier"]
interval = "1s"
lateness = "100ms"
"#;

fn reference() -> Value {
    let file = std::env::var_os("FATHOM_GOLDEN").map_or_else(
        || Path::new("services/formats/tests/data/golden-public.json").to_owned(),
        PathBuf::from,
    );
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// The messages of one section of the reference file.
fn bodies(reference: &Value, section: &str) -> Vec<(Vec<u8>, Value)> {
    let entries = reference[section].as_array().unwrap().iter();
    let real = entries.filter(|entry| !entry["name"].as_str().unwrap().starts_with("synthetic"));
    real.map(|entry| {
        let body = STANDARD
            .decode(entry["payload_b64"].as_str().unwrap())
            .unwrap();
        (body, entry["expect"].clone())
    })
    .collect()
}

/// Writes messages as a dump: back to back, `IO_MONIT` with a length before each.
fn dump(folder: &Path, name: &str, bodies: &[(Vec<u8>, Value)]) -> PathBuf {
    let mut bytes = Vec::new();
    for (body, _) in bodies {
        if name.starts_with("IO_MONIT") {
            bytes.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        }
        bytes.extend(body);
    }
    let file = folder.join(name);
    std::fs::write(&file, bytes).unwrap();
    file
}

fn start(folder: &Path) -> Stack {
    let file = folder.join("supervisor.toml");
    let text = format!("[stack]\ndata_dir = {:?}\n{CONFIG}", folder.join("data"));
    std::fs::write(&file, text).unwrap();
    let loaded = load(&Origin {
        file,
        ..Origin::default()
    });
    let loaded = loaded.unwrap_or_else(|report| panic!("{}", report.render(false)));
    Stack::start(loaded.plan, Options::default()).unwrap()
}

/// Waits for something that comes by itself.
async fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn replay(stack: &Stack, files: &[PathBuf]) {
    let ligier = until("the ligier", || stack.addresses.of("ligier")).await;
    let played = Command::new(env!("CARGO_BIN_EXE_fathom"))
        .args(["replay", "--full", "--to", &ligier.to_string()])
        .args(files)
        .output()
        .unwrap();
    assert!(
        played.status.success(),
        "{}",
        String::from_utf8_lossy(&played.stderr)
    );
}

fn output(stack: &Stack, name: &str) -> Option<Output> {
    stack.board.entry(name).map(|entry| (*entry.output).clone())
}

/// Total of the overall trigger, from the table of counts.
fn events(stack: &Stack) -> Option<u64> {
    let View::Table(table) = output(stack, "trigger_counts")?.view else {
        return None;
    };
    let total = table.columns.iter().position(|name| name == "total")?;
    let overall = table.rows.iter().find(|row| row[0] == "Overall")?;
    overall[total].as_u64()
}

fn total(stack: &Stack, trigger: &str) -> u64 {
    let View::Table(table) = output(stack, "trigger_counts").unwrap().view else {
        panic!()
    };
    let total = table
        .columns
        .iter()
        .position(|name| name == "total")
        .unwrap();
    table.rows.iter().find(|row| row[0] == trigger).unwrap()[total]
        .as_u64()
        .unwrap()
}

fn received(stack: &Stack, name: &str) -> Option<(u64, u64, u64)> {
    let losses = output(stack, name)?.losses;
    Some((losses.received, losses.dropped, losses.bad))
}

/// Rates [kHz] by DOM id, once the map shows the modules of a slice.
fn dom_rates(stack: &Stack) -> Option<BTreeMap<u32, f64>> {
    let View::Map(map) = output(stack, "dom_rates")?.view else {
        return None;
    };
    let rates: BTreeMap<_, _> = map.id.into_iter().zip(map.values).collect();
    rates.values().any(|rate| rate.is_finite()).then_some(rates)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_events_are_counted_by_trigger() {
    let folder = tempfile::tempdir().unwrap();
    let reference = reference();
    let messages = bodies(&reference, "io_evt");
    let mut stack = start(folder.path());
    replay(&stack, &[dump(folder.path(), "IO_EVT.dat", &messages)]).await;
    let expected = messages.len() as u64;
    until("every event", || {
        (events(&stack)? == expected).then_some(())
    })
    .await;
    let count = |bit: &str| messages.iter().filter(|(_, e)| e[bit] == true).count() as u64;
    assert_eq!(total(&stack, "3DMuon"), count("is_3dmuon"));
    assert_eq!(total(&stack, "MXShower"), count("is_mxshower"));
    assert_eq!(total(&stack, "3DShower"), count("is_3dshower"));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_summary_slices_give_the_rates_of_their_modules() {
    let reference = reference();
    for (number, (body, expect)) in bodies(&reference, "io_sum").into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let mut stack = start(folder.path());
        let file = dump(folder.path(), "IO_SUM.dat", &[(body, expect.clone())]);
        replay(&stack, &[file]).await;
        let rates = until("the map of rates", || dom_rates(&stack)).await;
        for frame in ["first_frame", "last_frame"] {
            let frame = &expect[frame];
            let dom = u32::try_from(frame["dom_id"].as_u64().unwrap()).unwrap();
            let khz = frame["dom_rate_hz"].as_f64().unwrap() / 1000.0;
            assert!(
                (rates[&dom] / khz - 1.0).abs() < 1e-9,
                "slice {number}, DOM {dom}: {}",
                rates[&dom]
            );
        }
        assert_eq!(rates.len() as u64, expect["n_frames"].as_u64().unwrap());
        let sum_hz: f64 = rates.values().sum::<f64>() * 1000.0;
        let expected_hz = expect["total_rate_hz"].as_f64().unwrap();
        assert!(
            (sum_hz / expected_hz - 1.0).abs() < 1e-9,
            "{sum_hz} instead of {expected_hz}"
        );
        stack.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_monitoring_packets_give_the_rates_of_their_channels() {
    let folder = tempfile::tempdir().unwrap();
    let reference = reference();
    let (body, expect) = bodies(&reference, "io_monit").remove(0);
    let mut stack = start(folder.path());
    replay(
        &stack,
        &[dump(
            folder.path(),
            "IO_MONIT.dat",
            &[(body, expect.clone())],
        )],
    )
    .await;
    let column = until("a column", || {
        let View::Image(image) = output(&stack, "pmt_rates_du1")?.view else {
            return None;
        };
        image
            .columns
            .into_iter()
            .find(|column| column.values.iter().any(|v| v.is_finite()))
    })
    .await;
    let row_of = [
        28, 23, 22, 21, 27, 29, 20, 30, 26, 25, 19, 24, 13, 7, 1, 14, 18, 12, 6, 2, 11, 8, 0, 15,
        4, 3, 5, 17, 10, 9, 16,
    ];
    for (channel, rate) in expect["rates_hz"].as_array().unwrap().iter().enumerate() {
        let (drawn, rate) = (
            f64::from(column.values[row_of[channel]]),
            rate.as_f64().unwrap(),
        );
        assert!(
            (drawn - rate).abs() < 1e-3,
            "channel {channel}: {drawn} instead of {rate} Hz"
        );
    }
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_dumps_arrive_whole() {
    let Some(data) = std::env::var_os("FATHOM_TESTDATA").map(PathBuf::from) else {
        println!("skipped: the whole dumps (FATHOM_TESTDATA names no folder)");
        return;
    };
    let reference = reference();
    let count = |file: &str| reference["files"][file]["n_messages"].as_u64().unwrap();
    let find = |name: &str| {
        let places = ["daq", "online", "."].map(|folder| data.join(folder).join(name));
        places
            .into_iter()
            .find(|file| file.exists())
            .unwrap_or_else(|| panic!("no {name} in {data:?}"))
    };
    let names = ["IO_EVT.dat", "IO_SUM.dat", "IO_MONIT.dat", "IO_TSSN.dat"];
    let folder = tempfile::tempdir().unwrap();
    let mut stack = start(folder.path());
    replay(&stack, &names.map(find)).await;
    let all = |output: &str, file: &str| {
        (received(&stack, output) == Some((count(file), 0, 0))).then_some(())
    };
    until("every event", || all("trigger_counts", "IO_EVT.dat")).await;
    until("every slice", || all("dom_activity", "IO_SUM.dat")).await;
    until("every packet", || all("pmt_rates_summary", "IO_MONIT.dat")).await;
    assert_eq!(events(&stack), Some(count("IO_EVT.dat")));
    stack.shutdown().await;
}
