//! `ctl incidents` and `ctl incident`.

use crate::fake::{Fake, example};

#[tokio::test]
async fn failures_are_listed_with_the_newest_last() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["incidents"]).await, @r"
    exit 0
         1  1970-01-01T00:01:30.500Z  m:rttc  signal:SEGV core  after 90.5 s, next attempt in 0.25 s (attempt 3)
         2  1970-01-01T00:01:30.500Z  web     signal:SEGV core  after 90.5 s, next attempt in 0.25 s (attempt 3)
    ");
    let ran = fake.ctl(&["--json", "incidents", "web"]).await;
    let heads: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(heads.as_array().map(Vec::len), Some(1));
    assert_eq!(heads[0]["id"], 2);
}

#[tokio::test]
async fn a_report_is_readable() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["incident", "web"]).await, @r"
    exit 0
    incident 2  web  signal:SEGV core
      incarnation 3
      generation  1
      started     1970-01-01T00:00:00.000Z
      ended       1970-01-01T00:01:30.500Z
      uptime      90.500 s
      detail      two
                  lines
      failures    2 in a row
      next        next attempt in 0.25 s (attempt 3)
      memory      10.0 MiB at most
      processor   1.500 s user, 0.250 s system
      page faults 100 minor, 0 major
      switches    0 voluntary, 0 involuntary
      peaks       9.0 MiB, 4 threads, 12 open files (6 looks)
      queue       7 messages, 700 bytes
      depends on  ligiers:ligiermirror RUNNING ok

    backtrace
      0: main
      1: start

    health
      1970-01-01T00:01:30.500Z stalled  stall:stdout

    standard output
      1970-01-01T00:01:30.500Z listening
      1970-01-01T00:01:30.500Z last words

    standard error
      1970-01-01T00:01:30.500Z oh no

    events of the stack
      1970-01-01T00:01:30.500Z notice   web: something else
    ");
}

#[tokio::test]
async fn a_report_that_does_not_exist_is_told() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["incident", "77"]).await, @r"
    exit 1
    --- stderr
    fathom ctl: no incident 77
    ");
    insta::assert_snapshot!(fake.ctl(&["incident", "nobody"]).await, @r"
    exit 1
    --- stderr
    nobody: no incident
    ");
}

#[tokio::test]
async fn a_report_is_also_text_for_people() {
    let fake = Fake::start(example()).await;
    let text = fake.client().text("/api/incidents/1?text=true").await;
    assert_eq!(text.expect("text"), "a report\nfor people\n");
    let report = fake.client().incident(2).await.expect("a report");
    assert_eq!((report.id, report.service.as_str()), (2, "web"));
}

#[tokio::test]
async fn the_incidents_of_nobody_are_an_error() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["incidents", "nosuch"]).await, @r"
    exit 1
    --- stderr
    fathom ctl: no such service or group: nosuch
    ");
}
