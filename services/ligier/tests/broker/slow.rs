//! Clients that do not take what they get.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Running, msg, soon, wire};

const BODY_BYTES: usize = 10_000;

fn numbered(n: u32) -> Vec<u8> {
    let mut body = vec![0; BODY_BYTES];
    body[..4].copy_from_slice(&n.to_le_bytes());
    wire("A", &body)
}

fn number(body: &[u8]) -> u32 {
    u32::from_le_bytes(body[..4].try_into().unwrap())
}

#[tokio::test]
async fn a_stalled_client_loses_its_oldest_messages_and_nobody_else_any() {
    let ligier = Running::ligier("queue_bytes = \"1MiB\"").await;
    let mut stalled = ligier.sluggard("w A").await;
    let mut good = ligier.subscriber("w A").await;
    let mut writer = ligier.peer().await;
    const SENT: u32 = 3000;
    for n in 0..SENT {
        writer.raw(&numbered(n)).await;
        assert_eq!(number(&good.recv().await.1), n);
    }
    let row = ligier.row("clients", "wants", json!("w A")).await;
    let dropped = row["dropped"].as_u64().unwrap();
    assert!(dropped > 1000, "{row}");
    assert!(row["queued_bytes"].as_u64().unwrap() <= 1 << 20, "{row}");
    // The connection stays, the newest data follow, and every message is sent or counted.
    let mut got = Vec::new();
    while got.last() != Some(&(SENT - 1)) {
        got.push(number(&stalled.recv().await.1));
    }
    assert!(got.is_sorted());
    assert_eq!(got.len() as u64 + dropped, u64::from(SENT));
    ligier.end().await;
}

#[tokio::test]
async fn a_client_in_mode_all_stops_producers_and_loses_nothing() {
    let ligier = Running::ligier("kept_bytes = \"1MiB\"").await;
    let mut reader = ligier.sluggard("a A").await;
    let mut writer = ligier.peer().await;
    let mut sent = 0_u32;
    // The kernel's buffers fill up after the broker's limit is reached.
    while soon_or_never(writer.raw(&numbered(sent))).await {
        sent += 1;
    }
    ligier
        .until("clients", |rows| {
            rows.iter().any(|r| r["stops_producers"] == json!(true))
        })
        .await;
    let memory = ligier.ask("memory", json!({})).await.unwrap();
    assert!(
        memory["queued_bytes"].as_u64().unwrap() < 4 << 20,
        "{memory}"
    );
    for n in 0..sent {
        assert_eq!(number(&reader.recv().await.1), n);
    }
    ligier.end().await;
}

#[tokio::test]
async fn full_clients_that_also_publish_do_not_wait_for_each_other() {
    let ligier = Running::ligier("kept_bytes = \"1MiB\"").await;
    let (mut one, mut other) = (ligier.peer().await, ligier.peer().await);
    for client in [&mut one, &mut other] {
        client.send("_Subscri", "a A").await;
        client.settled().await;
    }
    let mut writer = ligier.peer().await;
    let mut sent = 0_u32;
    while soon_or_never(writer.raw(&numbered(sent))).await {
        sent += 1;
    }
    let both = |rows: &[serde_json::Value]| {
        let stopping = rows.iter().filter(|r| r["stops_producers"] == json!(true));
        stopping.count() == 2
    };
    ligier.until("clients", both).await;
    // Their requests stand behind data of their own.
    one.send("RESULT", "of a filter").await;
    other.send("RESULT", "of a filter").await;
    for n in 0..sent {
        for client in [&mut one, &mut other] {
            client.send("_Gime", "").await;
            assert_eq!(number(&client.recv().await.1), n);
        }
    }
    ligier.end().await;
}

#[tokio::test]
async fn a_full_client_cannot_fill_its_own_queue_without_bound() {
    let ligier = Running::ligier("kept_bytes = \"1MiB\"").await;
    let mut client = ligier.peer().await;
    client.send("_Subscri", "a A").await;
    client.settled().await;
    let mut sent = 0_u32;
    while sent < 2000 && client.0.write_all(&numbered(sent)).await.is_ok() {
        sent += 1;
    }
    client.closed().await;
    let mut writer = ligier.peer().await;
    writer.settled().await;
    ligier.end().await;
}

/// Tells whether something happens within a time in which it always does on a free line.
async fn soon_or_never(what: impl Future<Output = ()>) -> bool {
    let limit = std::time::Duration::from_millis(300);
    tokio::time::timeout(limit, what).await.is_ok()
}

#[tokio::test]
async fn a_full_client_in_mode_all_is_disconnected_when_told_so() {
    let ligier = Running::ligier("kept_bytes = \"1MiB\"\nwhen_full = \"disconnect\"").await;
    let mut reader = ligier.sluggard("a A").await;
    let mut writer = ligier.peer().await;
    for n in 0..2000 {
        writer.raw(&numbered(n)).await;
    }
    reader.closed().await;
    writer.settled().await;
    ligier.end().await;
}

#[tokio::test]
async fn a_client_in_both_modes_keeps_what_it_must_get() {
    let ligier = Running::ligier("queue_messages = 10").await;
    let mut reader = ligier.peer().await;
    reader.send("_Subscri", "w A a KEEP").await;
    reader.settled().await;
    let mut writer = ligier.peer().await;
    for n in 0..50_u32 {
        let stream = [wire("A", &n.to_le_bytes()), wire("KEEP", &n.to_le_bytes())];
        writer.raw(&stream.concat()).await;
    }
    writer.settled().await;
    reader.send("_Always", "").await;
    let (mut any, mut all) = (Vec::new(), Vec::new());
    while any.len() + all.len() < 60 {
        let (tag, body) = reader.recv().await;
        let list = if tag == "A" { &mut any } else { &mut all };
        list.push(u32::from_le_bytes(body.try_into().unwrap()));
    }
    assert_eq!(any, (40..50).collect::<Vec<_>>());
    assert_eq!(all, (0..50).collect::<Vec<_>>());
    reader.settled().await;
    ligier.end().await;
}

#[tokio::test]
async fn the_frame_in_progress_is_finished_when_the_broker_stops() {
    let ligier = Running::ligier("drain = \"0s\"").await;
    let mut reader = ligier.sluggard("w A").await;
    let mut writer = ligier.peer().await;
    for n in 0..2000 {
        writer.raw(&numbered(n)).await;
    }
    writer.settled().await;
    let end = ligier.end();
    let read = async {
        let mut all = Vec::new();
        soon(reader.0.read_to_end(&mut all)).await.unwrap();
        all.len()
    };
    let ((), length) = tokio::join!(end, read);
    assert_eq!(
        length % (16 + BODY_BYTES),
        0,
        "cut inside a frame: {length}"
    );
    assert!(length < 2000 * (16 + BODY_BYTES));
}

#[tokio::test]
async fn what_waits_is_still_sent_when_the_broker_stops() {
    let ligier = Running::ligier("drain = \"10s\"").await;
    let mut reader = ligier.sluggard("w A").await;
    let mut writer = ligier.peer().await;
    for n in 0..200 {
        writer.raw(&numbered(n)).await;
    }
    writer.settled().await;
    let read = async {
        for n in 0..200 {
            assert_eq!(number(&reader.recv().await.1), n);
        }
        assert!(reader.try_recv().await.is_none());
    };
    tokio::join!(ligier.end(), soon(read));
}

#[tokio::test]
async fn a_client_killed_in_mid_frame_harms_nobody() {
    let ligier = Running::ligier("").await;
    let mut reader = ligier.subscriber("w A").await;
    let mut killed = ligier.peer().await;
    killed
        .raw(&[wire("A", b"whole"), wire("A", &[1; 1000])[..500].to_vec()].concat())
        .await;
    drop(killed);
    assert_eq!(reader.text().await, msg("A", "whole"));
    ligier.peer().await.send("A", "next").await;
    assert_eq!(reader.text().await, msg("A", "next"));
    ligier.end().await;
}
