//! Programs in other languages take part by the door: what the page about it promises.
#![allow(clippy::unwrap_used, reason = "tests")]

mod rig;

use std::time::Duration;

use fathom::config::plan::Ready;
use fathom_formats::controlhost::tags;
use fathom_kernel::{Event, Filter, Frame, Limits, State, Timestamp, Topic};
use reqwest::{Client, Method, StatusCode};
use rig::{command, done, script, start, status, stop, until_state, worker};
use serde_json::{Value, json};

/// Waits for something that must happen.
async fn until(holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .unwrap();
}

/// A child that writes its token down and waits.
fn guest(folder: &std::path::Path) -> fathom::config::plan::ServicePlan {
    let file = folder.join("token");
    let text = format!(
        "echo \"$FATHOM_DOOR $FATHOM_DOOR_TOKEN\" > {0}.new; mv {0}.new {0}; exec sleep 60",
        file.display()
    );
    script("guest", &text)
}

/// Speaks at the door as a child.
struct Voice {
    client: Client,
    token: String,
}

impl Voice {
    async fn of(folder: &std::path::Path) -> Self {
        let file = folder.join("token");
        until(async || file.exists()).await;
        let text = std::fs::read_to_string(file).unwrap();
        let (door, token) = text.trim().split_once(' ').unwrap();
        Self {
            client: Client::builder().unix_socket(door).build().unwrap(),
            token: token.to_owned(),
        }
    }

    async fn say(&self, method: Method, path: &str, body: &Value) -> (StatusCode, String) {
        let request = self.client.request(method, format!("http://door{path}"));
        let request = request.bearer_auth(&self.token).json(body);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    async fn post(&self, path: &str, body: Value) -> StatusCode {
        self.say(Method::POST, path, &body).await.0
    }
}

#[tokio::test]
async fn a_child_publishes_outputs_alarms_counters_and_readiness() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = guest(folder.path());
    plan.ready = Ready::Notify;
    let data = tempfile::tempdir().unwrap();
    let mut stack = start(data.path(), vec![plan]);
    let mut alarms =
        stack
            .bus
            .subscribe("test", Filter::none().and(Topic::Alarm), Limits::default());
    let voice = Voice::of(folder.path()).await;
    assert_eq!(status(&stack, "guest").await.state, State::Starting);
    assert_eq!(
        voice.post("/ready", json!({})).await,
        StatusCode::NO_CONTENT
    );
    until_state(&stack, "guest", State::Running).await;
    let view = json!({"form": "scalar", "value": 12.5, "unit": "Hz"});
    let output =
        json!({"name": "rate", "title": "Rate", "interval_s": 1, "datum": null, "view": view});
    assert_eq!(
        voice.post("/outputs", output.clone()).await,
        StatusCode::NO_CONTENT
    );
    let entry = stack.board.entry("rate").unwrap();
    assert_eq!(
        (&*entry.service, entry.output.title.as_str()),
        ("guest", "Rate")
    );
    let counted = json!({"received": 7, "received_bytes": 700, "bad": {"truncated": 2}});
    assert_eq!(
        voice.post("/counters", counted).await,
        StatusCode::NO_CONTENT
    );
    let counters = status(&stack, "guest").await.counters;
    assert_eq!((counters.received, counters.outputs), (7, 1));
    assert_eq!(counters.bad["truncated"], 2);
    let alarm =
        json!({"rule": "r", "subject": "s", "severity": "warning", "firing": true, "text": "t"});
    assert_eq!(voice.post("/alarms", alarm).await, StatusCode::NO_CONTENT);
    let mut batch = Default::default();
    assert!(alarms.recv_batch(&mut batch).await);
    assert!(matches!(&*batch[0], Event::Alarm(a) if a.service == "guest" && a.firing));
    stack.shutdown().await;
}

#[tokio::test]
async fn a_body_that_comes_after_the_head_finds_the_connection_open() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let folder = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut stack = start(data.path(), vec![guest(folder.path())]);
    Voice::of(folder.path()).await;
    let text = std::fs::read_to_string(folder.path().join("token")).unwrap();
    let (door, token) = text.trim().split_once(' ').unwrap();
    let mut stream = tokio::net::UnixStream::connect(door).await.unwrap();
    let head = format!(
        "POST /ready HTTP/1.1\r\nhost: door\r\nauthorization: Bearer {token}\r\ncontent-length: 2\r\n\r\n"
    );
    for _ in 0..2 {
        stream.write_all(head.as_bytes()).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(100), stream.read_u8()).await;
        assert!(early.is_err(), "answered before the body came");
        stream.write_all(b"{}").await.unwrap();
        let mut answer = String::new();
        while !answer.contains("\r\n\r\n") {
            let byte = stream.read_u8().await.unwrap();
            answer.push(char::from(byte));
        }
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    }
    stack.shutdown().await;
}

#[tokio::test]
async fn nonsense_and_strangers_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut stack = start(data.path(), vec![guest(folder.path()), worker("other")]);
    let mut voice = Voice::of(folder.path()).await;
    let curve =
        json!({"form": "series", "times_ms": [1, 2], "curves": [{"name": "a", "values": [1]}]});
    let wrong = [
        (
            "/outputs",
            json!({"name": "../x", "title": "", "interval_s": 1, "view": {"form": "scalar", "value": 1, "unit": ""}}),
            "name",
        ),
        (
            "/outputs",
            json!({"name": "x", "title": "", "interval_s": 1, "view": curve}),
            "curve `a` has 1 values",
        ),
        (
            "/outputs",
            json!({"name": "x", "title": "", "interval_s": -1, "view": {"form": "scalar", "value": 1, "unit": ""}}),
            "interval_s",
        ),
        ("/outputs", json!({"name": "x"}), "missing field"),
        (
            "/alarms",
            json!({"rule": "", "subject": "", "severity": "warning", "firing": true, "text": ""}),
            "rule is empty",
        ),
        (
            "/alarms",
            json!({"rule": "r", "severity": "terrible"}),
            "terrible",
        ),
        ("/counters", json!({"recieved": 1}), "recieved"),
        ("/counters", json!({"bad": {"x".repeat(100): 1}}), "reasons"),
    ];
    for (path, body, expected) in wrong {
        let (status, text) = voice.say(Method::POST, path, &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {body}: {text}");
        assert!(text.contains(expected), "{text}");
    }
    for query in ["", "?tags=", "?topics=nonsense", "?tags=TOO_LONG_A_TAG"] {
        let (status, _) = voice
            .say(Method::GET, &format!("/bus{query}"), &json!({}))
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
    }
    assert!(stack.board.entries().is_empty());
    unknown_paths_are_refused_with_a_reason(&voice).await;
    // The token ends with the incarnation.
    done(&stack, stop("guest")).await;
    assert_eq!(
        voice.post("/ready", json!({})).await,
        StatusCode::UNAUTHORIZED
    );
    voice.token = "guess".to_owned();
    assert_eq!(
        voice.say(Method::GET, "/self", &json!({})).await.0,
        StatusCode::UNAUTHORIZED
    );
    stack.shutdown().await;
}

async fn unknown_paths_are_refused_with_a_reason(voice: &Voice) {
    for (method, path, expected) in [
        (Method::GET, "/nowhere", StatusCode::NOT_FOUND),
        (Method::GET, "/ready", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let (status, text) = voice.say(method, path, &json!({})).await;
        assert_eq!(status, expected, "{path}");
        assert!(text.contains("\"error\""), "{path}: {text}");
    }
}

#[tokio::test]
async fn a_child_follows_the_bus_and_hears_what_it_missed() {
    let folder = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut stack = start(data.path(), vec![guest(folder.path())]);
    let voice = Voice::of(folder.path()).await;
    let request = voice.client.get("http://door/bus?tags=IO_SUM&topics=life");
    let mut stream = request.bearer_auth(&voice.token).send().await.unwrap();
    until(async || stack.bus.subscribers().iter().any(|s| s.name == "guest")).await;
    let frame = |tag| {
        Event::Frame(Frame {
            source: "test".into(),
            tag,
            received: Timestamp::UNIX_EPOCH,
            body: b"body".to_vec().into(),
        })
    };
    stack
        .bus
        .publish_batch(vec![frame(tags::IO_EVT), frame(tags::IO_SUM)]);
    let text = stream.chunk().await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.starts_with("event: frame\ndata: "), "{text}");
    assert!(
        text.contains("\"tag\":\"IO_SUM\"") && text.contains("\"body\":\"Ym9keQ==\""),
        "{text}"
    );
    // More than may wait, while the child does not read.
    let many = 200_000;
    for _ in 0..many / 1000 {
        stack
            .bus
            .publish_batch((0..1000).map(|_| frame(tags::IO_SUM)).collect());
        tokio::task::yield_now().await;
    }
    let (mut frames, mut missed, mut rest) = (0, 0, String::new());
    while frames + missed < many {
        let chunk = tokio::time::timeout(Duration::from_secs(20), stream.chunk()).await;
        rest.push_str(&String::from_utf8_lossy(&chunk.unwrap().unwrap().unwrap()));
        while let Some((message, tail)) = rest.split_once("\n\n") {
            match message.split_once('\n').unwrap() {
                ("event: frame", _) => frames += 1,
                ("event: lagged", data) => {
                    let data: Value =
                        serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
                    missed += data["missed"].as_u64().unwrap();
                }
                _ => {}
            }
            rest = tail.to_owned();
        }
    }
    assert_eq!(frames + missed, many);
    assert_eq!(status(&stack, "guest").await.counters.dropped, missed);
    // The stream ends with the child.
    done(&stack, stop("guest")).await;
    while let Ok(Some(_)) = stream.chunk().await {}
    stack.shutdown().await;
}

/// The program of the page, as it stands there, in a stack with a detector.
#[tokio::test]
async fn the_python_page_works() {
    if std::process::Command::new("python3")
        .arg("-V")
        .output()
        .is_err()
    {
        eprintln!("skipped: the_python_page_works (no python3)");
        return;
    }
    let page = include_str!("../docs/door.md");
    let program = page
        .split("```python\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frame_rates.py");
    std::fs::write(&path, program).unwrap();
    let mut plan = command("frame_rates", &["python3", path.to_str().unwrap()]);
    plan.ready = Ready::Notify;
    let data = tempfile::tempdir().unwrap();
    let mut stack = start(data.path(), vec![plan]);
    until_state(&stack, "frame_rates", State::Running).await;
    let frame = Event::Frame(Frame {
        source: "test".into(),
        tag: tags::IO_SUM,
        received: Timestamp::UNIX_EPOCH,
        body: b"body".to_vec().into(),
    });
    let shown = async || {
        stack.bus.publish(frame.clone());
        let entry = stack.board.entry("frame_rates");
        let text = entry.map(|e| serde_json::to_value(&e.output.view).unwrap());
        let rates = text
            .as_ref()
            .and_then(|view| view["curves"][0]["values"].as_array());
        rates.is_some_and(|rates| rates.iter().any(|rate| rate.as_f64() > Some(0.0)))
    };
    until(shown).await;
    stack.shutdown().await;
}
