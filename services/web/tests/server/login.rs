//! Who may look, who may command.

use crate::fixture::Server;
use reqwest::StatusCode;

async fn post(server: &Server, login: Option<(&str, &str)>) -> StatusCode {
    let mut request = server.client.post(server.url("/api/services/x/restart"));
    if let Some((user, password)) = login {
        request = request.basic_auth(user, Some(password));
    }
    request.send().await.unwrap().status()
}

async fn get(server: &Server, login: (&str, &str)) -> reqwest::Response {
    let request = server.client.get(server.url("/api/outputs"));
    request
        .basic_auth(login.0, Some(login.1))
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn with_an_account_nothing_is_shown_without_it() {
    let hash = fathom_web::hash_password("pyrosoma").unwrap();
    let server = Server::start(&format!(
        "username = \"km3net\"\npassword_hash = \"{hash}\""
    ))
    .await;
    for path in [
        "/",
        "/lite",
        "/api/outputs",
        "/api/live",
        "/plots/x.png",
        "/nothing",
    ] {
        let response = server.get(path).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert!(
            response.headers()["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Basic")
        );
    }
    assert_eq!(server.get("/healthz").await.status(), StatusCode::OK);
    assert_eq!(
        get(&server, ("km3net", "pyrosoma")).await.status(),
        StatusCode::OK
    );
    assert_eq!(
        get(&server, ("km3net", "wrong")).await.status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        post(&server, Some(("km3net", "pyrosoma"))).await,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn guessing_passwords_is_answered_with_a_wait() {
    let server = Server::start("username = \"km3net\"\npassword = \"pyrosoma\"").await;
    for _ in 0..5 {
        assert_eq!(
            get(&server, ("km3net", "guess")).await.status(),
            StatusCode::UNAUTHORIZED
        );
    }
    let refused = get(&server, ("km3net", "guess")).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn anybody_may_look_when_that_is_wanted_but_not_command() {
    let server = Server::start(
        "anonymous = true\nusername = \"op\"\npassword = \"deep\"\nrole = \"operator\"",
    )
    .await;
    assert_eq!(server.get("/api/outputs").await.status(), StatusCode::OK);
    assert_eq!(post(&server, None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(post(&server, Some(("op", "deep"))).await, StatusCode::OK);
}

#[tokio::test]
async fn without_accounts_nobody_commands() {
    let server = Server::start("").await;
    assert_eq!(server.get("/api/outputs").await.status(), StatusCode::OK);
    assert_eq!(post(&server, None).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_open_page_is_not_shown_under_a_foreign_name() {
    let server = Server::start("hosts = [\"sea.example\"]").await;
    let ask = |host: &'static str| {
        let request = server.client.get(server.url("/api/outputs"));
        request.header("host", host).send()
    };
    assert_eq!(
        ask("evil.example:8081").await.unwrap().status(),
        StatusCode::MISDIRECTED_REQUEST
    );
    assert_eq!(ask("sea.example").await.unwrap().status(), StatusCode::OK);
    assert_eq!(ask("localhost:1").await.unwrap().status(), StatusCode::OK);
}
