//! `ctl stop`.

use fathom_kernel::Command;

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

#[tokio::test]
async fn dependents_can_be_stopped_too() {
    let fake = Fake::start(example()).await;
    for (args, dependents) in [
        (&["stop", "rttc"][..], false),
        (&["stop", "--with-dependents", "rttc"], true),
    ] {
        fake.ctl(args).await;
        let wanted = Command::Stop {
            targets: vec!["rttc".to_owned()],
            dependents,
            wait: true,
        };
        assert_eq!(fake.last_heard().0, wanted);
    }
}
