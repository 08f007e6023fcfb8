//! `ctl request`.

use crate::fake::{Fake, example};

#[tokio::test]
async fn the_answer_of_the_service_is_printed() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["request", "rttc", "echo", r#"{"dom": 3}"#]).await, @r#"
    exit 0
    {"args":{"dom":3},"name":"rttc"}
    "#);
}

#[tokio::test]
async fn a_refusal_is_told() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["request", "rttc", "dance"]).await, @r"
    exit 1
    --- stderr
    fathom ctl: rttc does not understand dance
    ");
    insta::assert_snapshot!(fake.ctl(&["--json", "request", "rttc", "sleep"]).await, @r#"
    exit 1
    {"error":"not_running","message":"rttc is not running"}
    "#);
    assert_eq!(fake.ctl(&["request", "rttc", "echo", "{"]).await.code, 2);
}
