//! Count, mean and extremes of numbers, without keeping them.

use serde::{Deserialize, Serialize};

/// Running count, sum, smallest and largest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stat {
    /// How many numbers.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest; infinity when there is none.
    pub min: f64,
    /// The largest; minus infinity when there is none.
    pub max: f64,
}

impl Default for Stat {
    fn default() -> Self {
        Self::NONE
    }
}

impl Stat {
    /// No numbers yet.
    pub const NONE: Self = Self {
        count: 0,
        sum: 0.0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
    };

    /// Adds a number.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds all numbers that another one has seen.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Returns the mean, NaN without numbers.
    pub fn mean(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let count = self.count as f64;
        self.sum / count
    }

    /// Returns the smallest number, NaN without numbers.
    pub fn smallest(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.min }
    }

    /// Returns the largest number, NaN without numbers.
    pub fn largest(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_two_and_six_have_mean_three() {
        let mut all = Stat::default();
        assert!(all.mean().is_nan() && all.smallest().is_nan() && all.largest().is_nan());
        all.add(1.0);
        let mut rest = Stat::default();
        rest.add(6.0);
        rest.add(2.0);
        all.merge(&rest);
        assert_eq!(
            (all.count, all.mean(), all.min, all.max),
            (3, 3.0, 1.0, 6.0)
        );
        rest.merge(&all);
        assert_eq!((rest.count, rest.min, rest.max), (5, 1.0, 6.0));
    }
}
