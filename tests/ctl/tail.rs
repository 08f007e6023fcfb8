//! `ctl tail`.

use crate::fake::{Fake, example};

#[tokio::test]
async fn the_end_of_a_log() {
    let fake = Fake::start(example()).await;
    for line in ["one", "two", "three"] {
        fake.write("monitoring_process:rttc", line);
    }
    insta::assert_snapshot!(fake.ctl(&["tail", "-n", "2", "rttc"]).await, @r"
    exit 0
    two
    three
    ");
    insta::assert_snapshot!(fake.ctl(&["--json", "tail", "-n", "2", "rttc"]).await, @r#"
    exit 0
    ["two","three"]
    "#);
}

#[tokio::test]
async fn a_service_that_wrote_nothing_has_an_empty_log_and_one_that_does_not_exist_is_1() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["tail", "webserver"]).await, @"exit 0");
    insta::assert_snapshot!(fake.ctl(&["--json", "tail", "webserver"]).await, @r"
    exit 0
    []
    ");
    insta::assert_snapshot!(fake.ctl(&["tail", "nobody"]).await, @r"
    exit 1
    --- stderr
    fathom ctl: no such service or group: nobody
    ");
}

#[tokio::test]
async fn following_begins_with_the_end_and_goes_on_until_the_supervisor_goes() {
    let mut fake = Fake::start(example()).await;
    fake.write("monitoring_process:rttc", "old");
    fake.write("monitoring_process:rttc", "last");
    let socket = fake.socket.display().to_string();
    let mut tail = fake.spawn(&["ctl", "-s", &socket, "tail", "-f", "-n", "1", "rttc"]);
    assert_eq!(tail.line().await, "last\n");
    fake.write("webserver", "of another service");
    fake.write("monitoring_process:rttc", "new");
    assert_eq!(tail.line().await, "new\n");
    fake.close().await;
    assert_eq!(tail.code().await, 0);
}

#[tokio::test]
async fn bytes_of_the_file_as_they_are() {
    let fake = Fake::start(example()).await;
    let ran = fake.ctl(&["tail", "-c", "4", "webserver"]).await;
    insta::assert_snapshot!(ran, @r"
    exit 1
    --- stderr
    fathom ctl: no log of webserver
    ");
    let outlet = fake.logs.keep("webserver", &Default::default()).out;
    let path = outlet.file().expect("a file").path().to_owned();
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, "one\ntwo\n").expect("written");
    let ran = fake.ctl(&["tail", "-c", "4", "webserver"]).await;
    insta::assert_snapshot!(ran, @r"
    exit 0
    two
    ");
}
