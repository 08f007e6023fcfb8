//! `ctl diff`, `reread`, `update`, `reload`: the texts and exit codes of a new configuration.

use fathom_kernel::{Changes, Command, Expected};

use crate::fake::{Fake, example};
use crate::plan;

async fn fake() -> Fake {
    let fake = Fake::start(example()).await;
    *fake.plan.lock().expect("unpoisoned") = Ok(plan::changes());
    fake
}

#[tokio::test]
async fn it_shows_each_key_with_its_consequence() {
    insta::assert_snapshot!(fake().await.ctl(&["diff"]).await, @r#"
    exit 2
    remove   webserver
    hot      monitoring_process:rttc
               backoff.max: "30s" -> "1m"
    restart  monitoring_process:triggermap
               lowest_rate: 100.0 -> 150.0
               window: (not set) -> "5m"
    add      monitoring_process:new
    services: 1 changed without a restart, 1 restarted, 1 added, 1 removed
    "#);
}

#[tokio::test]
async fn nothing_to_change_is_0() {
    let fake = fake().await;
    *fake.plan.lock().expect("unpoisoned") = Ok(Changes::default());
    for args in [&["diff"][..], &["update", "--dry-run"]] {
        let ran = fake.ctl(args).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(ran, @r"
            exit 0
            nothing differs
            ");
        }
    }
    insta::assert_snapshot!(fake.ctl(&["reread"]).await, @r"
    exit 0
    No config updates to processes
    ");
    insta::assert_snapshot!(fake.ctl(&["update"]).await, @r"
    exit 0
    no service was touched
    ");
}

#[tokio::test]
async fn an_error_in_the_configuration_is_1_with_its_place() {
    let fake = fake().await;
    *fake.plan.lock().expect("unpoisoned") = Err(plan::broken());
    for args in [&["diff"][..], &["reread"], &["update"], &["update", "-n"]] {
        let ran = fake.ctl(args).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(ran, @r"
            exit 1
            --- stderr
            supervisor.toml:7:1: error: unknown key `lowest_rat` (did you mean `lowest_rate`?)
            fathom ctl: the configuration cannot be used; nothing was changed
            ");
        }
    }
    let ran = fake.ctl(&["--json", "diff"]).await;
    let answer: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((ran.code, &answer["error"]), (1, &"bad_config".into()));
    assert_eq!(answer["faults"][0]["at"], "supervisor.toml:7:1");
}

#[tokio::test]
async fn a_reread_speaks_as_supervisorctl_does() {
    insta::assert_snapshot!(fake().await.ctl(&["reread"]).await, @r"
    exit 0
    monitoring_process: changed
    webserver: changed
    ");
}

#[tokio::test]
async fn an_update_says_what_became_of_each_service_and_means_the_plan_that_was_shown() {
    let fake = fake().await;
    insta::assert_snapshot!(fake.ctl(&["update", "monitoring_process"]).await, @r"
    exit 0
    webserver: removed
    monitoring_process:rttc: updated
    monitoring_process:triggermap: started
    monitoring_process:new: started
    ");
    let expected = Command::Update {
        targets: vec!["monitoring_process".to_owned()],
        expected: Expected {
            generation: Some(4),
            sha256: Some("7692c3ad3540bb80".to_owned()),
        },
    };
    assert_eq!(fake.last_heard().0, expected);
}

#[tokio::test]
async fn groups_are_added_and_removed_and_listed() {
    let fake = fake().await;
    insta::assert_snapshot!(fake.ctl(&["add", "ligiers", "alerts", "nosuch"]).await, @r"
    exit 1
    ligiers: ERROR (ligiers is there already)
    alerts: added process group
    nosuch: ERROR (no such service or group: nosuch)
    ");
    insta::assert_snapshot!(fake.ctl(&["remove", "ligiers", "webserver"]).await, @r"
    exit 1
    ligiers: ERROR (ligiers still runs)
    webserver: removed process group
    ");
    insta::assert_snapshot!(fake.ctl(&["avail"]).await, @r"
    exit 0
    ligiers:ligiermirror             in use    auto      level 0
    monitoring_process:new           avail     manual    level 1
    ");
}

#[tokio::test]
async fn a_reload_starts_everything() {
    let fake = fake().await;
    let ran = fake.ctl(&["reload"]).await;
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(fake.last_heard().0, Command::Reload { wait: true });
    insta::assert_snapshot!(fake.ctl(&["reload", "--no-wait"]).await, @r"
    exit 0
    reload is under way
    ");
}
