use std::io::{PipeWriter, Write};
use std::path::PathBuf;

use fathom_kernel::{Bus, LogStream};

use super::*;
use crate::config::plan::{LineFormat, OnFull};
use crate::logs::Logs;

struct Rig {
    _folder: tempfile::TempDir,
    path: PathBuf,
    records: Records,
    log: Arc<Outlet>,
    writer: Option<PipeWriter>,
    done: watch::Receiver<()>,
}

impl Rig {
    fn new(plan: &LogPlan, ready: Option<(Regex, watch::Sender<bool>)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Logs::new(folder.path(), None).keep("a", plan).out;
        let records = Records::new(Bus::new());
        let source = Source {
            service: &"a".into(),
            voice: Voice {
                incarnation: 1,
                stream: LogStream::Stdout,
            },
            plan,
            records: &records,
            clock: &Clock::system(),
        };
        let capture = Capture::new(&source, log.clone(), ready);
        let (reader, writer) = std::io::pipe().unwrap();
        Self {
            path: folder.path().join("logs/a.log"),
            _folder: folder,
            records,
            log,
            writer: Some(writer),
            done: capture.start(reader).unwrap(),
        }
    }

    fn write(&mut self, text: &[u8]) {
        self.writer.as_mut().unwrap().write_all(text).unwrap();
    }

    async fn end(&mut self) {
        self.writer = None;
        assert!(self.done.changed().await.is_err());
    }

    fn tail(&self) -> Vec<String> {
        let lines = self.records.tail("a", 2000).unwrap();
        lines.iter().map(|line| line.line.clone()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_come_whole_however_they_are_written_and_the_last_may_have_no_end() {
    let (ready, mut is_ready) = watch::channel(false);
    let pattern = Regex::new("^list.*ing").unwrap();
    let mut rig = Rig::new(&LogPlan::default(), Some((pattern, ready)));
    for part in ["on", "e\nlisten", "ing\n", "\u{e9} no end"] {
        rig.write(part.as_bytes());
    }
    is_ready.wait_for(|ready| *ready).await.unwrap();
    rig.end().await;
    assert_eq!(rig.tail(), ["one", "listening", "\u{e9} no end"]);
    assert_eq!(
        std::fs::read_to_string(&rig.path).unwrap(),
        "one\nlistening\n\u{e9} no end"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn characters_of_several_bytes_survive_every_border_of_a_read() {
    let mut rig = Rig::new(&LogPlan::default(), None);
    let line = format!("{}\n", "\u{1d11e}\u{e9}\u{20ac}".repeat(11));
    let text = line.repeat(4000);
    // Parts of a prime length cut characters at every place.
    text.as_bytes()
        .chunks(65_521)
        .for_each(|part| rig.write(part));
    rig.end().await;
    assert_eq!(std::fs::read_to_string(&rig.path).unwrap(), text);
    let tail = rig.tail();
    assert_eq!(tail.len(), 2000);
    assert!(tail.iter().all(|kept| *kept == line.trim_end()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_never_ends_is_kept_in_parts() {
    let mut rig = Rig::new(&LogPlan::default(), None);
    rig.write(&vec![b'x'; 5 << 20]);
    rig.end().await;
    assert_eq!(std::fs::metadata(&rig.path).unwrap().len(), 5 << 20);
    let bytes: usize = rig.tail().iter().map(String::len).sum();
    assert!(bytes <= Records::BYTES_MAX, "{bytes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shaped_lines_end_even_if_the_output_does_not() {
    let plan = LogPlan {
        format: LineFormat::Ts,
        ..LogPlan::default()
    };
    let mut rig = Rig::new(&plan, None);
    rig.write(b"one\ntwo");
    rig.end().await;
    let text = std::fs::read_to_string(&rig.path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(text.ends_with("Z two\n") && lines.len() == 2, "{text}");
    assert!(lines[0].ends_with("Z one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_takes_nothing_drops_lines_and_never_stops_the_writer() {
    let plan = LogPlan {
        on_full: OnFull::Drop,
        ..LogPlan::default()
    };
    let mut rig = Rig::new(&plan, None);
    let logs = rig.path.parent().unwrap().to_owned();
    std::fs::write(&logs, "a file where the folder should be").unwrap();
    let line = format!("{}\n", "x".repeat(1023));
    // Far more than fits in memory and pipes: it would wait for ever.
    rig.write(line.repeat(16 << 10).as_bytes());
    let dropped = rig.log.dropped();
    assert!(dropped.lines >= (10 << 10), "{dropped:?}");
    std::fs::remove_file(&logs).unwrap();
    rig.end().await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let kept = loop {
        let dropped = rig.log.dropped();
        let length = std::fs::metadata(&rig.path).map_or(0, |file| file.len());
        if length + dropped.bytes == 16 << 20 {
            break std::fs::read_to_string(&rig.path).unwrap();
        }
        assert!(Instant::now() < deadline, "{length} {dropped:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert!(kept.split_inclusive('\n').all(|kept| kept == line));
    assert_eq!(
        rig.tail().len(),
        1024,
        "the last lines are kept all the same"
    );
}

#[test]
fn full_disks_leave_the_threads_of_the_pool_to_others() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut rigs: Vec<Rig> = (0..3)
            .map(|_| Rig::new(&LogPlan::default(), None))
            .collect();
        let text = "x".repeat(1023) + "\n";
        let writers: Vec<_> = rigs
            .iter_mut()
            .map(|rig| {
                let logs = rig.path.parent().unwrap();
                std::fs::write(logs, "a file where the folder should be").unwrap();
                let (mut writer, text) = (rig.writer.take().unwrap(), text.clone());
                std::thread::spawn(move || {
                    for _ in 0..8 << 10 {
                        writer.write_all(text.as_bytes()).unwrap();
                    }
                })
            })
            .collect();
        for rig in &rigs {
            while rig.log.has_room(ROOM) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        let others = tokio::task::spawn_blocking(|| ());
        tokio::time::timeout(Duration::from_secs(20), others)
            .await
            .unwrap()
            .unwrap();
        assert!(writers.iter().all(|writer| !writer.is_finished()));
        for rig in &mut rigs {
            std::fs::remove_file(rig.path.parent().unwrap()).unwrap();
            assert!(rig.done.changed().await.is_err());
            assert_eq!(std::fs::metadata(&rig.path).unwrap().len(), 8 << 20);
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn rotation_at_full_speed_loses_and_doubles_nothing() {
    let plan = LogPlan {
        max: fathom_kernel::Size::from_bytes(100_000),
        backups: 400,
        ..LogPlan::default()
    };
    let mut rig = Rig::new(&plan, None);
    let text: String = (0..1_000_000).map(|n| format!("line {n}\n")).collect();
    rig.write(text.as_bytes());
    rig.end().await;
    let mut all = Vec::new();
    for number in (1..=400).rev() {
        let part = rig.path.with_file_name(format!("a.log.{number}"));
        let Ok(part) = std::fs::read(part) else {
            continue;
        };
        assert!(part.ends_with(b"\n") && (100_000..100_020).contains(&part.len()));
        all.extend(part);
    }
    all.extend(std::fs::read(&rig.path).unwrap());
    assert!(all == text.as_bytes());
}
