//! `ctl events`.

use base64::Engine as _;
use fathom::control::EventRange;
use fathom_kernel::{Alarm, Event, Severity, State, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::fake::{Fake, service};

fn alarm() -> Event {
    Event::Alarm(Alarm {
        service: "m:dom_rates".to_owned(),
        rule: "dom_inactive".to_owned(),
        subject: "DU 3 floor 7".to_owned(),
        severity: Severity::Warning,
        firing: true,
        text: "no data for 60 s".to_owned(),
        at: Timestamp::UNIX_EPOCH,
    })
}

#[tokio::test]
async fn past_events_are_kept_and_shown() {
    let fake = Fake::start(vec![service("web", State::Stopped, "")]).await;
    fake.change("web", State::Running);
    fake.bus.publish(alarm());
    fake.wait_for_events(2).await;
    insta::assert_snapshot!(fake.ctl(&["events"]).await, @r"
    exit 0
    1970-01-01T00:00:00.000Z life   web: STOPPED -> RUNNING (asked for)
    1970-01-01T00:00:00.000Z alarm  m:dom_rates: dom_inactive DU 3 floor 7: no data for 60 s
    ");
    insta::assert_snapshot!(fake.ctl(&["--json", "events", "-n", "1", "--topics", "life"]).await, @r#"
    exit 0
    {"sequence":1,"event":"life","data":{"sequence":1,"service":"web","incarnation":1,"from":"STOPPED","to":"RUNNING","reason":"asked for","at":"1970-01-01T00:00:00Z"}}
    "#);
}

#[tokio::test]
async fn following_shows_each_event_once() {
    let mut fake = Fake::start(vec![service("web", State::Stopped, "")]).await;
    fake.change("web", State::Starting);
    fake.wait_for_events(1).await;
    let socket = fake.socket.display().to_string();
    let mut events = fake.spawn(&["ctl", "-s", &socket, "events", "-f"]);
    assert!(events.line().await.contains("STOPPED -> STARTING"));
    fake.change("web", State::Running);
    assert!(events.line().await.contains("STARTING -> RUNNING"));
    fake.change("web", State::Stopping);
    assert!(events.line().await.contains("RUNNING -> STOPPING"));
    fake.close().await;
    assert_eq!(events.code().await, 0);
}

#[tokio::test]
async fn an_unknown_topic_is_named() {
    let fake = Fake::start(Vec::new()).await;
    insta::assert_snapshot!(fake.ctl(&["events", "--topics", "weather"]).await, @r#"
    exit 1
    --- stderr
    fathom ctl: no topic "weather"; there are boot, life, alarm, command, outcome, verdict, reload, rotation, incident, notice, gap, output, log
    "#);
}

#[tokio::test]
async fn a_slow_follower_is_told_how_much_it_lost() {
    let fake = Fake::start(vec![service("web", State::Running, "")]).await;
    let mut events = fake.client().events("notice").await.expect("a stream");
    // Far more than memory, the connection and the buffers in between can hold.
    for _ in 0..200_000 {
        fake.chronicle.notice("web", "test", "x".repeat(100));
    }
    let mut received = 0_u64;
    loop {
        let event = events.next().await.expect("it goes on");
        if event.name == "lagged" {
            let lagged: fathom::control::Lagged = serde_json::from_str(&event.data).expect("JSON");
            assert!(lagged.missed > 0, "{lagged:?}");
            let next = events.next().await.expect("it goes on");
            // Nothing is missed beside what was told.
            assert_eq!(next.id, (received + lagged.missed + 1).to_string());
            return;
        }
        received += 1;
    }
}

#[tokio::test]
async fn a_client_goes_on_behind_the_last_event_it_has() {
    let fake = Fake::start(vec![service("web", State::Stopped, "")]).await;
    for state in [State::Starting, State::Running, State::Stopping] {
        fake.change("web", state);
    }
    insta::assert_snapshot!(fake.ctl(&["events", "--since", "1"]).await, @r"
    exit 0
    1970-01-01T00:00:00.000Z life   web: STARTING -> RUNNING (asked for)
    1970-01-01T00:00:00.000Z life   web: RUNNING -> STOPPING (asked for)
    ");
    insta::assert_snapshot!(fake.ctl(&["events", "--since", "yesterday"]).await, @r#"
    exit 1
    --- stderr
    fathom ctl: since "yesterday" is neither a number nor a time such as 2026-11-21T05:00:00Z
    "#);
    // The past ends although nothing of it is wanted.
    let nothing = fake
        .ctl(&["events", "--since", "0", "--topics", "alarm"])
        .await;
    assert_eq!(nothing.to_string(), "exit 0\n");
    let range = EventRange::Since("2".to_owned());
    let mut events = fake
        .client()
        .events_of("life", &range, true)
        .await
        .expect("a stream");
    let third = events.next().await.expect("an event");
    assert_eq!((third.id.as_str(), third.name.as_str()), ("3", "life"));
    fake.change("web", State::Stopped);
    assert_eq!(events.next().await.expect("an event").id, "4");
}

#[tokio::test]
async fn a_web_socket_gets_events_as_they_stand_in_the_files() {
    let fake = Fake::start(vec![service("web", State::Stopped, "")]).await;
    fake.change("web", State::Starting);
    let mut stream = UnixStream::connect(&fake.socket).await.expect("connected");
    let key = base64::engine::general_purpose::STANDARD.encode([7_u8; 16]);
    let head = format!(
        "GET /api/events/ws?since=0 HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.expect("a head"));
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{answer:?}");
    let first = message(&mut stream).await;
    assert!(
        first.starts_with(r#"{"sequence":1,"event":"life","data":{"#),
        "{first}"
    );
    fake.change("web", State::Running);
    let second = message(&mut stream).await;
    assert!(second.starts_with(r#"{"sequence":2,"#), "{second}");
}

/// Reads one text message of a web socket, as a server sends it.
async fn message(stream: &mut UnixStream) -> String {
    assert_eq!(
        stream.read_u8().await.expect("a frame"),
        0x81,
        "a whole text"
    );
    let length = match stream.read_u8().await.expect("a length") {
        126 => usize::from(stream.read_u16().await.expect("a length")),
        short => usize::from(short),
    };
    let mut text = vec![0; length];
    stream.read_exact(&mut text).await.expect("a text");
    String::from_utf8(text).expect("text")
}
