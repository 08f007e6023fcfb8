//! `ctl stop`.

use crate::fake::{Fake, example};

#[tokio::test]
async fn stopped_or_already_stopped_is_0() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["stop", "rttc"]).await, @r"
    exit 0
    monitoring_process:rttc: stopped
    ");
    insta::assert_snapshot!(fake.ctl(&["stop", "rttc"]).await, @r"
    exit 0
    monitoring_process:rttc: ERROR (not running)
    ");
}

#[tokio::test]
async fn an_unknown_name_is_1() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["stop", "nix:*"]).await, @r"
    exit 1
    nix:*: ERROR (no such group)
    ");
}
