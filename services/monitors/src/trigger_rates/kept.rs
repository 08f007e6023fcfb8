//! What `trigger_rates` keeps over a restart, and what of it fits when the options are others.

use std::collections::BTreeMap;

use fathom_hist::H1;
use fathom_kernel::Saved;
use serde::{Deserialize, Serialize};

use super::TriggerRates;
use super::bin::{Bin, UNKNOWN};
use crate::bins::Interval as _;
use crate::runs::Runs;

const KEPT_VERSION: u32 = 1;

/// What is kept.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    version: u32,
    interval_ms: i64,
    triggers: Vec<(String, u32)>,
    ahead_ms: Option<i64>,
    newest_ms: Option<i64>,
    runs: Runs,
    total: Bin,
    late: u64,
    stray: u64,
    repeated: u64,
    multiplicity: H1,
    bins: Vec<(i64, bool, Bin)>,
}

impl Kept {
    /// Puts the counts in the order of these triggers; of those that were not counted nothing is known.
    fn reorder(&mut self, triggers: &[(String, u32)]) {
        let place = |wanted| self.triggers.iter().position(|kept| kept == wanted);
        let places: Vec<_> = triggers.iter().map(place).collect();
        let reorder = |bin: &mut Bin, unknown: u64| {
            let count = |place: &Option<usize>| place.and_then(|place| bin.of_trigger(place));
            let counts = places.iter().map(|place| count(place).unwrap_or(unknown));
            bin.by_trigger = counts.collect();
        };
        self.bins
            .iter_mut()
            .for_each(|(_, _, bin)| reorder(bin, UNKNOWN));
        reorder(&mut self.total, 0);
    }

    /// Joins the bins to longer ones of this interval; those that are no parts of longer ones are gone.
    fn join(&mut self, interval_ms: i64) {
        let bins = std::mem::take(&mut self.bins);
        if self.interval_ms <= 0 || interval_ms % self.interval_ms != 0 {
            return;
        }
        let parts = interval_ms / self.interval_ms;
        let newest = bins.last().map(|(index, ..)| *index);
        let mut joined: BTreeMap<i64, (bool, Bin)> = BTreeMap::new();
        for (index, is_open, bin) in bins {
            let whole = joined.entry(index.div_euclid(parts)).or_default();
            whole.0 |= is_open;
            whole.1.merge(&bin);
        }
        // The last one goes on unless it had all of its parts.
        if let (Some(mut last), Some(newest)) = (joined.last_entry(), newest) {
            last.get_mut().0 |= newest.rem_euclid(parts) + 1 < parts;
        }
        let list = joined.into_iter();
        let list = list.map(|(index, (is_open, bin))| (index, is_open, bin));
        self.bins = list.collect();
    }
}

impl TriggerRates {
    pub(super) fn kept(&self) -> Kept {
        let bins = self.bins.all();
        Kept {
            version: KEPT_VERSION,
            interval_ms: self.bins.interval_ms,
            triggers: self.triggers.clone(),
            ahead_ms: self.timeline.ahead_ms(),
            newest_ms: self.newest_ms,
            runs: self.runs.clone(),
            total: self.total.clone(),
            late: self.late,
            stray: self.stray,
            repeated: self.repeated,
            multiplicity: self.multiplicity.clone(),
            bins: bins.map(|(i, open, bin)| (i, open, bin.clone())).collect(),
        }
    }

    pub(super) fn take_back(&mut self, saved: &Saved) -> Result<(), String> {
        let Some(mut kept) = saved.json::<Kept>()? else {
            return Ok(());
        };
        if kept.version != KEPT_VERSION {
            return Err(format!(
                "kept with version {}, now {KEPT_VERSION}",
                kept.version
            ));
        }
        if kept.triggers != self.triggers {
            kept.reorder(&self.triggers);
        }
        if kept.interval_ms != self.bins.interval_ms {
            kept.join(self.bins.interval_ms);
        }
        self.timeline.resume(kept.ahead_ms);
        self.newest_ms = kept.newest_ms;
        self.runs = kept.runs;
        self.total = kept.total;
        (self.late, self.stray, self.repeated) = (kept.late, kept.stray, kept.repeated);
        self.multiplicity = kept.multiplicity;
        for (index, open, bin) in kept.bins {
            if !open && bin.observed_ms() > 0 && self.bins.is_complete(&bin) {
                let rate_hz = self.bins.rate_hz(&bin, bin.events).0;
                self.alarms.recall(rate_hz);
            }
            self.bins.put_back(index, open, bin);
        }
        Ok(())
    }
}
