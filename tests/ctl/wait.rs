//! `ctl wait`.

use fathom_kernel::{State, Want};

use crate::fake::{Fake, service};

#[tokio::test]
async fn it_ends_when_the_state_is_reached() {
    let fake = Fake::start(vec![service("web", State::Starting, "waiting for x")]).await;
    let (ran, ()) = tokio::join!(fake.ctl(&["wait", "web=ready"]), async {
        fake.wait_for_follower().await;
        fake.change("web", State::Running);
    });
    assert_eq!(ran.code, 0, "{ran}");
}

#[tokio::test]
async fn a_service_that_ended_instead_is_7() {
    let fake = Fake::start(vec![service("web", State::Fatal, "exit:3")]).await;
    insta::assert_snapshot!(fake.ctl(&["wait", "web"]).await, @r"
    exit 7
    --- stderr
    web: ended, FATAL exit:3
    ");
}

#[tokio::test]
async fn time_over_is_1() {
    let fake = Fake::start(vec![service("web", State::Starting, "waiting for x")]).await;
    insta::assert_snapshot!(fake.ctl(&["wait", "web", "--timeout", "50ms"]).await, @r"
    exit 1
    --- stderr
    web: timeout, STARTING waiting for x
    ");
}

#[tokio::test]
async fn of_a_group_only_what_is_wanted_counts() {
    let mut off = service("m:off", State::Stopped, "");
    off.want = Want::Down;
    let fake = Fake::start(vec![off, service("m:on", State::Running, "")]).await;
    assert_eq!(fake.ctl(&["wait", "m:*"]).await.code, 0);
    let alone = fake.ctl(&["wait", "m:off", "--timeout", "20ms"]).await;
    assert_eq!(alone.code, 1);
}

#[tokio::test]
async fn other_goals() {
    let mut done = service("setup", State::Exited, "");
    done.finished = true;
    let fake = Fake::start(vec![done, service("web", State::Stopped, "")]).await;
    assert_eq!(
        fake.ctl(&["wait", "setup=done", "web=stopped"]).await.code,
        0
    );
    assert_eq!(fake.ctl(&["wait", "web=green"]).await.code, 2);
    assert_eq!(fake.ctl(&["wait", "nobody"]).await.code, 1);
}
