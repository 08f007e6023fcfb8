//! Alarms that are acknowledged and muted from the page.

use std::time::Duration;

use fathom_kernel::Command;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::fixture::Server;

async fn post(server: &Server, path: &str, user: &str) -> (StatusCode, Value) {
    let request = server.client.post(server.url(path));
    let answer = request.basic_auth(user, Some("deep")).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

fn accounts() -> String {
    let hash = fathom_web::hash_password("deep").unwrap();
    let account = |name: &str, role: &str| {
        format!("{{ name = \"{name}\", role = \"{role}\", password_hash = \"{hash}\" }}")
    };
    let all = [account("vera", "viewer"), account("anna", "shifter")];
    format!("accounts = [{}]", all.join(", "))
}

/// The page showed conditions, and to do anything one had to go to the chat or the command line.
#[tokio::test]
async fn a_shifter_acknowledges_and_mutes_through_the_engine() {
    let server = Server::start(&accounts()).await;
    let (status, _) = post(&server, "/api/alarms/acknowledge?id=12", "anna").await;
    assert_eq!(status, StatusCode::OK);
    let mute = "/api/alarms/mute?rule=dom_inactive&subject=DU%203%20floor%207&for=2h";
    let (status, said) = post(&server, mute, "anna").await;
    let expected = json!({
        "rule": "dom_inactive", "subject": "DU 3 floor 7", "for": "2h", "by": "anna",
    });
    assert_eq!((status, said), (StatusCode::OK, expected.clone()));
    let request = |verb: &str, args| Command::Request {
        name: "alerts:alarms".to_owned(),
        verb: verb.to_owned(),
        args,
    };
    let acknowledge = request("acknowledge", json!({ "id": 12, "by": "anna" }));
    let caller = "anna via webserver".to_owned();
    let expected = [
        (acknowledge, caller.clone()),
        (request("mute", expected), caller),
    ];
    assert_eq!(*server.commands.lock().unwrap(), expected);
    let (status, _) = post(&server, "/api/alarms/test?id=1", "anna").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_viewer_does_nothing_with_alarms_and_is_told_so() {
    let server = Server::start(&accounts()).await;
    let (status, said) = post(&server, "/api/alarms/acknowledge?id=12", "vera").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(said["error"], "vera is neither shifter nor operator");
    for (user, can) in [("vera", false), ("anna", true)] {
        let config = server.client.get(server.url("/api/config"));
        let config = config.basic_auth(user, Some("deep")).send().await.unwrap();
        let config: Value = config.json().await.unwrap();
        assert_eq!(config["can_acknowledge"], can, "{user}");
    }
    assert!(server.commands.lock().unwrap().is_empty());
    server.stop().await.unwrap();
}

/// After a restart of the server `/api/alarms` was empty until monitors said something new.
#[tokio::test]
async fn conditions_that_hold_when_the_server_starts_are_known() {
    let server = Server::start_among(&["monitoring:x"], "127.0.0.1:0", "").await;
    let known = async {
        loop {
            let told = server.json("/api/alarms").await;
            if let Some(alarm) = told["firing"].get(0) {
                return alarm.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    let alarm = tokio::time::timeout(Duration::from_secs(10), known).await;
    let alarm = alarm.expect("it is asked for");
    assert_eq!(alarm["service"], "monitoring:x");
    assert_eq!(alarm["subject"], "DU 3 floor 7");
    server.stop().await.unwrap();
}
