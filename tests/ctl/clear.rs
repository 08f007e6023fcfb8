//! `ctl clear`.

use fathom_kernel::Command;

use crate::fake::{Fake, example};

#[tokio::test]
async fn logs_are_emptied_by_name() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["clear", "rttc", "webserver"]).await, @r"
    exit 0
    monitoring_process:rttc: cleared
    webserver: cleared
    ");
    let targets = vec!["rttc".to_owned(), "webserver".to_owned()];
    assert_eq!(fake.last_heard().0, Command::Clear { targets });
    insta::assert_snapshot!(fake.ctl(&["clear", "nobody"]).await, @r"
    exit 1
    nobody: ERROR (no such process)
    ");
    assert_eq!(fake.ctl(&["clear"]).await.code, 2);
}
