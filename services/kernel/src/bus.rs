//! The broadcast bus: every event to every subscriber that wants it, and no one waits for anyone.
//!
//! Invariants: publishing never waits for a subscriber (it is not even `async`); each subscriber has
//! its own queue, bounded in messages and in bytes; a full queue drops its oldest events, counted
//! when it happens; a batch costs each subscriber one lock and at most one wake-up.
//! `tests/interleaving.rs` runs this file under a scheduler that tries the orders of its threads.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, PoisonError, Relaxed, RwLock};
use crate::{Counters, Event, Filter, Tag, Topic};

/// Bounds of one subscriber's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Most events waiting.
    pub messages: usize,
    /// Most bytes waiting. The newest event is kept even when it alone is larger.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages: 65_536,
            bytes: 256 << 20,
        }
    }
}

/// What a queue had to drop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Events dropped.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One subscriber, for status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SubscriberStatus {
    /// Who subscribed.
    pub name: String,
    /// Events waiting now.
    pub queued: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// Events ever put into the queue.
    pub delivered: u64,
    /// Events dropped from the queue.
    pub dropped: u64,
}

/// Carries events and interest out of a process whose bus is only a branch of its parent's.
pub trait Uplink: Send + Sync {
    /// Takes published events; must not block.
    fn publish(&self, events: Vec<Event>);
    /// Learns what this process wants now.
    fn interest(&self, filters: Vec<Filter>);
}

/// The bus. Clones are handles to the same bus.
#[derive(Clone, Default)]
pub struct Bus {
    hub: Arc<Hub>,
}

#[derive(Default)]
struct Hub {
    subscribers: RwLock<Arc<[Place]>>,
    published: AtomicU64,
    uplink: Option<Box<dyn Uplink>>,
}

/// A subscriber and what it wants now. A list of places is never changed, only replaced: each batch
/// goes by one list, so a change of what is wanted loses nothing and doubles nothing.
#[derive(Clone)]
struct Place {
    filter: Filter,
    subscriber: Arc<Subscriber>,
}

/// Receives the events of one subscriber; dropping it unsubscribes.
pub struct Subscription {
    subscriber: Arc<Subscriber>,
    bus: Bus,
}

struct Subscriber {
    name: Arc<str>,
    limits: Limits,
    queue: Mutex<Queue>,
    ready: Notify,
    closed: AtomicBool,
    delivered: AtomicU64,
    dropped: AtomicU64,
    dropped_bytes: AtomicU64,
    counters: Option<Arc<Counters>>,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
}

impl Bus {
    /// Makes a bus without subscribers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the branch of a bus inside a child process: what is published goes up, and only what
    /// comes down by [`Bus::deliver`] reaches the subscribers.
    pub fn branch(uplink: Box<dyn Uplink>) -> Self {
        Self {
            hub: Arc::new(Hub {
                uplink: Some(uplink),
                ..Hub::default()
            }),
        }
    }

    /// Hands one event to everybody who wants it.
    pub fn publish(&self, event: Event) {
        self.publish_batch(vec![event]);
    }

    /// Hands a batch of events, in order, to everybody who wants them.
    pub fn publish_batch(&self, events: Vec<Event>) {
        self.hub.published.fetch_add(events.len() as u64, Relaxed);
        match &self.hub.uplink {
            Some(uplink) => uplink.publish(events),
            None => self.deliver(events),
        }
    }

    /// Hands events to the subscribers of this process only.
    pub fn deliver(&self, events: Vec<Event>) {
        let subscribers = self.subscribers_now();
        let events: Vec<Arc<Event>> = events.into_iter().map(Arc::new).collect();
        for place in subscribers.iter() {
            place.subscriber.push(&place.filter, &events);
        }
    }

    /// Starts receiving. `name` is shown in status.
    pub fn subscribe(&self, name: &str, filter: Filter, limits: Limits) -> Subscription {
        self.subscribe_counted(name, filter, limits, None)
    }

    /// Starts receiving, with what the queue drops counted for a service.
    pub fn subscribe_counted(
        &self,
        name: &str,
        filter: Filter,
        limits: Limits,
        counters: Option<Arc<Counters>>,
    ) -> Subscription {
        let subscriber = Arc::new(Subscriber {
            name: name.into(),
            limits,
            queue: Mutex::default(),
            ready: Notify::new(),
            closed: AtomicBool::new(false),
            delivered: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            dropped_bytes: AtomicU64::new(0),
            counters,
        });
        self.change(|list| {
            list.push(Place {
                filter,
                subscriber: subscriber.clone(),
            });
        });
        Subscription {
            subscriber,
            bus: self.clone(),
        }
    }

    /// Tells whether anybody wants events of a topic, so that costly ones need not be made.
    pub fn wants(&self, topic: Topic) -> bool {
        self.hub.uplink.is_some()
            || self
                .subscribers_now()
                .iter()
                .any(|place| place.filter.wants_topic(topic))
    }

    /// Tells whether anybody wants frames with a tag from a source, so that nobody need make them in
    /// vain.
    pub fn wants_frame(&self, tag: Tag, source: &str) -> bool {
        self.hub.uplink.is_some()
            || self
                .subscribers_now()
                .iter()
                .any(|place| place.filter.wants_frame(tag, source))
    }

    /// Returns the number of events ever published here.
    pub fn published(&self) -> u64 {
        self.hub.published.load(Relaxed)
    }

    /// Returns every subscriber with its queue and losses.
    pub fn subscribers(&self) -> Vec<SubscriberStatus> {
        let places = self.subscribers_now();
        places.iter().map(|p| p.subscriber.status()).collect()
    }

    fn subscribers_now(&self) -> Arc<[Place]> {
        self.hub
            .subscribers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Place>)) {
        let mut list = self
            .hub
            .subscribers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let mut changed = list.to_vec();
        change(&mut changed);
        *list = changed.into();
        if let Some(uplink) = &self.hub.uplink {
            uplink.interest(list.iter().map(|place| place.filter.clone()).collect());
        }
    }
}

impl Subscription {
    /// Waits for events and swaps all that wait into `batch`, which must be empty. Returns `false`
    /// when the subscription was closed and nothing is left. Cancel-safe: nothing is taken before it
    /// returns.
    pub async fn recv_batch(&mut self, batch: &mut VecDeque<Arc<Event>>) -> bool {
        loop {
            if self.try_batch(batch) {
                return true;
            }
            if self.subscriber.closed.load(Relaxed) {
                return false;
            }
            self.subscriber.ready.notified().await;
        }
    }

    /// Swaps all waiting events into `batch`, which must be empty; `false` when there are none.
    pub fn try_batch(&mut self, batch: &mut VecDeque<Arc<Event>>) -> bool {
        debug_assert!(batch.is_empty(), "the batch is swapped into the queue");
        let mut queue = self.subscriber.lock();
        std::mem::swap(&mut queue.events, batch);
        queue.bytes = 0;
        !batch.is_empty()
    }

    /// Returns what the queue dropped since it was made.
    pub fn lost(&self) -> Lost {
        Lost {
            messages: self.subscriber.dropped.load(Relaxed),
            bytes: self.subscriber.dropped_bytes.load(Relaxed),
        }
    }

    /// Receives by another filter from now on. What waits stays, and each event passes by either the
    /// old filter or the new one, never by none.
    pub fn refilter(&self, filter: Filter) {
        self.bus.change(|list| {
            if let Some(place) = list.iter_mut().find(|place| self.is_at(place)) {
                place.filter = filter;
            }
        });
    }

    fn is_at(&self, place: &Place) -> bool {
        Arc::ptr_eq(&place.subscriber, &self.subscriber)
    }

    /// Returns the state of the queue.
    pub fn status(&self) -> SubscriberStatus {
        self.subscriber.status()
    }

    /// Stops receiving; what waits can still be taken.
    pub fn close(&self) {
        self.bus
            .change(|list| list.retain(|place| !self.is_at(place)));
        self.subscriber.closed.store(true, Relaxed);
        self.subscriber.ready.notify_one();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if !self.subscriber.closed.load(Relaxed) {
            self.close();
        }
    }
}

impl Subscriber {
    fn push(&self, filter: &Filter, events: &[Arc<Event>]) {
        let mut wanted = events.iter().filter(|event| filter.wants(event)).peekable();
        if wanted.peek().is_none() {
            return;
        }
        let mut lost = Lost::default();
        let mut delivered = 0;
        let mut queue = self.lock();
        for event in wanted {
            queue.bytes += event.cost_bytes();
            queue.events.push_back(event.clone());
            delivered += 1;
        }
        queue.shed(self.limits, &mut lost);
        // Counted before anybody can take what is left, so that at any moment what was delivered is
        // what was taken, waits, or was dropped.
        self.delivered.fetch_add(delivered, Relaxed);
        self.count(lost);
        drop(queue);
        self.ready.notify_one();
    }

    fn count(&self, lost: Lost) {
        if lost.messages == 0 {
            return;
        }
        self.dropped.fetch_add(lost.messages, Relaxed);
        self.dropped_bytes.fetch_add(lost.bytes, Relaxed);
        if let Some(counters) = &self.counters {
            counters.dropped(lost.messages, lost.bytes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self) -> SubscriberStatus {
        let queue = self.lock();
        SubscriberStatus {
            name: self.name.to_string(),
            queued: queue.events.len(),
            queued_bytes: queue.bytes,
            delivered: self.delivered.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
        }
    }
}

impl Queue {
    /// Drops the oldest events until the limits hold; the newest one always stays.
    fn shed(&mut self, limits: Limits, lost: &mut Lost) {
        while self.events.len() > 1
            && (self.events.len() > limits.messages || self.bytes > limits.bytes)
        {
            let Some(oldest) = self.events.pop_front() else {
                return;
            };
            let cost = oldest.cost_bytes();
            self.bytes -= cost;
            lost.messages += 1;
            lost.bytes += cost as u64;
        }
    }
}
