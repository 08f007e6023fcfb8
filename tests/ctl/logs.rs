//! `ctl logs`.

use crate::fake::{Fake, example};

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
    fake.write("webserver", "before");
    let socket = fake.socket.display().to_string();
    let mut logs = fake.spawn(&["ctl", "-s", &socket, "logs", "-f"]);
    assert_eq!(logs.line().await, "webserver | before\n");
    fake.write("monitoring_process:rttc", "after");
    assert_eq!(logs.line().await, "monitoring_process:rttc | after\n");
    fake.close().await;
    assert_eq!(logs.code().await, 0);
}
