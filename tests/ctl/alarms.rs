//! `ctl alarms`.

use fathom_kernel::{ServiceStatus, State};

use crate::fake::{Fake, example, service};

/// The example with an alarm engine.
fn with_engine() -> Vec<ServiceStatus> {
    let mut engine = service("alarms", State::Running, "actor, uptime 0:03:12");
    engine.kind = Some("alarms".to_owned());
    let mut services = example();
    services.push(engine);
    services
}

#[tokio::test]
async fn alarms_and_mutes_are_listed_what_fires_first() {
    let fake = Fake::start(with_engine()).await;
    insta::assert_snapshot!(fake.ctl(&["alarms"]).await, @r"
    exit 0
        #2  alert   firing       trigger_rate_zero  Overall       2026-11-21T12:00:00Z  Trigger rate is 0Hz!
        #1  warning muted        dom_inactive       DU 3 floor 7  2026-11-21T11:00:00Z  DOM 7 is inactive
    mute 4 of dom_* DU 3 * until 2026-11-21T14:00:00Z by anna: repair
    ");
    insta::assert_snapshot!(fake.ctl(&["alarms", "list", "--all"]).await.out.lines().count(), @"4");
}

#[tokio::test]
async fn orders_reach_the_engine_with_their_author() {
    let fake = Fake::start(with_engine()).await;
    insta::assert_snapshot!(fake.ctl(&["alarms", "ack", "#2", "--by", "anna"]).await, @r"
    exit 0
    done: #2
    ");
    insta::assert_snapshot!(fake.ctl(&["--json", "alarms", "ack", "2", "--by", "anna"]).await, @r#"
    exit 0
    {"alarms":[2],"asked":{"by":"anna","id":2}}
    "#);
    let mute = [
        "--json", "alarms", "mute", "dom_*", "DU 3 *", "--for", "2h", "--reason", "repair", "--by",
        "anna",
    ];
    insta::assert_snapshot!(fake.ctl(&mute).await, @r#"
    exit 0
    {"alarms":[2],"asked":{"by":"anna","for":"2h","reason":"repair","rule":"dom_*","subject":"DU 3 *"}}
    "#);
    insta::assert_snapshot!(fake.ctl(&["--json", "alarms", "unmute", "dom_*", "--by", "anna"]).await, @r#"
    exit 0
    {"alarms":[2],"asked":{"by":"anna","rule":"dom_*","subject":"*"}}
    "#);
}

#[tokio::test]
async fn a_stack_without_an_engine_is_told_so() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["alarms"]).await, @r"
    exit 1
    --- stderr
    fathom ctl: this stack has no service of kind `alarms`
    ");
}
