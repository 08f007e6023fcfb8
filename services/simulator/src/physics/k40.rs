//! Potassium-40: how often two PMTs of a module see the same decay.

use fathom_formats::km3net::CHANNELS;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::layout::Dom;
use crate::layout::vector::dot;

use super::pmts::DomPmts;

/// Coefficients of the measured rate over the cosine of the angle between two PMTs.
const RATE_COEFFICIENTS: [f64; 4] = [-0.723_373_94, 2.591_963_35, -0.435_941_82, 1.105_149_14];

/// Returns the rate of genuine coincidences of two PMTs of efficiency 1 (Hz).
pub(crate) fn pair_rate_hz(cos_angle: f64) -> f64 {
    let [p1, p2, p3, p4] = RATE_COEFFICIENTS;
    (p1 + cos_angle * (p2 + cos_angle * (p3 + cos_angle * p4))).exp()
}

/// The pairs of PMTs of one module with their rates, to draw from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pairs {
    /// Channels of each pair, the lower first.
    pairs: Vec<(u8, u8)>,
    /// Sum of the rates up to and with each pair (Hz).
    sums_hz: Vec<f32>,
}

impl Pairs {
    /// Lists the pairs of a module; rates scale with both efficiencies.
    pub(crate) fn of(dom: &Dom, pmts: &DomPmts) -> Self {
        let most = CHANNELS * (CHANNELS - 1) / 2;
        let mut list = Self {
            pairs: Vec::with_capacity(most),
            sums_hz: Vec::with_capacity(most),
        };
        let mut sum_hz = 0.0;
        for (i, a) in dom.channels() {
            for (j, b) in dom.channels().filter(|(j, _)| *j > i) {
                let efficiency = f64::from(pmts.efficiency[i]) * f64::from(pmts.efficiency[j]);
                sum_hz += pair_rate_hz(dot(a.direction, b.direction)) * efficiency;
                #[expect(clippy::cast_possible_truncation, reason = "channels are below 31")]
                list.pairs.push((i as u8, j as u8));
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "single precision is enough"
                )]
                list.sums_hz.push(sum_hz as f32);
            }
        }
        list
    }

    /// Returns the rate of all pairs together (Hz).
    pub(crate) fn rate_hz(&self) -> f64 {
        self.sums_hz.last().copied().map_or(0.0, f64::from)
    }

    /// Draws a pair; `None` for a module with fewer than two PMTs.
    pub(crate) fn draw(&self, rng: &mut SmallRng) -> Option<(u8, u8)> {
        let at = rng.random::<f32>() * *self.sums_hz.last()?;
        let index = self.sums_hz.partition_point(|sum| *sum <= at);
        self.pairs.get(index.min(self.pairs.len() - 1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_falls_from_12_6_hz_to_8_mhz_with_the_angle() {
        // By hand: exp(-0.72337394 + 2.59196335 - 0.43594182 + 1.10514914) = exp(2.53779673).
        assert!((pair_rate_hz(1.0) - 12.6517).abs() < 1e-3);
        assert!((pair_rate_hz(0.0) - 0.485_11).abs() < 1e-4);
        assert!((pair_rate_hz(-1.0) - 0.007_77).abs() < 1e-4);
    }
}
