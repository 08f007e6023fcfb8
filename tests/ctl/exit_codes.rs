//! Exit codes when there is nobody to talk to, or no right to.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use crate::fake::{Fake, fathom};

/// A socket file whose owner is gone.
fn stale(folder: &tempfile::TempDir) -> String {
    let path = folder.path().join("fathom.sock");
    drop(UnixListener::bind(&path).expect("bound"));
    path.display().to_string()
}

#[tokio::test]
async fn no_socket_is_7_and_for_status_4() {
    let ran = fathom(&["ctl", "-s", "/nowhere/fathom.sock", "stop", "all"]).await;
    insta::assert_snapshot!(ran, @r"
    exit 7
    --- stderr
    fathom ctl: no socket /nowhere/fathom.sock: is fathom running?
    ");
    let ran = fathom(&["ctl", "-s", "/nowhere/fathom.sock", "status"]).await;
    insta::assert_snapshot!(ran, @r"
    exit 4
    --- stderr
    fathom ctl: no socket /nowhere/fathom.sock: is fathom running?
    ");
}

#[tokio::test]
async fn a_socket_nobody_listens_on_is_4() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = stale(&folder);
    for verb in [&["stop", "all"][..], &["status"], &["pid"], &["events"]] {
        let mut args = vec!["ctl", "-s", &socket];
        args.extend(verb);
        let ran = fathom(&args).await;
        assert_eq!(ran.code, 4, "{verb:?}: {ran}");
        assert!(ran.err.contains("refused the connection"), "{ran}");
    }
}

#[tokio::test]
async fn a_socket_of_somebody_else_is_5() {
    let fake = Fake::start(Vec::new()).await;
    let nobody = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(&fake.socket, nobody).expect("it is ours");
    if std::os::unix::net::UnixStream::connect(&fake.socket).is_ok() {
        eprintln!("skipped: the superuser may use every socket");
        return;
    }
    assert_eq!(fake.ctl(&["pid"]).await.code, 5);
}

#[tokio::test]
async fn a_wrong_command_line_is_2() {
    assert_eq!(fathom(&["ctl", "dance"]).await.code, 2);
    assert_eq!(fathom(&["ctl", "signal", "HUP"]).await.code, 2);
}

#[tokio::test]
async fn errors_are_json_when_asked_for() {
    let ran = fathom(&["ctl", "--json", "-s", "/nowhere/s", "pid"]).await;
    insta::assert_snapshot!(ran, @r#"
    exit 7
    {"error":"no_socket","message":"no socket /nowhere/s: is fathom running?"}
    "#);
}
