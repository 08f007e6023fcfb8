//! The hub: one subscription on the bus, fanned out to the live clients.
//!
//! Invariants: sending to a client never waits; a client whose queue is full loses the event,
//! counted, and is told how many it lost when it reads again; one that is stuck for long is closed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::response::sse::Event as Message;
use fathom_kernel::{Alarm, Counters, LifeChange};
use serde::Serialize;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// Events that wait for one client; with two or three a second this is half a minute.
const QUEUE_MAX: usize = 64;
/// A client that takes nothing for so long is closed.
const STUCK_MAX: Duration = Duration::from_secs(20);
/// State changes kept for pages that come later.
const CHANGES_MAX: usize = 200;
/// Conditions kept; further ones are only counted.
const FIRING_MAX: usize = 5_000;

/// The live clients and what they missed before they came.
pub(crate) struct Hub {
    clients: Mutex<Clients>,
    recent: Mutex<Recent>,
    counters: Arc<Counters>,
    clients_max: usize,
    /// Somebody wants the state of the services now.
    pub(crate) status_wanted: Notify,
}

#[derive(Default)]
struct Clients {
    list: Vec<Client>,
    closed: bool,
}

struct Client {
    to: mpsc::Sender<Message>,
    lost: u64,
    stuck_since: Option<Instant>,
}

/// Service, rule and subject.
type Condition = (String, String, String);

/// Conditions that hold and the newest state changes.
#[derive(Default)]
struct Recent {
    firing: BTreeMap<Condition, Alarm>,
    /// Conditions that were heard of until [`Hub::learned`]; at most as many as are kept.
    heard: Option<BTreeSet<Condition>>,
    truncated: u64,
    changes: VecDeque<LifeChange>,
}

/// Why a client is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error("all {0} live connections are taken")]
    Taken(usize),
    #[error("the server is stopping")]
    Stopping,
}

impl Hub {
    /// Makes a hub without clients.
    pub(crate) fn new(counters: Arc<Counters>, clients_max: usize) -> Self {
        Self {
            clients: Mutex::default(),
            recent: Mutex::new(Recent {
                heard: Some(BTreeSet::new()),
                ..Recent::default()
            }),
            counters,
            clients_max,
            status_wanted: Notify::new(),
        }
    }

    /// Adds a client whose first message is `hello`.
    pub(crate) fn join(&self, hello: Message) -> Result<mpsc::Receiver<Message>, Full> {
        let (to, from) = mpsc::channel(QUEUE_MAX);
        let mut clients = self.clients();
        if clients.closed {
            return Err(Full::Stopping);
        }
        clients.list.retain(|client| !client.to.is_closed());
        if clients.list.len() >= self.clients_max {
            return Err(Full::Taken(self.clients_max));
        }
        // The channel is new and empty, so its first message fits.
        if to.try_send(hello).is_ok() {
            clients.list.push(Client {
                to,
                lost: 0,
                stuck_since: None,
            });
        }
        drop(clients);
        self.status_wanted.notify_one();
        Ok(from)
    }

    /// Tells whether anybody listens, so that messages need not be made for nobody.
    pub(crate) fn has_clients(&self) -> bool {
        let mut clients = self.clients();
        clients.list.retain(|client| !client.to.is_closed());
        !clients.list.is_empty()
    }

    /// Returns the number of clients.
    pub(crate) fn clients_now(&self) -> usize {
        self.clients().list.len()
    }

    /// Sends a named JSON message to every client.
    pub(crate) fn send(&self, event: &str, data: &impl Serialize) {
        let Ok(text) = serde_json::to_string(data) else {
            tracing::error!(event, "message is no JSON");
            return;
        };
        let message = Message::default().event(event).data(&text);
        let now = Instant::now();
        let mut clients = self.clients();
        let before = clients.list.len();
        clients
            .list
            .retain_mut(|client| client.offer(&message, text.len(), now, &self.counters));
        let closed = before - clients.list.len();
        drop(clients);
        if closed > 0 {
            tracing::debug!(closed, "live clients left");
        }
    }

    /// Ends all streams; nobody can join any more.
    pub(crate) fn close(&self) {
        let mut clients = self.clients();
        clients.closed = true;
        clients.list.clear();
    }

    /// Remembers and sends a state change.
    pub(crate) fn life(&self, change: &LifeChange) {
        let mut recent = self.recent();
        if recent.changes.len() >= CHANGES_MAX {
            recent.changes.pop_front();
        }
        recent.changes.push_back(change.clone());
        drop(recent);
        self.send("life", change);
        self.status_wanted.notify_one();
    }

    /// Remembers and sends an alarm.
    pub(crate) fn alarm(&self, alarm: &Alarm) {
        self.recent().hear(alarm);
        self.send("alarm", alarm);
    }

    /// Takes conditions that held before this server began to listen; what was heard of since is newer.
    pub(crate) fn learn(&self, conditions: Vec<Alarm>) {
        for alarm in conditions {
            let mut recent = self.recent();
            if recent.heard_of(&alarm) {
                continue;
            }
            recent.take(&alarm);
            drop(recent);
            self.send("alarm", &alarm);
        }
    }

    /// Everything is learned: what is heard is not compared any more.
    pub(crate) fn learned(&self) {
        self.recent().heard = None;
    }

    /// Returns the conditions that hold, and how many more did not fit.
    pub(crate) fn firing(&self) -> (Vec<Alarm>, u64) {
        let recent = self.recent();
        (recent.firing.values().cloned().collect(), recent.truncated)
    }

    /// Returns the newest state changes, newest last.
    pub(crate) fn changes(&self) -> Vec<LifeChange> {
        self.recent().changes.iter().cloned().collect()
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn hear(&mut self, alarm: &Alarm) {
        if let Some(heard) = self.heard.as_mut().filter(|heard| heard.len() < FIRING_MAX) {
            heard.insert(condition(alarm));
        }
        self.take(alarm);
    }

    fn take(&mut self, alarm: &Alarm) {
        let condition = condition(alarm);
        if !alarm.firing {
            self.firing.remove(&condition);
        } else if self.firing.len() < FIRING_MAX || self.firing.contains_key(&condition) {
            self.firing.insert(condition, alarm.clone());
        } else {
            self.truncated += 1;
        }
    }

    /// Tells whether a condition was heard of. When so many were that not all are remembered, or none
    /// are remembered any more, it may have been.
    fn heard_of(&self, alarm: &Alarm) -> bool {
        let heard = self.heard.as_ref();
        heard.is_none_or(|heard| heard.len() >= FIRING_MAX || heard.contains(&condition(alarm)))
    }
}

fn condition(alarm: &Alarm) -> Condition {
    let Alarm {
        service,
        rule,
        subject,
        ..
    } = alarm;
    (service.clone(), rule.clone(), subject.clone())
}

impl Client {
    /// Queues a message; `false` when the client is gone or must go.
    fn offer(
        &mut self,
        message: &Message,
        bytes: usize,
        now: Instant,
        counters: &Counters,
    ) -> bool {
        if self.lost > 0 && self.to.capacity() >= 2 {
            let note = format!("{{\"lost\":{}}}", self.lost);
            let note = Message::default().event("lagged").data(note);
            if self.to.try_send(note).is_ok() {
                self.lost = 0;
            }
        }
        // While a note is owed nothing may overtake it.
        let sent = match self.lost {
            0 => self.to.try_send(message.clone()),
            _ => Err(mpsc::error::TrySendError::Full(message.clone())),
        };
        match sent {
            Ok(()) => {
                counters.sent(1, bytes as u64);
                self.stuck_since = None;
                true
            }
            Err(mpsc::error::TrySendError::Full(_)) => {
                counters.dropped(1, bytes as u64);
                self.lost += 1;
                now.duration_since(*self.stuck_since.get_or_insert(now)) < STUCK_MAX
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> Hub {
        Hub::new(Arc::default(), 2)
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_loses_counted_events_and_is_told() {
        let hub = hub();
        let mut slow = hub.join(Message::default().data("hello")).unwrap();
        for n in 0..100 {
            hub.send("outputs", &n);
        }
        assert_eq!(
            hub.counters.snapshot().dropped,
            37,
            "64 places, one for hello"
        );
        for _ in 0..QUEUE_MAX {
            assert!(slow.recv().await.is_some());
        }
        hub.send("outputs", &100);
        let note = format!("{:?}", slow.recv().await.unwrap());
        assert!(note.contains("lagged") && note.contains("37"), "{note}");
        assert!(format!("{:?}", slow.recv().await.unwrap()).contains("100"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_client_is_closed_and_makes_room() {
        let hub = hub();
        let _stuck = hub.join(Message::default()).unwrap();
        for n in 0..100 {
            hub.send("outputs", &n);
        }
        assert_eq!(hub.clients_now(), 1);
        tokio::time::advance(STUCK_MAX).await;
        hub.send("outputs", &0);
        assert_eq!(hub.clients_now(), 0);
    }

    fn alarm(subject: &str, firing: bool, text: &str) -> Alarm {
        Alarm {
            service: "m".into(),
            rule: "r".into(),
            subject: subject.into(),
            severity: fathom_kernel::Severity::Alert,
            firing,
            text: text.into(),
            at: fathom_kernel::Timestamp::UNIX_EPOCH,
        }
    }

    #[tokio::test]
    async fn what_is_heard_is_newer_than_what_is_learned() {
        let hub = hub();
        let mut client = hub.join(Message::default()).unwrap();
        hub.alarm(&alarm("ended meanwhile", false, ""));
        hub.alarm(&alarm("changed meanwhile", true, "new"));
        let held = ["ended meanwhile", "changed meanwhile", "missed"];
        hub.learn(held.map(|subject| alarm(subject, true, "old")).to_vec());
        hub.learned();
        hub.learn(vec![alarm("too late", true, "old")]);
        let firing = hub.firing().0.into_iter();
        let firing: Vec<_> = firing.map(|alarm| (alarm.subject, alarm.text)).collect();
        let expected = [("changed meanwhile", "new"), ("missed", "old")];
        assert_eq!(firing, expected.map(|(a, b)| (a.into(), b.into())));
        // Pages that came before hear of it.
        let mut told = String::new();
        while let Ok(message) = client.try_recv() {
            told.push_str(&format!("{message:?}"));
        }
        assert!(
            told.contains("missed") && !told.contains("too late"),
            "{told}"
        );
    }

    #[test]
    fn learned_conditions_are_bounded_and_the_others_counted() {
        let hub = hub();
        let all = (0..FIRING_MAX + 3).map(|n| alarm(&n.to_string(), true, ""));
        hub.learn(all.collect());
        let (firing, truncated) = hub.firing();
        assert_eq!((firing.len(), truncated), (FIRING_MAX, 3));
    }

    #[test]
    fn more_clients_than_allowed_are_refused() {
        let hub = hub();
        let first = hub.join(Message::default()).unwrap();
        let _second = hub.join(Message::default()).unwrap();
        assert_eq!(hub.join(Message::default()).unwrap_err(), Full::Taken(2));
        drop(first);
        assert!(hub.join(Message::default()).is_ok());
        hub.close();
        assert_eq!(hub.join(Message::default()).unwrap_err(), Full::Stopping);
    }
}
