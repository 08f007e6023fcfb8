//! What is counted of the events of one interval.

use serde::{Deserialize, Serialize};

use crate::bins::Interval;

/// Count of a trigger that was not looked at.
pub(super) const UNKNOWN: u64 = u64::MAX;

/// What happened in one interval.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Bin {
    /// Events.
    pub(super) events: u64,
    /// Events per trigger, in the order of the configuration; [`UNKNOWN`] of one that was added later.
    pub(super) by_trigger: Vec<u64>,
    /// Sum of merged events.
    pub(super) overlays: u64,
    /// Sum of triggered hits.
    pub(super) triggered_hits: u64,
    /// Sum of all hits.
    pub(super) snapshot_hits: u64,
    /// Events that the trigger counter says we did not get.
    pub(super) lost: u64,
    /// Part of the interval that we were listening (ms).
    pub(super) observed_ms: i64,
}

impl Bin {
    /// Returns the events of a trigger, by its place in the configuration, if they are known.
    pub(super) fn of_trigger(&self, rank: usize) -> Option<u64> {
        let count = self.by_trigger.get(rank).copied().unwrap_or(0);
        (count != UNKNOWN).then_some(count)
    }

    /// Adds the counts of another bin.
    pub(super) fn merge(&mut self, other: &Self) {
        self.events += other.events;
        self.by_trigger
            .resize(other.by_trigger.len().max(self.by_trigger.len()), 0);
        for (sum, count) in self.by_trigger.iter_mut().zip(&other.by_trigger) {
            // Of a part nothing is known, so neither of the whole.
            *sum = sum.saturating_add(*count);
        }
        self.overlays += other.overlays;
        self.triggered_hits += other.triggered_hits;
        self.snapshot_hits += other.snapshot_hits;
        self.lost += other.lost;
        self.observed_ms += other.observed_ms;
    }
}

impl Interval for Bin {
    fn observed_ms(&self) -> i64 {
        self.observed_ms
    }

    fn observe(&mut self, observed_ms: i64) {
        self.observed_ms = observed_ms;
    }
}
