//! What clients ask of the broker.

use serde_json::json;

use crate::harness::{Running, msg, wire};

#[tokio::test]
async fn a_new_subscription_replaces_the_one_before() {
    let ligier = Running::ligier("").await;
    let mut reader = ligier.subscriber(" w A w B").await;
    reader.subscribe(" w B").await;
    let mut writer = ligier.peer().await;
    writer.send("A", "a").await;
    writer.send("B", "b").await;
    assert_eq!(reader.text().await, msg("B", "b"));
    reader.subscribe("").await;
    writer.send("B", "b").await;
    writer.settled().await;
    reader.settled().await;
    ligier.end().await;
}

#[tokio::test]
async fn subscriptions_add_up_when_told_so() {
    let ligier = Running::ligier("subscriptions = \"add\"").await;
    let mut reader = ligier.subscriber(" w IO_EVT\0\0").await;
    reader.subscribe(" w MSG\0\0\0\0\0").await;
    let mut writer = ligier.peer().await;
    writer.send("IO_EVT", "1").await;
    writer.send("MSG", "2").await;
    assert_eq!(reader.text().await, msg("IO_EVT", "1"));
    assert_eq!(reader.text().await, msg("MSG", "2"));
    ligier.end().await;
}

#[tokio::test]
async fn growing_subscriptions_in_one_segment_and_either_order() {
    let ligier = Running::ligier("").await;
    let mut reader = ligier.peer().await;
    let stream = [
        wire("_Always", b""),
        wire("_Subscri", b" w A"),
        wire("_Subscri", b" w A w B"),
        wire("_Always", b""),
        wire("_Subscri", b" w A w B as C"),
        wire("_Always", b""),
    ];
    reader.raw(&stream.concat()).await;
    reader.settled().await;
    let mut writer = ligier.peer().await;
    for tag in ["A", "B", "C"] {
        writer.send(tag, tag).await;
        assert_eq!(reader.text().await, msg(tag, tag));
    }
    ligier.end().await;
}

#[tokio::test]
async fn a_list_of_odd_length_or_with_long_tags_is_taken_as_far_as_it_goes() {
    let ligier = Running::ligier("").await;
    let mut odd = ligier.subscriber(" w A B").await;
    let mut long = ligier.subscriber("w ABCDEFGHIJ").await;
    let mut writer = ligier.peer().await;
    writer.send("B", "no").await;
    writer.send("A", "yes").await;
    writer.send("ABCDEFGH", "cut").await;
    assert_eq!(odd.text().await, msg("A", "yes"));
    assert_eq!(long.text().await, msg("ABCDEFGH", "cut"));
    ligier.end().await;
}

#[tokio::test]
async fn an_unknown_mode_drops_the_client() {
    let ligier = Running::ligier("").await;
    let mut peer = ligier.peer().await;
    peer.send("_Subscri", "w A x B").await;
    peer.closed().await;
    ligier.end().await;
}

#[tokio::test]
async fn without_always_each_gime_brings_one_message() {
    let ligier = Running::ligier("").await;
    let mut reader = ligier.peer().await;
    reader.send("_Subscri", "w A").await;
    reader.settled().await;
    let mut writer = ligier.peer().await;
    // In one read, so that the credit has to cut a slab.
    let stream: Vec<u8> = ["1", "2", "3", "4"]
        .iter()
        .flat_map(|b| wire("A", b.as_bytes()))
        .collect();
    writer.raw(&stream).await;
    writer.settled().await;
    reader.settled().await;
    reader.send("_Gime", "").await;
    assert_eq!(reader.text().await, msg("A", "1"));
    reader
        .raw(&[wire("_Gime", b""), wire("_Gime", b"")].concat())
        .await;
    assert_eq!(reader.text().await, msg("A", "2"));
    assert_eq!(reader.text().await, msg("A", "3"));
    reader.settled().await;
    reader.send("_Always", "").await;
    assert_eq!(reader.text().await, msg("A", "4"));
    ligier.end().await;
}

#[tokio::test]
async fn queued_messages_of_a_tag_no_longer_wanted_are_discarded() {
    let ligier = Running::ligier("").await;
    let mut reader = ligier.peer().await;
    reader.send("_Subscri", "w A w B").await;
    reader.settled().await;
    let mut writer = ligier.peer().await;
    for _ in 0..3 {
        writer
            .raw(&[wire("A", b"a"), wire("B", b"b")].concat())
            .await;
        writer.settled().await;
    }
    reader.subscribe("w B").await;
    for _ in 0..3 {
        assert_eq!(reader.text().await, msg("B", "b"));
    }
    reader.settled().await;
    let row = ligier.row("tags", "tag", json!("A")).await;
    assert_eq!((&row["discarded"], &row["dropped"]), (&json!(3), &json!(0)));
    ligier.end().await;
}

#[tokio::test]
async fn names_are_announced_to_those_who_subscribed_and_to_nobody_else() {
    let ligier = Running::ligier("").await;
    let mut watcher = ligier.subscriber("w Born w Died").await;
    let mut other = ligier.subscriber("w MSG").await;
    let mut named = ligier.peer().await;
    named.send("_MyId", "filter-1\0").await;
    assert_eq!(watcher.text().await, msg("Born", "filter-1"));
    other.send("_WhereIs", "filter-1").await;
    assert_eq!(other.text().await, msg("_WhereIs", "127.0.0.1"));
    let mut twin = ligier.peer().await;
    twin.send("_UniqueI", "filter-1").await;
    twin.closed().await;
    drop(named);
    assert_eq!(watcher.text().await, msg("Died", "filter-1"));
    other.settled().await;
    ligier.end().await;
}

#[tokio::test]
async fn other_requests_are_swallowed() {
    let ligier = Running::ligier("").await;
    let mut reader = ligier.subscriber("w MSG w _Odd").await;
    for tag in [
        "_Version", "_SkipMod", "_ShowSta", "_Odd", "_CloseAl", "_StopDis", "_Debug+",
    ] {
        reader.send(tag, "1.8").await;
    }
    reader.settled().await;
    ligier.peer().await.send("MSG", "alive").await;
    assert_eq!(reader.text().await, msg("MSG", "alive"));
    ligier.end().await;
}

#[tokio::test]
async fn remote_control_works_where_it_is_allowed() {
    let ligier = Running::ligier("remote_control = true").await;
    let mut reader = ligier.subscriber("w MSG").await;
    let mut operator = ligier.peer().await;
    operator.send("_CloseAl", "").await;
    reader.closed().await;
    operator.send("_StopDis", "").await;
    operator.closed().await;
    assert!(ligier.ended().await.is_ok());
}

#[tokio::test]
async fn an_operator_can_disconnect_a_client() {
    let ligier = Running::ligier("").await;
    let mut reader = ligier.subscriber("w MSG").await;
    let row = ligier.row("clients", "wants", json!("w MSG")).await;
    ligier
        .ask("disconnect", json!({"client": row["client"]}))
        .await
        .unwrap();
    reader.closed().await;
    assert!(
        ligier
            .ask("disconnect", json!({"client": 77}))
            .await
            .is_err()
    );
    assert!(ligier.ask("dance", json!({})).await.is_err());
    ligier.end().await;
}

#[tokio::test]
async fn too_many_clients_are_turned_away() {
    let ligier = Running::ligier("clients_max = 1").await;
    let mut first = ligier.subscriber("w MSG").await;
    ligier.peer().await.closed().await;
    first.settled().await;
    ligier.end().await;
}
