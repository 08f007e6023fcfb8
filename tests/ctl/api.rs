//! The API itself, as other programs use it.

use crate::fake::{Fake, example};

#[tokio::test]
async fn status_comes_over_the_socket() {
    let fake = Fake::start(example()).await;
    let status = fake.client().status(&[]).await.expect("an answer");
    assert_eq!(status.services.len(), 5);
}
