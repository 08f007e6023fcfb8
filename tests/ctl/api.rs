//! The API itself, as other programs use it.

use std::time::Duration;

use fathom::control::{Console, Doors, ServeError};
use fathom_kernel::State;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::fake::{Fake, console, example, service};

/// Sends bytes and returns all that comes back until the other side closes.
async fn raw(fake: &Fake, request: &str) -> String {
    let mut stream = UnixStream::connect(&fake.socket).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("answered");
    String::from_utf8(answer).expect("text")
}

async fn get(fake: &Fake, path: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    raw(fake, &head).await
}

#[tokio::test]
async fn every_described_route_exists() {
    let fake = Fake::start(example()).await;
    let document = fathom::control::document();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            if path.contains("events") {
                continue;
            }
            let path = path.replace("{name}", "nobody");
            let answer = raw(
                &fake,
                &format!(
                    "{} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                    method.to_uppercase()
                ),
            )
            .await;
            assert!(
                !answer.contains("no_such_path"),
                "{method} {path}: {answer}"
            );
            assert!(!answer.contains(" 405 "), "{method} {path}: {answer}");
        }
    }
    assert!(get(&fake, "/api/nothing").await.contains("no_such_path"));
    assert!(get(&fake, "/api/shutdown").await.contains(" 405 "));
}

#[tokio::test]
async fn problems_are_json_with_a_word_and_a_message() {
    let fake = Fake::start(example()).await;
    let answer = get(&fake, "/api/services/nobody").await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    let problem: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(problem["error"], "no_such_name");
    assert_eq!(problem["subject"], "nobody");
    assert!(
        get(&fake, "/api/logs/rttc?lines=many")
            .await
            .contains("bad_request")
    );
    assert!(
        get(&fake, "/api/status?targe=x")
            .await
            .contains("bad_request")
    );
    assert!(
        get(&fake, "/api/services/monitoring_process:*")
            .await
            .contains("not one service")
    );
}

#[tokio::test]
async fn a_large_body_is_refused() {
    let fake = Fake::start(example()).await;
    let body = " ".repeat(70_000);
    let head = "POST /api/shutdown HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 70000\r\n\r\n";
    assert!(
        raw(&fake, &format!("{head}{body}"))
            .await
            .starts_with("HTTP/1.1 413")
    );
}

#[tokio::test]
async fn health_and_readiness() {
    let fake = Fake::start(vec![service("web", State::Starting, "")]).await;
    assert!(get(&fake, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(get(&fake, "/readyz").await.starts_with("HTTP/1.1 503"));
    fake.change("web", State::Running);
    assert!(get(&fake, "/readyz").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn metrics_say_what_status_says() {
    let mut services = example();
    services[2].counters.received = 42;
    services[2].counters.bad.insert("truncated".to_owned(), 3);
    services[2].restarts = 2;
    let fake = Fake::start(services).await;
    let text = fake.client().text("/metrics").await.expect("metrics");
    let labels = r#"service="monitoring_process:rttc",group="monitoring_process""#;
    for line in [
        format!("fathom_messages_received_total{{{labels}}} 42"),
        format!("fathom_messages_bad_total{{{labels},reason=\"truncated\"}} 3"),
        format!("fathom_service_restarts_total{{{labels}}} 2"),
        format!("fathom_service_state{{{labels},state=\"RUNNING\"}} 1"),
        format!("fathom_service_state{{{labels},state=\"FATAL\"}} 0"),
        "fathom_bus_published_total 12".to_owned(),
        "fathom_ready 0.0".to_owned(),
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
    assert_eq!(text.lines().last(), Some("# EOF"));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        assert!(name.starts_with("fathom_"), "{line}");
        value
            .parse::<f64>()
            .unwrap_or_else(|_| panic!("a number: {line}"));
    }
}

#[tokio::test]
async fn closing_ends_streams_and_removes_the_socket() {
    let mut fake = Fake::start(example()).await;
    let mut events = fake.client().events("").await.expect("a stream");
    fake.close().await;
    let end = tokio::time::timeout(Duration::from_secs(5), events.next()).await;
    assert_eq!(end.expect("in time"), None);
    assert!(!fake.socket.exists());
}

#[tokio::test]
async fn the_socket_of_a_living_supervisor_is_not_taken_and_a_stale_one_is() {
    let mut fake = Fake::start(example()).await;
    let doors = Doors {
        socket: fake.socket.clone(),
        mode: 0o660,
        group: None,
        tcp: None,
    };
    let folder = fake.socket.parent().expect("a folder").to_owned();
    let second = fathom::control::serve(console(&folder).0, doors.clone()).await;
    assert!(matches!(second.err(), Some(ServeError::InUse(_))));
    fake.close().await;
    drop(std::os::unix::net::UnixListener::bind(&fake.socket).expect("bound"));
    assert!(fake.socket.exists(), "a socket nobody listens on");
    let third = fathom::control::serve(console(&folder).0, doors.clone()).await;
    third
        .expect("the stale one is removed")
        .close(Duration::ZERO)
        .await;
    std::fs::write(&fake.socket, "precious").expect("written");
    let fourth = fathom::control::serve(console(&folder).0, doors).await;
    assert!(matches!(fourth.err(), Some(ServeError::NotASocket(_))));
    assert!(fake.socket.exists(), "a file of somebody else stays");
}

#[tokio::test]
async fn too_many_followers_are_refused_and_the_rest_works() {
    let fake = Fake::start(example()).await;
    let mut streams = Vec::new();
    for _ in 0..Console::FOLLOWERS_MAX {
        streams.push(fake.client().events("").await.expect("a stream"));
    }
    let more = fake.client().events("").await;
    assert!(more.is_err_and(|e| e.to_string().contains("follow already")));
    fake.client().status(&[]).await.expect("status still works");
}
