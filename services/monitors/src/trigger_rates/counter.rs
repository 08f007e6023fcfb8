//! Events missing in the sequence of trigger counters.

use std::collections::BTreeMap;

use crate::runs::Run;

/// Most missing counters remembered, to be taken back when they come late.
const MISSING_MAX: usize = 10_000;
/// A larger jump of the counter is a new start of it, not a loss.
const JUMP_MAX: u64 = 1_000_000;

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

/// Follows the trigger counter of two runs: events of the run before come late, while those of the
/// next one have begun.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter {
    /// The run of the last event.
    now: Option<Followed>,
    before: Option<Followed>,
}

/// The trigger counter of one run.
#[derive(Debug, Clone)]
struct Followed {
    run: Run,
    highest: u64,
    /// Counters that did not come, with the interval in which that was noticed.
    missing: BTreeMap<u64, i64>,
}

impl Counter {
    /// Takes the counter of an event that falls into an interval.
    pub(super) fn saw(&mut self, run: Run, counter: u64, index: i64) -> Sequence {
        if self.now.as_ref().is_some_and(|now| now.run != run) {
            std::mem::swap(&mut self.now, &mut self.before);
        }
        match &mut self.now {
            Some(now) if now.run == run && counter.abs_diff(now.highest) <= JUMP_MAX => {
                now.saw(counter, index)
            }
            now => {
                *now = Some(Followed {
                    run,
                    highest: counter,
                    missing: BTreeMap::new(),
                });
                Sequence::After(0)
            }
        }
    }
}

impl Followed {
    fn saw(&mut self, counter: u64, index: i64) -> Sequence {
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

    #[test]
    fn late_events_of_the_run_before_hid_and_invented_losses() {
        let mut counter = Counter::default();
        let mut saw = |r, n, index| counter.saw(run(1, r), n, index);
        saw(1, 10, 0);
        assert_eq!(saw(1, 12, 0), Sequence::After(1));
        assert_eq!(saw(2, 0, 1), Sequence::After(0));
        // The one that was missing comes after the next run has begun.
        assert_eq!(saw(1, 11, 1), Sequence::Found(0));
        assert_eq!(saw(1, 12, 1), Sequence::Old);
        // Two are missing of the new run, whoever came in between.
        assert_eq!(saw(2, 3, 1), Sequence::After(2));
        assert_eq!(saw(1, 14, 1), Sequence::After(1));
        assert_eq!(saw(2, 1, 1), Sequence::Found(1));
        // Of a third run the oldest is forgotten.
        assert_eq!(saw(3, 7, 2), Sequence::After(0));
        assert_eq!(saw(2, 2, 2), Sequence::Found(1));
        assert_eq!(saw(1, 13, 2), Sequence::After(0));
    }
}
