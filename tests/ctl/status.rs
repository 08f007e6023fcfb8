//! `ctl status`.

use fathom_kernel::State;
use serde_json::Value;

use crate::fake::{Fake, example, fathom_in_colour, service};

#[tokio::test]
async fn one_line_per_service_as_supervisorctl_prints_it() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["status"]).await, @r"
    exit 3
    ligiers:ligiermirror             RUNNING   pid 4194304, uptime 1 day, 7:55:09
    monitoring_process:rttc          RUNNING   pid 4194305, uptime 10:55:53
    monitoring_process:triggermap    RUNNING   actor, uptime 0:03:12
    monitoring_process:ztplot        BACKOFF   Exited too quickly (process log may have details)
    webserver                        STOPPED   Nov 21 12:19 AM
    ");
}

#[tokio::test]
async fn states_have_colours_where_they_are_wanted() {
    let fake = Fake::start(vec![service("web", State::Running, "up")]).await;
    let socket = fake.socket.display().to_string();
    let ran = fathom_in_colour(&["ctl", "-s", &socket, "status"]).await;
    let line = format!("{:33}\u{1b}[32mRUNNING   \u{1b}[0mup\n", "web");
    assert_eq!(ran.out, line);
    assert!(!fake.ctl(&["status"]).await.out.contains('\u{1b}'));
}

#[tokio::test]
async fn a_long_name_widens_the_column() {
    let name = "monitoring_process:a_monitor_with_a_long_name";
    let fake = Fake::start(vec![
        service(name, State::Running, "actor, uptime 0:00:01"),
        service("web", State::Starting, ""),
    ])
    .await;
    insta::assert_snapshot!(fake.ctl(&["status"]).await, @r"
    exit 0
    monitoring_process:a_monitor_with_a_long_name   RUNNING   actor, uptime 0:00:01
    web                                             STARTING
    ");
}

#[tokio::test]
async fn unknown_names_are_told_beside_the_known_ones() {
    let fake = Fake::start(example()).await;
    let ran = fake.ctl(&["status", "nobody", "rttc", "none:*"]).await;
    insta::assert_snapshot!(ran, @r"
    exit 4
    nobody: ERROR (no such process)
    none:*: ERROR (no such group)
    monitoring_process:rttc          RUNNING   pid 4194305, uptime 10:55:53
    ");
}

#[tokio::test]
async fn a_slip_of_the_finger_is_met_with_a_suggestion() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["status", "trigermap"]).await, @r"
    exit 4
    trigermap: ERROR (no such process)
    --- stderr
    did you mean monitoring_process:triggermap?
    ");
}

#[tokio::test]
async fn json_is_the_status_of_the_api() {
    let fake = Fake::start(example()).await;
    let ran = fake
        .ctl(&["--json", "status", "monitoring_process:*"])
        .await;
    assert_eq!(ran.code, 0);
    let status: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(status["stack"], "demo");
    assert_eq!(status["services"].as_array().map(Vec::len), Some(3));
    assert_eq!(status["services"][0]["state"], "RUNNING");
}

#[tokio::test]
async fn the_long_form_has_rates_and_drops() {
    let mut services = example();
    services[3].counters.dropped = 7;
    services[3].restarts = 2;
    services[3].counters.lag_s = Some(0.25);
    services[3].counters.memory_bytes = Some(3 << 20);
    services[3].counters.bad = [("truncated".to_owned(), 5), ("version".to_owned(), 1)].into();
    services[3].last_incident = Some(12);
    let fake = Fake::start(services).await;
    let ran = fake.ctl(&["status", "-l", "triggermap"]).await;
    assert_eq!(ran.code, 0, "{ran}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("demo 0.0.0, pid 4194303, "), "{ran}");
    let heading: Vec<&str> = lines[1].split_whitespace().collect();
    let row: Vec<&str> = lines[2].split_whitespace().collect();
    assert_eq!(
        heading,
        [
            "NAME",
            "STATE",
            "HEALTH",
            "RESTARTS",
            "CPU%",
            "MEM",
            "QUEUE",
            "LAG",
            "RATE",
            "in/out",
            "AGE",
            "DROPPED",
            "INCIDENT",
            "DESCRIPTION"
        ]
    );
    assert_eq!(
        row,
        [
            "monitoring_process:triggermap",
            "RUNNING",
            "ok",
            "2",
            "0.0",
            "3.0MiB",
            "0",
            "250ms",
            "0.0/0.0",
            "-",
            "7",
            "12",
            "actor,",
            "uptime",
            "0:03:12"
        ]
    );
    assert_eq!(lines[3], "    bad     5 truncated, 1 version");
}

#[tokio::test]
async fn ready_asks_for_all_that_start_with_the_stack() {
    let mut one_shot = service("setup", State::Exited, "");
    one_shot.finished = true;
    let mut manual = service("manual", State::Stopped, "");
    manual.autostart = false;
    let services = vec![one_shot, manual, service("web", State::Running, "")];
    let fake = Fake::start(services).await;
    insta::assert_snapshot!(fake.ctl(&["status", "--ready"]).await, @r"
    exit 0
    ready
    ");
    fake.change("web", State::Backoff);
    insta::assert_snapshot!(fake.ctl(&["status", "--ready"]).await, @r"
    exit 1
    web: BACKOFF
    ");
}

#[tokio::test]
async fn watching_shows_every_change_until_the_supervisor_goes() {
    let mut fake = Fake::start(vec![service("web", State::Running, "")]).await;
    let socket = fake.socket.display().to_string();
    let mut watch = fake.spawn(&["ctl", "-s", &socket, "status", "--watch"]);
    assert_eq!(
        watch.line().await.trim_end(),
        "web                              RUNNING"
    );
    fake.change("web", State::Stopping);
    while !watch.line().await.contains("STOPPING") {}
    fake.close().await;
    assert_eq!(watch.code().await, 0);
}
