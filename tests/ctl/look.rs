//! The small verbs that only look: `pid`, `version`, `tree`, `deps`, `addresses`.

use crate::fake::{Fake, example};

#[tokio::test]
async fn pid_of_the_supervisor_or_of_services() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["pid"]).await, @r"
    exit 0
    4194303
    ");
    insta::assert_snapshot!(fake.ctl(&["pid", "rttc", "triggermap"]).await, @r"
    exit 0
    4194305
    0
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
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["tree"]).await, @r"
    exit 0
    demo
    ├─ ligiers
    │  └─ ligiermirror (dom_rates) RUNNING
    ├─ monitoring_process
    │  ├─ ztplot (dom_rates) BACKOFF
    │  ├─ rttc (dom_rates, after ligiers:ligiermirror) RUNNING
    │  └─ triggermap (dom_rates) RUNNING
    └─ webserver
       └─ webserver (dom_rates) STOPPED
    ");
}

#[tokio::test]
async fn dependencies_both_ways() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["deps", "rttc"]).await, @r"
    exit 0
    after      ligiers:ligiermirror
    ");
    insta::assert_snapshot!(fake.ctl(&["--json", "deps", "ligiermirror"]).await, @r#"
    exit 0
    {"after":[],"name":"ligiers:ligiermirror","needed_by":["monitoring_process:rttc"]}
    "#);
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
