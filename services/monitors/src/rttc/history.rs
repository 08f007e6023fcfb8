//! The last samples of all DUs, and what was normal: all samples at first, then one a minute.

use std::collections::{BTreeMap, VecDeque};

use fathom_kernel::{Persist, Saved};

use super::baseline::{Values, rttc_ps};
use crate::columns::{self, Appended, Record};

/// Level of a kept record that is no column, but the time at which a DU was accepted.
const ACCEPTED: u8 = 2;
/// Samples that all count for what is normal, at the start and after one was accepted: a few of
/// them, one a minute, say little about how far they scatter.
const DENSE: usize = 100;
/// Length of a minute (ms).
const MINUTE_MS: i64 = 60_000;
/// Bytes of a DU in a kept column.
const KEPT_BYTES: usize = 40;

/// The values of all DUs at one time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    pub(super) at_ms: i64,
    /// By DU; what is missing is NaN.
    pub(super) values: Box<[Values]>,
}

/// All columns.
#[derive(Debug)]
pub(super) struct History {
    samples_max: usize,
    baseline_ms: i64,
    samples: VecDeque<Column>,
    /// What is normal, without values that are off: [`DENSE`] samples, then one a minute.
    minutes: VecDeque<Column>,
    /// When the value of a DU was accepted as normal (ms).
    accepted: BTreeMap<usize, i64>,
    /// Newest columns of both not kept yet.
    unsaved: [usize; 2],
    appended: Appended,
}

impl History {
    pub(super) fn new(samples_max: usize, baseline_ms: i64) -> Self {
        Self {
            samples_max,
            baseline_ms,
            samples: VecDeque::new(),
            minutes: VecDeque::new(),
            accepted: BTreeMap::new(),
            unsaved: [0; 2],
            appended: Appended::default(),
        }
    }

    /// Adds a column; `normal` tells which DUs count for what is normal. Returns whether more is known
    /// of that now.
    pub(super) fn push(&mut self, column: Column, normal: impl Fn(usize) -> bool) -> bool {
        let minute = column.at_ms.div_euclid(MINUTE_MS);
        let newest = self.minutes.back().map(|c| c.at_ms.div_euclid(MINUTE_MS));
        let is_new = newest != Some(minute) || self.is_dense();
        if is_new {
            let mut column = column.clone();
            let off = column.values.iter_mut().enumerate();
            off.filter(|(n, _)| !normal(*n))
                .for_each(|(_, values)| *values = [f64::NAN; 5]);
            self.add(1, column);
        }
        self.add(0, column);
        is_new
    }

    fn is_dense(&self) -> bool {
        let since_ms = self.accepted.values().max().copied();
        let newest = self.minutes.iter().rev().take(DENSE);
        let newer = newest.take_while(|c| since_ms.is_none_or(|at_ms| c.at_ms >= at_ms));
        newer.count() < DENSE
    }

    fn add(&mut self, level: usize, column: Column) {
        let at_ms = column.at_ms;
        let ring = match level {
            0 => &mut self.samples,
            _ => &mut self.minutes,
        };
        // The clock was set back: what is of the future goes.
        while ring.back().is_some_and(|newest| newest.at_ms >= at_ms) {
            ring.pop_back();
        }
        ring.push_back(column);
        // Those that are gone meanwhile are not kept.
        self.unsaved[level] += 1;
        while self.samples.len() > self.samples_max {
            self.samples.pop_front();
        }
        let oldest_ms = at_ms - self.baseline_ms;
        while self.minutes.front().is_some_and(|c| c.at_ms < oldest_ms) {
            self.minutes.pop_front();
        }
    }

    /// Iterates over the samples of a DU: time (ms) and round-trip time (ps).
    pub(super) fn samples(&self, n: usize) -> impl DoubleEndedIterator<Item = (i64, f64)> {
        let sample = move |column: &Column| Some((column.at_ms, rttc_ps(column.values.get(n)?)));
        let samples = self.samples.iter().filter_map(sample);
        samples.filter(|(_, value_ps)| value_ps.is_finite())
    }

    /// Returns what was normal for a DU.
    pub(super) fn normal(&self, n: usize) -> Vec<Values> {
        let values = self.minutes.iter().filter_map(|c| c.values.get(n).copied());
        values
            .filter(|values| values.iter().all(|value| value.is_finite()))
            .collect()
    }

    /// Tells whether a DU was given a new normal value so short a time ago that what others know of it
    /// is from before.
    pub(super) fn is_accepted_of_late(&self, n: usize, now_ms: i64) -> bool {
        let accepted_ms = self.accepted.get(&n);
        accepted_ms.is_some_and(|at_ms| (0..self.baseline_ms).contains(&(now_ms - at_ms)))
    }

    /// Forgets what was normal for a DU.
    pub(super) fn forget(&mut self, n: usize, now_ms: i64) {
        self.accepted.insert(n, now_ms);
        let minutes = self.minutes.iter_mut();
        let values = minutes.filter_map(|column| column.values.get_mut(n));
        values.for_each(|values| *values = [f64::NAN; 5]);
        self.appended.outdate();
    }

    /// Returns the memory of all columns [bytes].
    pub(super) fn memory_bytes(&self) -> usize {
        let columns = self.samples.iter().chain(&self.minutes);
        columns.map(|column| column.values.len() * KEPT_BYTES).sum()
    }

    /// Hands over the new columns; all of them, when much has gathered.
    pub(super) fn persist(&mut self, dus: &[u32], keep: &mut Persist) {
        let unsaved = std::mem::take(&mut self.unsaved);
        if unsaved == [0; 2] && !self.appended.is_outdated() {
            return;
        }
        let new = |ring: &VecDeque<Column>, level, unsaved: usize| {
            let columns = ring.range(ring.len().saturating_sub(unsaved)..);
            let records = columns.map(|column| column.record(level));
            records.collect::<Vec<_>>()
        };
        let mut records = new(&self.samples, 0, unsaved[0]);
        records.extend(new(&self.minutes, 1, unsaved[1]));
        let samples = self.samples.iter().map(|column| column.record(0));
        let minutes = self.minutes.iter().map(|column| column.record(1));
        let accepted = self.accepted.iter().filter_map(|(n, at_ms)| {
            let mut record = columns::column_record(ACCEPTED, *at_ms);
            record.extend(dus.get(*n)?.to_le_bytes());
            Some(record)
        });
        let everything = samples.chain(minutes).chain(accepted);
        let ids = dus.iter().copied();
        self.appended.hand_over(ids, records, everything, keep);
    }

    /// Takes back what was kept; the DUs may be others by now.
    pub(super) fn restore(&mut self, saved: &Saved, dus: &[u32]) -> Result<(), String> {
        let snapshot = columns::split(saved.snapshot.as_deref().unwrap_or_default());
        let mut places: Vec<Option<usize>> = Vec::new();
        for record in snapshot.chain(saved.records.iter().map(Vec::as_slice)) {
            match columns::read(record).ok_or("a kept record is damaged")? {
                Record::Ids(ids) => {
                    let place = |id: u32| dus.iter().position(|du| *du == id);
                    places = ids.into_iter().map(place).collect();
                }
                Record::Column {
                    level: ACCEPTED,
                    at_ms,
                    payload,
                } => {
                    let du = payload.first_chunk().map(|du| u32::from_le_bytes(*du));
                    let n = dus.iter().position(|known| Some(*known) == du);
                    self.accepted.extend(n.map(|n| (n, at_ms)));
                }
                Record::Column {
                    level,
                    at_ms,
                    payload,
                } => self.add(
                    usize::from(level.min(1)),
                    Column::read(at_ms, payload, &places, dus.len()),
                ),
            }
        }
        self.unsaved = [0; 2];
        self.appended.resume(saved);
        Ok(())
    }
}

impl Column {
    fn record(&self, level: u8) -> Vec<u8> {
        let mut record = columns::column_record(level, self.at_ms);
        let numbers = self.values.iter().flatten();
        record.extend(numbers.flat_map(|number| number.to_le_bytes()));
        record
    }

    fn read(at_ms: i64, payload: &[u8], places: &[Option<usize>], dus: usize) -> Self {
        let mut values = vec![[f64::NAN; 5]; dus];
        let (kept, _) = payload.as_chunks::<KEPT_BYTES>();
        for (bytes, place) in kept.iter().zip(places) {
            let (numbers, _) = bytes.as_chunks::<8>();
            if let Some(slot) = place.and_then(|place| values.get_mut(place)) {
                let numbers = numbers.iter().map(|bytes| f64::from_le_bytes(*bytes));
                slot.iter_mut().zip(numbers).for_each(|(v, n)| *v = n);
            }
        }
        Self {
            at_ms,
            values: values.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    /// Adds a value of the only DU; tells whether it counts for what is normal.
    fn push(history: &mut History, at_ms: i64) -> bool {
        let values = vec![[5.0e8, 0.0, 0.0, 0.0, 0.0]].into();
        history.push(Column { at_ms, values }, |_| true)
    }

    #[test]
    fn three_samples_of_the_last_day_are_kept_and_the_same_time_is_one() {
        let mut history = History::new(3, DAY_MS);
        for at_ms in [0, 1000, 2000, 2000, 3000] {
            push(&mut history, at_ms);
        }
        let times = |history: &History| history.samples(0).map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!(times(&history), [1000, 2000, 3000]);
        assert_eq!(history.normal(0).len(), 4);
        // The sample of a whole day before is the oldest that counts.
        push(&mut history, DAY_MS + 1000);
        assert_eq!(history.normal(0).len(), 4);
        push(&mut history, 1500);
        assert_eq!(times(&history), [1500], "the clock was set back");
    }

    #[test]
    fn after_one_was_accepted_all_samples_count_again_for_a_while() {
        let mut history = History::new(1000, DAY_MS);
        let taken = (0..200).filter(|s| push(&mut history, 1000 * s));
        // A hundred at first, then one a minute: at 120 and 180 s.
        assert_eq!(taken.count(), 102);
        history.forget(0, 200_000);
        let taken = (200..230).filter(|s| push(&mut history, 1000 * s));
        assert_eq!(taken.count(), 30);
        assert_eq!(history.normal(0).len(), 30);
    }
}
