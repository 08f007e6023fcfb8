//! `ctl shutdown`.

use fathom_kernel::Command;

use crate::fake::Fake;

#[tokio::test]
async fn it_returns_when_the_supervisor_has_gone() {
    let mut fake = Fake::start(Vec::new()).await;
    let socket = fake.socket.display().to_string();
    let mut shutdown = fake.spawn(&["ctl", "-s", &socket, "shutdown"]);
    fake.wait_to_hear().await;
    assert_eq!(fake.last_heard().0, Command::Shutdown { now: false });
    fake.close().await;
    assert_eq!(shutdown.line().await, "Shut down\n");
    assert_eq!(shutdown.code().await, 0);
}

#[tokio::test]
async fn a_supervisor_that_stays_is_1() {
    let fake = Fake::start(Vec::new()).await;
    insta::assert_snapshot!(fake.ctl(&["shutdown", "--now", "--timeout", "50ms"]).await, @r"
    exit 1
    Still shutting down
    ");
    assert_eq!(
        fake.heard.lock().expect("unpoisoned")[0].0,
        Command::Shutdown { now: true }
    );
}
