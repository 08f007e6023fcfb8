//! `ctl signal`.

use crate::fake::{Fake, example};

#[tokio::test]
async fn a_signal_is_sent_to_processes_only() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["signal", "HUP", "rttc"]).await, @r"
    exit 0
    monitoring_process:rttc: signalled
    ");
    insta::assert_snapshot!(fake.ctl(&["signal", "HUP", "webserver"]).await, @r"
    exit 7
    webserver: ERROR (not running)
    ");
    insta::assert_snapshot!(fake.ctl(&["signal", "WOBBLE", "rttc"]).await, @r"
    exit 1
    monitoring_process:rttc: ERROR (bad signal name)
    ");
    assert_eq!(fake.ctl(&["signal", "HUP", "nobody"]).await.code, 1);
}
