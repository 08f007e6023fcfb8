//! Histogram in bins of equal width.
//!
//! Bins are those of numpy, whose numbers ours are compared with: bin `i` holds `edge[i] <= value <
//! edge[i + 1]`, and the last one its upper edge as well. A value belongs where the comparison with
//! these edges puts it, whatever the rounding of a division says.

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

    /// Adds `weight` at `value`; a bin includes its lower edge, the last one both. NaN counts as
    /// overflow.
    pub fn fill(&mut self, value: f64, weight: f64) {
        if value < self.low {
            self.underflow += weight;
            return;
        }
        let bin = self.bin(value);
        match self.counts.get_mut(bin) {
            Some(count) if value <= self.high => *count += weight,
            _ => self.overflow += weight,
        }
    }

    /// Returns the bin of a value that is not below the range.
    fn bin(&self, value: f64) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "not negative, and a float too large for usize saturates"
        )]
        let near =
            ((value - self.low) / (self.high - self.low) * self.counts.len() as f64) as usize;
        let near = near.min(self.counts.len() - 1);
        // Rounding leads one bin away at most.
        if value < self.edge(near) {
            near.saturating_sub(1)
        } else if near + 1 < self.counts.len() && value >= self.edge(near + 1) {
            near + 1
        } else {
            near
        }
    }

    /// Returns the lower edge of a bin; the upper edge of the last one is that of the range.
    fn edge(&self, bin: usize) -> f64 {
        if bin >= self.counts.len() {
            return self.high;
        }
        #[expect(clippy::cast_precision_loss, reason = "at most a million bins")]
        let (bins, bin) = (self.counts.len() as f64, bin as f64);
        self.low + bin * ((self.high - self.low) / bins)
    }

    /// Returns the content per bin.
    pub fn counts(&self) -> &[f64] {
        &self.counts
    }

    /// Returns the edges, one more than there are bins.
    pub fn edges(&self) -> Vec<f64> {
        (0..=self.counts.len()).map(|bin| self.edge(bin)).collect()
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

    /// A muon that goes straight down, whose cosine is exactly 1, was not in the histogram of the
    /// zenith angle.
    #[test]
    fn the_upper_edge_belongs_to_the_last_bin_and_other_edges_to_the_bin_above() {
        let mut h = H1::new(2, 0.0, 10.0).unwrap();
        for value in [
            0.0,
            4.9,
            5.0,
            10.0,
            -0.1,
            f64::NAN,
            10.0_f64.next_up(),
            f64::INFINITY,
        ] {
            h.fill(value, 1.0);
        }
        assert_eq!(h.counts(), [2.0, 2.0]);
        assert_eq!((h.underflow(), h.overflow()), (1.0, 3.0));
        assert_eq!(h.edges(), [0.0, 5.0, 10.0]);
        assert!(H1::new(0, 0.0, 1.0).is_err() && H1::new(1, 1.0, 1.0).is_err());
    }

    /// 0.7 / 0.1 is less than 7 in doubles.
    #[test]
    fn every_edge_is_in_the_bin_that_begins_there() {
        for bins in [3, 7, 10, 180, 1000] {
            let mut h = H1::new(bins, -0.3, 0.7).unwrap();
            let edges = h.edges();
            edges.iter().for_each(|&edge| h.fill(edge, 1.0));
            edges
                .iter()
                .skip(1)
                .for_each(|edge| h.fill(edge.next_down(), 1.0));
            let mut expected = vec![2.0; bins];
            expected[bins - 1] = 3.0;
            assert_eq!(h.counts(), expected, "{bins}");
        }
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
