//! Frames in, frames out.

use fathom_kernel::{Event, Filter, Frame, Limits, Tag, Timestamp};
use serde_json::json;
use std::collections::VecDeque;

use crate::harness::{Running, msg, soon, wire};

#[tokio::test]
async fn a_subscriber_gets_its_tags_and_no_others() {
    let ligier = Running::ligier("").await;
    let mut reader = ligier.subscriber(" w IO_EVT w MSG").await;
    let mut writer = ligier.peer().await;
    writer.send("IO_SUM", "no").await;
    writer.send("IO_EVT", "event").await;
    writer.send("MSG", "text").await;
    assert_eq!(reader.text().await, msg("IO_EVT", "event"));
    assert_eq!(reader.text().await, msg("MSG", "text"));
    ligier.end().await;
}

#[tokio::test]
async fn frames_may_arrive_in_any_pieces() {
    let ligier = Running::ligier("").await;
    let mut reader = ligier.subscriber("w A w B").await;
    let mut writer = ligier.peer().await;
    writer.0.set_nodelay(true).unwrap();
    let stream = [
        wire("A", b"first"),
        wire("B", &[7; 3000]),
        wire("A", b"last"),
    ]
    .concat();
    for piece in stream.chunks(5) {
        writer.raw(piece).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(reader.text().await, msg("A", "first"));
    assert_eq!(reader.recv().await, ("B".to_owned(), vec![7; 3000]));
    assert_eq!(reader.text().await, msg("A", "last"));
    ligier.end().await;
}

#[tokio::test]
async fn a_body_larger_than_any_buffer_arrives_whole() {
    let ligier = Running::ligier("").await;
    let mut reader = ligier.subscriber("w BIG").await;
    let mut writer = ligier.peer().await;
    let body: Vec<u8> = (0..5_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    for _ in 0..3 {
        let (_, got) = tokio::join!(writer.send("BIG", &body), reader.recv());
        assert!(got.1 == body);
    }
    ligier.end().await;
}

#[tokio::test]
async fn prefixes_leave_with_padding_of_zero_and_nothing_after_the_tag() {
    let ligier = Running::ligier("").await;
    let mut reader = ligier.subscriber("w MSG").await;
    let mut writer = ligier.peer().await;
    let mut untidy = wire("MSG", b"x");
    untidy[4..8].copy_from_slice(b"junk");
    untidy[12..16].fill(0xff);
    writer.raw(&untidy).await;
    let mut got = [0; 17];
    soon(tokio::io::AsyncReadExt::read_exact(&mut reader.0, &mut got))
        .await
        .unwrap();
    assert_eq!(got.as_slice(), wire("MSG", b"x"));
    ligier.end().await;
}

#[tokio::test]
async fn an_empty_body_is_counted_and_not_forwarded() {
    let ligier = Running::ligier("").await;
    let mut reader = ligier.subscriber("w MSG").await;
    let mut writer = ligier.peer().await;
    writer
        .raw(&[wire("MSG", b""), wire("MSG", b"x")].concat())
        .await;
    assert_eq!(reader.text().await, msg("MSG", "x"));
    let row = ligier.row("tags", "tag", json!("MSG")).await;
    assert_eq!((&row["empty"], &row["received"]), (&json!(1), &json!(1)));
    ligier.end().await;
    let ligier = Running::ligier("forward_empty = true").await;
    let mut reader = ligier.subscriber("w MSG").await;
    ligier.peer().await.send("MSG", "").await;
    assert_eq!(reader.text().await, msg("MSG", ""));
    ligier.end().await;
}

#[tokio::test]
async fn everything_a_publisher_sent_before_it_closed_is_delivered() {
    let ligier = Running::ligier("").await;
    let mut reader = ligier.subscriber("w N").await;
    let mut writer = ligier.peer().await;
    let stream: Vec<u8> = (0..20_000_u32)
        .flat_map(|n| wire("N", &n.to_le_bytes()))
        .collect();
    writer.raw(&stream).await;
    drop(writer);
    for n in 0..20_000_u32 {
        assert_eq!(reader.recv().await.1, n.to_le_bytes());
    }
    ligier.end().await;
}

#[tokio::test]
async fn a_client_gets_its_own_publications_back() {
    let ligier = Running::ligier("").await;
    let mut both = ligier.subscriber("w MSG").await;
    both.send("MSG", "to myself").await;
    assert_eq!(both.text().await, msg("MSG", "to myself"));
    ligier.end().await;
}

#[tokio::test]
async fn a_client_that_publishes_without_reading_is_not_blocked() {
    let ligier = Running::ligier("queue_bytes = \"1MiB\"").await;
    let mut both = ligier.sluggard("w A").await;
    let body = vec![1; 100_000];
    for _ in 0..300 {
        both.send("A", &body).await;
    }
    ligier
        .until("tags", |rows| {
            rows.iter().any(|r| r["received"] == json!(300))
        })
        .await;
    ligier.end().await;
}

#[tokio::test]
async fn messages_before_a_subscription_are_not_delivered() {
    let ligier = Running::ligier("").await;
    let mut writer = ligier.peer().await;
    writer.send("MSG", "before").await;
    writer.settled().await;
    let mut reader = ligier.subscriber("w MSG").await;
    writer.send("MSG", "after").await;
    assert_eq!(reader.text().await, msg("MSG", "after"));
    // The same in one segment, and with the own publications.
    let mut both = ligier.peer().await;
    let stream = [
        wire("MSG", b"too early"),
        wire("_Subscri", b" w MSG"),
        wire("_Always", b""),
        wire("MSG", b"in time"),
    ];
    both.raw(&stream.concat()).await;
    assert_eq!(both.text().await, msg("MSG", "in time"));
    ligier.end().await;
}

#[tokio::test]
async fn bodies_are_opaque() {
    let ligier = Running::ligier("").await;
    let mut reader = ligier.subscriber("w MSG").await;
    let mut writer = ligier.peer().await;
    for body in [&b"stop"[..], &[0xff, 0xfe, 0, 0x80], b"_Subscri w X"] {
        writer.send("MSG", body).await;
        assert_eq!(reader.recv().await.1, body);
    }
    ligier.end().await;
}

#[tokio::test]
async fn messages_of_clients_reach_the_bus() {
    let ligier = Running::ligier("").await;
    let filter = Filter::frames([Tag::of("IO_EVT")]);
    let mut events = ligier.bus.subscribe("monitor", filter, Limits::default());
    let mut writer = ligier.peer().await;
    writer
        .raw(&[wire("MSG", b"no"), wire("IO_EVT", b"yes")].concat())
        .await;
    let mut batch = VecDeque::new();
    assert!(soon(events.recv_batch(&mut batch)).await);
    let Event::Frame(frame) = &*batch[0] else {
        panic!("{batch:?}")
    };
    assert_eq!(
        (&*frame.source, &frame.body[..]),
        ("ligiers:ligier", &b"yes"[..])
    );
    assert_eq!(batch.len(), 1);
    ligier.end().await;
}

#[tokio::test]
async fn frames_on_the_bus_reach_clients_and_do_not_come_back() {
    let ligier = Running::ligier("").await;
    let mut reader = ligier.subscriber("w MSG").await;
    let filter = Filter::all_frames();
    let mut events = ligier.bus.subscribe("all", filter, Limits::default());
    let frame = |source: &str, body: &'static [u8]| {
        Event::Frame(Frame {
            source: source.into(),
            tag: Tag::of("MSG"),
            received: Timestamp::UNIX_EPOCH,
            body: body.into(),
        })
    };
    let echo = frame("ligiers:ligier", b"its own");
    ligier
        .bus
        .publish_batch(vec![echo, frame("alarms", b"alarm")]);
    assert_eq!(reader.text().await, msg("MSG", "alarm"));
    reader.settled().await;
    let mut batch = VecDeque::new();
    events.try_batch(&mut batch);
    assert_eq!(batch.len(), 2);
    ligier.end().await;
}

#[tokio::test]
async fn the_bus_can_be_left_out() {
    let ligier = Running::ligier("bus = \"none\"").await;
    assert!(ligier.bus.subscribers().is_empty());
    let mut events = ligier
        .bus
        .subscribe("all", Filter::all_frames(), Limits::default());
    let mut both = ligier.subscriber("w MSG").await;
    both.send("MSG", "x").await;
    both.recv().await;
    assert!(!events.try_batch(&mut VecDeque::new()));
    ligier.end().await;
}

#[tokio::test]
async fn a_wrong_stream_is_closed_and_counted() {
    let ligier = Running::ligier("body_max = \"1kB\"").await;
    let mut reports = ligier.subscriber("w WrongHdr").await;
    let mut too_long = wire("A", b"");
    too_long[8..12].copy_from_slice(&1001_u32.to_be_bytes());
    let mut negative = wire("A", b"");
    negative[8] = 0xff;
    for wrong in [too_long, negative, wire("\u{1}", b""), vec![0; 16]] {
        let mut peer = ligier.subscriber("w GOOD").await;
        peer.raw(&[wire("GOOD", b"before"), wrong].concat()).await;
        assert_eq!(peer.text().await, msg("GOOD", "before"));
        peer.closed().await;
    }
    for _ in 0..2 {
        let (tag, body) = reports.text().await;
        assert_eq!(tag, "WrongHdr");
        assert!(body.contains("malformed tag"), "{body}");
    }
    ligier.end().await;
}

#[tokio::test]
async fn counters_tell_what_went_where() {
    let ligier = Running::ligier("").await;
    let mut readers = [
        ligier.subscriber("w A").await,
        ligier.subscriber("a A w B").await,
    ];
    let mut writer = ligier.peer().await;
    for _ in 0..3 {
        writer.send("A", "12345").await;
    }
    for reader in &mut readers {
        for _ in 0..3 {
            reader.recv().await;
        }
    }
    let row = ligier.row("tags", "tag", json!("A")).await;
    let counts = [
        "subscribers",
        "received",
        "received_bytes",
        "sent",
        "dropped",
    ];
    assert_eq!(counts.map(|c| row[c].as_u64().unwrap()), [2, 3, 63, 6, 0]);
    ligier
        .until("clients", |rows| {
            rows.iter().filter(|r| r["sent"] == json!(4)).count() == 2
        })
        .await;
    let row = ligier.row("clients", "wants", json!("a A w B")).await;
    assert_eq!(
        row["peer"],
        json!(readers[1].0.local_addr().unwrap().to_string())
    );
    assert_eq!(
        (&row["queued"], &row["credit"]),
        (&json!(0), &json!("always"))
    );
    // They are put up now and then.
    for name in ["ligiers.ligier_tags", "ligiers.ligier_clients"] {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while ligier.board.entry(name).is_none() {
            assert!(std::time::Instant::now() < deadline, "no {name}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
    ligier.end().await;
}
