//! `ctl logs`.

use fathom_kernel::State;

use crate::fake::{Fake, example, service};

#[tokio::test]
async fn several_logs_with_the_name_before_each_line() {
    let fake = Fake::start(example()).await;
    fake.write("monitoring_process:rttc", "one");
    fake.write("webserver", "two");
    insta::assert_snapshot!(fake.ctl(&["logs"]).await, @r"
    exit 0
    webserver | two
    monitoring_process:rttc | one
    ");
}

#[tokio::test]
async fn followed_logs_are_merged() {
    let mut fake = Fake::start(example()).await;
    fake.write_at("webserver", "at last", 2);
    fake.write_at("monitoring_process:rttc", "before", 1);
    let socket = fake.socket.display().to_string();
    let mut logs = fake.spawn(&["ctl", "-s", &socket, "logs", "-f"]);
    let before = [logs.line().await, logs.line().await];
    assert_eq!(
        before,
        [
            "monitoring_process:rttc | before\n",
            "webserver | at last\n"
        ]
    );
    fake.write("monitoring_process:rttc", "after");
    assert_eq!(logs.line().await, "monitoring_process:rttc | after\n");
    fake.close().await;
    assert_eq!(logs.code().await, 0);
}

#[tokio::test]
async fn more_logs_than_connections_are_followed_over_the_bus() {
    let many = (0..200).map(|n| service(&format!("s{n:03}"), State::Running, "actor"));
    let mut fake = Fake::start(many.collect()).await;
    fake.write("s007", "before");
    let socket = fake.socket.display().to_string();
    let mut logs = fake.spawn(&["ctl", "-s", &socket, "logs", "-f"]);
    assert_eq!(logs.line().await, "s007 | before\n");
    fake.write("s199", "after");
    assert_eq!(logs.line().await, "s199 | after\n");
    fake.close().await;
    assert_eq!(logs.code().await, 0);
}

#[tokio::test]
async fn lines_since_a_time() {
    let fake = Fake::start(example()).await;
    fake.write("webserver", "of 1970");
    let old = ["logs", "webserver", "--since", "1970-01-01T00:00:00Z"];
    insta::assert_snapshot!(fake.ctl(&old).await, @r"
    exit 0
    webserver | of 1970
    ");
    let new = ["logs", "webserver", "--since", "10m"];
    insta::assert_snapshot!(fake.ctl(&new).await, @"exit 0");
    assert_eq!(fake.ctl(&["logs", "--since", "yesterday"]).await.code, 2);
}
