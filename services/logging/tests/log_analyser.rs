//! The analyser and the log page's data from outside: messages and files in, outputs out.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use fathom_kernel::view::{Panels, Table, View};
use fathom_kernel::{
    Clock, Event, Frame, FromConfig, Outside, Request, Service, ServiceCx, Setup, Timestamp, tags,
};
use fathom_logging::{
    LogAnalyser, LogAnalyserConfig, MsgDumper, MsgDumperConfig, Weblog, WeblogConfig,
};
use serde_json::{Value, json};

const NOW: &str = "2021-09-03T12:00:30Z";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A service on a bus of its own, or on that of another.
struct Rig {
    bus: fathom_kernel::Bus,
    counters: std::sync::Arc<fathom_kernel::Counters>,
    board: fathom_kernel::Board,
    stop: tokio_util::sync::CancellationToken,
    clock: Clock,
    outside: Outside,
    running: tokio::task::JoinHandle<()>,
}

async fn start(service: Box<dyn Service>, folder: &Path, beside: Option<&Rig>) -> Rig {
    let (mut cx, mut outside) = ServiceCx::alone("logging:test", folder);
    cx.clock = Clock::manual(time(NOW));
    if let Some(rig) = beside {
        (cx.bus, cx.clock) = (rig.bus.clone(), rig.clock.clone());
    }
    let (bus, board, stop) = (cx.bus.clone(), cx.board.clone(), cx.stop.clone());
    let (clock, counters) = (cx.clock.clone(), cx.counters.clone());
    let running = tokio::spawn(async move { service.run(cx).await.unwrap() });
    outside.ready.wait_for(|ready| *ready).await.unwrap();
    Rig {
        bus,
        counters,
        board,
        stop,
        clock,
        outside,
        running,
    }
}

impl Rig {
    fn say(&self, text: &str) {
        self.bus.publish(Event::Frame(Frame {
            source: "test".into(),
            tag: tags::MSG,
            received: self.clock.now(),
            body: text.as_bytes().to_vec().into(),
        }));
    }

    /// Waits for an output that fits.
    async fn output(&self, name: &str, fits: impl Fn(&View) -> bool) -> View {
        for _ in 0..500 {
            if let Some(entry) = self
                .board
                .entry(name)
                .filter(|entry| fits(&entry.output.view))
            {
                return entry.output.view.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!(
            "waited in vain: {name}, {:?}",
            self.board.entry(name).map(|e| e.output)
        );
    }

    async fn ask(&self, verb: &str, args: Value) -> Result<Value, String> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let verb = verb.to_owned();
        self.outside
            .inbox
            .send(Request { verb, args, reply })
            .await
            .unwrap();
        answer.await.unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

fn analyser(config: &LogAnalyserConfig) -> Box<dyn Service> {
    LogAnalyser::check(config, &Setup::default()).unwrap();
    Box::new(LogAnalyser::from_config(config, &Setup::default()))
}

fn table(view: &View) -> &Table {
    match view {
        View::Table(table) => table,
        other => panic!("{other:?}"),
    }
}

fn cell(table: &Table, row: &str, column: &str) -> Value {
    let at = table
        .columns
        .iter()
        .position(|name| name == column)
        .unwrap();
    let row = table.rows.iter().find(|cells| cells[0] == row);
    row.map_or(Value::Null, |cells| cells[at].clone())
}

fn vectors() -> Value {
    let own = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../monitors/tests/data/monitor-vectors.json"
    );
    let path = std::env::var("FATHOM_MONITOR_VECTORS").unwrap_or(own.into());
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn log_stats_vectors() {
    let section = &vectors()["log_stats"];
    let lines: Vec<_> = section["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l.as_str().unwrap())
        .collect();
    let text = lines.join("\n") + "\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("MSG_2021-09-01.log"), &text).unwrap();
    // The same compressed, without an index as well.
    let packed = fs::File::create(folder.path().join("MSG_2021-09-02.log.gz")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap();
    let rig = start(analyser(&LogAnalyserConfig::default()), folder.path(), None).await;
    let view = rig
        .output("log_days", |view| table(view).rows.len() == 2)
        .await;
    for day in ["2021-09-01", "2021-09-02"] {
        for level in ["errors", "warnings"] {
            for (class, expected) in section[level].as_object().unwrap() {
                let column = format!("{class} {}", level.trim_end_matches('s').to_uppercase());
                assert_eq!(
                    cell(table(&view), day, &column),
                    *expected,
                    "{day} {column}"
                );
            }
        }
        assert_eq!(cell(table(&view), day, "unmatched"), section["unmatched"]);
        assert_eq!(cell(table(&view), day, "counted from"), json!("file"));
    }
    let View::Panels(chart) = rig.output("log_stats", |_| true).await else {
        panic!("no panels")
    };
    check_chart(&chart, section);
    // The days before are what is usual: their mean is the same.
    let today = rig.output("log_today", |_| true).await;
    let usual = cell(table(&today), "DataWriter", "ERROR per day, mean of 7 days");
    assert_eq!(usual.as_f64(), section["errors"]["DataWriter"].as_f64());
    rig.stop().await;
}

fn check_chart(chart: &Panels, section: &Value) {
    let titles: Vec<_> = chart.panels.iter().map(|panel| &*panel.title).collect();
    let sorted = [
        "AcousticDataFilter",
        "DataFilter",
        "DataQueue",
        "DataWriter",
        "Other",
    ];
    assert_eq!(titles, sorted);
    assert_eq!((chart.y.low, chart.y.high), (Some(0.1), Some(1e6)));
    for panel in &chart.panels {
        for (layer, (level, colour)) in panel
            .layers
            .iter()
            .zip([("errors", "red"), ("warnings", "blue")])
        {
            assert_eq!((&*layer.name, &*layer.colour), (level, colour));
            assert_eq!(Some(layer.y[0]), section[level][&panel.title].as_f64());
        }
    }
    assert!(View::from(chart.clone()).fault().is_none());
}

#[tokio::test]
async fn messages_are_counted_as_they_come_and_a_burst_is_an_alarm() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(analyser(&LogAnalyserConfig::default()), folder.path(), None).await;
    let filter = fathom_kernel::Filter::none().and(fathom_kernel::Topic::Alarm);
    let mut alarms = rig
        .bus
        .subscribe("test", filter, fathom_kernel::Limits::default());
    for _ in 0..11 {
        rig.say("2021-09-03 12:00 10.0.0.1 F001 ERROR too many packets");
    }
    rig.say("ALERT (MONITORING) Fri Sep 3: invalid time sync");
    rig.say("hello");
    let mut batch = std::collections::VecDeque::new();
    assert!(alarms.recv_batch(&mut batch).await);
    let Event::Alarm(alarm) = &*batch[0] else {
        panic!("{batch:?}")
    };
    assert_eq!(
        (&*alarm.rule, &*alarm.subject, alarm.firing),
        ("log_error_burst", "DataFilter", true)
    );
    // Whoever starts later asks.
    let held = rig.ask("conditions", Value::Null).await;
    assert_eq!(held, Ok(json!([alarm])));
    rig.clock.set(time("2021-09-03T12:01:05Z"));
    let today = rig
        .output("log_today", |view| {
            cell(table(view), "Other", "unmatched") == json!(1)
        })
        .await;
    assert_eq!(cell(table(&today), "DataFilter", "ERROR"), json!(11));
    assert_eq!(cell(table(&today), "Other", "ALERT"), json!(1));
    let View::Series(errors) = rig
        .output(
            "log_errors",
            |v| matches!(v, View::Series(s) if s.times_ms.len() == 2),
        )
        .await
    else {
        panic!("no series")
    };
    let curve = errors
        .curves
        .iter()
        .find(|c| c.name == "DataFilter")
        .unwrap();
    assert_eq!(curve.values, [11.0, 0.0]);
    rig.stop().await;
}

#[tokio::test]
async fn what_was_written_before_the_start_is_counted_from_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let config = MsgDumperConfig::default();
    let dumper: Box<dyn Service> = Box::new(MsgDumper::from_config(&config, &Setup::default()));
    let dumper = start(dumper, folder.path(), None).await;
    dumper.say("2021-09-03 12:00 10.0.0.1 W001 WARNING disk");
    let found = dumper
        .ask("search", json!({ "regex": "^2021.*dis[ck]$" }))
        .await
        .unwrap();
    assert_eq!(found["messages"].as_array().unwrap().len(), 1);
    let wrong = dumper
        .ask("search", json!({ "regex": "(" }))
        .await
        .unwrap_err();
    assert!(wrong.contains("unclosed group"), "{wrong}");
    dumper.clock.set(time("2021-09-03T12:00:40Z"));
    let rig = start(
        analyser(&LogAnalyserConfig::default()),
        folder.path(),
        Some(&dumper),
    )
    .await;
    let warnings =
        |count: u64| move |view: &View| cell(table(view), "DataWriter", "WARNING") == json!(count);
    rig.output("log_today", warnings(1)).await;
    rig.say("2021-09-03 12:00 10.0.0.1 W001 WARNING disk");
    rig.clock.set(time("2021-09-03T12:01:01Z"));
    rig.output("log_today", warnings(2)).await;
    rig.stop().await;
    dumper.stop().await;
}

#[tokio::test]
async fn the_log_page_has_the_last_messages_and_follows_without_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let earlier = "MSG.log [DataFilter]: 2021-09-02 1 10.0.0.1 F001 STATUS before\n";
    fs::write(folder.path().join("MSG.log"), earlier).unwrap();
    let config = WeblogConfig {
        shown: 3,
        kept: 50,
        ..WeblogConfig::default()
    };
    Weblog::check(&config, &Setup::default()).unwrap();
    let page: Box<dyn Service> = Box::new(Weblog::from_config(&config, &Setup::default()));
    let rig = start(page, folder.path(), None).await;
    let first = rig.output("weblog", |_| true).await;
    let row = &table(&first).rows[0];
    assert_eq!((&row[2], &row[3]), (&json!("STATUS"), &json!("DataFilter")));
    let number = row[0].as_u64().unwrap();
    assert_eq!(number, u64::try_from(time(NOW).as_microsecond()).unwrap());
    for n in 1..=20 {
        rig.say(&format!("message {n}"));
    }
    let last = |view: &View| {
        table(view)
            .rows
            .last()
            .is_some_and(|row| row[4] == json!("message 20"))
    };
    let view = rig.output("weblog", last).await;
    // All of a burst, or the last three when it was taken in two.
    assert!(table(&view).rows.len() >= 3);
    let numbers: Vec<_> = table(&view)
        .rows
        .iter()
        .map(|row| row[0].as_u64().unwrap())
        .collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
    assert_eq!(*numbers.last().unwrap(), number + 20);
    let all = rig.ask("messages", json!({ "limit": 1000 })).await.unwrap();
    assert_eq!(all["rows"].as_array().unwrap().len(), 21);
    let highlights = rig.output("weblog_highlights", |_| true).await;
    assert_eq!(table(&highlights).rows.len(), 7);
    assert_eq!(
        cell(table(&highlights), "\\bERROR\\b", "colour"),
        json!("#CC0C28")
    );
    assert_eq!(
        cell(table(&highlights), "\\bERROR\\b", "bold line"),
        json!(true)
    );
    assert_eq!(
        cell(table(&highlights), "\\[DataQueue\\]", "background"),
        json!("#674591")
    );
    rig.stop().await;
}

#[test]
fn a_highlight_that_is_no_expression_is_refused() {
    let mut config = WeblogConfig::default();
    config.highlights[0].pattern = "(".into();
    assert!(
        Weblog::check(&config, &Setup::default())
            .unwrap_err()
            .contains("unclosed group")
    );
}

/// Both said how many messages they took and nothing else.
#[tokio::test]
async fn the_log_services_report_what_every_monitor_reports() {
    let folder = tempfile::tempdir().unwrap();
    let weblog = WeblogConfig::default();
    let weblog: Box<dyn Service> = Box::new(Weblog::from_config(&weblog, &Setup::default()));
    let analyser = analyser(&LogAnalyserConfig::default());
    for (service, output) in [(weblog, "weblog"), (analyser, "log_today")] {
        let rig = start(service, folder.path(), None).await;
        rig.say("2021-09-03 12:00 10.0.0.1 F001 ERROR too many packets");
        rig.bus.publish(Event::Frame(Frame {
            source: "test".into(),
            tag: tags::MSG,
            received: rig.clock.now(),
            body: b"t\xe4glich".to_vec().into(),
        }));
        rig.output(output, |_| true).await;
        for _ in 0..500 {
            let counted = rig.counters.snapshot();
            if counted.received == 2 && counted.lag_s.is_some() && counted.memory_bytes.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let counted = rig.counters.snapshot();
        assert_eq!(counted.received, 2, "{output}");
        assert_eq!(counted.bad.get("not_utf8"), Some(&1), "{output}");
        assert_eq!(counted.lag_s, Some(0.0), "{output}");
        assert!(counted.memory_bytes.is_some(), "{output}");
        assert!(counted.last_output.is_some(), "{output}");
        rig.ask("reset", Value::Null).await.unwrap();
        rig.stop().await;
    }
}
