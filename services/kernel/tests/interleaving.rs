//! The bus under a scheduler that tries the orders in which its threads can run: what is published is
//! received or counted as dropped, in order, and no reader sleeps on.

#[expect(
    dead_code,
    unreachable_pub,
    reason = "a library's file, of which the model uses a part"
)]
#[path = "../src/bus.rs"]
mod bus;

/// What `bus.rs` takes for its locks and counters, here those of the scheduler.
mod sync {
    pub(crate) use std::sync::PoisonError;

    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
    pub(crate) use shuttle::sync::{Mutex, MutexGuard, RwLock};
}

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use fathom_kernel::{Counters, Event, Filter, Frame, Tag, Timestamp, Topic, tags};
use shuttle::future::block_on;
use shuttle::thread;

use bus::{Bus, Limits, Subscription};

/// Orders tried of each kind by each test.
const ORDERS: usize = 300;
/// Most switches away from the thread that would run on, by which rare orders are sought.
const SWITCHES: usize = 3;
/// Batches of each publisher, and events in each.
const BATCHES: u8 = 3;
const EVENTS: u8 = 2;
const PUBLISHED: u64 = BATCHES as u64 * EVENTS as u64;

/// Tries orders drawn at random and orders with few switches.
fn in_all_orders(model: impl Fn() + Send + Sync + Copy + 'static) {
    shuttle::check_random(model, ORDERS);
    shuttle::check_pct(model, ORDERS, SWITCHES);
}

fn unbounded() -> Limits {
    limit(usize::MAX)
}

fn limit(messages: usize) -> Limits {
    Limits {
        messages,
        bytes: usize::MAX,
    }
}

/// Publishes numbered events with a tag on a thread of its own.
fn publisher(bus: &Bus, tag: Tag) -> thread::JoinHandle<()> {
    let bus = bus.clone();
    thread::spawn(move || {
        for batch in 0..BATCHES {
            let numbers = (0..EVENTS).map(|event| batch * EVENTS + event);
            bus.publish_batch(numbers.map(|number| frame(tag, number)).collect());
        }
    })
}

fn frame(tag: Tag, number: u8) -> Event {
    Event::Frame(Frame {
        source: "model".into(),
        tag,
        received: Timestamp::UNIX_EPOCH,
        body: Bytes::copy_from_slice(&[number]),
    })
}

/// Takes what waits until `enough` says so; a reader who is never woken makes the model stand still,
/// which the scheduler reports.
fn read_until(
    events: &mut Subscription,
    enough: impl Fn(&[(Tag, u8)], u64) -> bool,
) -> Vec<(Tag, u8)> {
    let mut seen = Vec::new();
    let mut batch = VecDeque::new();
    while !enough(&seen, events.lost().messages) {
        assert!(block_on(events.recv_batch(&mut batch)), "nobody closed it");
        seen.extend(batch.drain(..).map(|event| numbered(&event)));
    }
    seen
}

fn numbered(event: &Arc<Event>) -> (Tag, u8) {
    match &**event {
        Event::Frame(frame) => (frame.tag, frame.body[0]),
        _ => panic!("only frames are published here"),
    }
}

fn numbers(seen: &[(Tag, u8)], tag: Tag) -> Vec<u8> {
    let of_tag = seen.iter().filter(|event| event.0 == tag);
    of_tag.map(|event| event.1).collect()
}

fn all_numbers() -> Vec<u8> {
    (0..BATCHES * EVENTS).collect()
}

#[test]
fn two_publishers_reach_a_reader_whole_and_each_in_its_order() {
    in_all_orders(|| {
        let bus = Bus::new();
        let mut events = bus.subscribe("reader", Filter::all_frames(), unbounded());
        let publishers = [tags::MSG, tags::IO_EVT].map(|tag| publisher(&bus, tag));
        let seen = read_until(&mut events, |seen, _| seen.len() as u64 == 2 * PUBLISHED);
        for tag in [tags::MSG, tags::IO_EVT] {
            assert_eq!(numbers(&seen, tag), all_numbers());
        }
        for publisher in publishers {
            publisher.join().expect("it publishes and ends");
        }
    });
}

#[test]
fn what_a_full_queue_did_not_keep_is_counted_to_the_last_event() {
    in_all_orders(|| {
        let bus = Bus::new();
        let mut events = bus.subscribe("slow", Filter::all_frames(), limit(2));
        let publishers = [tags::MSG, tags::IO_EVT].map(|tag| publisher(&bus, tag));
        let seen = read_until(&mut events, |seen, lost| {
            seen.len() as u64 + lost == 2 * PUBLISHED
        });
        for publisher in publishers {
            publisher.join().expect("it publishes and ends");
        }
        assert_eq!(seen.len() as u64 + events.lost().messages, 2 * PUBLISHED);
        let status = events.status();
        assert_eq!((status.delivered, status.queued), (2 * PUBLISHED, 0));
        for tag in [tags::MSG, tags::IO_EVT] {
            assert!(numbers(&seen, tag).is_sorted(), "{seen:?}");
        }
    });
}

#[test]
fn a_new_filter_under_way_loses_nothing_and_doubles_nothing_that_both_want() {
    in_all_orders(|| {
        let bus = Bus::new();
        let mut events = bus.subscribe("s", Filter::frames([tags::MSG]), unbounded());
        let publisher = publisher(&bus, tags::MSG);
        events.refilter(Filter::frames([tags::MSG, tags::IO_EVT]));
        bus.publish(frame(tags::IO_EVT, 0));
        let seen = read_until(&mut events, |seen, _| seen.len() as u64 == PUBLISHED + 1);
        publisher.join().expect("it publishes and ends");
        assert_eq!(numbers(&seen, tags::MSG), all_numbers());
        assert_eq!(numbers(&seen, tags::IO_EVT), [0]);
        assert!(!events.try_batch(&mut VecDeque::new()));
    });
}

#[test]
fn who_comes_and_goes_meanwhile_disturbs_nobody() {
    in_all_orders(|| {
        let bus = Bus::new();
        let mut stays = bus.subscribe("stays", Filter::all_frames(), unbounded());
        let publisher = publisher(&bus, tags::MSG);
        let guests = bus.clone();
        let guest = thread::spawn(move || {
            drop(guests.subscribe("guest", Filter::all_frames(), unbounded()));
        });
        let mut late = bus.subscribe("late", Filter::all_frames(), unbounded());
        let first = what_waits(&mut late);
        drop(late);
        let seen = read_until(&mut stays, |seen, _| seen.len() as u64 == PUBLISHED);
        publisher.join().expect("it publishes and ends");
        guest.join().expect("it comes and goes");
        assert_eq!(numbers(&seen, tags::MSG), all_numbers());
        assert!(first.is_sorted() && first.len() as u64 <= PUBLISHED);
        assert_eq!(bus.subscribers().len(), 1);
    });
}

fn what_waits(events: &mut Subscription) -> Vec<u8> {
    let mut batch = VecDeque::new();
    events.try_batch(&mut batch);
    batch.iter().map(|event| numbered(event).1).collect()
}

#[test]
fn a_closed_subscription_hands_out_what_waits_and_ends() {
    in_all_orders(|| {
        let bus = Bus::new();
        let mut events = bus.subscribe("s", Filter::all_frames(), unbounded());
        let publisher = publisher(&bus, tags::MSG);
        events.close();
        let mut seen = Vec::new();
        let mut batch = VecDeque::new();
        while block_on(events.recv_batch(&mut batch)) {
            seen.extend(batch.drain(..).map(|event| numbered(&event).1));
        }
        publisher.join().expect("it publishes and ends");
        assert_eq!(seen, all_numbers()[..seen.len()]);
        assert!(bus.subscribers().is_empty());
    });
}
