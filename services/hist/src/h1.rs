//! Histogram in bins of equal width.

use serde::{Deserialize, Serialize};

/// Counts in equal bins, with what fell outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct H1 {
    low: f64,
    high: f64,
    counts: Vec<f64>,
    underflow: f64,
    overflow: f64,
}

/// Why a histogram cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum H1Error {
    /// The range is empty or not finite.
    #[error("range {low} to {high}, expected finite numbers, the first one smaller")]
    Range {
        /// Lower edge asked for.
        low: f64,
        /// Upper edge asked for.
        high: f64,
    },
    /// No bins, or more than a million.
    #[error("{bins} bins, expected 1 to 1000000")]
    Bins {
        /// Number asked for.
        bins: usize,
    },
}

impl H1 {
    /// Makes an empty histogram of `bins` bins from `low` to `high`.
    pub fn new(bins: usize, low: f64, high: f64) -> Result<Self, H1Error> {
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err(H1Error::Range { low, high });
        }
        if !(1..=1_000_000).contains(&bins) {
            return Err(H1Error::Bins { bins });
        }
        Ok(Self {
            low,
            high,
            counts: vec![0.0; bins],
            underflow: 0.0,
            overflow: 0.0,
        })
    }

    /// Adds `weight` at `value`; a bin includes its lower edge. NaN counts as overflow.
    pub fn fill(&mut self, value: f64, weight: f64) {
        if value < self.low {
            self.underflow += weight;
            return;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "not negative, and a float too large for usize saturates"
        )]
        let bin = ((value - self.low) / (self.high - self.low) * self.counts.len() as f64) as usize;
        match self.counts.get_mut(bin) {
            Some(count) if value < self.high => *count += weight,
            _ => self.overflow += weight,
        }
    }

    /// Returns the content per bin.
    pub fn counts(&self) -> &[f64] {
        &self.counts
    }

    /// Returns the edges, one more than there are bins.
    pub fn edges(&self) -> Vec<f64> {
        #[expect(clippy::cast_precision_loss, reason = "at most a million bins")]
        let width = (self.high - self.low) / self.counts.len() as f64;
        #[expect(clippy::cast_precision_loss, reason = "at most a million bins")]
        let edge = |bin: usize| self.low + width * bin as f64;
        (0..self.counts.len())
            .map(edge)
            .chain([self.high])
            .collect()
    }

    /// Returns what fell below the range.
    pub fn underflow(&self) -> f64 {
        self.underflow
    }

    /// Returns what fell above the range.
    pub fn overflow(&self) -> f64 {
        self.overflow
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn edges_belong_to_the_bin_above() {
        let mut h = H1::new(2, 0.0, 10.0).unwrap();
        for value in [0.0, 4.9, 5.0, 10.0, -0.1, f64::NAN] {
            h.fill(value, 1.0);
        }
        assert_eq!(h.counts(), [2.0, 1.0]);
        assert_eq!((h.underflow(), h.overflow()), (1.0, 2.0));
        assert_eq!(h.edges(), [0.0, 5.0, 10.0]);
        assert!(H1::new(0, 0.0, 1.0).is_err() && H1::new(1, 1.0, 1.0).is_err());
    }

    proptest! {
        #[test]
        fn nothing_is_lost(values in prop::collection::vec(-2.0..3.0_f64, 0..200)) {
            let mut h = H1::new(7, 0.0, 1.0).unwrap();
            values.iter().for_each(|&v| h.fill(v, 1.0));
            let total = h.counts().iter().sum::<f64>() + h.underflow() + h.overflow();
            prop_assert_eq!(total, values.len() as f64);
        }
    }
}
