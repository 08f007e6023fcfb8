//! The time that recorded data give a monitor, right or wrong.

use std::path::Path;
use std::process::Output;

use fathom_formats::km3net::{DetectorId, Event, Header, RunNumber, TriggerMask};
use fathom_kernel::tags;

use super::{START_S, fathom, lines, output, recording_of, text};

/// Writes a dump of events without hits at these times (ms after the start).
fn dump(file: &Path, times_ms: impl IntoIterator<Item = i64>) {
    let mut bytes = Vec::new();
    for (counter, at_ms) in (0_u64..).zip(times_ms) {
        let at_ms = u64::try_from(i64::try_from(START_S).unwrap() * 1000 + at_ms).unwrap();
        let event = Event {
            legacy: false,
            header: Header {
                detector_id: DetectorId(1),
                run: RunNumber(7),
                frame_index: 0,
                utc_seconds: u32::try_from(at_ms / 1000).unwrap(),
                white_rabbit: false,
                ticks: u32::try_from(at_ms % 1000 * 1_000_000 / 16).unwrap(),
            },
            trigger_counter: counter,
            trigger_mask: TriggerMask(1 << 4),
            overlays: 1,
            triggered: &[],
            snapshot: &[],
        };
        event.encode(&mut bytes).unwrap();
    }
    std::fs::write(file, bytes).unwrap();
}

/// Runs `trigger_rates` over a dump of events; returns what it said and the rates of the CSV file.
fn trigger_rates(times_ms: Vec<i64>, args: &[&str]) -> (Output, Vec<f64>) {
    let folder = tempfile::tempdir().unwrap();
    let (file, files) = (
        folder.path().join("IO_EVT.dat"),
        folder.path().join("files"),
    );
    dump(&file, times_ms);
    let mut all = vec!["trigger_rates", file.to_str().unwrap()];
    all.extend(["--files", files.to_str().unwrap()]);
    all.extend(args);
    let ran = fathom(&all);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let csv = std::fs::read_to_string(files.join("trigger_rates.csv")).unwrap_or_default();
    let rate = |line: &str| line.split(',').nth(1).unwrap().parse().unwrap();
    (ran, csv.lines().skip(1).map(rate).collect())
}

/// Counts of a row of the table, by its name.
fn count(ran: &Output, name: &str) -> u64 {
    let table = output(ran, "trigger_counts");
    let rows = table["view"]["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row[0] == name).unwrap();
    row[1].as_u64().unwrap()
}

const YEAR_MS: i64 = 365 * 86_400_000;

#[test]
fn one_event_from_another_year_does_not_make_all_later_ones_late() {
    for wrong_ms in [3 * YEAR_MS, -3 * YEAR_MS] {
        let mut times: Vec<i64> = (0..100).map(|s| s * 1000).collect();
        times.insert(50, wrong_ms);
        let (ran, rates) = trigger_rates(times, &["--set=interval=10s"]);
        assert_eq!(count(&ran, "Overall"), 101);
        assert_eq!(count(&ran, "late events"), 0);
        assert_eq!(count(&ran, "events far off the clock"), 1);
        assert_eq!(rates, [1.0; 10]);
        assert!(!text(&ran.stderr).contains("0Hz"), "{}", text(&ran.stderr));
    }
}

#[test]
fn a_wrong_time_at_the_end_or_at_the_start_of_a_file_spoils_nothing() {
    let right = (0..100).map(|s| s * 1000);
    let last = right.clone().chain([3 * YEAR_MS]).collect();
    let (ran, rates) = trigger_rates(last, &["--set=interval=10s"]);
    assert_eq!((rates, count(&ran, "late events")), (vec![1.0; 10], 0));
    for first_ms in [3 * YEAR_MS, -3 * YEAR_MS] {
        let first = [first_ms].into_iter().chain(right.clone()).collect();
        let (ran, rates) = trigger_rates(first, &["--set=interval=10s"]);
        assert_eq!(count(&ran, "late events"), 0);
        assert_eq!(rates[rates.len() - 8..], [1.0; 8], "{first_ms}: {rates:?}");
    }
}

#[test]
fn a_generated_detector_was_another_one_than_that_of_the_data() {
    let (ran, _) = trigger_rates(vec![0, 1000], &["--geometry", "orca"]);
    assert!(text(&ran.stderr).contains("0 bad"), "{}", text(&ran.stderr));
}

#[test]
fn a_first_message_without_a_time_set_the_clock_to_1970() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("IO_EVT.dat");
    dump(&file, [0, 1000, 2000]);
    let mut bytes = std::fs::read(&file).unwrap();
    // The version, behind length and type.
    bytes[8] = 99;
    std::fs::write(&file, bytes).unwrap();
    let ran = fathom(&["trigger_rates", file.to_str().unwrap()]);
    let said = text(&ran.stderr);
    assert!(said.contains("3 messages of 1.0 s, 1 bad"), "{said}");
    assert!(!said.contains("0Hz"), "{said}");
}

#[test]
fn hours_between_the_events_of_a_file_are_no_wrong_times() {
    let times = (0..12).map(|n| n * 2 * 3_600_000).collect();
    let (ran, _) = trigger_rates(times, &[]);
    assert_eq!(count(&ran, "events far off the clock"), 0);
    assert_eq!(count(&ran, "Overall"), 12);
}

#[test]
fn the_time_after_the_last_message_is_no_silence() {
    let times: Vec<i64> = (0..200).map(|n| n * 100).collect();
    let (ran, rates) = trigger_rates(times, &["--set=interval=2s", "--settle=20s"]);
    assert_eq!(rates, [10.0; 10]);
    assert_eq!(
        lines(&ran)
            .iter()
            .filter(|line| !line["alarm"].is_null())
            .count(),
        0
    );
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = recording_of(folder.path(), 30, &[tags::IO_TSL1]);
    let file = file.to_str().unwrap();
    let one_in = "--set=one_in={ IO_TSL1 = 10 }";
    let ran = fathom(&["timeslice_rates", file, one_in, "--settle=40s"]);
    assert_eq!(
        lines(&ran)
            .iter()
            .filter(|line| !line["alarm"].is_null())
            .count(),
        0
    );
}

#[test]
fn the_first_interval_has_the_rate_of_its_events_in_its_whole_length() {
    let times = [9_992]
        .into_iter()
        .chain((1..30).map(|s| 10_000 + s * 1000));
    let (_, rates) = trigger_rates(times.collect(), &["--set=interval=10s"]);
    assert_eq!(rates, [0.1, 0.9, 1.0, 1.0]);
}
