//! The message dumper from outside: messages in, files out.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::time::Duration;

use fathom_kernel::{
    Clock, Event, Filter, Frame, FromConfig, Limits, Outside, Request, Service, ServiceCx,
    ServiceError, Setup, Size, Timestamp, Topic, tags,
};
use fathom_logging::{MsgDumper, MsgDumperConfig as Config};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

struct Rig {
    cx: Handles,
    outside: Outside,
    running: JoinHandle<Result<(), ServiceError>>,
}

struct Handles {
    bus: fathom_kernel::Bus,
    board: fathom_kernel::Board,
    stop: tokio_util::sync::CancellationToken,
    clock: Clock,
    counters: std::sync::Arc<fathom_kernel::Counters>,
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Starts a dumper in a folder, at a time.
async fn start(folder: &Path, now: &str, config: Config) -> Rig {
    let (alone, mut outside) = ServiceCx::alone("logging:msg_dumper", folder);
    let clock = Clock::manual(time(now));
    let handles = Handles {
        bus: alone.bus.clone(),
        board: alone.board.clone(),
        stop: alone.stop.clone(),
        clock: clock.clone(),
        counters: alone.counters.clone(),
    };
    let (ready, seen) = tokio::sync::watch::channel(false);
    outside.ready = seen;
    let cx = ServiceCx {
        name: alone.name,
        bus: alone.bus,
        board: alone.board,
        stop: alone.stop,
        inbox: alone.inbox,
        control: alone.control,
        counters: alone.counters,
        clock,
        checkpoint: alone.checkpoint,
        addresses: alone.addresses,
        detector: alone.detector,
        world: alone.world,
        data_dir: alone.data_dir,
        ready,
    };
    MsgDumper::check(&config, &Setup::default()).unwrap();
    let service = Box::new(MsgDumper::from_config(&config, &Setup::default()));
    let running = tokio::spawn(service.run(cx));
    outside.ready.wait_for(|ready| *ready).await.unwrap();
    Rig {
        cx: handles,
        outside,
        running,
    }
}

impl Rig {
    fn say(&self, text: impl AsRef<[u8]>) {
        self.cx.bus.publish(Event::Frame(Frame {
            source: "test".into(),
            tag: tags::MSG,
            received: self.cx.clock.now(),
            body: text.as_ref().to_vec().into(),
        }));
    }

    /// Asks; the answer comes when all that was said before is in the file or refused.
    async fn ask(&self, args: Value) -> Result<Value, String> {
        self.request("search", args).await
    }

    async fn request(&self, verb: &str, args: Value) -> Result<Value, String> {
        let (reply, answer) = oneshot::channel();
        let verb = verb.to_owned();
        let request = Request { verb, args, reply };
        self.outside.inbox.send(request).await.unwrap();
        answer.await.unwrap()
    }

    async fn texts(&self, args: Value) -> Vec<String> {
        let answer = self.ask(args).await.unwrap();
        let messages = answer["messages"].as_array().unwrap();
        messages
            .iter()
            .map(|m| m["text"].as_str().unwrap().to_owned())
            .collect()
    }

    async fn stop(self) {
        self.cx.stop.cancel();
        self.running.await.unwrap().unwrap();
    }
}

/// Waits for a condition; fails after a while.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain: {what}");
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_default()
}

#[tokio::test]
async fn msg_vectors() {
    let own = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../monitors/tests/data/monitor-vectors.json"
    );
    let path = std::env::var("FATHOM_MONITOR_VECTORS").unwrap_or(own.into());
    let vectors: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), "2026-03-01T12:00:00Z", Config::default()).await;
    let mut expected = String::new();
    for case in vectors["msg"].as_array().unwrap() {
        rig.say(case["message"].as_str().unwrap());
        expected += case["line"].as_str().unwrap();
    }
    rig.stop().await;
    assert_eq!(read(folder.path(), "MSG.log"), expected);
}

#[tokio::test]
async fn the_file_is_archived_at_midnight_without_any_message() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), "2026-03-01T23:59:58Z", Config::default()).await;
    rig.say("before midnight");
    until("the line is written", || {
        !read(folder.path(), "MSG.log").is_empty()
    })
    .await;
    rig.cx.clock.set(time("2026-03-02T00:00:01Z"));
    let archived = || folder.path().join("MSG_2026-03-01.log").exists();
    until("the file is archived", archived).await;
    rig.say("after midnight");
    rig.stop().await;
    let line = |text: &str| format!("MSG.log [Other]: {text}\n");
    assert_eq!(
        read(folder.path(), "MSG_2026-03-01.log"),
        line("before midnight")
    );
    assert_eq!(read(folder.path(), "MSG.log"), line("after midnight"));
}

#[tokio::test]
async fn a_restart_on_another_day_archives_under_the_day_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("MSG.log");
    fs::write(&path, "MSG.log [Other]: old\n").unwrap();
    let modified = time("2026-02-27T18:00:00Z").into();
    fs::File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    // The archive of that day is there already: from a stop and a start on that day.
    let archived = "MSG_2026-02-27.log";
    fs::write(folder.path().join(archived), "MSG.log [Other]: older\n").unwrap();
    let config = Config {
        gzip_after: fathom_kernel::Span::ZERO,
        ..Config::default()
    };
    let rig = start(folder.path(), "2026-03-01T12:00:00Z", config).await;
    rig.say("new");
    rig.stop().await;
    let both = "MSG.log [Other]: older\nMSG.log [Other]: old\n";
    assert_eq!(read(folder.path(), archived), both);
    assert_eq!(read(folder.path(), "MSG.log"), "MSG.log [Other]: new\n");
}

#[tokio::test]
async fn a_restart_on_the_same_day_continues_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for n in 1..=2 {
        let now = "2026-03-01T23:59:00Z";
        let rig = start(folder.path(), now, Config::default()).await;
        rig.say(format!("start {n}"));
        assert_eq!(rig.texts(json!({"text": "START"})).await.len(), n);
        rig.stop().await;
        // The file is of the day on which it was changed.
        let path = folder.path().join("MSG.log");
        let file = fs::File::options().append(true).open(path).unwrap();
        file.set_modified(time(now).into()).unwrap();
    }
    assert_eq!(read(folder.path(), "MSG.log").lines().count(), 2);
}

#[tokio::test]
async fn bytes_that_are_no_text_and_several_lines_are_one_record_each() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), "2026-03-01T12:00:00Z", Config::default()).await;
    rig.say(b"caf\xe9 F0\nsecond line\n");
    rig.say("third");
    let found = rig.texts(json!({})).await;
    assert_eq!(found, ["caf\u{fffd} F0\nsecond line", "third"]);
    rig.stop().await;
    let expected = "MSG.log [DataFilter]: caf\u{fffd} F0\n\tsecond line\nMSG.log [Other]: third\n";
    assert_eq!(read(folder.path(), "MSG.log"), expected);
}

#[tokio::test]
async fn messages_are_found_by_time_level_class_and_text_over_days() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        gzip_after: fathom_kernel::Span::from_secs(86_400),
        ..Config::default()
    };
    // A file of km3mon, without index.
    let old = "MSG.log [DataQueue]: x 10.0.0.1 Q01 ERROR from km3mon Q01\nMSG.log [Other]: plain\n";
    fs::write(folder.path().join("MSG_2026-02-20.log"), old).unwrap();
    let rig = start(folder.path(), "2026-03-01T12:00:00Z", config).await;
    rig.say("a 10.0.0.1 F01 ERROR on the first F01");
    rig.say("a 10.0.0.1 F01 WARNING on the first F01");
    assert_eq!(rig.texts(json!({"text": "on the first"})).await.len(), 2);
    rig.cx.clock.set(time("2026-03-02T12:00:00Z"));
    rig.say("a 10.0.0.1 W01 ERROR on the second W01");
    let packed = folder.path().join("MSG_2026-02-20.log.gz");
    until("old days are compressed", || packed.exists()).await;

    let error = rig.texts(json!({"level": ["ERROR"]})).await;
    let texts: Vec<_> = error
        .iter()
        .map(|t| t.rsplit(' ').nth(1).unwrap())
        .collect();
    assert_eq!(texts, ["km3mon", "first", "second"]);
    assert_eq!(
        rig.texts(json!({"level": ["ERROR"], "limit": 1})).await,
        error[2..]
    );
    assert_eq!(
        rig.texts(json!({"class": ["DataWriter"]})).await,
        error[2..]
    );
    let range = json!({"from": "2026-03-01T00:00:00Z", "to": "2026-03-01T23:00:00Z"});
    assert_eq!(rig.texts(range).await.len(), 2);
    assert_eq!(rig.texts(json!({"text": "PLAIN"})).await, ["plain"]);
    let refused = rig.ask(json!({"colour": "red"})).await.unwrap_err();
    assert!(refused.contains("unknown field `colour`"), "{refused}");
    rig.stop().await;
}

#[tokio::test]
async fn a_full_disk_loses_nothing_until_the_memory_is_used_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("MSG.log");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let config = Config {
        waiting: Size::from_bytes(1000),
        ..Config::default()
    };
    let rig = start(folder.path(), "2026-03-01T12:00:00Z", config).await;
    for n in 0..100 {
        rig.say(format!("message {n:02}"));
    }
    let lost = || {
        rig.cx
            .counters
            .snapshot()
            .bad
            .get("lost on a full disk")
            .copied()
    };
    until("the memory is used up", || lost().is_some()).await;
    fs::remove_file(&path).unwrap();
    until("the disk takes it again", || {
        !read(folder.path(), "MSG.log").is_empty()
    })
    .await;
    rig.say("later");
    let lost = lost().unwrap();
    rig.stop().await;
    let text = read(folder.path(), "MSG.log");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len() as u64, 100 - lost + 2);
    assert_eq!(lines[0], "MSG.log [Other]: message 00");
    let said =
        format!("MSG.log [Other]: ALERT {lost} messages were lost because the disk was full");
    assert_eq!(lines[lines.len() - 2..], [&said, "MSG.log [Other]: later"]);
}

/// Whoever started while the disk was full never heard of it.
#[tokio::test]
async fn a_full_disk_was_kept_from_who_asks_what_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("MSG.log");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let now = "2026-03-01T12:00:00Z";
    let rig = start(folder.path(), now, Config::default()).await;
    let held = async || rig.request("conditions", Value::Null).await.unwrap();
    assert_eq!(held().await, json!([]));
    rig.say("message");
    let held_now = held().await;
    let text = held_now[0]["text"].as_str().unwrap();
    assert!(text.contains("MSG.log"), "{text}");
    let expected = json!([{
        "service": "logging:msg_dumper", "rule": "messages_not_written", "subject": "MSG",
        "severity": "alert", "firing": true, "text": text, "at": now,
    }]);
    assert_eq!(held_now, expected);
    fs::remove_file(&path).unwrap();
    rig.say("later");
    assert_eq!(held().await, json!([]));
    rig.stop().await;
}

/// The condition that an earlier start had said stood on the bus until the disk was full once more.
#[tokio::test]
async fn a_start_on_a_mended_disk_did_not_take_the_condition_back() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), "2026-03-01T12:00:00Z", Config::default()).await;
    let wanted = Filter::none().and(Topic::Alarm);
    let mut events = rig.cx.bus.subscribe("test", wanted, Limits::default());
    let mut said = VecDeque::new();
    until("it says how the disk is", || events.try_batch(&mut said)).await;
    let Event::Alarm(alarm) = &*said[0] else {
        panic!("{said:?}")
    };
    let about = (&*alarm.rule, &*alarm.subject, alarm.firing);
    assert_eq!(about, ("messages_not_written", "MSG", false));
    rig.stop().await;
}

#[tokio::test]
async fn a_burst_larger_than_the_memory_is_written_as_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        waiting: Size::from_bytes(1000),
        ..Config::default()
    };
    let rig = start(folder.path(), "2026-03-01T12:00:00Z", config).await;
    let burst = (0..1000).map(|n| {
        Event::Frame(Frame {
            source: "test".into(),
            tag: tags::MSG,
            received: rig.cx.clock.now(),
            body: format!("message {n}").into_bytes().into(),
        })
    });
    rig.cx.bus.publish_batch(burst.collect());
    let bad = rig.cx.counters.clone();
    rig.stop().await;
    assert_eq!(read(folder.path(), "MSG.log").lines().count(), 1000);
    assert!(bad.snapshot().bad.is_empty());
}

#[tokio::test]
async fn the_page_gets_the_last_messages_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), "2026-03-01T12:00:00Z", Config::default()).await;
    rig.say("a 10.0.0.1 F01 ERROR x F01");
    let board = rig.cx.board.clone();
    let shown = || {
        board
            .entry("messages")
            .map(|e| serde_json::to_value(&*e.output).unwrap())
    };
    until("the table is there", || {
        shown().is_some_and(|o| o["view"]["rows"][0][1] == "ERROR")
    })
    .await;
    rig.say("later");
    until("the newest is on top", || {
        shown().is_some_and(|o| o["view"]["rows"][0][3] == "later")
    })
    .await;
    assert_eq!(shown().unwrap()["view"]["rows"][1][1], "ERROR");
    let counts = board.entry("message_counts").unwrap();
    let counts = serde_json::to_value(&*counts.output).unwrap();
    assert_eq!(counts["view"]["columns"][2], "ERROR");
    let row = counts["view"]["rows"][2].as_array().unwrap();
    assert_eq!(row[..3], [json!("DataFilter"), json!(0), json!(1)]);
    rig.stop().await;
    // After a restart the page shows what it showed before.
    let rig = start(folder.path(), "2026-03-01T12:00:05Z", Config::default()).await;
    let board = rig.cx.board.clone();
    until("the table is back", || {
        let entry = board.entry("messages");
        entry.is_some_and(|e| {
            serde_json::to_value(&*e.output).unwrap()["view"]["rows"][0][0] == "2026-03-01 12:00:00"
        })
    })
    .await;
    rig.stop().await;
}

#[tokio::test]
async fn messages_are_found_after_somebody_took_the_file_away() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), "2026-01-31T12:00:00Z", Config::default()).await;
    rig.say("before, and rather long");
    assert_eq!(rig.texts(json!({})).await.len(), 1);
    fs::remove_file(folder.path().join("MSG.log")).unwrap();
    rig.say("one");
    assert_eq!(rig.texts(json!({})).await, ["one"]);
    rig.say("two");
    assert_eq!(rig.texts(json!({})).await, ["one", "two"]);
    // Another file in its place.
    fs::rename(folder.path().join("MSG.log"), folder.path().join("moved")).unwrap();
    fs::write(folder.path().join("MSG.log"), "MSG.log [Other]: theirs\n").unwrap();
    rig.say("three");
    assert_eq!(rig.texts(json!({})).await, ["theirs", "three"]);
    rig.stop().await;
    let text = read(folder.path(), "MSG.log");
    assert_eq!(text, "MSG.log [Other]: theirs\nMSG.log [Other]: three\n");
}
