//! Run changes, and events missing in the sequence of trigger counters.

use std::collections::{BTreeMap, VecDeque};

use fathom_formats::km3net::Header;
use fathom_kernel::view::Mark;
use serde::{Deserialize, Serialize};

/// Most run changes remembered.
const MARKS_MAX: usize = 500;
/// Most missing counters remembered, to be taken back when they come late.
const MISSING_MAX: usize = 10_000;
/// A larger jump of the counter is a new start of it, not a loss.
const JUMP_MAX: u64 = 1_000_000;

/// A run as a detector takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) detector: i32,
    pub(super) run: i32,
}

impl Run {
    pub(super) fn of(header: &Header) -> Self {
        Self {
            detector: header.detector_id.0,
            run: header.run.0,
        }
    }
}

/// The changes of run, up or down, and of detector.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Runs {
    current: Option<Run>,
    newest_ms: i64,
    changes: VecDeque<(i64, Run)>,
}

impl Runs {
    /// Takes the run of an event; returns whether it is a change. Late events change nothing.
    pub(super) fn saw(&mut self, run: Run, data_ms: i64) -> bool {
        if self.current.is_some() && data_ms < self.newest_ms {
            return false;
        }
        self.newest_ms = data_ms;
        if self.current == Some(run) {
            return false;
        }
        self.current = Some(run);
        if self.changes.len() >= MARKS_MAX {
            self.changes.pop_front();
        }
        self.changes.push_back((data_ms, run));
        true
    }

    /// The clock was set to another time; what was newest does not count any more.
    pub(super) fn jump(&mut self) {
        self.newest_ms = i64::MIN;
    }

    /// Returns the newest run.
    pub(super) fn current(&self) -> Option<Run> {
        self.current
    }

    /// Returns the changes between two times as labelled lines.
    pub(super) fn marks(&self, from_ms: i64, to_ms: i64) -> Vec<Mark> {
        let mut before = None;
        let mut marks = Vec::new();
        for &(at_ms, run) in &self.changes {
            let Run { detector, run } = run;
            let text = match before {
                Some(old) if old != detector => format!("DET {detector} RUN {run}"),
                _ => format!("RUN {run}"),
            };
            before = Some(detector);
            if (from_ms..=to_ms).contains(&at_ms) {
                marks.push(Mark { at_ms, text });
            }
        }
        marks
    }
}

/// What one event tells about the sequence of trigger counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sequence {
    /// In order, after this many missing ones.
    After(u64),
    /// One that was missing in this interval has come late.
    Found(i64),
    /// A counter that was seen before, or is too old to tell.
    Old,
}

/// Follows the trigger counter within a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter {
    run: Option<Run>,
    highest: u64,
    /// Counters that did not come, with the interval in which that was noticed.
    missing: BTreeMap<u64, i64>,
}

impl Counter {
    /// Takes the counter of an event that falls into an interval.
    pub(super) fn saw(&mut self, run: Run, counter: u64, index: i64) -> Sequence {
        if self.run != Some(run) || counter.abs_diff(self.highest) > JUMP_MAX {
            self.run = Some(run);
            self.highest = counter;
            self.missing.clear();
            return Sequence::After(0);
        }
        if counter <= self.highest {
            return match self.missing.remove(&counter) {
                Some(noticed) => Sequence::Found(noticed),
                None => Sequence::Old,
            };
        }
        let first = self.highest + 1;
        let room = MISSING_MAX.saturating_sub(self.missing.len());
        self.missing
            .extend((first..counter).take(room).map(|gone| (gone, index)));
        self.highest = counter;
        Sequence::After(counter - first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(detector: i32, run: i32) -> Run {
        Run { detector, run }
    }

    #[test]
    fn runs_may_go_down_and_detectors_may_change() {
        let mut runs = Runs::default();
        let steps = [
            (10, 44, 7),
            (20, 44, 7),
            (30, 44, 5),
            (25, 44, 7),
            (40, 43, 9),
        ];
        let changed = steps.map(|(ms, d, r)| runs.saw(run(d, r), ms));
        assert_eq!(changed, [true, false, true, false, true]);
        let texts: Vec<_> = runs.marks(0, 100).into_iter().map(|m| m.text).collect();
        assert_eq!(texts, ["RUN 7", "RUN 5", "DET 43 RUN 9"]);
        assert_eq!(runs.marks(35, 100).len(), 1);
    }

    #[test]
    fn a_jump_of_the_counter_is_a_loss_until_the_missing_ones_come() {
        let mut counter = Counter::default();
        let mut saw = |n, index| counter.saw(run(1, 1), n, index);
        assert_eq!(saw(10, 0), Sequence::After(0));
        assert_eq!(saw(11, 0), Sequence::After(0));
        assert_eq!(saw(15, 1), Sequence::After(3));
        assert_eq!(saw(13, 2), Sequence::Found(1));
        assert_eq!(saw(13, 2), Sequence::Old);
        assert_eq!(saw(u64::MAX, 2), Sequence::After(0));
        assert_eq!(counter.saw(run(1, 2), 3, 3), Sequence::After(0));
    }
}
