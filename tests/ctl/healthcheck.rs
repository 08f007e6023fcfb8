//! `fathom healthcheck`.

use fathom_kernel::State;

use crate::fake::{Fake, fathom, service};

#[tokio::test]
async fn ready_is_0_and_everything_else_1() {
    let mut fake = Fake::start(vec![service("web", State::Starting, "")]).await;
    let socket = fake.socket.display().to_string();
    let check = ["healthcheck", "-s", &socket];
    insta::assert_snapshot!(fathom(&check).await, @r"
    exit 1
    web: STARTING
    ");
    fake.change("web", State::Running);
    insta::assert_snapshot!(fathom(&check).await, @r"
    exit 0
    ready
    ");
    fake.close().await;
    assert_eq!(fathom(&check).await.code, 1);
}
