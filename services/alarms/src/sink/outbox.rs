//! The queue of a sink: what is to be sent, when, and what was told already. Pure.
//!
//! Nothing is lost up to a stated bound: notices wait while what the sink sends to does not work, and
//! become one message (a digest) when it works again. What does not fit is dropped, the oldest first,
//! counted, and said in the next message.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fathom_kernel::{Notice, Stage};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Taste;

/// Most alarms remembered as told.
const TOLD_MAX: usize = 20_000;
/// Time over which messages are counted for the limit.
const HOUR: Duration = Duration::from_secs(3600);
/// Doublings of the wait between attempts; more would overflow.
const DOUBLINGS_MAX: u32 = 20;

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
                    let is_soon = told.is_none_or(|at| between(at, now) < taste.repeat);
                    if taste.repeat.is_zero() || is_soon || is_waiting {
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
        self.sent.retain(|at| between(*at, now) < HOUR);
        let gathered = first.since + taste.queue.gather.duration();
        let is_full = taste.per_hour > 0 && self.sent.len() >= taste.per_hour;
        let place = self.sent.front().filter(|_| is_full).map(|at| *at + HOUR);
        let waits = [Some(gathered), self.retry, place];
        if let Some(at) = waits.into_iter().flatten().filter(|at| *at > now).max() {
            return Due::At(at);
        }
        (self.in_flight, self.saying) = (self.waiting.len(), self.unsaid);
        Due::Send(Parcel {
            notices: self.waiting.iter().map(|w| w.notice.clone()).collect(),
            dropped: self.unsaid,
        })
    }

    /// The parcel arrived.
    pub(crate) fn delivered(&mut self, now: Timestamp) {
        let sent = self.waiting.drain(..self.in_flight).count();
        self.delivered += sent as u64;
        (self.in_flight, self.failures, self.retry) = (0, 0, None);
        self.unsaid -= std::mem::take(&mut self.saying);
        self.sent.push_back(now);
    }

    /// The parcel did not arrive; it stays, and is tried again later. Returns how many notices were
    /// dropped because they are too old.
    pub(crate) fn failed(&mut self, taste: &Taste, now: Timestamp) -> u64 {
        self.in_flight = 0;
        let doublings = self.failures.min(DOUBLINGS_MAX);
        let wait = taste
            .queue
            .retry_first
            .duration()
            .saturating_mul(1 << doublings);
        self.failures = self.failures.saturating_add(1);
        self.retry = Some(now + wait.min(taste.queue.retry_most.duration()));
        let keep = taste.queue.keep.duration();
        let before = self.waiting.len();
        self.waiting
            .retain(|waiting| between(waiting.since, now) <= keep);
        self.drop_some((before - self.waiting.len()) as u64)
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
    pub(crate) fn figures(&self) -> Figures {
        Figures {
            waiting: self.waiting.len(),
            delivered: self.delivered,
            dropped: self.dropped,
            failures: self.failures,
            retry: self.retry,
        }
    }
}

#[cfg(test)]
mod tests {
    use fathom_kernel::{Severity, Span};

    use super::*;
    use crate::engine::Pattern;
    use crate::sink::{Only, QueueOptions};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn taste() -> Taste {
        Taste {
            least: Severity::Warning,
            only: Only::default(),
            stages: vec![Stage::Firing, Stage::Acknowledged, Stage::Resolved],
            repeat: Duration::from_secs(900),
            per_hour: 0,
            queue: QueueOptions {
                gather: Span::ZERO,
                notices: 4,
                ..QueueOptions::default()
            },
        }
    }

    fn notice(entry: u64, id: u64, from: Stage, to: Stage, second: i64) -> Notice {
        Notice {
            entry,
            id,
            at: at(second),
            service: "m".into(),
            rule: "r".into(),
            subject: "s".into(),
            severity: Severity::Alert,
            from,
            to,
            text: String::new(),
            since: at(second),
            repeat: 0,
            by: None,
            until: None,
            sinks: Vec::new(),
        }
    }

    fn fires(entry: u64, second: i64) -> Notice {
        notice(entry, entry, Stage::Ok, Stage::Firing, second)
    }

    fn sent(due: &Due) -> Vec<u64> {
        match due {
            Due::Send(parcel) => parcel.notices.iter().map(|n| n.entry).collect(),
            Due::Nothing | Due::At(_) => Vec::new(),
        }
    }

    #[test]
    fn what_comes_during_an_outage_is_one_message_after_it() {
        let (mut outbox, taste) = (Outbox::default(), taste());
        outbox.take(&fires(1, 0), &taste, "me", at(0));
        assert_eq!(sent(&outbox.due(&taste, at(0))), [1]);
        outbox.take(&fires(2, 1), &taste, "me", at(1));
        assert_eq!(outbox.due(&taste, at(1)), Due::Nothing, "one at a time");
        outbox.failed(&taste, at(2));
        assert_eq!(outbox.due(&taste, at(2)), Due::At(at(3)));
        outbox.take(&fires(3, 2), &taste, "me", at(2));
        assert_eq!(sent(&outbox.due(&taste, at(3))), [1, 2, 3]);
        outbox.delivered(at(4));
        assert_eq!(outbox.due(&taste, at(4)), Due::Nothing);
        assert_eq!(outbox.figures().delivered, 3);
    }

    #[test]
    fn waits_between_attempts_double_up_to_the_longest() {
        let (mut outbox, taste) = (Outbox::default(), taste());
        outbox.take(&fires(1, 0), &taste, "me", at(0));
        let mut waits = Vec::new();
        for _ in 0..11 {
            assert!(matches!(outbox.due(&taste, at(100_000)), Due::Send(_)));
            outbox.failed(&taste, at(0));
            waits.push(
                outbox
                    .figures()
                    .retry
                    .unwrap()
                    .duration_since(at(0))
                    .as_secs(),
            );
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        outbox.hurry();
        assert_eq!(sent(&outbox.due(&taste, at(0))), [1]);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_said() {
        let (mut outbox, taste) = (Outbox::default(), taste());
        outbox.take(&fires(1, 0), &taste, "me", at(0));
        assert_eq!(sent(&outbox.due(&taste, at(0))), [1]);
        let dropped: u64 = (2..=6)
            .map(|entry| outbox.take(&fires(entry, 1), &taste, "me", at(1)))
            .sum();
        assert_eq!(dropped, 2);
        // What is under way is not taken away.
        outbox.delivered(at(2));
        let Due::Send(parcel) = outbox.due(&taste, at(2)) else {
            panic!("nothing to send")
        };
        assert_eq!(
            parcel.dropped, 2,
            "what was under way could not tell of them"
        );
        let entries: Vec<_> = parcel.notices.iter().map(|n| n.entry).collect();
        assert_eq!(entries, [4, 5, 6]);
        assert_eq!(outbox.figures().dropped, 2);
    }

    #[test]
    fn what_is_too_old_is_dropped_at_the_next_failure() {
        let (mut outbox, taste) = (Outbox::default(), taste());
        outbox.take(&fires(1, 0), &taste, "me", at(0));
        assert_eq!(outbox.failed(&taste, at(86_400)), 0);
        assert_eq!(outbox.failed(&taste, at(86_401)), 1);
        assert_eq!(outbox.due(&taste, at(90_000)), Due::Nothing);
    }

    #[test]
    fn repetitions_come_at_most_as_often_as_the_sink_wants() {
        let (mut outbox, taste) = (Outbox::default(), taste());
        let again = |repeat, second| Notice {
            repeat,
            ..notice(1, 1, Stage::Firing, Stage::Firing, second)
        };
        outbox.take(&again(1, 0), &taste, "me", at(0));
        assert_eq!(outbox.figures().waiting, 0, "its beginning was never told");
        outbox.take(&fires(1, 0), &taste, "me", at(0));
        outbox.take(&again(1, 900), &taste, "me", at(900));
        assert_eq!(
            outbox.figures().waiting,
            1,
            "not while the first still waits"
        );
        outbox.due(&taste, at(900));
        outbox.delivered(at(900));
        outbox.take(&again(2, 899), &taste, "me", at(899));
        assert_eq!(outbox.figures().waiting, 0);
        outbox.take(&again(3, 900), &taste, "me", at(900));
        assert_eq!(outbox.figures().waiting, 1);
    }

    #[test]
    fn only_the_end_of_what_was_told_is_told() {
        let taste = taste();
        let ends = |from, told: bool| {
            let mut outbox = Outbox::default();
            if told {
                outbox.take(&fires(1, 0), &taste, "me", at(0));
            }
            outbox.take(&notice(2, 1, from, Stage::Resolved, 1), &taste, "me", at(1));
            outbox.figures().waiting - usize::from(told)
        };
        assert_eq!(ends(Stage::Firing, true), 1);
        assert_eq!(ends(Stage::Firing, false), 0);
        assert_eq!(ends(Stage::Muted, true), 0, "nobody wants to hear of it");
    }

    #[test]
    fn the_same_row_is_taken_once_and_a_gap_is_seen() {
        let (mut outbox, taste) = (Outbox::default(), taste());
        assert!(
            !outbox.misses_before(&fires(5, 0)),
            "nothing is known before the first"
        );
        outbox.take(&fires(5, 0), &taste, "me", at(0));
        outbox.take(&fires(5, 0), &taste, "me", at(0));
        assert_eq!(outbox.figures().waiting, 1);
        assert!(!outbox.misses_before(&fires(6, 1)) && outbox.misses_before(&fires(7, 1)));
        // The engine began anew: small numbers at a later time.
        outbox.take(&fires(1, 10), &taste, "me", at(10));
        assert_eq!(
            (outbox.figures().waiting, outbox.last_entry()),
            (2, Some(1))
        );
    }

    #[test]
    fn messages_over_the_hourly_limit_wait_and_become_one() {
        let (mut outbox, mut taste) = (Outbox::default(), taste());
        taste.per_hour = 2;
        for entry in 1..=2 {
            let second = i64::try_from(entry).unwrap() * 60;
            outbox.take(&fires(entry, second), &taste, "me", at(second));
            assert_eq!(sent(&outbox.due(&taste, at(second))), [entry]);
            outbox.delivered(at(second));
        }
        outbox.take(&fires(3, 130), &taste, "me", at(130));
        outbox.take(&fires(4, 140), &taste, "me", at(140));
        assert_eq!(outbox.due(&taste, at(140)), Due::At(at(3660)));
        assert_eq!(sent(&outbox.due(&taste, at(3660))), [3, 4]);
    }

    #[test]
    fn a_sink_hears_what_is_bad_enough_and_meant_for_it() {
        let mut taste = taste();
        taste.only.rules = vec![Pattern::new("trigger_*").unwrap()];
        taste.only.not_rules = vec![Pattern::new("*_high").unwrap()];
        let wants = |rule: &str, severity, sinks: &[&str]| {
            let notice = Notice {
                rule: rule.into(),
                severity,
                sinks: sinks.iter().map(|sink| (*sink).to_owned()).collect(),
                ..fires(1, 0)
            };
            taste.wants(&notice, "me")
        };
        assert!(wants("trigger_rate_zero", Severity::Alert, &[]));
        assert!(wants(
            "trigger_rate_zero",
            Severity::Alert,
            &["me", "other"]
        ));
        assert!(!wants("trigger_rate_zero", Severity::Alert, &["other"]));
        assert!(!wants("trigger_rate_zero", Severity::Info, &[]));
        assert!(!wants("trigger_rate_high", Severity::Alert, &[]));
        assert!(!wants("dom_inactive", Severity::Alert, &[]));
    }

    #[test]
    fn what_is_passed_over_is_not_missing_later() {
        let (mut outbox, taste) = (Outbox::default(), taste());
        outbox.pass_over(&fires(7, 0));
        assert_eq!(
            (outbox.last_entry(), outbox.figures().waiting),
            (Some(7), 0)
        );
        outbox.take(&fires(7, 0), &taste, "me", at(0));
        assert_eq!(outbox.figures().waiting, 0);
    }

    #[test]
    fn a_restart_keeps_what_waits() {
        let (mut outbox, taste) = (Outbox::default(), taste());
        outbox.take(&fires(1, 0), &taste, "me", at(0));
        let kept = serde_json::to_vec(&outbox).unwrap();
        let mut back: Outbox = serde_json::from_slice(&kept).unwrap();
        assert_eq!(sent(&back.due(&taste, at(0))), [1]);
    }
}
