//! Questions to services, and the messages that monitors could not read.

use fathom_kernel::Command;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::fixture::Server;

async fn refused(server: &Server, path: &str) -> (StatusCode, String) {
    let response = server.get(path).await;
    let status = response.status();
    let said: Value = response.json().await.unwrap();
    (status, said["error"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_question_reaches_the_service_with_its_arguments() {
    let server = Server::start("").await;
    let path = "/api/ask/monitoring:x/history?dom_id=806451572&level=1min";
    let expected = json!({ "dom_id": 806_451_572, "level": "1min" });
    assert_eq!(server.json(path).await, expected);
    let path = "/api/ask/monitoring:x/history?args=%7B%22dus%22%3A%5B1%2C2%5D%7D";
    assert_eq!(server.json(path).await, json!({ "dus": [1, 2] }));
    assert_eq!(
        server.json("/api/ask/monitoring:x/history").await,
        json!(null)
    );
    // Never as a request, which the supervisor would pass on whatever it does.
    let commands = server.commands.lock().unwrap().clone();
    let all_ask = |(command, _): &(Command, String)| matches!(command, Command::Question { .. });
    assert!(
        commands.len() == 3 && commands.iter().all(all_ask),
        "{commands:?}"
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn only_services_that_answer_are_listed() {
    let server = Server::start("").await;
    let list = server.json("/api/ask").await;
    let expected = json!([{
        "service": "monitoring:x",
        "kind": "dom_rates",
        "state": "RUNNING",
        "questions": ["bad", "history"],
    }]);
    assert_eq!(list["services"], expected);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_question_without_an_answer_says_why() {
    let server = Server::start("").await;
    for (path, status, text) in [
        ("nobody/history", 404, "no such service or group: nobody"),
        (
            "monitoring:x/reset",
            404,
            "monitoring:x has no question \"reset\", expected bad, history",
        ),
        ("refuses/history", 422, "no such DOM"),
        ("silent/history", 504, "silent does not answer"),
        ("down/history", 409, "down is not running"),
        ("monitoring:x/history?args=%7B", 400, "args is no JSON"),
        ("monitoring:x", 404, ""),
    ] {
        let (got, said) = refused(&server, &format!("/api/ask/{path}")).await;
        assert_eq!(got.as_u16(), status, "{path}: {said}");
        assert!(said.contains(text), "{path}: {said}");
    }
    let long = "x".repeat(5000);
    let (status, _) = refused(
        &server,
        &format!("/api/ask/monitoring:x/history?name={long}"),
    )
    .await;
    assert_eq!(status, 400);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn questions_only_read_and_need_the_login() {
    let server = Server::start("").await;
    for path in ["/api/ask/monitoring:x/history", "/api/faulty/monitoring:x"] {
        let posted = server.client.post(server.url(path)).send().await.unwrap();
        assert_ne!(posted.status(), 200, "{path}");
    }
    server.stop().await.unwrap();
    let hash = fathom_web::hash_password("fine").unwrap();
    let account = format!("username = \"me\"\npassword_hash = \"{hash}\"");
    let server = Server::start(&account).await;
    for path in [
        "/api/ask",
        "/api/ask/monitoring:x/history",
        "/api/faulty/monitoring:x/3",
    ] {
        assert_eq!(server.get(path).await.status(), 401, "{path}");
        let request = server.client.get(server.url(path));
        let response = request.basic_auth("me", Some("fine")).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_faulty_message_comes_as_the_bytes_it_was() {
    let server = Server::start("").await;
    let list = server.json("/api/faulty/monitoring:x").await;
    assert_eq!(list["messages"][0]["number"], 3);
    let response = server.get("/api/faulty/monitoring:x/3").await;
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/octet-stream");
    assert_eq!(
        header("content-disposition"),
        "attachment; filename=\"IO_EVT-too_short-3.bin\""
    );
    assert_eq!(&response.bytes().await.unwrap()[..], [0, 1, 255]);
    let (status, said) = refused(&server, "/api/faulty/monitoring:x/9").await;
    assert_eq!(
        (status.as_u16(), &*said),
        (404, "no faulty message is kept")
    );
    assert_eq!(server.get("/api/faulty/nobody").await.status(), 404);
    server.stop().await.unwrap();
}
