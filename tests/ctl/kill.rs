//! `ctl kill`.

use fathom_kernel::Command;

use crate::fake::{Fake, example};

#[tokio::test]
async fn what_is_killed_is_stopped() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["kill", "rttc"]).await, @r"
    exit 0
    monitoring_process:rttc: stopped
    ");
    let wanted = Command::Kill {
        targets: vec!["rttc".to_owned()],
        wait: true,
    };
    assert_eq!(fake.last_heard().0, wanted);
    insta::assert_snapshot!(fake.ctl(&["kill", "nobody"]).await, @r"
    exit 1
    nobody: ERROR (no such process)
    ");
}
