//! The detector's log: followed live, and searched.

use fathom_kernel::view::Table;
use fathom_kernel::{Command, Output, Timestamp};
use serde_json::{Value, json};

use super::fixture::Server;

/// The list of `weblog` with these numbers.
fn lines(numbers: std::ops::RangeInclusive<u64>) -> Output {
    let row = |n: u64| {
        vec![
            json!(n),
            json!(0),
            json!("ERROR"),
            json!("Other"),
            json!(format!("line {n}")),
        ]
    };
    let table = Table {
        columns: ["number", "time [ms]", "level", "class", "message"]
            .map(str::to_owned)
            .to_vec(),
        rows: numbers.map(row).collect(),
    };
    Output::new("weblog", "Log", table).at(Some(Timestamp::now()))
}

/// Reads events of a stream until one has this name; returns its data.
async fn next(stream: &mut reqwest::Response, read: &mut String, name: &str) -> Value {
    loop {
        while let Some((event, rest)) = read.split_once("\n\n") {
            let fields: Vec<_> = event
                .lines()
                .filter_map(|line| line.split_once(": "))
                .collect();
            let field = |name: &str| {
                fields
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| *value)
            };
            let found = (field("event") == Some(name)).then(|| field("data").unwrap().to_owned());
            *read = rest.to_owned();
            if let Some(data) = found {
                return serde_json::from_str(&data).unwrap();
            }
        }
        let more = stream.chunk().await.unwrap().expect("the stream goes on");
        read.push_str(std::str::from_utf8(&more).unwrap());
    }
}

#[tokio::test]
async fn a_reader_gets_the_last_messages_and_then_each_new_one_once() {
    let server = Server::start("").await;
    let highlights = Table {
        columns: ["pattern", "colour", "background", "bold line"]
            .map(str::to_owned)
            .to_vec(),
        rows: vec![vec![json!("ERROR"), json!("red"), json!(""), json!(true)]],
    };
    server.put(Output::new("weblog_highlights", "x", highlights));
    server.put(lines(1..=3));
    let mut read = String::new();
    let mut stream = server.get("/api/messages/live").await;
    let hello = next(&mut stream, &mut read, "hello").await;
    assert_eq!(hello["rows"].as_array().unwrap().len(), 3);
    assert_eq!(hello["highlights"], json!([["ERROR", "red", "", true]]));
    // The versions that follow repeat old rows; each is passed on once. Those of the hello may come
    // once more, when the server had not told them yet.
    server.put(lines(2..=5));
    server.put(lines(4..=6));
    let mut numbers: Vec<u64> = Vec::new();
    while numbers.last() != Some(&6) {
        let told = next(&mut stream, &mut read, "lines").await;
        let rows = told["rows"].as_array().unwrap().iter();
        numbers.extend(rows.map(|row| row[0].as_u64().unwrap()));
    }
    assert!(
        numbers.is_sorted_by(|a, b| a < b) && numbers.ends_with(&[4, 5, 6]),
        "{numbers:?}"
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn without_the_service_the_page_is_told_so_and_a_search_finds_nothing() {
    let server = Server::start("").await;
    let mut stream = server.get("/api/messages/live").await;
    let hello = next(&mut stream, &mut String::new(), "hello").await;
    assert_eq!(hello["available"], json!(false));
    assert_eq!(server.get("/api/messages?text=x").await.status(), 404);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_search_is_asked_of_the_service_that_writes_the_files() {
    let server = Server::start("").await;
    server.put(Output::new("messages", "x", Table::default()));
    let path = "/api/messages?regex=a%2Bb&level=ERROR,ALERT&class=DataFilter&to=2026-01-31T12:00:00Z&limit=5000";
    let echoed = server.json(path).await;
    let expected = json!({
        "text": "",
        "regex": "a+b",
        "level": ["ERROR", "ALERT"],
        "class": ["DataFilter"],
        "from": null,
        "to": "2026-01-31T12:00:00Z",
        "limit": 1000,
    });
    assert_eq!(echoed, expected);
    let commands = server.commands.lock().unwrap().clone();
    let [(Command::Request { name, verb, .. }, _)] = &*commands else {
        panic!("{commands:?}")
    };
    assert_eq!((&**name, &**verb), ("monitoring:x", "search"));
    server.stop().await.unwrap();
}
