//! One receiver of frames: what it wants, its queue, its counters.

use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fathom_formats::controlhost::{Mode, Subscriptions, Tag};
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::budget::{Budget, WhenFull};
use super::flight::{Flight, Progress};
use super::lost::Lost;
use super::outbox::{Credit, Outbox};
use super::slab::Slab;
use super::tally::Flow;

/// Bytes that a writer takes out of the queue at once; they can no longer be dropped.
const FLIGHT_BYTES_MAX: usize = 1 << 20;

/// What a [`Client`] is made from.
pub(crate) struct ClientParts {
    /// Number, unique in its hub.
    pub(crate) id: u64,
    /// Who it is, for people.
    pub(crate) peer: String,
    /// When it connected.
    pub(crate) since: Timestamp,
    /// Messages it may get before it asks.
    pub(crate) credit: Credit,
    /// Memory of all queues.
    pub(crate) budget: Arc<Budget>,
}

/// One receiver of frames. Producers push, one writer takes.
pub(crate) struct Client {
    pub(crate) id: u64,
    pub(crate) peer: String,
    pub(crate) since: Timestamp,
    /// Ends the connection at once.
    pub(crate) cut: CancellationToken,
    /// Asks the session to end in good order.
    pub(crate) leave: CancellationToken,
    pub(crate) received: Flow,
    pub(crate) sent: Flow,
    pub(crate) dropped: Flow,
    budget: Arc<Budget>,
    state: Mutex<State>,
    /// Grows whenever a tag is no longer wanted.
    epoch: AtomicU64,
    wake: Notify,
}

struct State {
    outbox: Outbox,
    in_flight: usize,
    charged: usize,
    credit: Credit,
    wanted: Subscriptions,
    nickname: Option<String>,
    is_idle: bool,
    holds_gate: bool,
    closing: Option<Closing>,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Closing {
    /// After everything that waits is sent.
    Drained,
    /// After the frame that is being sent.
    AtFrame,
}

/// What a push did not lead to a place in the queue.
#[derive(Default)]
pub(crate) struct Pushed {
    /// Dropped because the client is slow, older messages as a rule.
    pub(crate) dropped: Lost,
    /// Pushed, but no longer wanted.
    pub(crate) discarded: Lost,
}

/// What became of a changed subscription.
pub(crate) struct Subscribed {
    /// The list that holds now.
    pub(crate) wanted: Subscriptions,
    /// Its epoch.
    pub(crate) epoch: u64,
    /// Messages that are no longer wanted.
    pub(crate) discarded: Lost,
}

/// What a writer does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Send what is in the flight.
    Send,
    /// Wait for [`Client::woken`].
    Wait,
    /// End.
    End,
}

/// A client at one moment.
pub(crate) struct ClientRow {
    pub(crate) nickname: Option<String>,
    pub(crate) wanted: Subscriptions,
    pub(crate) credit: Credit,
    pub(crate) queued: usize,
    pub(crate) queued_bytes: usize,
    pub(crate) lag: Duration,
    pub(crate) holds_gate: bool,
}

impl Client {
    pub(crate) fn new(parts: ClientParts) -> Self {
        Self {
            id: parts.id,
            peer: parts.peer,
            since: parts.since,
            cut: CancellationToken::new(),
            leave: CancellationToken::new(),
            received: Flow::default(),
            sent: Flow::default(),
            dropped: Flow::default(),
            budget: parts.budget,
            state: Mutex::new(State {
                outbox: Outbox::default(),
                in_flight: 0,
                charged: 0,
                credit: parts.credit,
                wanted: Subscriptions::default(),
                nickname: None,
                is_idle: false,
                holds_gate: false,
                closing: None,
            }),
            epoch: AtomicU64::new(0),
            wake: Notify::new(),
        }
    }

    /// Queues slabs that were chosen when the subscription had this epoch; never waits.
    pub(crate) fn push(&self, slabs: &[(Mode, Slab)], epoch: u64) -> Pushed {
        let mut pushed = Pushed::default();
        let mut state = self.lock();
        if state.closing.is_some() {
            let unsent = |(_, slab): &(Mode, Slab)| slab.count_into(&mut pushed.discarded);
            slabs.iter().for_each(unsent);
            return pushed;
        }
        let is_current = epoch == self.epoch.load(Acquire);
        for (mode, slab) in slabs {
            if is_current {
                state.outbox.push(*mode, slab.clone());
                continue;
            }
            let wanted = |tag| wants(&state.wanted, tag);
            if let Some(slab) = slab.retain(wanted, &mut pushed.discarded) {
                state.outbox.push(*mode, slab);
            }
        }
        let in_flight = state.in_flight;
        state
            .outbox
            .shed(self.budget.limits(), in_flight, &mut pushed.dropped);
        self.settle(&mut state);
        self.wake(state);
        self.dropped
            .add(pushed.dropped.messages(), pushed.dropped.bytes());
        pushed
    }

    /// Queues an answer of the broker before all else; it needs no credit of its own. Returns what
    /// is not sent, because the connection ends or the client asks without reading.
    pub(crate) fn answer(&self, slab: Slab) -> Lost {
        let mut state = self.lock();
        let mut unsent = Lost::default();
        if state.closing.is_some() || !state.outbox.push_answer(slab.clone()) {
            slab.count_into(&mut unsent);
            return unsent;
        }
        state.credit.add_one();
        self.settle(&mut state);
        self.wake(state);
        unsent
    }

    /// Changes what the client wants; queued messages of other tags are discarded.
    pub(crate) fn subscribe(&self, list: Subscriptions, replace: bool) -> Subscribed {
        let mut discarded = Lost::default();
        let mut guard = self.lock();
        let state = &mut *guard;
        let before = std::mem::replace(&mut state.wanted, list);
        if !replace {
            let added = std::mem::replace(&mut state.wanted, before.clone());
            state.wanted.merge(&added);
        }
        let wanted = &state.wanted;
        if before.iter().any(|s| wanted.mode(s.tag).is_none()) {
            self.epoch.fetch_add(1, Release);
            state
                .outbox
                .discard(|tag| wants(wanted, tag), &mut discarded);
        }
        self.settle(&mut guard);
        Subscribed {
            wanted: guard.wanted.clone(),
            epoch: self.epoch.load(Acquire),
            discarded,
        }
    }

    /// Lets one more message go.
    pub(crate) fn credit_one(&self) {
        let mut state = self.lock();
        state.credit.add_one();
        self.wake(state);
    }

    /// Lets all messages go from now on.
    pub(crate) fn credit_always(&self) {
        let mut state = self.lock();
        state.credit = Credit::Unlimited;
        self.wake(state);
    }

    /// Waits until producers may go on. Who holds the gate itself passes: its requests for messages
    /// stand behind its data, and nothing else would ever open the gate again.
    pub(crate) async fn pass_gate(&self) {
        if !self.lock().holds_gate {
            self.budget
                .gate
                .pass_unless(|| self.lock().holds_gate)
                .await;
        }
    }

    /// Returns the host part of the peer's address.
    pub(crate) fn host(&self) -> &str {
        self.peer
            .rsplit_once(':')
            .map_or(&self.peer, |(host, _)| host)
    }

    /// Returns the name that the client gave itself.
    pub(crate) fn nickname(&self) -> Option<String> {
        self.lock().nickname.clone()
    }

    /// Remembers the name that the client gave itself.
    pub(crate) fn set_nickname(&self, nickname: String) {
        self.lock().nickname = Some(nickname);
    }

    /// Ends the connection in good order; returns what will not be sent.
    pub(crate) fn close(&self, how: Closing) -> Lost {
        let mut lost = Lost::default();
        let mut state = self.lock();
        state.closing = state.closing.max(Some(how));
        if how == Closing::AtFrame {
            state.wanted = Subscriptions::default();
            state.outbox.discard(|_| false, &mut lost);
            self.epoch.fetch_add(1, Release);
        }
        self.settle(&mut state);
        self.wake(state);
        lost
    }

    /// Notes what was sent, and fills an empty flight.
    pub(crate) fn turn(&self, progress: Progress, flight: &mut Flight) -> Turn {
        self.sent.add(progress.messages, progress.bytes);
        let mut guard = self.lock();
        let state = &mut *guard;
        state.in_flight = state.in_flight.saturating_sub(progress.released);
        if flight.is_empty() {
            let bytes_max = FLIGHT_BYTES_MAX.min(self.budget.limits.bytes / 4);
            state
                .outbox
                .take(flight, bytes_max.max(1), &mut state.credit);
            state.in_flight = flight.charge();
        }
        self.settle(state);
        if !flight.is_empty() {
            return Turn::Send;
        }
        if state.closing.is_some() {
            return Turn::End;
        }
        state.is_idle = true;
        Turn::Wait
    }

    /// Waits until there may be something to send.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Returns a number that changes when a tag is no longer wanted.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Acquire)
    }

    /// Drops from a flight what is no longer wanted.
    pub(crate) fn revise(&self, flight: &mut Flight) -> (u64, Lost) {
        let mut lost = Lost::default();
        let mut state = self.lock();
        let epoch = self.epoch.load(Acquire);
        flight.discard(|tag| wants(&state.wanted, tag), &mut lost);
        state.in_flight = flight.charge();
        self.settle(&mut state);
        (epoch, lost)
    }

    /// Forgets the queue, when the connection is gone; returns what was in it.
    pub(crate) fn abandon(&self) -> Lost {
        let mut lost = Lost::default();
        let mut state = self.lock();
        state.closing = Some(Closing::AtFrame);
        state.outbox.discard(|_| false, &mut lost);
        state.in_flight = 0;
        self.settle(&mut state);
        lost
    }

    pub(crate) fn row(&self, now: Instant) -> ClientRow {
        let state = self.lock();
        let lag = |since| now.saturating_duration_since(since);
        ClientRow {
            nickname: state.nickname.clone(),
            wanted: state.wanted.clone(),
            credit: state.credit,
            queued: state.outbox.messages(),
            queued_bytes: state.outbox.charge() + state.in_flight,
            lag: state.outbox.oldest().map(lag).unwrap_or_default(),
            holds_gate: state.holds_gate,
        }
    }

    /// Brings the budget and the gate up to date with the queue.
    fn settle(&self, state: &mut State) {
        let now = state.outbox.charge() + state.in_flight;
        self.budget.charge(state.charged, now);
        state.charged = now;
        let kept = state.outbox.kept();
        if state.holds_gate {
            if self.budget.has_room(kept) {
                state.holds_gate = false;
                self.budget.gate.release();
                info!(client = self.id, peer = %self.peer, "producers go on");
                return;
            }
            // Those who hold the gate may themselves pass it, so it does not bound what they send.
            if kept <= self.budget.kept_bytes.saturating_mul(2) {
                return;
            }
        }
        if !self.budget.is_over(kept) || state.closing.is_some() {
            return;
        }
        match self.budget.when_full {
            WhenFull::Wait if !state.holds_gate => {
                state.holds_gate = true;
                self.budget.gate.hold();
                error!(
                    client = self.id, peer = %self.peer, kept_bytes = kept,
                    "producers are stopped: a client in mode all does not take its messages"
                );
            }
            WhenFull::Wait | WhenFull::Disconnect => {
                warn!(
                    client = self.id, peer = %self.peer, kept_bytes = kept,
                    "disconnecting a client in mode all that does not take its messages"
                );
                state.closing = Some(Closing::AtFrame);
                self.cut.cancel();
            }
        }
    }

    /// Wakes the writer if it waits; a writer at work looks again by itself.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let was_idle = std::mem::take(&mut state.is_idle);
        drop(state);
        if was_idle {
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether a queued message may still be sent; answers of the broker always may.
fn wants(wanted: &Subscriptions, tag: Tag) -> bool {
    tag.wire().starts_with(b"_") || wanted.mode(tag).is_some()
}
