//! Takes batches of frames from producers to everybody who wants them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use fathom_formats::controlhost::{FrameRange, Mode, Subscriptions, Tag};
use fathom_kernel::{Bus, Clock, Counters, Event, Frame};
use tokio::time::Instant;

use super::batch::{Batch, Stamp, Wanted};
use super::budget::Budget;
use super::client::{Client, ClientParts};
use super::inlet::Arrival;
use super::lost::Lost;
use super::outbox::Credit;
use super::pool::Pool;
use super::routes::{Route, Routes};
use super::slab::Slab;
use super::tally::{TagRow, Tallies};

/// The in-process bus as a receiver.
pub(crate) struct BusDoor {
    pub(crate) bus: Bus,
    /// Name under which frames are put on the bus.
    pub(crate) source: Arc<str>,
}

/// What a [`Hub`] is made from.
pub(crate) struct HubParts {
    pub(crate) budget: Arc<Budget>,
    /// Where frames go beside the clients.
    pub(crate) bus: Option<BusDoor>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) clock: Clock,
    pub(crate) forward_empty: bool,
}

/// The meeting place of producers and clients.
pub(crate) struct Hub {
    pub(crate) budget: Arc<Budget>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) clock: Clock,
    /// Buffers for streams and copies.
    pub(crate) pool: Pool,
    bus: Option<BusDoor>,
    forward_empty: bool,
    routes: RwLock<Arc<Routes>>,
    tallies: Tallies,
    clients: AtomicU64,
}

impl Hub {
    pub(crate) fn new(parts: HubParts) -> Self {
        Self {
            budget: parts.budget,
            counters: parts.counters,
            clock: parts.clock,
            pool: Pool::default(),
            bus: parts.bus,
            forward_empty: parts.forward_empty,
            routes: RwLock::default(),
            tallies: Tallies::default(),
            clients: AtomicU64::new(0),
        }
    }

    /// Adds a client that wants nothing yet.
    pub(crate) fn join(&self, peer: String, credit: Credit) -> Arc<Client> {
        let client = Arc::new(Client::new(ClientParts {
            id: self.clients.fetch_add(1, Relaxed) + 1,
            peer,
            since: self.clock.now(),
            credit,
            budget: self.budget.clone(),
        }));
        let route = Route {
            client: client.clone(),
            wanted: Subscriptions::default(),
            epoch: client.epoch(),
        };
        self.change(|routes| routes.push(route));
        client
    }

    /// Takes a client away; what still waits for it is discarded.
    pub(crate) fn leave(&self, client: &Arc<Client>) {
        self.change(|routes| routes.retain(|route| !Arc::ptr_eq(&route.client, client)));
        self.discarded(&client.abandon());
    }

    /// Changes what a client wants.
    pub(crate) fn subscribe(&self, client: &Arc<Client>, list: Subscriptions, replace: bool) {
        let now = client.subscribe(list, replace);
        self.discarded(&now.discarded);
        self.change(|routes| {
            let route = routes.iter_mut().find(|r| Arc::ptr_eq(&r.client, client));
            if let Some(route) = route {
                route.wanted = now.wanted;
                route.epoch = now.epoch;
            }
        });
    }

    /// Returns all clients in the order in which they came.
    pub(crate) fn clients(&self) -> Vec<Arc<Client>> {
        let routes = self.routes();
        routes.all().iter().map(|r| r.client.clone()).collect()
    }

    /// Returns how many clients want a tag.
    pub(crate) fn subscribers(&self, tag: Tag) -> usize {
        self.routes().subscribers(tag)
    }

    /// Returns the counters of all tags.
    pub(crate) fn tags(&self) -> Vec<TagRow> {
        self.tallies.rows()
    }

    /// Takes frames of a read to everybody who wants them, the bus included; never waits.
    pub(crate) fn deliver(&self, arrival: &Arrival, mut frames: &[FrameRange]) {
        let stamp = Stamp {
            queued: Instant::now(),
            received: self.clock.now(),
        };
        while !frames.is_empty() {
            let chunk = (&arrival.chunk, arrival.held);
            let batch = Batch::of(chunk, &mut frames, self.forward_empty, stamp);
            self.count(&batch);
            self.route(&batch);
            self.to_bus(&batch);
        }
    }

    /// Takes frames that came from the bus to the clients only.
    pub(crate) fn deliver_to_clients(&self, arrival: &Arrival) {
        let stamp = Stamp {
            queued: Instant::now(),
            received: self.clock.now(),
        };
        let mut frames = &arrival.frames[..];
        while !frames.is_empty() {
            let chunk = (&arrival.chunk, arrival.held);
            let batch = Batch::of(chunk, &mut frames, self.forward_empty, stamp);
            self.count(&batch);
            self.route(&batch);
        }
    }

    /// Counts messages that were dropped because their connection ended or they were not wanted
    /// any more.
    pub(crate) fn discarded(&self, lost: &Lost) {
        for count in lost.iter() {
            let tally = self.tallies.of(count.tag);
            tally.discarded.add(count.messages, count.bytes);
        }
    }

    fn route(&self, batch: &Batch) {
        let routes = self.routes();
        for count in batch.tags() {
            let copies = routes.subscribers(count.tag) as u64;
            let tally = self.tallies.of(count.tag);
            tally
                .queued
                .add(count.messages * copies, count.bytes * copies);
        }
        // Clients that want the same tags share the slabs, and copies if any had to be made.
        let mut groups: Vec<(Wanted, Vec<(Mode, Slab)>)> = Vec::new();
        for (route, wanted) in routes.wanted(batch.tags()) {
            let known = groups.iter().position(|(group, _)| *group == wanted);
            let at = known.unwrap_or_else(|| {
                groups.push((wanted, batch.slabs(wanted, &self.pool)));
                groups.len() - 1
            });
            if let Some((_, slabs)) = groups.get(at) {
                let pushed = route.client.push(slabs, route.epoch);
                self.dropped(&pushed.dropped);
                self.discarded(&pushed.discarded);
            }
        }
    }

    fn to_bus(&self, batch: &Batch) {
        let Some(BusDoor { bus, source }) = &self.bus else {
            return;
        };
        let mut mask = 0;
        for (bit, count) in batch.tags().iter().enumerate() {
            if bus.wants_frame(count.tag, source) {
                mask |= 1 << bit;
            }
        }
        if mask == 0 {
            return;
        }
        let received = batch.received();
        let events = batch.bodies(mask).map(|(tag, body)| {
            Event::Frame(Frame {
                source: source.clone(),
                tag,
                received,
                body,
            })
        });
        bus.publish_batch(events.collect());
    }

    fn count(&self, batch: &Batch) {
        let (mut messages, mut bytes) = (0, 0);
        for count in batch.tags() {
            let tally = self.tallies.of(count.tag);
            tally.received.add(count.messages, count.bytes);
            tally.seen(batch.received());
            messages += count.messages;
            bytes += count.bytes;
        }
        for count in batch.empty() {
            let tally = self.tallies.of(count.tag);
            tally.empty.add(count.messages, count.bytes);
            messages += count.messages;
            bytes += count.bytes;
        }
        self.counters.received(messages, bytes);
    }

    fn dropped(&self, lost: &Lost) {
        if lost.is_empty() {
            return;
        }
        self.counters.dropped(lost.messages(), lost.bytes());
        for count in lost.iter() {
            let tally = self.tallies.of(count.tag);
            tally.dropped.add(count.messages, count.bytes);
        }
    }

    fn routes(&self) -> Arc<Routes> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        routes.clone()
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Route>)) {
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let mut list = routes.all().to_vec();
        change(&mut list);
        self.budget.clients_changed(list.len());
        *routes = Arc::new(Routes::new(list));
    }
}
