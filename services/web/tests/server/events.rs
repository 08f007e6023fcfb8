//! Stored events: their pictures, values and messages, and nothing else of the disk.

use fathom_kernel::view::{Layer, Panel, Panels, Shape};
use fathom_kernel::{Output, Timestamp};
use reqwest::StatusCode;

use crate::fixture::Server;

/// Name of an event as the monitor of event displays writes it.
const EVENT: &str = "ztplot_00000133_00013821_FI184021_TC40213";

/// A small event display of a year ago.
pub(crate) fn event() -> Output {
    let view = Panels {
        columns: 1,
        panels: vec![Panel {
            title: "DU 1".into(),
            layers: vec![Layer::new(
                Shape::Disc,
                "#09A9DE",
                vec![1.0, f64::NAN],
                vec![2.0, 3.0],
            )],
            guides: vec![1.0],
        }],
        ..Panels::default()
    };
    let then = Timestamp::from_second(1_700_000_000).unwrap();
    Output::new("ztplot", "z-t-Plot for DetID-133", view).at(Some(then))
}

async fn with_event(options: &str) -> Server {
    let server = Server::start(options).await;
    let json = serde_json::to_vec(&event()).unwrap();
    server.write(&format!("event_selection/{EVENT}.json"), &json);
    server.write(&format!("event_selection/{EVENT}.dat"), &[0, 255, 7]);
    server.write("secret.json", b"{}");
    server
}

#[tokio::test]
async fn a_stored_event_is_drawn_from_its_values() {
    let server = with_event("").await;
    let path = format!("/event_selection/{EVENT}.png");
    let first = server.get(&path).await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(first.headers()["content-type"], "image/png");
    let tag = first.headers()["etag"].clone();
    let png = first.bytes().await.unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    let request = server
        .client
        .get(server.url(&path))
        .header("if-none-match", tag);
    assert_eq!(
        request.send().await.unwrap().status(),
        StatusCode::NOT_MODIFIED
    );
    let small = server.get(&format!("{path}?w=480&h=320")).await;
    assert_eq!(
        small.bytes().await.unwrap()[16..24],
        [0, 0, 1, 224, 0, 0, 1, 64]
    );
    // However old, it is no stale value: the same as drawn at its own time.
    let at = event().datum.unwrap();
    let size = fathom_web::picture::Size::of(&event().view);
    assert_eq!(png, fathom_web::picture::draw(&event(), at, at, size));
}

/// Two selections of one stack shared a folder, and lost each other's events.
#[tokio::test]
async fn events_of_another_table_lie_in_a_folder_of_their_own() {
    let server = with_event("").await;
    let mut other = event();
    other.title = "Another title".into();
    let json = serde_json::to_vec(&other).unwrap();
    server.write(&format!("event_selection/second/{EVENT}.json"), &json);
    server.write(&format!("event_selection/second/{EVENT}.dat"), &[1]);
    let get = async |path: String| {
        let answer = server.get(&path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.bytes().await.unwrap()
    };
    for ending in ["png", "json", "dat"] {
        let usual = get(format!("/event_selection/{EVENT}.{ending}")).await;
        let second = get(format!("/event_selection/second/{EVENT}.{ending}")).await;
        assert_ne!(usual, second, "{ending}");
    }
    let folder = server.get("/event_selection/second").await;
    assert_eq!(folder.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_redrawn_event_is_seen() {
    let server = with_event("").await;
    let path = format!("/event_selection/{EVENT}.png");
    let before = server.get(&path).await.bytes().await.unwrap();
    let mut other = event();
    other.title = "Another title".into();
    let json = serde_json::to_vec(&other).unwrap();
    server.write(&format!("event_selection/{EVENT}.json"), &json);
    assert_ne!(server.get(&path).await.bytes().await.unwrap(), before);
}

#[tokio::test]
async fn values_and_message_of_an_event_are_given_as_they_are() {
    let server = with_event("").await;
    let values = server.json(&format!("/event_selection/{EVENT}.json")).await;
    assert_eq!(values["title"], "z-t-Plot for DetID-133");
    let message = server.get(&format!("/event_selection/{EVENT}.dat")).await;
    assert_eq!(
        message.headers()["content-type"],
        "application/octet-stream"
    );
    assert_eq!(message.headers()["content-disposition"], "attachment");
    assert_eq!(message.bytes().await.unwrap().as_ref(), [0, 255, 7]);
}

#[tokio::test]
async fn events_need_the_same_login_as_the_rest() {
    let server = with_event("username = \"a\"\npassword = \"b\"").await;
    for ending in ["png", "json", "dat"] {
        let path = format!("/event_selection/{EVENT}.{ending}");
        assert_eq!(server.get(&path).await.status(), StatusCode::UNAUTHORIZED);
        let request = server
            .client
            .get(server.url(&path))
            .basic_auth("a", Some("b"));
        assert_eq!(
            request.send().await.unwrap().status(),
            StatusCode::OK,
            "{path}"
        );
    }
}

#[tokio::test]
async fn no_name_leads_out_of_the_folder_of_events() {
    let server = with_event("").await;
    let folder = server.data_dir.join("files/event_selection");
    std::os::unix::fs::symlink("../secret.json", folder.join("link.json")).unwrap();
    std::fs::create_dir(folder.join("folder.json")).unwrap();
    for name in [
        "absent.png",
        "link.json",
        "link.png",
        "folder.json",
        "..%2Fsecret.json",
        "%2e%2e%2fsecret.json",
        "..%5Csecret.json",
        ".json",
        "x%00.json",
        "secret.toml",
        "a%2Fb.dat",
        "a/..%2F..%2Fsecret.json",
        "a%2F..%2Fsecret.json",
        "%2e%2e/secret.json",
        "..%2Fevent_selection/link.json",
        "a/b/c.json",
    ] {
        let status = server
            .get(&format!("/event_selection/{name}"))
            .await
            .status();
        assert_eq!(status, StatusCode::NOT_FOUND, "{name}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_event_is_an_answer_that_says_so() {
    let server = Server::start("").await;
    let mut wrong = event();
    let fathom_kernel::view::View::Panels(panels) = &mut wrong.view else {
        panic!("panels")
    };
    panels.panels[0].layers[0].x.pop();
    let wrong = serde_json::to_vec(&wrong).unwrap();
    for (name, bytes) in [("text", b"{\"name\":".as_slice()), ("misfit", &wrong)] {
        server.write(&format!("event_selection/{name}.json"), bytes);
        let answer = server.get(&format!("/event_selection/{name}.png")).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let said: serde_json::Value = answer.json().await.unwrap();
        assert!(
            said["error"].as_str().unwrap().contains("cannot be read"),
            "{said}"
        );
    }
    // One too large is not read into memory; the file is a hole of 65 MiB.
    server.write("event_selection/large.json", b"");
    let file = server.data_dir.join("files/event_selection/large.json");
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_len(65 << 20).unwrap();
    for ending in ["png", "json"] {
        let answer = server
            .get(&format!("/event_selection/large.{ending}"))
            .await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
