//! The median of a stream of numbers, in 40 bytes.

use serde::{Deserialize, Serialize};

/// Estimates the median without keeping the numbers, by the P2 method: five markers that move with the
/// ranks they stand for (R. Jain and I. Chlamtac, Communications of the ACM 28, 1985, 1076).
///
/// Exact up to five numbers. For counts of a steady source it is off by a small part of their spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RunningMedian {
    /// Smallest, quarter, median, three quarters, largest; the first numbers in order until there are five.
    heights: [f32; MARKERS],
    /// Their ranks from 1; the last one is the number of numbers.
    ranks: [u32; MARKERS],
}

const MARKERS: usize = 5;

impl RunningMedian {
    /// Adds a number; one that is not finite is left out.
    pub fn add(&mut self, value: f32) {
        if !value.is_finite() || self.count() == u32::MAX {
            return;
        }
        match self.ranks[MARKERS - 1] as usize {
            seen @ 0..MARKERS => self.begin(seen, value),
            _ => self.go_on(value),
        }
    }

    /// Returns how many numbers were added.
    pub fn count(&self) -> u32 {
        self.ranks[MARKERS - 1]
    }

    /// Returns the median; `None` without any number.
    pub fn value(&self) -> Option<f64> {
        let at = |n: usize| f64::from(self.heights[n]);
        match self.count() as usize {
            0 => None,
            seen @ 1..MARKERS if seen % 2 == 0 => Some(at(seen / 2 - 1).midpoint(at(seen / 2))),
            seen @ 1..MARKERS => Some(at(seen / 2)),
            _ => Some(at(2)),
        }
    }

    /// Returns markers and ranks, to be kept.
    pub fn parts(&self) -> ([f32; MARKERS], [u32; MARKERS]) {
        (self.heights, self.ranks)
    }

    /// Takes back what [`RunningMedian::parts`] gave; `None` when it cannot be from there.
    pub fn from_parts(heights: [f32; MARKERS], ranks: [u32; MARKERS]) -> Option<Self> {
        let seen = ranks[MARKERS - 1] as usize;
        let known = heights.get(..seen).unwrap_or(&heights);
        let is_whole = seen < MARKERS || ranks[0] == 1 && ranks.is_sorted_by(|a, b| a < b);
        let is_sound = known.iter().all(|height| height.is_finite()) && known.is_sorted();
        (is_whole && is_sound).then_some(Self { heights, ranks })
    }

    fn begin(&mut self, seen: usize, value: f32) {
        let place = self.heights[..seen].partition_point(|height| *height <= value);
        self.heights[place..=seen].rotate_right(1);
        self.heights[place] = value;
        self.ranks[MARKERS - 1] += 1;
        if seen + 1 == MARKERS {
            self.ranks = [1, 2, 3, 4, 5];
        }
    }

    fn go_on(&mut self, value: f32) {
        let [low, .., high] = &mut self.heights;
        *low = low.min(value);
        *high = high.max(value);
        let below = self.heights[1..4].partition_point(|height| *height <= value);
        for rank in &mut self.ranks[below + 1..] {
            *rank += 1;
        }
        let last = self.count() - 1;
        for (marker, quarters) in [(1, 1), (2, 2), (3, 3)] {
            let wanted = 1.0 + f64::from(last) * f64::from(quarters) / 4.0;
            let off = wanted - f64::from(self.ranks[marker]);
            let [before, at, after] = [marker - 1, marker, marker + 1].map(|n| self.ranks[n]);
            if off >= 1.0 && after - at > 1 {
                self.shift(marker, 1.0);
                self.ranks[marker] += 1;
            } else if off <= -1.0 && at - before > 1 {
                self.shift(marker, -1.0);
                self.ranks[marker] -= 1;
            }
        }
    }

    /// Moves a marker by one rank: along a parabola through it and its neighbours, or along a line
    /// where that would leave the order.
    fn shift(&mut self, marker: usize, by: f64) {
        let height = |n: usize| f64::from(self.heights[n]);
        let rank = |n: usize| f64::from(self.ranks[n]);
        let (before, after) = (marker - 1, marker + 1);
        let up = (height(after) - height(marker)) / (rank(after) - rank(marker));
        let down = (height(marker) - height(before)) / (rank(marker) - rank(before));
        let curve = height(marker)
            + by / (rank(after) - rank(before))
                * ((rank(marker) - rank(before) + by) * up
                    + (rank(after) - rank(marker) - by) * down);
        let moved = match curve > height(before) && curve < height(after) {
            true => curve,
            false if by > 0.0 => height(marker) + up,
            false => height(marker) - down,
        };
        #[expect(clippy::cast_possible_truncation, reason = "between two of that type")]
        let moved = moved as f32;
        self.heights[marker] = moved;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_numbers_have_their_exact_median() {
        let mut median = RunningMedian::default();
        assert_eq!(median.value(), None);
        for (value, expected) in [(5.0, 5.0), (1.0, 3.0), (3.0, 3.0), (9.0, 4.0), (4.0, 4.0)] {
            median.add(value);
            assert_eq!(median.value(), Some(expected));
        }
        median.add(f32::NAN);
        assert_eq!(median.count(), 5);
    }

    #[test]
    fn the_markers_are_those_of_the_worked_example_of_the_authors() {
        let numbers = [
            0.02, 0.15, 0.74, 3.39, 0.83, 22.37, 10.15, 15.43, 38.62, 15.92, 34.60, 10.28, 1.47,
            0.40, 0.05, 11.39, 0.27, 0.42, 0.09, 11.37,
        ];
        let mut median = RunningMedian::default();
        numbers.into_iter().for_each(|number| median.add(number));
        let (heights, ranks) = median.parts();
        let rounded = heights.map(|height| (100.0 * height).round() / 100.0);
        assert_eq!(rounded, [0.02, 0.49, 4.44, 17.20, 38.62]);
        assert_eq!(ranks, [1, 6, 10, 16, 20]);
    }

    #[test]
    fn a_number_as_high_as_a_marker_is_not_below_it() {
        let mut median = RunningMedian::default();
        for number in [1.0, 2.0, 3.0, 4.0, 5.0, 3.0] {
            median.add(number);
        }
        assert_eq!(median.parts().1, [1, 2, 3, 5, 6]);
    }

    #[test]
    fn counts_with_noise_and_bursts_give_the_median_within_a_third_of_a_percent() {
        let mut median = RunningMedian::default();
        let mut all = Vec::new();
        let mut state = 88_172_645_463_325_252_u64;
        for n in 0..20_000_u32 {
            let mut sum = 0.0;
            for _ in 0..12 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                sum += (state >> 40) as f64 / (1_u64 << 24) as f64;
            }
            // 750 +- 27, and bursts in a tenth of the time.
            let burst = if n % 1000 < 100 { 2000.0 } else { 0.0 };
            let count = (750.0 + 27.0 * (sum - 6.0) + burst).round();
            all.push(count);
            #[expect(clippy::cast_possible_truncation, reason = "a small whole number")]
            median.add(count as f32);
        }
        let exact = crate::median(all).unwrap();
        let found = median.value().unwrap();
        assert!((found / exact - 1.0).abs() < 0.0033, "{found} {exact}");
    }

    #[test]
    fn markers_come_back_and_damaged_ones_do_not() {
        let mut median = RunningMedian::default();
        for n in 0..50_u8 {
            median.add(f32::from(n.wrapping_mul(37)));
        }
        let (heights, ranks) = median.parts();
        assert_eq!(RunningMedian::from_parts(heights, ranks), Some(median));
        let mut unsorted = heights;
        unsorted.reverse();
        assert_eq!(RunningMedian::from_parts(unsorted, ranks), None);
        assert_eq!(RunningMedian::from_parts(heights, [1, 1, 3, 4, 50]), None);
        assert_eq!(
            RunningMedian::from_parts([0.0; 5], [0; 5]),
            Some(RunningMedian::default())
        );
    }
}
