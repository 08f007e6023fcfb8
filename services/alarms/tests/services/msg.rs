//! `alarm_msg`: lines reach the bus and a ligier, through outages.

use std::collections::VecDeque;

use fathom_kernel::{Event, Filter, Limits, Severity, tags};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::rig::{QUICK, Stack, until};

#[tokio::test]
async fn an_alarm_and_its_end_stand_in_the_log() {
    let stack = Stack::live();
    let filter = Filter::frames([tags::MSG]);
    let mut log = stack.bus.subscribe("test", filter, Limits::default());
    let engine = stack.start("alarms", "alarms", "calm = \"0s\"").await;
    let sink = stack.start("alarm_msg", "alarm_msg", QUICK).await;
    let mut lines = Vec::new();
    for firing in [true, false] {
        stack.say("trigger_rate_zero", "Overall", Severity::Alert, firing);
        let mut batch = VecDeque::new();
        assert!(log.recv_batch(&mut batch).await);
        for event in &batch {
            let Event::Frame(frame) = &**event else {
                panic!("{event:?}")
            };
            assert_eq!(&*frame.source, "alarm_msg");
            lines.push(String::from_utf8(frame.body.to_vec()).unwrap());
        }
    }
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines
            .iter()
            .all(|line| line.starts_with("ALERT (MONITORING) "))
    );
    assert!(
        lines[0].contains("[alert]") && lines[1].contains("[resolved]"),
        "{lines:?}"
    );
    sink.stop().await;
    engine.stop().await;
}

/// Reads one message of a client.
async fn message(stream: &mut TcpStream) -> String {
    let mut prefix = [0; 16];
    stream.read_exact(&mut prefix).await.unwrap();
    assert_eq!(&prefix[..4], b"MSG\0");
    let length = u32::from_be_bytes(prefix[8..12].try_into().unwrap());
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await.unwrap();
    String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn what_comes_while_the_ligier_is_away_arrives_when_it_is_back() {
    let stack = Stack::live();
    let options = format!("to = \"service:ligier\"\n{QUICK}");
    let engine = stack.start("alarms", "alarms", "").await;
    let sink = stack.start("alarm_msg", "alarm_msg", &options).await;
    stack.say("r", "a", Severity::Alert, true);
    let counters = sink.counters.clone();
    let failed = || {
        counters
            .snapshot()
            .bad
            .get("message not sent")
            .copied()
            .unwrap_or(0)
    };
    until("it fails twice", || failed() >= 2).await;
    stack.say("r", "b", Severity::Alert, true);
    // It is stopped and started meanwhile.
    sink.stop().await;
    stack.say("r", "c", Severity::Alert, true);
    let sink = stack.start("alarm_msg", "alarm_msg", &options).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    stack
        .addresses
        .announce("ligier", listener.local_addr().unwrap());
    let (mut stream, _) = listener.accept().await.unwrap();
    for subject in ["a", "b", "c"] {
        let line = message(&mut stream).await;
        assert!(
            line.contains(&format!("r of {subject} (r, {subject}, #")),
            "{line}"
        );
    }
    // The ligier is restarted: the broken connection is noticed.
    drop(stream);
    stack.say("r", "d", Severity::Alert, true);
    let (mut stream, _) = listener.accept().await.unwrap();
    assert!(message(&mut stream).await.contains("r of d"));
    // The last one is read here a little before the sink knows that it is away.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let queue = stack.ask("alarm_msg", "queue", Value::Null).await.unwrap();
        assert_eq!(queue["dropped"], 0, "{queue}");
        if queue["waiting"] == 0 {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{queue}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    sink.stop().await;
    engine.stop().await;
}
