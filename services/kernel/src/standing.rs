//! The conditions that hold: what a monitor said and has not taken back.

use std::collections::BTreeMap;

use crate::Alarm;

/// Most conditions kept of one monitor: more than a detector has modules. Further ones are passed
/// on, but cannot be asked for.
const CONDITIONS_MAX: usize = 20_000;

/// Conditions by rule and subject.
#[derive(Debug, Default)]
pub(crate) struct Standing(BTreeMap<(String, String), Alarm>);

impl Standing {
    /// Takes what a monitor says.
    pub(crate) fn learn(&mut self, alarm: &Alarm) {
        let key = (alarm.rule.clone(), alarm.subject.clone());
        if !alarm.firing {
            self.0.remove(&key);
        } else if self.0.len() < CONDITIONS_MAX || self.0.contains_key(&key) {
            self.0.insert(key, alarm.clone());
        }
    }

    /// Iterates over what holds.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Alarm> {
        self.0.values()
    }

    /// Forgets everything, and returns it.
    pub(crate) fn take(&mut self) -> Vec<Alarm> {
        std::mem::take(&mut self.0).into_values().collect()
    }
}
