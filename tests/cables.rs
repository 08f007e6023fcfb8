//! Monitors that ask the world, in a whole stack: round-trip times of a Detector Manager that is found
//! by its name, and compass constants in a file of the data folder.
#![allow(clippy::unwrap_used, reason = "tests")]

mod rig;

use fathom::actors::Ended;
use fathom::stack::Stack;
use fathom_kernel::Command;
use fathom_kernel::view::{Panels, View};

use rig::*;

const CONFIGURATION: &str = r#"
[detector]
geometry = "orca"
dus = 2

[service.manager]
kind = "fake_detector_manager"

[service.fake_detector]
kind = "fake_detector"
calibration_file = "boards/constants.toml"
io_tsl1.enabled = false

[service.rttc]
kind = "rttc"
url = "service:manager"
interval = "1s"
after = ["manager"]

# The same from a child, beside the other's outputs.
[service.hosted]
kind = "ahrs_calibration"
run = "process"
constants = "data:files/boards/constants.toml"
refresh = "1s"
time_range = 1
interval = "1s"
after = ["fake_detector"]
"#;

/// Points of each panel.
fn points(stack: &Stack) -> Vec<usize> {
    let Some(entry) = stack.board.entry("rttc") else {
        return Vec::new();
    };
    let View::Panels(Panels { panels, .. }) = &entry.output.view else {
        panic!("no panels")
    };
    panels.iter().map(|panel| panel.layers[0].y.len()).collect()
}

fn cell(stack: &Stack, output: &str, row: &str) -> serde_json::Value {
    let Some(entry) = stack.board.entry(output) else {
        return serde_json::Value::Null;
    };
    let View::Table(table) = &entry.output.view else {
        panic!("no table")
    };
    let row = table.rows.iter().find(|cells| cells[0] == row);
    row.map_or(serde_json::Value::Null, |cells| cells[1].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn round_trip_times_go_on_after_the_manager_forgot_and_constants_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = configured(folder.path(), CONFIGURATION);
    wait_for(|| points(&stack).iter().any(|n| *n >= 2)).await;
    let forget = Command::Request {
        name: "manager".to_owned(),
        verb: "forget".to_owned(),
        args: serde_json::Value::Null,
    };
    ask(&stack, forget).await.unwrap();
    let before = points(&stack)[0];
    wait_for(|| points(&stack).iter().all(|n| *n >= before + 2)).await;
    assert_eq!(cell(&stack, "rttc_manager", "subscriptions in force"), 1);
    assert!(cell(&stack, "rttc_manager", "failures").as_u64() >= Some(1));
    // A restarted manager listens somewhere else.
    let address = stack.addresses.of("manager").unwrap();
    done(&stack, restart("manager")).await;
    wait_for(|| {
        stack
            .addresses
            .of("manager")
            .is_some_and(|now| now != address)
    })
    .await;
    let before = points(&stack)[0];
    wait_for(|| points(&stack).iter().all(|n| *n >= before + 2)).await;

    // 36 DOMs and 2 base modules.
    wait_for(|| cell(&stack, "ahrs_summary", "modules with constants") == 38).await;
    wait_for(|| cell(&stack, "ahrs_summary", "modules that sent") == 36).await;
    assert_eq!(
        cell(&stack, "ahrs_summary", "of these without constants"),
        0
    );
    assert_eq!(stack.shutdown().await, Ended::Ordered);
}
