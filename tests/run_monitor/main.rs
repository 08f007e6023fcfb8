//! `fathom run-monitor` over generated data and, with FATHOM_TESTDATA (the folder of
//! km3net_testdata's data), over real dumps.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod times;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use fathom_formats::detx::{Detector, DetxVersion, Layout as Geometry};
use fathom_kernel::{Tag, tags};
use fathom_simulator::{
    FakeDetectorOptions, Generator, Layout, RecordingWriter, STEP_S, STEPS_PER_FRAME,
};
use serde_json::Value;

const START_S: u64 = 1_767_225_600;

/// What most tests take of the generated data.
const TAGS: [Tag; 3] = [tags::IO_EVT, tags::IO_SUM, tags::IO_MONIT];

fn recording(folder: &Path, seconds: u32) -> (PathBuf, BTreeMap<Tag, u64>) {
    recording_of(folder, seconds, &TAGS)
}

/// Records seconds of a small detector; returns the file and the messages by tag.
fn recording_of(folder: &Path, seconds: u32, wanted: &[Tag]) -> (PathBuf, BTreeMap<Tag, u64>) {
    let layout = Layout::new(&Detector::generated(&Geometry::orca(2)));
    let mut options = FakeDetectorOptions::default();
    options.io_evt.rate_hz = Some(20.0);
    options.io_tsl1.enabled = wanted.contains(&tags::IO_TSL1);
    options.io_tssn.enabled = wanted.contains(&tags::IO_TSSN);
    let mut generator = Generator::new(Arc::new(layout), &options, START_S);
    let file = folder.join("two_dus.rec");
    let mut writer = RecordingWriter::create(&file).unwrap();
    let mut counts = BTreeMap::new();
    let steps = u32::try_from(STEPS_PER_FRAME).unwrap() * 10 * seconds;
    for step in 0..steps {
        let at_s = f64::from(step) * STEP_S;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "minutes have few nanoseconds"
        )]
        let at_ns = i64::try_from(START_S).unwrap() * 1_000_000_000 + (at_s * 1e9) as i64;
        for chunk in &generator.step().chunks {
            for (tag, body) in chunk.messages().filter(|(tag, _)| wanted.contains(tag)) {
                writer.append(at_ns, tag, &body).unwrap();
                *counts.entry(tag).or_default() += 1;
            }
        }
    }
    writer.finish().unwrap();
    (file, counts)
}

fn fathom(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fathom"));
    command.arg("run-monitor").args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// All lines, or the error of a run that did not go well.
fn lines(ran: &Output) -> Vec<Value> {
    let lines = text(&ran.stdout);
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

/// The last version of an output.
fn output(ran: &Output, name: &str) -> Value {
    let lines = lines(ran).into_iter().rev();
    let mut outputs = lines.filter_map(|line| line.get("output").cloned());
    let found = outputs.find(|output| output["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {}", text(&ran.stderr)))
}

#[test]
fn the_same_files_give_the_same_bytes_and_every_message_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (file, counts) = recording(folder.path(), 20);
    let file = file.to_str().unwrap();
    for (monitor, tag, name) in [
        ("trigger_rates", tags::IO_EVT, "trigger_counts"),
        ("dom_rates", tags::IO_SUM, "dom_rates"),
        ("dom_activity", tags::IO_SUM, "dom_activity"),
        ("pmt_rates", tags::IO_MONIT, "pmt_rates_summary"),
    ] {
        let args = [monitor, file, "--geometry", "orca", "--dus", "2"];
        let (one, two) = (fathom(&args), fathom(&args));
        assert!(one.status.success(), "{monitor}: {}", text(&one.stderr));
        assert_eq!(text(&one.stdout), text(&two.stdout), "{monitor}");
        let losses = &output(&one, name)["losses"];
        assert_eq!(losses["received"], counts[&tag], "{monitor}");
        let summary = format!("{} messages of 20.0 s, 0 bad", counts[&tag]);
        let told = text(&one.stderr);
        assert!(told.contains(&summary), "{monitor}: {told}");
    }
}

#[test]
fn no_monitor_of_the_registry_depends_on_chance_or_on_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = recording_of(folder.path(), 3, &tags::STATION);
    let file = file.to_str().unwrap();
    let kinds = fathom::registry::kinds().filter(|kind| kind.by_hand.is_some());
    for kind in kinds {
        let args = [kind.name, file, "--geometry=orca", "--dus=2"];
        let (one, two) = (fathom(&args), fathom(&args));
        assert_eq!(text(&one.stdout), text(&two.stdout), "{}", kind.name);
        assert!(
            !one.stdout.is_empty(),
            "{}: {}",
            kind.name,
            text(&one.stderr)
        );
    }
}

#[test]
fn trigger_counts_of_generated_data_are_as_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = recording(folder.path(), 20);
    let ran = fathom(&["trigger_rates", file.to_str().unwrap()]);
    let table = &output(&ran, "trigger_counts")["view"];
    insta::assert_snapshot!(serde_json::to_string_pretty(table).unwrap());
}

/// Beside a running stack, its own events and those that it had from km3mon took part.
#[test]
fn what_a_running_stack_has_written_takes_no_part() {
    nothing_takes_part("event_selection", "event_selection");
}

#[test]
fn what_a_running_stack_has_written_for_another_table_takes_no_part() {
    nothing_takes_part("second", "event_selection/second");
}

/// Selects for a table whose events lie in a folder, beside a stack that has done so as well.
fn nothing_takes_part(table: &str, folder_of_events: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["long", "short", "alone", "beside/fathom-data"] {
        std::fs::create_dir_all(path(name)).unwrap();
    }
    let (long, _) = recording(&path("long"), 10);
    let (short, _) = recording(&path("short"), 2);
    let run = |at: &str, file: &Path, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fathom"));
        let args = ["run-monitor", "ztplot", "--geometry=orca", "--dus=2"];
        let least = ["--set=min_dus=1", "--set=min_doms=1"];
        let table = format!("--set=event_selection_table={table}");
        command.args(args).args(least).arg(table).args(more);
        command.arg(file);
        command.current_dir(path(at)).output().unwrap()
    };
    // What a stack has selected, and what it found in the file of km3mon.
    let files = path("beside/fathom-data/files");
    let of_stack = run("alone", &long, &["--files", files.to_str().unwrap()]);
    assert!(of_stack.status.success(), "{}", text(&of_stack.stderr));
    let selected = std::fs::read_dir(files.join(folder_of_events)).unwrap();
    assert!(selected.count() >= 20);
    std::fs::create_dir_all(files.join("local_db")).unwrap();
    let mut found = output(&of_stack, table)["view"].clone();
    found
        .as_object_mut()
        .unwrap()
        .remove("type")
        .unwrap_or_default();
    let found = serde_json::to_vec(&found).unwrap();
    std::fs::write(files.join(format!("local_db/{table}.json")), found).unwrap();

    let (alone, beside) = (run("alone", &short, &[]), run("beside", &short, &[]));
    assert!(beside.status.success(), "{}", text(&beside.stderr));
    let rows = output(&alone, table)["view"]["rows"].clone();
    assert!(!rows.as_array().unwrap().is_empty());
    assert_eq!(text(&beside.stdout), text(&alone.stdout));
}

#[test]
fn bad_messages_are_told_with_file_offset_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.rec");
    let mut writer = RecordingWriter::create(&file).unwrap();
    let at_ns = i64::try_from(START_S).unwrap() * 1_000_000_000;
    writer.append(at_ns, tags::IO_EVT, b"no event").unwrap();
    writer.finish().unwrap();
    let path = file.to_str().unwrap();
    let ran = fathom(&["trigger_rates", path]);
    assert_eq!(ran.status.code(), Some(1));
    let told = text(&ran.stderr);
    let decoded = Command::new(env!("CARGO_BIN_EXE_fathom"))
        .args(["decode", path, "--json"])
        .output()
        .unwrap();
    let problem: Value = serde_json::from_slice(&decoded.stderr).unwrap();
    let place = format!("{path}: offset {}: ", problem["offset"]);
    assert!(told.contains(&place), "{told}");
    assert!(told.contains("1 messages of 0.0 s, 1 bad"), "{told}");

    let ran = fathom(&["trigger_rates", path, "--json"]);
    let told = text(&ran.stderr);
    let line: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!(line["offset"], problem["offset"]);
    assert_eq!(line["file"], path);
}

#[test]
fn files_without_a_message_for_the_monitor_are_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = recording(folder.path(), 1);
    let args = ["trigger_rates", file.to_str().unwrap()];
    assert!(fathom(&args).status.success());
    let log = folder.path().join("MSG.log");
    std::fs::write(&log, "a line\n").unwrap();
    let ran = fathom(&["trigger_rates", log.to_str().unwrap()]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(text(&ran.stderr).contains("no message that the monitor takes"));
}

#[test]
fn outputs_come_in_between_and_as_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = recording(folder.path(), 10);
    let (plots, files) = (folder.path().join("plots"), folder.path().join("files"));
    let args = [
        "dom_rates",
        file.to_str().unwrap(),
        "--geometry=orca",
        "--dus=2",
        "--set=interval=1s",
        "--every=2s",
        "--settle=5s",
        "--plots",
        plots.to_str().unwrap(),
        "--files",
        files.to_str().unwrap(),
    ];
    let ran = fathom(&args);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let all = lines(&ran);
    let of_map = all
        .iter()
        .filter(|line| line["output"]["name"] == "dom_rates");
    assert!((5..=9).contains(&of_map.count()), "{}", all.len());
    let picture = std::fs::read(plots.join("dom_rates.png")).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    // What is there already would be doubled.
    std::fs::write(files.join("left.csv"), "").unwrap();
    let again = fathom(&args);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("not empty"));
}

#[test]
fn options_come_from_a_configuration_and_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = recording(folder.path(), 2);
    let file = file.to_str().unwrap();
    let config = folder.path().join("supervisor.toml");
    let sections = "[detector]\ngeometry = \"orca\"\ndus = 2\n\
                    [service.rates]\nkind = \"dom_rates\"\ngroup = \"m\"\n[group.m]\n";
    std::fs::write(&config, sections).unwrap();
    let config = format!("--config={}", config.display());
    for name in ["rates", "dom_rates", "m:rates"] {
        let ran = fathom(&[name, file, &config]);
        assert!(ran.status.success(), "{name}: {}", text(&ran.stderr));
        // Two DUs of 18 floors.
        let values = output(&ran, "dom_rates")["view"]["values"].clone();
        assert_eq!(values.as_array().unwrap().len(), 36);
    }
    let other = fathom(&["rates", file, &config, "--geometry=orca", "--dus=3"]);
    let values = output(&other, "dom_rates")["view"]["values"].clone();
    assert_eq!(values.as_array().unwrap().len(), 54);

    let wrong = fathom(&["rates", file, &config, "--set=lowest_rat=1"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("lowest_rat"));
    for (name, expected) in [
        ("dom_rate", "did you mean `dom_rates`?"),
        ("ligier", "is no monitor, expected "),
    ] {
        let wrong = fathom(&[name, file]);
        assert_eq!(wrong.status.code(), Some(1));
        let told = text(&wrong.stderr);
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn real_dumps_give_the_reference_counts() {
    let Some(data) = std::env::var_os("FATHOM_TESTDATA").map(PathBuf::from) else {
        println!("skipped: real dumps (FATHOM_TESTDATA names no folder)");
        return;
    };
    let reference = std::env::var_os("FATHOM_GOLDEN").map_or_else(
        || PathBuf::from("services/formats/tests/data/golden-public.json"),
        PathBuf::from,
    );
    let reference: Value = serde_json::from_slice(&std::fs::read(reference).unwrap()).unwrap();
    for (monitor, file, name) in [
        ("trigger_rates", "IO_EVT.dat", "trigger_counts"),
        ("dom_activity", "IO_SUM.dat", "dom_activity"),
        ("pmt_rates", "IO_MONIT.dat", "pmt_rates_summary"),
    ] {
        let places = ["daq", "online", "."].map(|folder| data.join(folder).join(file));
        let path = places.into_iter().find(|path| path.exists()).unwrap();
        let mut args = vec![monitor, path.to_str().unwrap(), "--settle=30s"];
        if monitor == "dom_activity" {
            args.push("--set=reference=data");
        }
        let (one, two) = (fathom(&args), fathom(&args));
        assert!(one.status.success(), "{}", text(&one.stderr));
        assert!(one.stdout == two.stdout);
        let count = &reference["files"][file]["n_messages"];
        assert_eq!(
            &output(&one, name)["losses"]["received"],
            count,
            "{monitor}"
        );
    }
}

/// The log services could not be run over anything recorded.
#[test]
fn log_files_and_recorded_messages_go_through_the_log_services() {
    let folder = tempfile::tempdir().unwrap();
    let line = |level: &str| format!("MSG.log [DataFilter]: x 10.0.0.1 F001 {level} y\n");
    let day = |day: u32, text: String| {
        let path = folder.path().join(format!("MSG_2026-01-{day:02}.log"));
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let late = day(31, line("WARNING") + "\tmore of it\n" + &line("ERROR"));
    let early = day(30, line("ERROR").repeat(3));
    // Counts are shown with each full minute.
    let ran = fathom(&["log_analyser", &late, &early, "--settle=90s"]);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert!(
        text(&ran.stderr).contains("5 messages of"),
        "{}",
        text(&ran.stderr)
    );
    let today = output(&ran, "log_today");
    let rows = today["view"]["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row[0] == "DataFilter").unwrap();
    let columns = today["view"]["columns"].as_array().unwrap();
    let at = |name: &str| columns.iter().position(|column| column == name).unwrap();
    assert_eq!(
        (&row[at("ERROR")], &row[at("WARNING")]),
        (&1.into(), &1.into())
    );
    let shown = output(&fathom(&["weblog", &early, &late]), "weblog");
    let messages = shown["view"]["rows"].as_array().unwrap();
    assert_eq!(messages.len(), 5);
    assert_eq!(messages[3][4], "x 10.0.0.1 F001 WARNING y\nmore of it");
    let file = folder.path().join("x.rec");
    let mut writer = RecordingWriter::create(&file).unwrap();
    writer.append(1_000_000_000, tags::MSG, b"hello").unwrap();
    writer.finish().unwrap();
    let ran = fathom(&["weblog", file.to_str().unwrap()]);
    assert_eq!(output(&ran, "weblog")["view"]["rows"][0][4], "hello");
    let mixed = fathom(&["weblog", file.to_str().unwrap(), &early]);
    assert!(text(&mixed.stderr).contains("cannot be taken together"));
}

#[test]
fn a_calibration_under_way_at_the_end_of_the_files_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = recording_of(folder.path(), 11, &[tags::IO_TSL1]);
    let files = folder.path().join("files");
    let args = [
        "k40_calibration",
        file.to_str().unwrap(),
        "--geometry=orca",
        "--dus=2",
        "--set=cycle=10s",
        "--set=doms_per_tick=1",
        "--settle=1s",
        "--files",
        files.to_str().unwrap(),
    ];
    let ran = fathom(&args);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert!(std::fs::read_dir(&files).unwrap().count() > 0);
    assert!(!text(&ran.stderr).contains("still at work"));
}

#[test]
fn a_detector_page_that_was_never_asked_is_told_and_not_done_without() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = recording(folder.path(), 1);
    let config = folder.path().join("supervisor.toml");
    let page =
        "[detector]\nurl = \"http://127.0.0.1:9/detx\"\n[service.royfit]\nkind = \"royfit\"\n";
    std::fs::write(&config, page).unwrap();
    let args = [
        "royfit",
        file.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
    ];
    let ran = fathom(&args);
    let told = text(&ran.stderr);
    assert!(
        !ran.status.success() && told.contains("add a section [detector]"),
        "{told}"
    );
}

#[test]
fn what_is_odd_in_the_detector_file_is_told_as_a_check_tells_it() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = recording(folder.path(), 1);
    let detector = folder.path().join("two_dus.detx");
    let odd = Detector::generated(&Geometry::orca(2)).to_detx(DetxVersion::V3);
    std::fs::write(&detector, odd + "and more\n").unwrap();
    let (file, detector) = (file.to_str().unwrap(), detector.to_str().unwrap());
    let ran = fathom(&["dom_rates", file, "--detector", detector]);
    assert!(ran.status.success());
    let told = text(&ran.stderr);
    assert!(told.contains("not a module record"), "{told}");
}
