//! Every route, over a real connection.

use std::time::Duration;

use crate::fixture::{Server, scalar};
use fathom_kernel::view::{Colours, Column, ColumnMark, HitColumn, HitMap, Image, View};
use fathom_kernel::{
    Alarm, Command, Event, FromConfig, LifeChange, Output, Service, ServiceCx, Setup, Severity,
    State, Timestamp,
};
use fathom_web::WebServer;
use reqwest::StatusCode;
use serde_json::json;

fn image(columns: i64) -> Output {
    let column = |n| Column {
        at_ms: n * 1_000,
        values: [1.0, f32::NAN].into(),
        overlay: [0, 255].into(),
    };
    let view = Image {
        rows: 2,
        column_s: 1.0,
        columns_max: 800,
        row_labels: Vec::new(),
        columns: (1..=columns).map(|n| column(n).into()).collect(),
        colours: Colours {
            map: "cividis".into(),
            low: 0.0,
            high: 1.0,
            log: false,
            under: None,
            over: None,
            missing: "white".into(),
            label: "rate [Hz]".into(),
        },
        overlay_threshold: 0.5,
        overlay_colour: "red".into(),
        overlay_label: "HRV".into(),
    };
    Output::new("pmt_rates_du1", "PMT rates", view)
}

#[tokio::test]
async fn outputs_are_listed_and_given_with_their_values() {
    let server = Server::start("").await;
    server.put(scalar("rate", 4.5));
    let list = server.json("/api/outputs").await;
    assert_eq!(list["version"], 1);
    let head = &list["outputs"][0];
    assert_eq!(
        (head["name"].as_str(), head["form"].as_str()),
        (Some("rate"), Some("scalar"))
    );
    assert_eq!(
        (&head["stale"], &head["service"]),
        (&json!(false), &json!("monitoring:x"))
    );
    let full = server.json("/api/outputs/rate").await;
    assert_eq!(
        full["view"],
        json!({"form": "scalar", "value": 4.5, "unit": "Hz"})
    );
    assert_eq!(
        full["losses"],
        json!({"received": 0, "dropped": 0, "bad": 0})
    );
    let absent = server.get("/api/outputs/absent").await;
    assert_eq!(absent.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        absent.json::<serde_json::Value>().await.unwrap()["error"],
        "no output \"absent\""
    );
}

#[tokio::test]
async fn an_output_is_sent_again_only_when_it_changed() {
    let server = Server::start("").await;
    server.put(scalar("rate", 1.0));
    let first = server.get("/api/outputs/rate").await;
    let tag = first.headers()["etag"].clone();
    let ask = || {
        let request = server.client.get(server.url("/api/outputs/rate"));
        request.header("if-none-match", &tag).send()
    };
    assert_eq!(ask().await.unwrap().status(), StatusCode::NOT_MODIFIED);
    server.put(scalar("rate", 2.0));
    let changed = ask().await.unwrap();
    assert_eq!(changed.status(), StatusCode::OK);
    assert_ne!(changed.headers()["etag"], tag);
}

#[tokio::test]
async fn of_an_image_only_newer_columns_are_sent_when_asked_so() {
    let server = Server::start("").await;
    server.put(image(5));
    let all = server.json("/api/outputs/pmt_rates_du1").await;
    assert_eq!(all["view"]["columns"].as_array().unwrap().len(), 5);
    assert_eq!(all["view"]["columns"][0]["values"], json!([1.0, null]));
    let newer = server.json("/api/outputs/pmt_rates_du1?since=3000").await;
    let times: Vec<_> = newer["view"]["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["at_ms"])
        .collect();
    assert_eq!(times, [4000, 5000]);
    assert_eq!(newer["since"], 3000);
    let wrong = server.get("/api/outputs/pmt_rates_du1?since=soon").await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
}

fn hit_map(numbers: std::ops::RangeInclusive<u64>) -> Output {
    let column = |number| HitColumn {
        number,
        at_ms: 0,
        note: format!("event {number}"),
        rows: [1].into(),
        counts: [2].into(),
    };
    let View::Image(Image { colours, .. }) = image(0).view else {
        panic!("an image")
    };
    let view = HitMap {
        x_label: "event".into(),
        rows: 2,
        columns_max: 800,
        row_labels: Vec::new(),
        columns: numbers.map(|n| column(n).into()).collect(),
        marks: vec![ColumnMark {
            number: 2,
            text: "RUN 7".into(),
        }],
        colours,
    };
    Output::new("hitmap", "Hits on DOMs", view)
}

#[tokio::test]
async fn of_a_hit_map_only_newer_events_are_sent_when_asked_so() {
    let server = Server::start("").await;
    server.put(hit_map(0..=4));
    let numbers = async |path: &str| {
        let answer = server.json(path).await;
        let columns = answer["view"]["columns"].as_array().unwrap().clone();
        let numbers: Vec<_> = columns
            .iter()
            .map(|c| c["number"].as_u64().unwrap())
            .collect();
        (numbers, answer)
    };
    let (all, answer) = numbers("/api/outputs/hitmap").await;
    assert_eq!((all, &answer["since"]), (vec![0, 1, 2, 3, 4], &json!(null)));
    let (newer, answer) = numbers("/api/outputs/hitmap?since=2").await;
    assert_eq!((newer, &answer["since"]), (vec![3, 4], &json!(2)));
    assert_eq!(
        answer["view"]["marks"][0]["text"], "RUN 7",
        "marks always come"
    );
    assert_eq!(numbers("/api/outputs/hitmap?since=-1").await.0.len(), 5);
    assert!(numbers("/api/outputs/hitmap?since=9").await.0.is_empty());
}

#[tokio::test]
async fn values_are_compressed_for_who_takes_it() {
    let server = Server::start("").await;
    server.put(image(500));
    let request = server.client.get(server.url("/api/outputs/pmt_rates_du1"));
    let packed = request
        .header("accept-encoding", "br, gzip;q=0.9")
        .send()
        .await
        .unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let packed = packed.bytes().await.unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*packed), &mut text).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["view"]["columns"].as_array().unwrap().len(), 500);
    assert!(packed.len() * 5 < text.len());
}

#[tokio::test]
async fn live_clients_hear_of_outputs_states_and_alarms() {
    let server = Server::start("").await;
    let mut stream = server.get("/api/live").await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    read_until(&mut stream, &mut text, "event: hello").await;
    read_until(&mut stream, &mut text, "event: status").await;
    assert!(text.contains("\"stack\":\"orca\""), "{text}");
    server.put(scalar("rate", 1.0));
    server.put(scalar("rate", 2.0));
    read_until(&mut stream, &mut text, "event: outputs").await;
    read_until(&mut stream, &mut text, "\"version\":2").await;
    server.bus.publish(Event::Life(life()));
    read_until(&mut stream, &mut text, "event: life").await;
    server.bus.publish(Event::Alarm(alarm(true)));
    read_until(&mut stream, &mut text, "event: alarm").await;
    assert_eq!(
        text.matches("event: outputs").count(),
        1,
        "changes are gathered: {text}"
    );
    assert_eq!(
        server.json("/api/alarms").await["firing"][0]["rule"],
        "dom_inactive"
    );
    assert_eq!(
        server.json("/api/life").await["changes"][0]["to"],
        "BACKOFF"
    );
    server.bus.publish(Event::Alarm(alarm(false)));
    read_until(&mut stream, &mut text, "\"firing\":false").await;
    assert_eq!(server.json("/api/alarms").await["firing"], json!([]));
}

async fn read_until(stream: &mut reqwest::Response, text: &mut String, wanted: &str) {
    while !text.contains(wanted) {
        let chunk = tokio::time::timeout(Duration::from_secs(5), stream.chunk()).await;
        let chunk = chunk.unwrap_or_else(|_| panic!("no {wanted} in {text}"));
        text.push_str(std::str::from_utf8(&chunk.unwrap().expect("the stream goes on")).unwrap());
    }
}

fn life() -> LifeChange {
    LifeChange {
        sequence: 1,
        service: "monitoring:x".into(),
        incarnation: 2,
        from: State::Running,
        to: State::Backoff,
        reason: "panic: x".into(),
        at: Timestamp::UNIX_EPOCH,
    }
}

fn alarm(firing: bool) -> Alarm {
    Alarm {
        service: "monitoring:x".into(),
        rule: "dom_inactive".into(),
        subject: "DU 3 floor 7".into(),
        severity: Severity::Warning,
        firing,
        text: "silent for 301 s".into(),
        at: Timestamp::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn the_server_ends_while_a_client_listens() {
    let server = Server::start("").await;
    let mut stream = server.get("/api/live").await;
    let mut text = String::new();
    read_until(&mut stream, &mut text, "event: hello").await;
    server.stop().await.unwrap();
    while let Ok(Some(_)) = stream.chunk().await {}
}

#[tokio::test]
async fn a_restarted_server_takes_its_address_again_and_is_known_as_another_start() {
    let mut listen = "127.0.0.1:0".to_owned();
    let mut boots = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let server = Server::start_at(&listen, "").await;
        listen = server.address.to_string();
        let config = server.json("/api/config").await;
        boots.insert(config["boot"].as_str().unwrap().to_owned());
        server.stop().await.unwrap();
    }
    assert_eq!(boots.len(), 3);
}

#[tokio::test]
async fn a_taken_address_is_an_error_that_names_it() {
    let server = Server::start("").await;
    let config = toml::from_str(&format!("listen = \"{}\"", server.address)).unwrap();
    let second = Box::new(WebServer::from_config(&config, &Setup::default()));
    let (cx, _outside) = ServiceCx::alone("webserver", "/nonexistent");
    let error = second.run(cx).await.unwrap_err().chain();
    assert!(
        error.starts_with(&format!("cannot listen on {}", server.address)),
        "{error}"
    );
}

#[tokio::test]
async fn a_request_with_a_body_too_large_or_a_head_too_long_is_refused() {
    let server = Server::start("").await;
    let post = server.client.post(server.url("/api/services/x/start"));
    let answer = post.body(vec![0; 100_000]).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let request = server.client.get(server.url("/api/outputs"));
    let answer = request.header("x-long", "x".repeat(100_000)).send().await;
    assert!(answer.is_err() || answer.is_ok_and(|a| a.status().is_client_error()));
}

#[tokio::test]
async fn more_live_clients_than_allowed_are_refused() {
    let server = Server::start("live_max = 1").await;
    let _first = server.get("/api/live").await;
    assert_eq!(
        server.get("/api/live").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn status_config_and_logs_answer() {
    let server = Server::start("").await;
    assert_eq!(server.json("/api/status").await["stack"], "orca");
    let config = server.json("/api/config").await;
    assert_eq!(config["pages"][0]["path"], "/");
    assert_eq!(config["role"], "viewer");
    assert_eq!(config["can_control"], false);
    assert_eq!(
        config["colour_maps"]["plasma"].as_str().unwrap().len(),
        1536
    );
    assert_eq!(server.json("/api/logs/_").await["lines"], json!(["up"]));
    assert_eq!(
        server.get("/api/logs/nobody").await.status(),
        StatusCode::NOT_FOUND
    );
    let report = server.get("/api/incidents/7").await;
    let kind = report.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("text/plain"), "{kind}");
    assert_eq!(report.text().await.unwrap(), "incident 7\nexit:3\n");
    for nothing in ["/api/incidents/8", "/api/incidents/x"] {
        let status = server.get(nothing).await.status();
        assert!(status.is_client_error(), "{nothing}: {status}");
    }
    assert_eq!(server.get("/healthz").await.text().await.unwrap(), "ok\n");
}

#[tokio::test]
async fn every_answer_forbids_foreign_and_inline_content() {
    let server = Server::start("").await;
    for path in ["/lite", "/api/outputs", "/api/nothing", "/nothing"] {
        let response = server.get(path).await;
        let headers = response.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self'"), "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
    }
}

#[tokio::test]
async fn the_plain_page_shows_outputs_and_escapes_their_titles() {
    let server =
        Server::start("[[pages]]\npath = \"/\"\ntitle = \"All\"\nrows = [[\"r*\", \"later\"]]")
            .await;
    server.put(scalar("rate", 1.0));
    let page = server.get("/lite").await.text().await.unwrap();
    assert!(page.contains("/plots/rate.png"), "{page}");
    assert!(page.contains("Rate of &lt;b&gt;things&lt;/b&gt;"), "{page}");
    assert!(
        page.contains("later"),
        "an output that is expected is named"
    );
    assert!(!page.contains("STALE"));
    let style = server.get("/lite/style.css").await;
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
    assert_eq!(
        server.get("/lite/absent").await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_picture_is_drawn_once_per_version() {
    let server = Server::start("").await;
    server.put(image(5));
    let first = server.get("/plots/pmt_rates_du1.png").await;
    assert_eq!(first.headers()["content-type"], "image/png");
    let tag = first.headers()["etag"].clone();
    let bytes = first.bytes().await.unwrap();
    assert!(bytes.starts_with(b"\x89PNG"));
    let again = server.get("/plots/pmt_rates_du1.png").await;
    assert_eq!(again.bytes().await.unwrap(), bytes);
    let known = server.client.get(server.url("/plots/pmt_rates_du1.png"));
    let known = known.header("if-none-match", tag).send().await.unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    let small = server.get("/plots/pmt_rates_du1.png?w=300&h=200").await;
    assert_eq!(
        small.bytes().await.unwrap()[16..24],
        [0, 0, 1, 44, 0, 0, 0, 200]
    );
    for absent in [
        "/plots/absent.png",
        "/plots/pmt_rates_du1.gif",
        "/plots/pmt_rates_du1",
    ] {
        assert_eq!(
            server.get(absent).await.status(),
            StatusCode::NOT_FOUND,
            "{absent}"
        );
    }
}

#[tokio::test]
async fn no_path_leads_out_of_what_is_served() {
    let server = Server::start("").await;
    for path in [
        "/plots/../../etc/passwd",
        "/plots/..%2f..%2fetc%2fpasswd",
        "/plots/%2e%2e%2fsecret.png",
        "/assets/../../Cargo.toml",
        "/..%2fCargo.toml",
        "/api/outputs/..%2f..%2fx",
        "/lite/..%2f..",
        "//etc/passwd",
    ] {
        let status = raw_get(&server, path).await;
        assert!(status.contains(" 404 "), "{path}: {status}");
    }
}

/// Sends a path as it is; a client library would tidy it up.
async fn raw_get(server: &Server, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_operator_commands_and_the_supervisor_learns_who_it_was() {
    let server = Server::start("username = \"op\"\npassword = \"deep\"\nrole = \"operator\"").await;
    let url = server.url("/api/services/monitoring:%2A/restart");
    let post = || server.client.post(&url).basic_auth("op", Some("deep"));
    let answer = post().send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(answer["outcomes"][0]["result"], "started");
    let (command, caller) = server.commands.lock().unwrap().pop().unwrap();
    assert!(
        matches!(command, Command::Restart { targets, wait: true } if targets == ["monitoring:*"])
    );
    assert_eq!(caller, "op via webserver 127.0.0.1");
    let foreign = post()
        .header("origin", "http://evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    let unknown = server.client.post(server.url("/api/services/x/explode"));
    let unknown = unknown.basic_auth("op", Some("deep")).send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert!(server.commands.lock().unwrap().is_empty());
}
