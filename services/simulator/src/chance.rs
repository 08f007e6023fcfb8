//! Random numbers: one seeded generator per purpose, and tables that make the frequent draws cheap.

use std::sync::LazyLock;

use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

const TABLE_BITS: u32 = 12;
const TABLE_LEN: usize = 1 << TABLE_BITS;
const TABLE_MASK: u64 = (1 << TABLE_BITS) - 1;

/// A generator of its own for each purpose, so that a fault or a stream switched off does not
/// change the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Constants of PMTs and modules.
    Detector = 1,
    /// Rates and their counting noise.
    Rates = 2,
    /// Bioluminescence.
    Bursts = 3,
    /// Events.
    Events = 4,
    /// Hits of time slices.
    Slices = 5,
    /// Text messages.
    Messages = 6,
    /// Damage to frames.
    Damage = 7,
    /// Slow values of monitoring packets.
    Weather = 8,
    /// Constants of compass boards.
    Compass = 9,
    /// Round-trip times of cables.
    Cables = 10,
    /// Hits of time slices of level 0.
    Level0 = 11,
    /// Hits of time slices of level 2.
    Level2 = 12,
    /// What the reconstruction makes of events.
    Reconstruction = 13,
    /// Sound.
    Acoustics = 14,
}

/// Makes the generator of a purpose; the same seed gives the same numbers.
pub(crate) fn generator(seed: u64, purpose: Purpose) -> SmallRng {
    SmallRng::seed_from_u64(seed.wrapping_mul(16).wrapping_add(purpose as u64))
}

/// Numbers of the standard normal distribution and of the exponential one with mean 1, by table.
///
/// The tables hold 4096 equally likely values, scaled to the right mean and variance. The tails end
/// at 3.7 standard deviations and at 8.3 means, which is enough for noise and gaps.
#[derive(Clone, Copy)]
pub(crate) struct Tables {
    normal: &'static [f32; TABLE_LEN],
    exponential: &'static [f32; TABLE_LEN],
}

static NORMAL: LazyLock<Box<[f32; TABLE_LEN]>> = LazyLock::new(normal_table);
static EXPONENTIAL: LazyLock<Box<[f32; TABLE_LEN]>> = LazyLock::new(exponential_table);

impl Tables {
    /// Returns the tables, which are made once.
    pub(crate) fn new() -> Self {
        Self {
            normal: &NORMAL,
            exponential: &EXPONENTIAL,
        }
    }

    /// Returns five normal numbers from one draw.
    pub(crate) fn five_normal(self, rng: &mut SmallRng) -> [f32; 5] {
        let bits = rng.next_u64();
        [0, 1, 2, 3, 4].map(|n: u32| self.normal[table_index(bits >> (n * TABLE_BITS))])
    }

    /// Returns a normal number.
    pub(crate) fn normal(self, rng: &mut SmallRng) -> f64 {
        f64::from(self.normal[table_index(rng.next_u64() >> 32)])
    }

    /// Returns an exponential number of mean 1.
    pub(crate) fn exponential(self, rng: &mut SmallRng) -> f64 {
        f64::from(self.exponential[table_index(rng.next_u64() >> 32)])
    }
}

/// Returns a Poisson number; exact below a mean of 30, by the normal distribution above.
pub(crate) fn poisson(mean: f64, tables: Tables, rng: &mut SmallRng) -> u32 {
    if mean > 30.0 {
        return round_u32(mean + mean.sqrt() * tables.normal(rng));
    }
    let floor = (-mean).exp();
    let mut product: f64 = rng.random();
    let mut number = 0;
    while product > floor {
        product *= rng.random::<f64>();
        number += 1;
    }
    number
}

/// Rounds to the nearest number from 0 to 2^32 - 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from float saturates"
)]
pub(crate) fn round_u32(value: f64) -> u32 {
    // Halves are rounded up; what lies below zero is cast to zero.
    (value + 0.5) as u32
}

/// Returns a number below `limit`, at most 2^32, from the upper 32 of random bits; 0 if there is none below.
pub(crate) fn below(bits: u64, limit: usize) -> usize {
    (((bits >> 32) * limit as u64) >> 32) as usize
}

fn table_index(bits: u64) -> usize {
    (bits & TABLE_MASK) as usize
}

/// Inverts the normal distribution by summing its density over a fine grid.
fn normal_table() -> Box<[f32; TABLE_LEN]> {
    const REACH: f64 = 6.0;
    const STEPS: u32 = 400_000;
    let step = 2.0 * REACH / f64::from(STEPS);
    let density = |x: f64| (-0.5 * x * x).exp();
    let total: f64 = (0..STEPS)
        .map(|n| density(-REACH + f64::from(n) * step))
        .sum();
    let mut quantiles = Vec::with_capacity(TABLE_LEN);
    let mut below = 0.0;
    for n in 0..STEPS {
        let x = -REACH + f64::from(n) * step;
        below += density(x) / total;
        while quantiles.len() < TABLE_LEN && below >= probability(quantiles.len()) {
            quantiles.push(x);
        }
    }
    quantiles.resize(TABLE_LEN, REACH);
    let mean = quantiles.iter().sum::<f64>() / TABLE_LEN as f64;
    let squares = quantiles.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
    let sigma = (squares / TABLE_LEN as f64).sqrt();
    table(|n| (quantiles[n] - mean) / sigma)
}

fn exponential_table() -> Box<[f32; TABLE_LEN]> {
    let quantile = |n: usize| -(1.0 - probability(n)).ln();
    let mean = (0..TABLE_LEN).map(quantile).sum::<f64>() / TABLE_LEN as f64;
    table(|n| quantile(n) / mean)
}

/// The middle of bin `n` of equally likely ones.
fn probability(n: usize) -> f64 {
    (n as f64 + 0.5) / TABLE_LEN as f64
}

fn table(value: impl Fn(usize) -> f64) -> Box<[f32; TABLE_LEN]> {
    let mut table = Box::new([0.0; TABLE_LEN]);
    for (n, entry) in table.iter_mut().enumerate() {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "single precision is enough"
        )]
        let value = value(n) as f32;
        *entry = value;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_and_variance(values: impl Iterator<Item = f64>) -> (f64, f64) {
        let values: Vec<f64> = values.collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        (mean, squares / values.len() as f64)
    }

    #[test]
    fn the_tables_have_the_right_moments_and_quantiles() {
        let tables = Tables::new();
        let (mean, variance) = mean_and_variance(tables.normal.iter().map(|&v| f64::from(v)));
        assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-6);
        // 97.725 % of a normal distribution lie below 2 sigma.
        let below = tables.normal.iter().filter(|&&v| v < 2.0).count() as f64;
        assert!((below / TABLE_LEN as f64 - 0.97725).abs() < 5e-4);
        let (mean, variance) = mean_and_variance(tables.exponential.iter().map(|&v| f64::from(v)));
        assert!((mean - 1.0).abs() < 1e-6 && (variance - 1.0).abs() < 0.01);
    }

    #[test]
    fn poisson_numbers_have_equal_mean_and_variance() {
        let mut rng = generator(7, Purpose::Rates);
        for expected in [0.3, 4.0, 29.0, 700.0] {
            let draws = (0..40_000).map(|_| poisson(expected, Tables::new(), &mut rng));
            let (mean, variance) = mean_and_variance(draws.map(f64::from));
            assert!((mean - expected).abs() < 5.0 * (expected / 40_000.0).sqrt());
            assert!((variance / expected - 1.0).abs() < 0.05, "{variance}");
        }
    }
}
