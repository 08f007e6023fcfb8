//! What is counted of the reconstructed events of one interval.

use serde::{Deserialize, Serialize};

use super::histograms::KINDS;
use crate::bins;

/// Fits of one interval: tracks, then showers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Interval {
    pub(super) events: u64,
    fits: [u64; KINDS],
    quality: [f64; KINDS],
    /// Sums of squares, for the error of the mean.
    squares: [f64; KINDS],
    observed_ms: i64,
}

impl Interval {
    pub(super) fn add(&mut self, kind: usize, quality: f64) {
        self.fits[kind] += 1;
        self.quality[kind] += quality;
        self.squares[kind] += quality * quality;
    }

    pub(super) fn fits(&self, kind: usize) -> u64 {
        self.fits[kind]
    }

    /// Returns the mean quality and its error, NaN where they cannot be told.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub(super) fn mean_quality(&self, kind: usize) -> (f64, f64) {
        let number = self.fits[kind] as f64;
        let mean = self.quality[kind] / number;
        let variance = (self.squares[kind] / number - mean * mean).max(0.0);
        let error = if self.fits[kind] > 1 {
            (variance / (number - 1.0)).sqrt()
        } else {
            f64::NAN
        };
        (mean, error)
    }
}

impl bins::Interval for Interval {
    fn observed_ms(&self) -> i64 {
        self.observed_ms
    }

    fn observe(&mut self, observed_ms: i64) {
        self.observed_ms = observed_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_two_and_four_is_three_with_an_error_of_one() {
        let mut interval = Interval::default();
        assert!(interval.mean_quality(0).0.is_nan());
        interval.add(0, 2.0);
        assert!(interval.mean_quality(0).1.is_nan());
        interval.add(0, 4.0);
        assert_eq!(interval.mean_quality(0), (3.0, 1.0));
    }
}
