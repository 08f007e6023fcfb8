//! The bus as its users see it: who gets what, what is dropped, and how it is counted.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use fathom_kernel::{Bus, Event, Filter, Frame, Limits, Tag, Timestamp, tags};
use proptest::prelude::*;

fn frame(tag: Tag, body: &'static [u8]) -> Event {
    Event::Frame(Frame {
        source: "test".into(),
        tag,
        received: Timestamp::UNIX_EPOCH,
        body: Bytes::from_static(body),
    })
}

fn bodies(batch: &VecDeque<Arc<Event>>) -> Vec<&[u8]> {
    let frames = batch.iter().filter_map(|event| match &**event {
        Event::Frame(frame) => Some(&frame.body[..]),
        _ => None,
    });
    frames.collect()
}

#[test]
fn a_subscriber_gets_its_tags_only() {
    let bus = Bus::new();
    let mut events = bus.subscribe("s", Filter::frames([tags::MSG]), Limits::default());
    bus.publish_batch(vec![frame(tags::IO_EVT, b"no"), frame(tags::MSG, b"yes")]);
    let mut batch = VecDeque::new();
    assert!(events.try_batch(&mut batch));
    assert_eq!(bodies(&batch), [b"yes"]);
}

#[test]
fn a_full_queue_drops_its_oldest_and_counts_at_once() {
    let bus = Bus::new();
    let limits = Limits {
        messages: 2,
        bytes: usize::MAX,
    };
    let mut events = bus.subscribe("slow", Filter::all_frames(), limits);
    bus.publish_batch([b"a", b"b", b"c", b"d"].map(|b| frame(tags::MSG, b)).into());
    assert_eq!(events.lost().messages, 2);
    assert_eq!(bus.subscribers()[0].dropped, 2);
    let mut batch = VecDeque::new();
    events.try_batch(&mut batch);
    assert_eq!(bodies(&batch), [b"c", b"d"]);
}

#[test]
fn the_newest_event_stays_even_when_it_alone_breaks_the_limit() {
    let bus = Bus::new();
    let limits = Limits {
        messages: 10,
        bytes: 1,
    };
    let mut events = bus.subscribe("tiny", Filter::all_frames(), limits);
    bus.publish(frame(tags::MSG, b"first"));
    bus.publish(frame(tags::MSG, b"second"));
    let mut batch = VecDeque::new();
    events.try_batch(&mut batch);
    assert_eq!(bodies(&batch), [b"second"]);
}

#[test]
fn a_new_filter_keeps_what_waits_and_doubles_nothing() {
    let bus = Bus::new();
    let mut events = bus.subscribe("s", Filter::frames([tags::MSG]), Limits::default());
    bus.publish_batch(vec![frame(tags::IO_EVT, b"no"), frame(tags::MSG, b"old")]);
    events.refilter(Filter::frames([tags::MSG, tags::IO_EVT]));
    bus.publish_batch(vec![frame(tags::IO_EVT, b"new"), frame(tags::MSG, b"both")]);
    let mut batch = VecDeque::new();
    assert!(events.try_batch(&mut batch));
    assert_eq!(bodies(&batch), [&b"old"[..], b"new", b"both"]);
    assert_eq!(bus.subscribers().len(), 1);
}

#[tokio::test]
async fn closing_wakes_the_reader_after_what_waits() {
    let bus = Bus::new();
    let mut events = bus.subscribe("s", Filter::all_frames(), Limits::default());
    bus.publish(frame(tags::MSG, b"last"));
    events.close();
    let mut batch = VecDeque::new();
    assert!(events.recv_batch(&mut batch).await);
    batch.clear();
    assert!(!events.recv_batch(&mut batch).await);
    assert!(bus.subscribers().is_empty());
}

proptest! {
    #[test]
    fn published_is_delivered_or_dropped(counts in prop::collection::vec(0_usize..40, 1..20), limit in 1_usize..50) {
        let bus = Bus::new();
        let limits = Limits { messages: limit, bytes: usize::MAX };
        let mut events = bus.subscribe("p", Filter::all_frames(), limits);
        let (mut taken, mut published) = (0_u64, 0_u64);
        for (round, count) in counts.iter().enumerate() {
            bus.publish_batch((0..*count).map(|_| frame(tags::MSG, b"x")).collect());
            published += *count as u64;
            prop_assert!(events.status().queued <= limit);
            if round % 3 == 2 {
                let mut batch = VecDeque::new();
                events.try_batch(&mut batch);
                taken += batch.len() as u64;
            }
        }
        let status = events.status();
        prop_assert_eq!(published, taken + status.queued as u64 + status.dropped);
        prop_assert_eq!(status.delivered, published);
    }
}
