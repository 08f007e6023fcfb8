//! Logging as a whole process has it: the file, its rotation, panics, a second stack.

use std::path::Path;
use std::time::{Duration, Instant};

use fathom::telemetry::{Format, Options, Records, Telemetry};
use fathom_kernel::Bus;
use serde_json::Value;
use tracing::Instrument as _;

/// Reads the records of a log and its rotated files, oldest first.
fn records(folder: &Path) -> Vec<Value> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of the log")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    // `fathom.log`, `fathom.log.1`, `fathom.log.2`: the longer the number, the older.
    files.sort();
    files.reverse();
    files
        .iter()
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).expect("a log");
            let lines: Vec<Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).expect("one JSON object per line"))
                .collect();
            lines
        })
        .collect()
}

// One test, because logging is installed once per process.
#[test]
fn records_are_written_rotated_tagged_and_panics_are_among_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let logs = folder.path().join("logs");
    let options = Options {
        format: Format::Json,
        file: Some(logs.join("fathom.log")),
        max_bytes: 20_000,
        backups: 8,
        stderr: false,
        ..Options::default()
    };
    let telemetry = Telemetry::install(&options).expect("installed");
    let second = Telemetry::install(&options).expect("a second stack is no problem");
    let bus = Bus::new();
    let stack = Records::new(bus);

    for number in 0..500_u64 {
        tracing::info!(number, "counting");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("a runtime");
    let service = async {
        tracing::debug!("below the level");
        panic!("no detector");
    };
    let ended = runtime.block_on(async {
        tokio::spawn(service.instrument(stack.span("monitoring:dom_rates", 1))).await
    });
    assert!(ended.expect_err("it panicked").is_panic());

    let tail = stack.tail("monitoring:dom_rates", 10).expect("its log");
    assert_eq!(tail.len(), 1, "one record per panic");
    assert!(
        tail[0].line.starts_with("ERROR panicked panic="),
        "{}",
        tail[0].line
    );
    assert!(
        tail[0].line.contains("panic=\"no detector\""),
        "{}",
        tail[0].line
    );

    assert_eq!(telemetry.dropped(), 0);
    drop((second, telemetry));
    let written = wait_for(|| {
        let written = records(&logs);
        (written.len() == 501).then_some(written)
    });
    for (number, record) in written[..500].iter().enumerate() {
        assert_eq!(record["fields"]["number"], number);
        assert_eq!(record["service"], "");
    }
    let panic = &written[500];
    assert_eq!(panic["service"], "monitoring:dom_rates");
    assert_eq!(panic["fields"]["panic"], "no detector");
    assert!(logs.join("fathom.log.1").exists(), "it was rotated");
}

#[test]
fn a_filter_that_cannot_be_read_is_named() {
    let options = Options {
        level: "fathom=loud".to_owned(),
        ..Options::default()
    };
    let error = Telemetry::install(&options).err().expect("refused");
    assert_eq!(error.to_string(), "log level \"fathom=loud\"");
}

/// Waits for the writer's thread.
fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}
