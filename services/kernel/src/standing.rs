//! The conditions that hold: what a monitor said and has not taken back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::Alarm;

/// Most conditions kept of one monitor: more than a detector has modules. Further ones are passed
/// on, but cannot be asked for.
const CONDITIONS_MAX: usize = 20_000;

/// Conditions by rule and subject.
#[derive(Debug, Default)]
pub(crate) struct Standing(BTreeMap<(String, String), Condition>);

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

    /// Another monitor takes over, which may know nothing of what was said: it holds until then only,
    /// unless it is said again. What is in doubt already stays so no longer than it would have.
    pub(crate) fn doubt(&mut self, until: Instant) {
        for condition in self.0.values_mut() {
            condition.doubted_until.get_or_insert(until);
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

/// Makes the end of a condition.
fn over(alarm: Alarm, why: &str, at: Timestamp) -> Alarm {
    Alarm {
        firing: false,
        text: format!("{why}: {}", alarm.text),
        at,
        ..alarm
    }
}
