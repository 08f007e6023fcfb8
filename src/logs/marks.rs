//! When which part of a log was written: to the second for what is new, coarser for what is old.

use std::collections::VecDeque;

use fathom_kernel::Timestamp;

/// Most marks of one log, 24 bytes each. When they are so many, those that are closer together than
/// their age asks for go.
const MARKS_MAX: usize = 2048;

/// When something was written is known to this part of the time that has gone by since.
const PER_AGE: i64 = 100;

/// Least time between two marks.
const APART_MS: i64 = 1000;

/// The marks of one log, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks(VecDeque<Mark>);

#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Timestamp,
    /// Bytes that were written before.
    position: u64,
}

impl Marks {
    /// Notes that something is about to be written.
    pub(super) fn note(&mut self, at: Timestamp, position: u64) {
        let apart = |last: &Mark| at.as_millisecond() - last.at.as_millisecond();
        // A clock that was set back starts anew from there.
        if self
            .0
            .back()
            .map(apart)
            .is_some_and(|ms| (0..APART_MS).contains(&ms))
        {
            return;
        }
        if self.0.len() >= MARKS_MAX {
            self.thin_out(at.as_millisecond());
        }
        self.0.push_back(Mark { at, position });
    }

    fn thin_out(&mut self, now_ms: i64) {
        let mut kept: VecDeque<Mark> = VecDeque::new();
        for mark in self.0.drain(..).rev() {
            let at = mark.at.as_millisecond();
            let next = kept.front().map(|next| next.at.as_millisecond());
            if next.is_none_or(|next| next - at >= (now_ms - at) / PER_AGE) {
                kept.push_front(mark);
            }
        }
        // Clocks that jump could keep them all.
        let surplus = kept.len().saturating_sub(MARKS_MAX / 4 * 3);
        kept.drain(..surplus);
        self.0 = kept;
    }

    /// Returns a position before which everything was written by this time; `None` when the oldest
    /// mark is later.
    pub(super) fn position_by(&self, at: Timestamp) -> Option<u64> {
        let by = self.0.iter().rev().find(|mark| mark.at <= at);
        by.map(|mark| mark.position)
    }

    /// Returns the last mark before what stands at a position.
    pub(super) fn written_at(&self, position: u64) -> Option<Timestamp> {
        let later = self.0.partition_point(|mark| mark.position <= position);
        Some(self.0.get(later.checked_sub(1)?)?.at)
    }

    /// Returns the oldest mark.
    pub(super) fn first(&self) -> Option<Timestamp> {
        Some(self.0.front()?.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    #[test]
    fn a_mark_is_made_once_a_second_and_found_by_time_and_by_position() {
        let mut marks = Marks::default();
        for (ms, position) in [(0, 0), (500, 10), (1000, 20), (5000, 30)] {
            marks.note(at(ms), position);
        }
        assert_eq!(marks.position_by(at(-1)), None);
        assert_eq!(marks.position_by(at(999)), Some(0));
        assert_eq!(marks.position_by(at(4999)), Some(20));
        assert_eq!(marks.written_at(19), Some(at(0)));
        assert_eq!(marks.written_at(20), Some(at(1000)));
        assert_eq!(marks.written_at(u64::MAX), Some(at(5000)));
        assert_eq!(Marks::default().written_at(5), None);
    }

    #[test]
    fn marks_are_bounded_and_the_newest_stay() {
        let mut marks = Marks::default();
        let day = 86_400;
        for second in 0..day {
            marks.note(at(second * 1000), second as u64 * 7);
        }
        assert!(marks.0.len() <= MARKS_MAX);
        let newest = (day - 100) * 1000;
        assert_eq!(marks.position_by(at(newest)), Some((day as u64 - 100) * 7));
        let found = marks.position_by(at(day * 500)).unwrap() / 7;
        assert!(
            (day as u64 / 2 - 864..=day as u64 / 2).contains(&found),
            "{found}"
        );
    }
}
