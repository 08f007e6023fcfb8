//! The small verbs that only look: `pid`, `version`, `tree`, `deps`, `addresses`.

use fathom_kernel::State;

use crate::fake::{Fake, example, service};

#[tokio::test]
async fn pid_of_the_supervisor_or_of_services() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["pid"]).await, @r"
    exit 0
    4194303
    ");
    insta::assert_snapshot!(fake.ctl(&["pid", "rttc", "ligiermirror"]).await, @r"
    exit 0
    4194304
    4194305
    ");
}

#[tokio::test]
async fn the_pid_of_what_does_not_run_is_nothing_that_kill_could_take() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["pid", "rttc", "triggermap", "webserver"]).await, @r"
    exit 7
    4194305
    --- stderr
    monitoring_process:triggermap: ERROR (has no process of its own)
    webserver: ERROR (not running)
    ");
    insta::assert_snapshot!(fake.ctl(&["--json", "pid", "webserver"]).await, @r"
    exit 7
    [0]
    ");
    insta::assert_snapshot!(fake.ctl(&["pid", "all"]).await, @r"
    exit 0
    4194305
    4194304
    ");
    insta::assert_snapshot!(fake.ctl(&["pid", "nosuch"]).await, @r"
    exit 1
    --- stderr
    fathom ctl: no such service or group: nosuch
    ");
}

#[tokio::test]
async fn version_is_that_of_the_running_supervisor() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["version"]).await, @r"
    exit 0
    0.0.0
    ");
    insta::assert_snapshot!(fake.ctl(&["--json", "version"]).await, @r#"
    exit 0
    {"pid":4194303,"stack":"demo","started":"1970-01-01T00:00:00Z","version":"0.0.0"}
    "#);
}

#[tokio::test]
async fn the_tree_shows_groups_kinds_and_order() {
    let mut services = example();
    let inner = service("monitoring_process.maps:hits", State::Running, "");
    services.push(inner);
    let fake = Fake::start(services).await;
    insta::assert_snapshot!(fake.ctl(&["tree"]).await, @r"
    exit 0
    demo
    ├─ ligiers RUNNING
    │  └─ ligiermirror (dom_rates) RUNNING
    ├─ monitoring_process RUNNING
    │  ├─ ztplot (dom_rates) BACKOFF
    │  ├─ rttc (dom_rates, after ligiers:ligiermirror) RUNNING
    │  ├─ triggermap (dom_rates) RUNNING
    │  └─ maps (rest_for_one, 3 of 20 restarts in 5m) RUNNING
    │     └─ hits (dom_rates) RUNNING
    └─ webserver (dom_rates) STOPPED
    ");
}

#[tokio::test]
async fn dependencies_both_ways() {
    let mut services = example();
    services[4].after = vec!["webserver".to_owned()];
    services[2].bind = services[2].after.clone();
    let fake = Fake::start(services).await;
    insta::assert_snapshot!(fake.ctl(&["deps", "rttc"]).await, @r"
    exit 0
    bound to   ligiers:ligiermirror            RUNNING
    ");
    insta::assert_snapshot!(fake.ctl(&["deps", "--all", "rttc"]).await, @r"
    exit 0
    after      webserver                       STOPPED
    bound to   ligiers:ligiermirror            RUNNING
    ");
    insta::assert_snapshot!(fake.ctl(&["--json", "deps", "ligiermirror"]).await, @r#"
    exit 0
    {"after":["webserver"],"bind":[],"name":"ligiers:ligiermirror","needed_by":["monitoring_process:rttc"]}
    "#);
    assert_eq!(fake.ctl(&["deps", "monitoring_process"]).await.code, 2);
}

#[tokio::test]
async fn addresses_with_the_ports_that_were_chosen() {
    let fake = Fake::start(example()).await;
    let address = "127.0.0.1:5553".parse().expect("an address");
    fake.addresses.announce("ligiers:ligier", address);
    insta::assert_snapshot!(fake.ctl(&["addresses"]).await, @r"
    exit 0
    ligiers:ligier                   127.0.0.1:5553
    ");
}
