//! What was read of a source of data, and when it last moved.

use std::time::{Duration, Instant};

/// How far a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Something was counted; only growth is progress, so that a counter may begin anew.
    Count(u64),
    /// Two counters, of which both must grow.
    Both(u64, u64),
    /// Anything that differs when there is news, such as the time of a file.
    Stamp(u64),
}

/// What was read of a source at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// How far it is; `None` while there is nothing to read, such as no such file.
    pub mark: Option<Mark>,
    /// Something waits there now, which is as good as something that comes.
    pub waiting: bool,
    /// It was not read in time, so nothing can be said.
    pub late: bool,
}

/// What was read for one flow rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlowReading {
    /// What goes out.
    pub out: Reading,
    /// What comes in, when the rule names it.
    pub input: Option<Reading>,
    /// Messages that wait for the service, where that is known.
    pub queued: Option<u64>,
}

impl Reading {
    /// Makes the reading of a counter.
    pub fn count(count: u64) -> Self {
        Self::of(Some(Mark::Count(count)))
    }

    /// Makes the reading of a mark.
    pub fn of(mark: Option<Mark>) -> Self {
        Self {
            mark,
            ..Self::default()
        }
    }

    /// Makes the reading of a source that was not read in time.
    pub fn late() -> Self {
        Self {
            late: true,
            ..Self::default()
        }
    }
}

/// Follows one source.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    /// Whether it was read at all: what stands there at first is no news.
    known: bool,
    mark: Option<Mark>,
    /// When it last moved.
    moved: Option<Instant>,
}

impl Trace {
    /// Takes a reading; tells whether the source moved since the one before.
    pub(super) fn take(&mut self, reading: &Reading, now: Instant) -> bool {
        if reading.late {
            return false;
        }
        let moved = self.known && is_news(self.mark, reading.mark);
        let keep = matches!((self.mark, reading.mark), (Some(Mark::Both(a, b)), Some(Mark::Both(c, d)))
            if !moved && c >= a && d >= b);
        if !keep {
            self.mark = reading.mark;
        }
        self.known = true;
        if moved || reading.waiting {
            self.moved = Some(now);
        }
        moved
    }

    /// Takes what stands there now as known, without calling it news.
    pub(super) fn rebase(&mut self, reading: &Reading) {
        if !reading.late {
            self.mark = reading.mark;
            self.known = true;
        }
    }

    /// Returns when it last moved.
    pub(super) fn moved(&self) -> Option<Instant> {
        self.moved
    }

    /// Returns the counter, if it is one.
    pub(super) fn count(&self) -> Option<u64> {
        match self.mark {
            Some(Mark::Count(count) | Mark::Both(count, _)) => Some(count),
            Some(Mark::Stamp(_)) | None => None,
        }
    }

    /// Returns the time since it last moved, but not since before `base`.
    pub(super) fn age(&self, base: Instant, now: Instant) -> Duration {
        let at = self.moved.map_or(base, |at| at.max(base));
        now.saturating_duration_since(at)
    }
}

fn is_news(before: Option<Mark>, now: Option<Mark>) -> bool {
    match (before, now) {
        (_, None) => false,
        (None, Some(Mark::Count(count) | Mark::Both(count, _))) => count > 0,
        (None, Some(Mark::Stamp(_))) => true,
        (Some(Mark::Count(before)), Some(Mark::Count(now))) => now > before,
        (Some(Mark::Both(a, b)), Some(Mark::Both(c, d))) => c > a && d > b,
        (Some(Mark::Stamp(before)), Some(Mark::Stamp(now))) => before != now,
        // Another way of counting begins anew.
        (Some(_), Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds marks one second apart and returns which were news.
    fn news(marks: &[Option<Mark>]) -> Vec<bool> {
        let (mut trace, start) = (Trace::default(), Instant::now());
        let seconds = (0_u64..).map(|s| start + Duration::from_secs(s));
        let fed = marks.iter().zip(seconds);
        fed.map(|(mark, now)| trace.take(&Reading::of(*mark), now))
            .collect()
    }

    #[test]
    fn growth_is_news_and_a_counter_that_begins_anew_is_not() {
        let marks = [5, 5, 6, 0, 0, 1].map(|n| Some(Mark::Count(n)));
        assert_eq!(news(&marks), [false, false, true, false, false, true]);
    }

    #[test]
    fn both_counters_must_grow_but_not_in_the_same_second() {
        let marks = [(1, 1), (2, 1), (3, 1), (3, 2), (4, 2)].map(|(a, b)| Some(Mark::Both(a, b)));
        assert_eq!(news(&marks), [false, false, false, true, false]);
    }

    #[test]
    fn a_file_that_appears_or_changes_is_news_and_one_that_goes_is_not() {
        let marks = [None, Some(7), Some(7), Some(3), None, Some(3)];
        let marks = marks.map(|stamp| stamp.map(Mark::Stamp));
        assert_eq!(news(&marks), [false, true, false, true, false, true]);
    }

    #[test]
    fn what_was_not_read_says_nothing() {
        let (mut trace, now) = (Trace::default(), Instant::now());
        trace.take(&Reading::count(3), now);
        trace.take(&Reading::late(), now);
        assert_eq!(trace.count(), Some(3));
        assert!(trace.take(&Reading::count(4), now));
    }

    #[test]
    fn what_waits_is_as_good_as_what_comes() {
        let (mut trace, base) = (Trace::default(), Instant::now());
        let now = base + Duration::from_secs(9);
        let waiting = Reading {
            waiting: true,
            ..Reading::count(3)
        };
        trace.take(&waiting, now);
        assert_eq!(trace.age(base, now), Duration::ZERO);
    }
}
