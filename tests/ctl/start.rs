//! `ctl start`.

use fathom_kernel::{Command, State};

use crate::fake::{Fake, example, service};

fn stopped() -> Vec<fathom_kernel::ServiceStatus> {
    ["m:dom_rates", "m:missing", "m:trigger_rates"]
        .map(|name| service(name, State::Stopped, ""))
        .into()
}

#[tokio::test]
async fn a_started_service_is_told_like_supervisorctl_does() {
    let fake = Fake::start(stopped()).await;
    insta::assert_snapshot!(fake.ctl(&["start", "dom_rates"]).await, @r"
    exit 0
    m:dom_rates: started
    ");
    insta::assert_snapshot!(fake.ctl(&["start", "dom_rates"]).await, @r"
    exit 0
    m:dom_rates: ERROR (already started)
    ");
}

#[tokio::test]
async fn several_services_show_progress_on_standard_error() {
    let fake = Fake::start(stopped()).await;
    let ran = fake.ctl(&["start", "m:dom_rates", "m:trigger_rates"]).await;
    // How much of the progress is seen depends on who is faster; the last word does not.
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "m:dom_rates: started\nm:trigger_rates: started\n")
    );
    for line in ran.err.lines() {
        assert!(line.starts_with('['), "{line}");
    }
}

#[tokio::test]
async fn a_program_that_is_missing_gives_7_and_the_reason() {
    let fake = Fake::start(stopped()).await;
    insta::assert_snapshot!(fake.ctl(&["start", "missing"]).await, @r"
    exit 7
    m:missing: ERROR (spawn error): no such file: dom_rates.py
    ");
}

#[tokio::test]
async fn an_unknown_group_gives_2_and_an_unknown_name_1_and_the_others_start() {
    let fake = Fake::start(stopped()).await;
    insta::assert_snapshot!(fake.ctl(&["start", "nix:*", "dom_rates"]).await, @r"
    exit 2
    nix:*: ERROR (no such group)
    m:dom_rates: started
    ");
    insta::assert_snapshot!(fake.ctl(&["start", "nix"]).await, @r"
    exit 1
    nix: ERROR (no such process)
    ");
    assert_eq!(fake.ctl(&["start"]).await.code, 2);
}

#[tokio::test]
async fn options_reach_the_supervisor_and_so_does_the_user() {
    let fake = Fake::start(example()).await;
    fake.ctl(&["start", "webserver", "--no-deps", "--no-wait"])
        .await;
    let (command, caller) = fake.last_heard();
    let wanted = Command::Start {
        targets: vec!["webserver".to_owned()],
        dependencies: false,
        wait: false,
    };
    assert_eq!(command, wanted);
    assert_eq!(caller, format!("uid {} via socket", nix::unistd::getuid()));
}

#[tokio::test]
async fn json_lists_outcomes_and_unknown_names() {
    let fake = Fake::start(stopped()).await;
    insta::assert_snapshot!(fake.ctl(&["--json", "start", "dom_rates", "nix"]).await, @r#"
    exit 1
    {"outcomes":[{"message":"","name":"m:dom_rates","result":"started"}],"unknown":["nix"]}
    "#);
}
