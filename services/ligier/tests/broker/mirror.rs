//! Links that this side keeps: mirror and source.

use std::collections::VecDeque;

use fathom_kernel::{Event, Filter, Limits, Setup};
use serde_json::json;

use crate::harness::{Peer, Running, msg, soon};

const RETRY: &str = "retry_first = \"10ms\"\nretry_most = \"20ms\"";

async fn mirror(source: &str, target: &str, options: &str) -> Running {
    let options = format!("source = \"{source}\"\ntarget = \"{target}\"\n{RETRY}\n{options}");
    Running::start("ligiermirror", "ligiers:mirror", &options).await
}

/// Waits until both ends of all links stand.
async fn linked(mirror: &Running) {
    mirror
        .until("links", |rows| {
            rows.iter().all(|row| !row["linked"].is_null())
        })
        .await;
}

/// Waits until the mirror's subscription has reached a broker.
async fn subscribed(broker: &Running, wants: &str) {
    broker
        .until("clients", |rows| {
            rows.iter().any(|row| row["wants"] == json!(wants))
        })
        .await;
}

#[tokio::test]
async fn a_mirror_copies_everything_unchanged_and_does_not_end_on_stop() {
    let (daq, monitoring) = (Running::ligier("").await, Running::ligier("").await);
    let to = monitoring.address.to_string();
    let mirror = mirror(
        &daq.address.to_string(),
        &to,
        "tags = \"IO_EVT, MSG\"\ntags_all = [\"IO_SUM\"]",
    )
    .await;
    subscribed(&daq, "w IO_EVT w MSG a IO_SUM").await;
    linked(&mirror).await;
    let mut reader = monitoring
        .subscriber("w IO_EVT w MSG w IO_SUM w OTHER")
        .await;
    let mut writer = daq.peer().await;
    writer.send("OTHER", "not mirrored").await;
    for (tag, body) in [
        ("IO_EVT", &[0, 255, 7][..]),
        ("MSG", b"stop"),
        ("IO_SUM", b"after"),
    ] {
        writer.send(tag, body).await;
        assert_eq!(reader.recv().await, (tag.to_owned(), body.to_vec()));
    }
    let row = mirror.row("links", "to", json!("target")).await;
    assert_eq!((&row["messages"], &row["dropped"]), (&json!(3), &json!(0)));
    mirror.end().await;
    daq.end().await;
    monitoring.end().await;
}

#[tokio::test]
async fn a_mirror_ends_on_stop_when_told_so_after_what_came_before() {
    let (daq, monitoring) = (Running::ligier("").await, Running::ligier("").await);
    let to = monitoring.address.to_string();
    let mirror = mirror(
        &daq.address.to_string(),
        &to,
        "tags = \"MSG\"\nstop_on_stop = true",
    )
    .await;
    subscribed(&daq, "w MSG").await;
    linked(&mirror).await;
    let mut reader = monitoring.subscriber("w MSG").await;
    let mut writer = daq.peer().await;
    writer.send("MSG", "before").await;
    writer.send("MSG", "stop").await;
    assert_eq!(reader.text().await, msg("MSG", "before"));
    assert!(mirror.ended().await.is_ok());
}

#[tokio::test]
async fn several_sources_meet_in_several_targets() {
    let sources = [Running::ligier("").await, Running::ligier("").await];
    let targets = [Running::ligier("").await, Running::ligier("").await];
    let list = |of: &[Running; 2]| format!("{} {}", of[0].address, of[1].address);
    let mirror = mirror(&list(&sources), &list(&targets), "tags = \"MSG\"").await;
    linked(&mirror).await;
    let mut readers = [
        targets[0].subscriber("w MSG").await,
        targets[1].subscriber("w MSG").await,
    ];
    for source in &sources {
        subscribed(source, "w MSG").await;
        source.peer().await.send("MSG", "hello").await;
        for reader in &mut readers {
            assert_eq!(reader.text().await, msg("MSG", "hello"));
        }
    }
    mirror.end().await;
}

#[tokio::test]
async fn a_mirror_comes_back_after_either_side_was_gone() {
    let (daq, monitoring) = (Running::ligier("").await, Running::ligier("").await);
    let (from, to) = (daq.address.to_string(), monitoring.address.to_string());
    let mirror = mirror(&from, &to, "tags = \"MSG\"").await;
    linked(&mirror).await;
    daq.end().await;
    let daq = Running::broker(&from, "").await;
    subscribed(&daq, "w MSG").await;
    monitoring.end().await;
    mirror
        .until("links", |rows| {
            rows.iter()
                .any(|r| r["to"] == json!("target") && r["linked"].is_null())
        })
        .await;
    daq.peer()
        .await
        .send("MSG", "while the target was gone")
        .await;
    mirror
        .until("links", |rows| rows.iter().any(|r| r["queued"] == json!(1)))
        .await;
    // The mirror may be back before the reader, so the message is looked for in the counters.
    let monitoring = Running::broker(&to, "").await;
    monitoring
        .until("tags", |rows| {
            rows.iter().any(|r| r["received"] == json!(1))
        })
        .await;
    linked(&mirror).await;
    let mut reader = monitoring.subscriber("w MSG").await;
    daq.peer().await.send("MSG", "again").await;
    assert_eq!(reader.text().await, msg("MSG", "again"));
    let row = mirror.row("links", "to", json!("source")).await;
    assert!(row["failures"].as_u64().unwrap() >= 1, "{row}");
    mirror.end().await;
}

#[tokio::test]
async fn a_mirror_survives_a_source_killed_in_mid_frame() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let from = listener.local_addr().unwrap().to_string();
    let monitoring = Running::ligier("").await;
    let mut reader = monitoring.subscriber("w MSG").await;
    let mirror = mirror(&from, &monitoring.address.to_string(), "tags = \"MSG\"").await;
    for round in ["one", "two"] {
        let mut source = Peer(soon(listener.accept()).await.unwrap().0);
        assert_eq!(source.text().await, msg("_Subscri", " w MSG"));
        assert_eq!(source.text().await, msg("_Always", ""));
        source.send("MSG", round).await;
        source
            .raw(&crate::harness::wire("MSG", &[1; 100])[..50])
            .await;
        assert_eq!(reader.text().await, msg("MSG", round));
    }
    mirror.end().await;
}

#[tokio::test]
async fn a_source_that_is_a_target_is_refused() {
    let ligier = Running::ligier("").await;
    let port = ligier.address.port();
    let looped = mirror(
        &format!("127.0.0.1:{port}"),
        &format!("localhost:{port}"),
        "tags = \"MSG\"",
    )
    .await;
    let error = looped.ended().await.unwrap_err().chain();
    assert!(error.contains("are the same broker"), "{error}");
    for (options, expected) in [
        (
            "source = \"a:1\"\ntarget = \"b:1 a:1\"\ntags = \"MSG\"",
            "a:1 is source and target",
        ),
        ("source = \"a:1\"\ntarget = \"b:1\"", "no tags"),
        (
            "source = \"bus\"\ntarget = \"b:1\"\ntags = \"MSG\"",
            "bus is no broker",
        ),
        (
            "source = \"a\"\ntarget = \"b:1\"\ntags = \"MSG\"",
            "`a`: expected HOST:PORT",
        ),
    ] {
        let kind = fathom_ligier::KINDS
            .iter()
            .find(|k| k.name == "ligiermirror")
            .unwrap();
        let table = toml::de::DeTable::parse(options).unwrap();
        let error = (kind.parse)(table, &Setup::default()).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_source_brings_a_broker_elsewhere_to_the_bus() {
    let elsewhere = Running::ligier("bus = \"none\"").await;
    let options = format!(
        "from = \"{}\"\ntags = [\"IO_EVT\"]\n{RETRY}",
        elsewhere.address
    );
    let source = Running::start("ligier_source", "daq", &options).await;
    let mut events = source
        .bus
        .subscribe("monitor", Filter::all_frames(), Limits::default());
    subscribed(&elsewhere, "w IO_EVT").await;
    elsewhere.peer().await.send("IO_EVT", "event").await;
    let mut batch = VecDeque::new();
    assert!(soon(events.recv_batch(&mut batch)).await);
    let Event::Frame(frame) = &*batch[0] else {
        panic!("{batch:?}")
    };
    assert_eq!((&*frame.source, &frame.body[..]), ("daq", &b"event"[..]));
    source.end().await;
}

#[tokio::test]
async fn every_option_has_a_default_in_the_schema() {
    for kind in fathom_ligier::KINDS {
        let schema = (kind.schema)();
        let properties = schema.as_value()["properties"].as_object().unwrap();
        for (name, property) in properties {
            assert!(property.get("default").is_some(), "{} {name}", kind.name);
            assert!(
                property.get("description").is_some(),
                "{} {name}",
                kind.name
            );
        }
    }
}
