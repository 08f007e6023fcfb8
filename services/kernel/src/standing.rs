//! The conditions that hold: what a monitor said and has not taken back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{Alarm, Recalled};

/// Most conditions kept of one monitor: more than a detector has modules. Further ones are passed
/// on, but cannot be asked for.
const CONDITIONS_MAX: usize = 20_000;

/// Conditions by rule and subject.
#[derive(Debug, Default)]
pub(crate) struct Standing(BTreeMap<(String, String), Condition>);

/// What is kept of the conditions over a restart.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// When it was kept.
    pub(crate) at: Timestamp,
    /// What held then.
    pub(crate) conditions: Vec<Alarm>,
}

/// A condition, and until when it holds without being said again.
#[derive(Debug)]
struct Condition {
    alarm: Alarm,
    doubted_until: Option<Instant>,
}

impl Standing {
    /// Takes what a monitor says.
    pub(crate) fn learn(&mut self, alarm: &Alarm) {
        let key = (alarm.rule.clone(), alarm.subject.clone());
        if !alarm.firing {
            self.0.remove(&key);
        } else if self.0.len() < CONDITIONS_MAX || self.0.contains_key(&key) {
            let alarm = alarm.clone();
            let doubted_until = None;
            self.0.insert(
                key,
                Condition {
                    alarm,
                    doubted_until,
                },
            );
        }
    }

    /// Iterates over what holds.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Alarm> {
        self.0.values().map(|condition| &condition.alarm)
    }

    /// Forgets everything, and returns its ends.
    pub(crate) fn end_all(&mut self, why: &str, at: Timestamp) -> Vec<Alarm> {
        let all = std::mem::take(&mut self.0).into_values();
        all.map(|condition| over(condition.alarm, why, at))
            .collect()
    }

    /// Another monitor takes over, which is reminded of what was said. What it takes goes on; the ends
    /// of what cannot hold any more are returned. What it knows nothing of holds until then only,
    /// unless it is said again, and what is in doubt already stays so no longer than it would have.
    pub(crate) fn hand_over(
        &mut self,
        mut recall: impl FnMut(&str, &str) -> Recalled,
        until: Instant,
        at: Timestamp,
    ) -> Vec<Alarm> {
        let gone = self.0.extract_if(.., |(rule, subject), condition| {
            match recall(rule, subject) {
                Recalled::Holds => condition.doubted_until = None,
                Recalled::Gone => return true,
                Recalled::Unknown => {
                    condition.doubted_until.get_or_insert(until);
                }
            }
            false
        });
        gone.map(|(_, condition)| over(condition.alarm, GONE, at))
            .collect()
    }

    /// Returns what is kept of it over a restart.
    pub(crate) fn kept(&self, at: Timestamp) -> Kept {
        Kept {
            at,
            conditions: self.iter().cloned().collect(),
        }
    }

    /// Forgets what was not said again in time, and returns its ends.
    pub(crate) fn end_doubted(&mut self, now: Instant, why: &str, at: Timestamp) -> Vec<Alarm> {
        let is_due = |condition: &Condition| condition.doubted_until.is_some_and(|at| at <= now);
        let due = self.0.extract_if(.., |_, condition| is_due(condition));
        due.map(|(_, condition)| over(condition.alarm, why, at))
            .collect()
    }
}

/// Why a condition is over whose subject nobody looks at any more.
pub(crate) const GONE: &str = "no longer part of the detector";

/// Makes the end of a condition.
pub(crate) fn over(alarm: Alarm, why: &str, at: Timestamp) -> Alarm {
    Alarm {
        firing: false,
        text: format!("{why}: {}", alarm.text),
        at,
        ..alarm
    }
}
