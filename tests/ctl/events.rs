//! `ctl events`.

use fathom_kernel::{Alarm, Event, Severity, State, Timestamp};

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
    fake.wait_for_diary(2).await;
    insta::assert_snapshot!(fake.ctl(&["events"]).await, @r"
    exit 0
    1970-01-01T00:00:00.000Z life   web: STOPPED -> RUNNING (asked for)
    1970-01-01T00:00:00.000Z alarm  m:dom_rates: dom_inactive DU 3 floor 7: no data for 60 s
    ");
    insta::assert_snapshot!(fake.ctl(&["--json", "events", "-n", "1", "--topics", "life"]).await, @r#"
    exit 0
    {"event":"life","data":{"sequence":1,"service":"web","incarnation":1,"from":"STOPPED","to":"RUNNING","reason":"asked for","at":"1970-01-01T00:00:00Z"}}
    "#);
}

#[tokio::test]
async fn following_shows_each_event_once() {
    let mut fake = Fake::start(vec![service("web", State::Stopped, "")]).await;
    fake.change("web", State::Starting);
    fake.wait_for_diary(1).await;
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
    fathom ctl: no topic "weather"; there are life, alarm, output, log
    "#);
}

#[tokio::test]
async fn a_slow_follower_is_told_how_much_it_lost() {
    let fake = Fake::start(vec![service("web", State::Running, "")]).await;
    let mut events = fake.client().events("alarm").await.expect("a stream");
    // Far more than the queue, the connection and the buffers in between can hold, in one batch.
    fake.bus.publish_batch(vec![alarm(); 200_000]);
    let mut received = 0_u64;
    loop {
        let event = events.next().await.expect("it goes on");
        if event.name == "lagged" {
            let lagged: fathom::control::Lagged = serde_json::from_str(&event.data).expect("JSON");
            assert!(lagged.missed >= 200_000 - 1024 - received, "{lagged:?}");
            return;
        }
        received += 1;
    }
}
