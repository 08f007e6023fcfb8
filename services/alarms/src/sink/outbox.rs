//! The queue of a sink: what is to be sent, when, and what was told already. Pure.
//!
//! Nothing is lost up to a stated bound: notices wait while what the sink sends to does not work, and
//! become one message (a digest) when it works again. What does not fit is dropped, the oldest first,
//! counted, and said in the next message.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fathom_kernel::{Notice, Severity, Stage};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Taste;
use crate::retry;

/// Most alarms remembered as told.
const TOLD_MAX: usize = 20_000;
/// Time over which messages are counted for the limit.
const HOUR: Duration = Duration::from_secs(3600);

/// The state of a sink, kept over restarts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Outbox {
    /// The newest row of the history that was taken, and its time.
    last: Option<(u64, Timestamp)>,
    waiting: VecDeque<Waiting>,
    /// Alarms whose beginning was told, and when it was told last.
    told: BTreeMap<u64, Timestamp>,
    /// Messages sent within the last hour.
    sent: VecDeque<Timestamp>,
    /// Attempts that failed in a row.
    failures: u32,
    /// When the first of them failed.
    failing_since: Option<Timestamp>,
    retry: Option<Timestamp>,
    /// Notices dropped, ever.
    dropped: u64,
    /// Notices dropped since the last message.
    unsaid: u64,
    /// Notices sent, ever.
    delivered: u64,
    /// Notices at the front that are being sent.
    #[serde(skip)]
    in_flight: usize,
    /// How many dropped notices the parcel under way tells of.
    #[serde(skip)]
    saying: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Waiting {
    notice: Notice,
    since: Timestamp,
}

/// Notices that go out together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parcel {
    /// The notices, oldest first; at least one.
    pub(crate) notices: Vec<Notice>,
    /// Earlier ones that found no room and will never be sent.
    pub(crate) dropped: u64,
}

/// What is to be done now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Due {
    /// Nothing, until something comes.
    Nothing,
    /// Nothing before this.
    At(Timestamp),
    /// Send this; then tell what became of it.
    Send(Parcel),
}

/// Numbers for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) waiting: usize,
    pub(crate) delivered: u64,
    pub(crate) dropped: u64,
    pub(crate) failures: u32,
    pub(crate) retry: Option<Timestamp>,
    /// Until then what waits is kept back: so many messages were sent within an hour.
    pub(crate) kept_back: Option<Timestamp>,
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

impl Outbox {
    /// Returns the newest row of the history that was taken.
    pub(crate) fn last_entry(&self) -> Option<u64> {
        self.last.map(|(entry, _)| entry)
    }

    /// Tells whether rows of the history are missing before a notice.
    pub(crate) fn misses_before(&self, notice: &Notice) -> bool {
        let last = self.last.filter(|(_, at)| *at <= notice.at);
        last.is_some_and(|(entry, _)| notice.repeat == 0 && notice.entry > entry + 1)
    }

    /// Takes a notice; what the sink does not want, or has, is left out. Returns how many others had
    /// to be dropped for it.
    pub(crate) fn take(
        &mut self,
        notice: &Notice,
        taste: &Taste,
        name: &str,
        now: Timestamp,
    ) -> u64 {
        if notice.repeat == 0 {
            // An engine that lost its history begins with small numbers again.
            let is_known = self
                .last
                .is_some_and(|(entry, at)| notice.entry <= entry && notice.at <= at);
            if is_known {
                return 0;
            }
            self.last = Some((notice.entry, notice.at));
        }
        if !taste.wants(notice, name) || !self.is_news(notice, taste, now) {
            return 0;
        }
        self.waiting.push_back(Waiting {
            notice: notice.clone(),
            since: now,
        });
        let mut dropped = 0;
        while self.waiting.len() > taste.queue.notices.max(self.in_flight + 1) {
            self.waiting.remove(self.in_flight);
            dropped += 1;
        }
        self.drop_some(dropped)
    }

    /// Takes a notice as heard that is too old to be passed on.
    pub(crate) fn pass_over(&mut self, notice: &Notice) {
        self.last = Some((notice.entry, notice.at));
    }

    /// Tells whether a wanted notice is to be passed on, and remembers what was told.
    fn is_news(&mut self, notice: &Notice, taste: &Taste, now: Timestamp) -> bool {
        let told = self.told.get(&notice.id).copied();
        match notice.to {
            Stage::Ok | Stage::Pending => false,
            Stage::Firing => {
                if notice.repeat > 0 {
                    let is_waiting = self.waiting.iter().any(|w| w.notice.id == notice.id);
                    let is_soon = |at| taste.repeat.is_zero() || between(at, now) < taste.repeat;
                    // What fired before this sink was there is told with its next repeat.
                    if told.is_some_and(is_soon) || is_waiting {
                        return false;
                    }
                }
                self.told.insert(notice.id, now);
                if self.told.len() > TOLD_MAX {
                    self.told.pop_first();
                }
                taste.stages.contains(&Stage::Firing)
            }
            Stage::Acknowledged | Stage::Muted => {
                told.is_some() && taste.stages.contains(&notice.to)
            }
            Stage::Resolved => {
                self.told.remove(&notice.id);
                let is_silent = notice.from == Stage::Muted;
                told.is_some() && !is_silent && taste.stages.contains(&Stage::Resolved)
            }
        }
    }

    /// Returns what is to be done now; until [`Outbox::delivered`] or [`Outbox::failed`] is called,
    /// a parcel counts as under way.
    pub(crate) fn due(&mut self, taste: &Taste, now: Timestamp) -> Due {
        if self.in_flight > 0 {
            return Due::Nothing;
        }
        let Some(first) = self.waiting.front() else {
            return Due::Nothing;
        };
        let gathered = first.since + taste.queue.gather.duration();
        self.sent.retain(|at| between(*at, now) < HOUR);
        let waits = [Some(gathered), self.retry, self.place(taste)];
        if let Some(at) = waits.into_iter().flatten().filter(|at| *at > now).max() {
            return Due::At(at);
        }
        (self.in_flight, self.saying) = (self.waiting.len(), self.unsaid);
        Due::Send(Parcel {
            notices: self.waiting.iter().map(|w| w.notice.clone()).collect(),
            dropped: self.unsaid,
        })
    }

    /// Returns when there is room for a message again, if the hour has its fill. A new alert has as many
    /// places again: repeats of other alarms must not keep it back.
    fn place(&self, taste: &Taste) -> Option<Timestamp> {
        let is_new_alert = |waiting: &Waiting| {
            let Notice {
                severity,
                to,
                repeat,
                ..
            } = &waiting.notice;
            (*severity, *to, *repeat) == (Severity::Alert, Stage::Firing, 0)
        };
        let places = match self.waiting.iter().any(is_new_alert) {
            true => taste.per_hour.saturating_mul(2),
            false => taste.per_hour,
        };
        let is_full = taste.per_hour > 0 && self.sent.len() >= places;
        let gone = self.sent.len().saturating_sub(places);
        let next = self.sent.get(gone).filter(|_| is_full);
        next.map(|at| *at + HOUR)
    }

    /// The parcel arrived.
    pub(crate) fn delivered(&mut self, now: Timestamp) {
        let sent = self.waiting.drain(..self.in_flight).count();
        self.delivered += sent as u64;
        (self.in_flight, self.failures, self.retry) = (0, 0, None);
        self.failing_since = None;
        self.unsaid -= std::mem::take(&mut self.saying);
        self.sent.push_back(now);
    }

    /// The parcel did not arrive; it stays, and is tried again later. Returns how many notices were
    /// dropped because they are too old.
    pub(crate) fn failed(&mut self, taste: &Taste, now: Timestamp) -> u64 {
        self.in_flight = 0;
        let [first, most] = [taste.queue.retry_first, taste.queue.retry_most];
        self.retry = Some(now + retry::wait(first.duration(), most.duration(), self.failures));
        self.failures = self.failures.saturating_add(1);
        self.failing_since.get_or_insert(now);
        let keep = taste.queue.keep.duration();
        let before = self.waiting.len();
        self.waiting
            .retain(|waiting| between(waiting.since, now) <= keep);
        self.drop_some((before - self.waiting.len()) as u64)
    }

    /// Tells whether attempts have failed for longer than an outage may last in silence.
    pub(crate) fn is_failing(&self, taste: &Taste, now: Timestamp) -> bool {
        let limit = taste.queue.failing_after.duration();
        let is_long = |since| !limit.is_zero() && between(since, now) >= limit;
        self.failing_since.is_some_and(is_long)
    }

    /// Tries again at once.
    pub(crate) fn hurry(&mut self) {
        self.retry = None;
    }

    fn drop_some(&mut self, count: u64) -> u64 {
        self.dropped += count;
        self.unsaid += count;
        count
    }

    /// Returns the numbers for people.
    pub(crate) fn figures(&self, taste: &Taste) -> Figures {
        Figures {
            kept_back: self.place(taste).filter(|_| !self.waiting.is_empty()),
            waiting: self.waiting.len(),
            delivered: self.delivered,
            dropped: self.dropped,
            failures: self.failures,
            retry: self.retry,
        }
    }
}

#[cfg(test)]
mod tests;
