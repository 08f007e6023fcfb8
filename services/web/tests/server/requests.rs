//! What other services ask of the web server.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::events::event;
use crate::fixture::{Server, scalar};

fn png(answer: &Value) -> Vec<u8> {
    assert_eq!(answer["media_type"], "image/png");
    let png = BASE64_STANDARD
        .decode(answer["base64"].as_str().unwrap())
        .unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    png
}

#[tokio::test]
async fn a_service_gets_the_picture_of_an_output() {
    let server = Server::start("").await;
    server.put(scalar("rate", 4.5));
    let answer = server
        .request("picture", json!({ "name": "rate" }))
        .await
        .unwrap();
    assert_eq!(
        (&answer["name"], &answer["title"]),
        (&json!("rate"), &json!("Rate of <b>things</b>"))
    );
    let page = server.get("/plots/rate.png").await.bytes().await.unwrap();
    assert_eq!(png(&answer), page, "the one that the page has");
    let sized = json!({ "name": "rate", "width": 300, "height": 200 });
    let answer = server.request("picture", sized).await.unwrap();
    assert_eq!(png(&answer)[16..24], [0, 0, 1, 44, 0, 0, 0, 200]);
}

#[tokio::test]
async fn a_value_that_is_not_on_the_board_is_drawn() {
    let server = Server::start("").await;
    let answer = server
        .request("picture", json!({ "view": event() }))
        .await
        .unwrap();
    assert_eq!(
        (&answer["name"], &answer["title"]),
        (&json!("ztplot"), &json!("z-t-Plot for DetID-133"))
    );
    assert!(png(&answer).len() > 1_000);
    assert_eq!(server.board.version(), 0);
}

#[tokio::test]
async fn a_stored_event_is_drawn_for_a_service() {
    let server = Server::start("").await;
    server.write(
        "event_selection/one.json",
        &serde_json::to_vec(&event()).unwrap(),
    );
    let answer = server
        .request("picture", json!({ "event": "one" }))
        .await
        .unwrap();
    let page = server
        .get("/event_selection/one.png")
        .await
        .bytes()
        .await
        .unwrap();
    assert_eq!(png(&answer), page);
    server.write(
        "event_selection/second/one.json",
        &serde_json::to_vec(&event()).unwrap(),
    );
    let answer = server
        .request("picture", json!({ "event": "second/one" }))
        .await
        .unwrap();
    assert_eq!(png(&answer), page);
    for nothing in ["two", "../one", "second/../one", "second/two", ""] {
        let refused = server.request("picture", json!({ "event": nothing })).await;
        assert!(
            refused.unwrap_err().contains("no stored event"),
            "{nothing}"
        );
    }
}

#[tokio::test]
async fn a_wrong_request_is_answered_with_the_reason() {
    let server = Server::start("").await;
    let misfit = json!({
        "name": "x", "title": "x", "interval_s": 1,
        "view": {"form": "histogram", "edges": [0, 1], "counts": [1, 2]},
    });
    for (args, reason) in [
        (json!({ "name": "absent" }), "no output \"absent\""),
        (json!({}), "one of `name`, `view` and `event` expected"),
        (
            json!({ "name": "a", "event": "b" }),
            "one of `name`, `view` and `event` expected",
        ),
        (json!({ "view": misfit }), "counts has 2 values, expected 1"),
        (json!({ "view": {"form": "cake"} }), "missing field"),
        (json!({ "nam": "a" }), "unknown field"),
        (json!(null), "invalid type"),
    ] {
        let refused = server.request("picture", args.clone()).await.unwrap_err();
        assert!(refused.contains(reason), "{args}: {refused}");
    }
    let unknown = server.request("paint", json!({})).await.unwrap_err();
    assert!(unknown.contains("clients, reset, picture"), "{unknown}");
    assert_eq!(
        server.request("clients", json!({})).await,
        Ok(json!({ "live": 0 }))
    );
}

#[tokio::test]
async fn many_requests_are_answered_or_refused_but_none_is_left() {
    let server = Server::start("").await;
    let ask = |n: u32| {
        let mut output = event();
        output.name = format!("event_{n}");
        server.request(
            "picture",
            json!({ "view": output, "width": 2_400, "height": 1_600 }),
        )
    };
    let answers = futures_util::future::join_all((0..40).map(ask)).await;
    let drawn = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(drawn >= 8, "{drawn}");
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    for why in refused {
        assert_eq!(why, "too many pictures at a time; try again");
    }
}
