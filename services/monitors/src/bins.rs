//! Counts in bins of data time that start at whole multiples of the interval.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::seconds;
use crate::timeline::TOLERANCE_MS;

/// What is counted in one interval.
pub(crate) trait Interval: Default {
    /// Returns the part of the interval that somebody listened (ms).
    fn observed_ms(&self) -> i64;
    /// Sets it.
    fn observe(&mut self, observed_ms: i64);
}

/// The bins of a day or so, without those in which nobody listened.
#[derive(Debug, Clone)]
pub(crate) struct Bins<B> {
    pub(crate) interval_ms: i64,
    capacity: usize,
    bins: BTreeMap<i64, B>,
    open: BTreeSet<i64>,
    /// Bins of a time that the clock has left; closed with the next tick.
    left: BTreeSet<i64>,
    /// Data time up to which we have been listening (ms).
    covered_to_ms: Option<i64>,
    /// Nothing before this counts as listened to (ms).
    from_ms: i64,
    /// The data have ended: time that passes is no silence.
    ended: bool,
}

impl<B: Interval> Bins<B> {
    /// Makes an empty store of at most `capacity` intervals.
    pub(crate) fn new(interval_ms: i64, capacity: usize) -> Self {
        Self {
            interval_ms,
            capacity,
            bins: BTreeMap::new(),
            open: BTreeSet::new(),
            left: BTreeSet::new(),
            covered_to_ms: None,
            from_ms: i64::MIN,
            ended: false,
        }
    }

    /// Returns the number of the interval that a time falls into.
    pub(crate) fn index(&self, data_ms: i64) -> i64 {
        data_ms.div_euclid(self.interval_ms)
    }

    /// Returns the end of an interval (ms).
    pub(crate) fn end_ms(&self, index: i64) -> i64 {
        index.saturating_add(1).saturating_mul(self.interval_ms)
    }

    /// Returns the bin of an interval, and whether it was closed before. Makes it if needed.
    pub(crate) fn bin(&mut self, index: i64) -> (&mut B, bool) {
        if !self.bins.contains_key(&index) {
            self.open.insert(index);
            self.make_room(index);
        }
        let bin = self.bins.entry(index).or_default();
        let closed = !self.open.contains(&index) && !self.left.contains(&index);
        (bin, closed)
    }

    /// Returns the bin of an interval, if there is one.
    pub(crate) fn existing(&mut self, index: i64) -> Option<&mut B> {
        self.bins.get_mut(&index)
    }

    /// The clock was set to another time: listening goes on there. `whole` says that the interval
    /// counts from its start, as in a replay. Otherwise nobody knows how much of it was listened to:
    /// the datum that is its first one says nothing about the time before, and the part since then
    /// may be some milliseconds.
    pub(crate) fn jump(&mut self, data_ms: i64, whole: bool) {
        // What is of a time just ahead was believed of a clock that is wrong.
        let wrong = self.index(data_ms) + 1..self.index(data_ms.saturating_add(TOLERANCE_MS)) + 1;
        for index in self.open.extract_if(wrong, |_| true) {
            self.bins.remove(&index);
        }
        self.left.append(&mut self.open);
        let index = self.index(data_ms);
        let is_start = data_ms == index * self.interval_ms;
        (self.covered_to_ms, self.from_ms) = match whole || is_start {
            true => (Some(index * self.interval_ms), i64::MIN),
            false => (Some(data_ms), self.end_ms(index)),
        };
    }

    /// We have been listening up to this time; intervals without events get their zeros.
    pub(crate) fn cover(&mut self, to_ms: i64) {
        if self.ended {
            return;
        }
        let Some(from_ms) = self.covered_to_ms else {
            self.covered_to_ms = Some(to_ms);
            return;
        };
        if to_ms <= from_ms {
            return;
        }
        let oldest_ms = to_ms.saturating_sub(self.span_ms());
        let mut at_ms = from_ms.max(oldest_ms).max(self.from_ms);
        while at_ms < to_ms {
            let index = self.index(at_ms);
            let until_ms = self.end_ms(index).min(to_ms);
            let interval_ms = self.interval_ms;
            let (bin, _) = self.bin(index);
            bin.observe((bin.observed_ms() + until_ms - at_ms).min(interval_ms));
            at_ms = until_ms;
        }
        self.covered_to_ms = Some(to_ms);
    }

    /// The data have ended with their newest datum, somewhere within the newest interval: it ends with
    /// its last datum as little as it began with its first one. The intervals before it were listened
    /// to until their ends, even where the last tick was before those.
    pub(crate) fn end(&mut self, newest_ms: Option<i64>) {
        self.cover(newest_ms.unwrap_or(i64::MIN));
        self.ended = true;
        let last = self.open.last().and_then(|last| self.bins.get_mut(last));
        if let Some(bin) = last.filter(|bin| bin.observed_ms() < self.interval_ms) {
            bin.observe(0);
        }
    }

    /// Returns the time up to which we have been listening (ms).
    pub(crate) fn covered_to_ms(&self) -> i64 {
        self.covered_to_ms.unwrap_or(i64::MIN)
    }

    /// Closes the intervals that ended before this time and returns their numbers, oldest first.
    pub(crate) fn close(&mut self, until_ms: i64) -> Vec<i64> {
        let due = self.index(until_ms);
        let later = self.open.split_off(&due);
        let mut closed = std::mem::replace(&mut self.open, later);
        closed.append(&mut self.left);
        closed.into_iter().collect()
    }

    /// Iterates over the closed bins of the last intervals before a time, oldest first.
    pub(crate) fn window(&self, data_ms: i64) -> impl DoubleEndedIterator<Item = (i64, &B)> {
        let newest = self.index(data_ms);
        let span = i64::try_from(self.capacity).unwrap_or(i64::MAX);
        let oldest = newest.saturating_sub(span);
        let range = self.bins.range(oldest..newest.max(oldest));
        range
            .filter(|(index, _)| !self.open.contains(index))
            .map(|(&index, bin)| (index, bin))
    }

    /// Returns a bin.
    pub(crate) fn get(&self, index: i64) -> Option<&B> {
        self.bins.get(&index)
    }

    /// Returns the newest interval still open that has begun at a time: there may be one of a time to
    /// come, kept since data were believed that they are from there.
    pub(crate) fn newest_open(&self, data_ms: i64) -> Option<(i64, &B)> {
        let index = *self.open.range(..=self.index(data_ms)).next_back()?;
        Some((index, self.bins.get(&index)?))
    }

    /// Returns rate and its Poisson error (Hz) of a count in a bin. A bin that we listened to in part
    /// counts for that part; one of which nobody knows how much counts for its whole length.
    pub(crate) fn rate_hz(&self, bin: &B, count: u64) -> (f64, f64) {
        let partial = (1..self.interval_ms).contains(&bin.observed_ms());
        let length_s = seconds(if partial {
            bin.observed_ms()
        } else {
            self.interval_ms
        });
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let count = count as f64;
        (count / length_s, count.sqrt() / length_s)
    }

    /// Tells whether we listened to nearly all of a bin.
    pub(crate) fn is_complete(&self, bin: &B) -> bool {
        bin.observed_ms() * 10 >= self.interval_ms * 9
    }

    /// Returns all bins, to be kept, each with whether it is still open.
    pub(crate) fn all(&self) -> impl Iterator<Item = (i64, bool, &B)> {
        self.bins.iter().map(|(&index, bin)| {
            let is_open = self.open.contains(&index) || self.left.contains(&index);
            (index, is_open, bin)
        })
    }

    /// Returns how many bins there are.
    pub(crate) fn len(&self) -> usize {
        self.bins.len()
    }

    /// Puts a kept bin back.
    pub(crate) fn put_back(&mut self, index: i64, is_open: bool, bin: B) {
        self.make_room(index);
        self.bins.insert(index, bin);
        if is_open {
            self.open.insert(index);
        }
    }

    fn span_ms(&self) -> i64 {
        let intervals = i64::try_from(self.capacity).unwrap_or(i64::MAX);
        intervals.saturating_mul(self.interval_ms)
    }

    /// Forgets the bin that is furthest away when there are twice as many as fit the picture: room
    /// for a replay beside the present.
    fn make_room(&mut self, wanted: i64) {
        if self.bins.len() < 2 * self.capacity {
            return;
        }
        let (Some((&first, _)), Some((&last, _))) =
            (self.bins.first_key_value(), self.bins.last_key_value())
        else {
            return;
        };
        let gone = if wanted.abs_diff(first) >= wanted.abs_diff(last) {
            first
        } else {
            last
        };
        self.bins.remove(&gone);
        self.open.remove(&gone);
        self.left.remove(&gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Count {
        events: u64,
        observed_ms: i64,
    }

    impl Interval for Count {
        fn observed_ms(&self) -> i64 {
            self.observed_ms
        }

        fn observe(&mut self, observed_ms: i64) {
            self.observed_ms = observed_ms;
        }
    }

    #[test]
    fn intervals_without_events_are_zero_and_those_nobody_listened_to_are_absent() {
        let mut bins = Bins::<Count>::new(10_000, 100);
        bins.jump(25_000, true);
        bins.cover(65_000);
        let seen: Vec<_> = bins.window(65_000).map(|(i, b)| (i, b.events)).collect();
        assert_eq!(seen, [], "all are open");
        assert_eq!(bins.close(60_000), [2, 3, 4, 5]);
        let seen: Vec<_> = bins.window(65_000).map(|(i, b)| (i, b.events)).collect();
        assert_eq!(seen, [(2, 0), (3, 0), (4, 0), (5, 0)]);
    }

    #[test]
    fn memory_is_bounded_whatever_the_times_are() {
        let mut bins = Bins::<Count>::new(1000, 50);
        for n in 0..10_000_i64 {
            bins.bin(n.wrapping_mul(0x5851_f42d_4c95_7f2d));
        }
        assert!(bins.bins.len() <= 100 && bins.open.len() <= 100);
        bins.jump(0, true);
        bins.cover(i64::MAX / 2);
        assert!(bins.bins.len() <= 100);
    }

    #[test]
    fn an_interval_joined_half_way_counts_for_its_half() {
        let mut bins = Bins::<Count>::new(10_000, 10);
        bins.cover(5_000);
        bins.bin(0).0.events = 4;
        bins.cover(10_000);
        let bin = bins.get(0).unwrap();
        assert_eq!(bins.rate_hz(bin, bin.events), (0.8, 0.4));
        assert!(!bins.is_complete(bin));
    }

    #[test]
    fn one_event_just_before_the_end_of_the_first_interval_is_no_rate_of_125_hz() {
        let mut bins = Bins::<Count>::new(10_000, 10);
        bins.jump(9_992, false);
        bins.bin(0).0.events = 1;
        bins.cover(20_000);
        let bin = bins.get(0).unwrap();
        assert_eq!(bins.rate_hz(bin, bin.events), (0.1, 0.1));
        assert!(!bins.is_complete(bin));
        assert!(bins.is_complete(bins.get(1).unwrap()));
    }

    #[test]
    fn time_after_the_end_of_the_data_is_no_silence() {
        let mut bins = Bins::<Count>::new(10_000, 10);
        bins.jump(0, true);
        bins.cover(10_008);
        bins.bin(1).0.events = 1;
        bins.end(Some(10_008));
        bins.cover(40_000);
        assert_eq!(bins.close(40_000), [0, 1]);
        assert_eq!(bins.rate_hz(bins.get(1).unwrap(), 1), (0.1, 0.1));
        assert!(!bins.is_complete(bins.get(1).unwrap()));
    }

    #[test]
    fn the_picture_has_as_many_intervals_as_it_should() {
        let mut bins = Bins::<Count>::new(1000, 3);
        bins.jump(0, true);
        bins.cover(5000);
        bins.close(5000);
        let seen: Vec<_> = bins.window(5000).map(|(index, _)| index).collect();
        assert_eq!(seen, [2, 3, 4]);
    }

    #[test]
    fn room_is_made_by_what_is_furthest_from_the_new_interval() {
        let mut bins = Bins::<Count>::new(1000, 3);
        for index in [0, 1, 2, 3, 4, 5, 100, 2] {
            bins.bin(index);
        }
        let kept: Vec<_> = bins.bins.keys().copied().collect();
        assert_eq!(kept, [1, 2, 3, 4, 5, 100]);
        bins.bin(-1);
        assert!(bins.get(100).is_none() && bins.get(1).is_some());
    }

    #[test]
    fn an_interval_of_a_wrong_clock_goes_when_the_clock_is_set() {
        let mut bins = Bins::<Count>::new(10_000, 10);
        bins.bin(3).0.events = 1;
        bins.jump(25_000, false);
        assert!(bins.get(3).is_none());
    }

    #[test]
    fn the_interval_before_the_last_was_as_long_as_the_last_tick_was_early() {
        let mut bins = Bins::<Count>::new(10_000, 10);
        bins.jump(0, true);
        bins.cover(9_000);
        bins.bin(0).0.events = 100;
        bins.bin(1).0.events = 5;
        bins.end(Some(10_400));
        let bin = bins.get(0).unwrap();
        assert_eq!(bins.rate_hz(bin, bin.events), (10.0, 1.0));
        assert!(!bins.is_complete(bins.get(1).unwrap()));
    }
}
