//! `ctl rotate`.

use fathom_kernel::Command;

use crate::fake::{Fake, example};

#[tokio::test]
async fn logs_are_rotated_by_name() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["rotate", "webserver"]).await, @r"
    exit 0
    webserver: rotated
    ");
    let targets = vec!["webserver".to_owned()];
    assert_eq!(fake.last_heard().0, Command::Rotate { targets });
    assert_eq!(fake.ctl(&["rotate", "nobody"]).await.code, 1);
}
