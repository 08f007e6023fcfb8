//! Rights on TCP, and of the socket file.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use fathom::control::{Client, ClientError, Place, TcpDoor};
use fathom_kernel::State;

use crate::fake::{Fake, fathom, service, stranger};

async fn on_tcp() -> (Fake, SocketAddr) {
    let door = TcpDoor {
        listen: "127.0.0.1:0".parse().expect("an address"),
        token_file: None,
        hosts: Vec::new(),
        account: None,
        rpc_open: false,
    };
    let services = vec![service("web", State::Stopped, "")];
    let fake = Fake::start_with(services, Some(door)).await;
    let address = fake.tcp_address();
    (fake, address)
}

#[tokio::test]
async fn the_socket_is_for_owner_and_group() {
    let fake = Fake::start(Vec::new()).await;
    let mode = std::fs::metadata(&fake.socket)
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[tokio::test]
async fn reading_is_open_and_writing_takes_the_token() {
    let (mut fake, address) = on_tcp().await;
    let url = format!("http://{address}");
    assert_eq!(fathom(&["ctl", "-s", &url, "pid"]).await.out, "4194303\n");
    let ran = fathom(&["ctl", "-s", &url, "start", "web"]).await;
    assert_eq!(ran.code, 5, "{ran}");
    assert!(ran.err.contains("a token is needed"), "{ran}");
    let token = fake.token_file().display().to_string();
    let ran = fathom(&["ctl", "-s", &url, "--token-file", &token, "start", "web"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "web: started\n"), "{ran}");
    assert_eq!(fake.last_heard().1, "token via http 127.0.0.1");
    fake.close().await;
    assert!(!fake.token_file().exists(), "a token ends with its run");
}

#[tokio::test]
async fn a_wrong_token_is_refused_even_for_reading() {
    let (_fake, address) = on_tcp().await;
    let place = Place::Url(format!("http://{address}"));
    let client = Client::new(place, Some("0123456789abcdef".to_owned())).expect("a client");
    let refused = client.status(&[]).await;
    assert!(
        matches!(refused, Err(ClientError::Permission { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_rebound_name_is_refused() {
    let (_fake, address) = on_tcp().await;
    let answer = stranger()
        .get(format!("http://{address}/api/status"))
        .header("host", "evil.example")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 421);
}
