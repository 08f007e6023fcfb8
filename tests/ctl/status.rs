//! `ctl status`.

use crate::fake::{Fake, example};

#[tokio::test]
async fn one_line_per_service_as_supervisorctl_prints_it() {
    let fake = Fake::start(example()).await;
    let ran = fake.ctl(&["status"]).await;
    insta::assert_snapshot!(ran, @r"
    exit 3
    ligiers:ligiermirror             RUNNING   pid 4194304, uptime 1 day, 7:55:09
    monitoring_process:rttc          RUNNING   pid 4194305, uptime 10:55:53
    monitoring_process:triggermap    RUNNING   actor, uptime 0:03:12
    monitoring_process:ztplot        BACKOFF   Exited too quickly (process log may have details)
    webserver                        STOPPED   Nov 21 12:19 AM
    ");
}
