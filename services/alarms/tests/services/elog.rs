//! `alarm_elog`: entries reach a logbook as a browser would write them, with the picture of the event.

use fathom_kernel::Severity;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::rig::{QUICK, Stack, service, until};

/// Takes one call and answers it; returns the head and the body.
async fn take(listener: &TcpListener, answer: &str) -> (String, String) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = Vec::new();
    let (head, length) = loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).await.unwrap();
        assert!(count > 0, "closed too early");
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let (end, head) = (head.len(), head.to_lowercase());
            let length = head.split("content-length: ").nth(1).unwrap();
            let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
            break (head, end + 4 + length);
        }
    };
    while bytes.len() < length {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).await.unwrap();
        bytes.extend_from_slice(&part[..count]);
    }
    let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    (head, String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn a_new_event_of_the_top_ten_is_an_entry_with_its_picture() {
    let stack = Stack::live();
    let mut web = service("webserver", "RUNNING", 1);
    web["kind"] = json!("webserver");
    stack.others(&[web]);
    let picture = json!({ "base64": "cGljdHVyZQ==", "media_type": "image/png" });
    stack.answers("webserver", "picture", picture);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let engine = stack.start("alarms", "alarms", "").await;
    let options = format!("url = \"http://{address}\"\npassword = \"secret\"\n{QUICK}");
    let sink = stack.start("alarm_elog", "alarm_elog", &options).await;
    stack.say("trigger_rate_zero", "Overall", Severity::Alert, true);
    stack.say("top10_event", "ztplot_1_2_3", Severity::Info, true);
    // The server is restarted in between.
    let (_, _) = take(&listener, "503 Service Unavailable").await;
    let (head, body) = take(&listener, "302 Found\r\nLocation: 7").await;
    assert!(
        head.starts_with("post /individual+logbooks http/1.1"),
        "{head}"
    );
    for (name, value) in [
        ("exp", "Individual+Logbooks"),
        ("cmd", "Submit"),
        ("Subject", "New massive event!"),
        ("Author", "monitoring"),
        ("Type", "Monitoring"),
        ("unm", "km3net"),
        ("upwd", "o1w7HPzHt8gHmL5zUzDkRqt6Az.BjDfkvuDNNLWnXx5"),
        ("Text", "top10_event of ztplot_1_2_3"),
    ] {
        let field = format!("name=\"{name}\"\r\n\r\n{value}\r\n");
        assert!(body.contains(&field), "{name}: {body}");
    }
    let file = "name=\"attfile1\"; filename=\"ztplot_1_2_3.png\"\r\nContent-Type: image/png\r\n\r\npicture\r\n";
    assert!(body.contains(file), "{body}");
    let counters = sink.counters.clone();
    until("it is done", || counters.snapshot().sent == 1).await;
    sink.stop().await;
    engine.stop().await;
}

#[tokio::test]
async fn a_failed_log_in_is_no_success_although_it_answers_302() {
    let stack = Stack::live();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let engine = stack.start("alarms", "alarms", "").await;
    let options = format!("url = \"http://{address}\"\npassword = \"wrong\"\n{QUICK}");
    let sink = stack.start("alarm_elog", "alarm_elog", &options).await;
    stack.say("top10_event", "x", Severity::Info, true);
    take(&listener, "302 Found\r\nLocation: http://x/y/?fail=1").await;
    let counters = sink.counters.clone();
    until("it is counted", || {
        counters.snapshot().bad.contains_key("message not sent")
    })
    .await;
    let queue = stack.ask("alarm_elog", "queue", json!(null)).await.unwrap();
    assert_eq!(queue["trouble"], "log-in as km3net refused");
    sink.stop().await;
    engine.stop().await;
}

#[tokio::test]
async fn several_records_at_once_are_an_entry_with_the_title_of_one() {
    let stack = Stack::live();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let engine = stack.start("alarms", "alarms", "").await;
    let options = format!("url = \"http://{address}\"\npassword = \"secret\"\n{QUICK}");
    let sink = stack.start("alarm_elog", "alarm_elog", &options).await;
    stack.say("top10_event", "one", Severity::Info, true);
    take(&listener, "503 Service Unavailable").await;
    stack.say("top10_event", "two", Severity::Info, true);
    let body = loop {
        let (_, body) = take(&listener, "503 Service Unavailable").await;
        if body.contains("two") {
            break body;
        }
    };
    for (name, value) in [
        ("Subject", "New massive event!"),
        ("Text", "top10_event of one\n\ntop10_event of two"),
    ] {
        let field = format!("name=\"{name}\"\r\n\r\n{value}\r\n");
        assert!(body.contains(&field), "{name}: {body}");
    }
    sink.stop().await;
    engine.stop().await;
}
