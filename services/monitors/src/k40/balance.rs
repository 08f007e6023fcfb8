//! Least squares of what is measured of pairs over one number per PMT, within bounds.
//!
//! Each measurement depends on two PMTs only. So the normal equations are filled with four numbers per
//! pair and solved by Cholesky decomposition; a general method that factors all 465 rows of 31
//! derivatives would take some hundred times longer.

use fathom_formats::km3net::CHANNELS;
use nalgebra::{Const, SMatrix, SVector};

use super::pairs::{PAIRS, pair_list};

pub(super) type Matrix = SMatrix<f64, CHANNELS, CHANNELS>;
type Vector = SVector<f64, CHANNELS>;
type Cholesky = nalgebra::Cholesky<f64, Const<CHANNELS>>;

/// Most steps; below ten are usual.
const STEPS_MAX: usize = 200;
/// Relative change of the sum of squares that ends the search.
const PRECISION: f64 = 1e-13;
/// Damping after the first failure of an undamped step, its change from step to step, and where
/// nothing better is to be found.
const DAMPING_FIRST: f64 = 1e-3;
const DAMPING_FACTOR: f64 = 10.0;
const DAMPING_MAX: f64 = 1e9;

/// One measurement of a pair, as a model of its two PMTs gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Row {
    /// Model minus measurement.
    pub(super) residual: f64,
    /// Its derivative by the number of the lower channel.
    pub(super) by_lower: f64,
    /// Its derivative by the number of the higher channel.
    pub(super) by_higher: f64,
}

/// What is to be minimised.
pub(super) struct Balance<'a> {
    /// Weight of the square of each pair's residual; a pair of weight 0 is not looked at.
    pub(super) weights: &'a [f64; PAIRS],
    /// Variance of each pair's measurement, for the errors.
    pub(super) variances: &'a [f64; PAIRS],
    /// PMTs that are looked for, one bit each; the others stay where they start.
    pub(super) wanted: u32,
    pub(super) start: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// One number per PMT.
pub(super) struct Balanced {
    /// The numbers.
    pub(super) values: Vector,
    /// Their covariance; zero for what was not looked for or is at a bound, `None` when the pairs do
    /// not determine all of them.
    pub(super) covariance: Option<Box<Matrix>>,
    /// Sum of squares at the minimum.
    pub(super) squares: f64,
}

/// Sums over all pairs at one point.
struct Sums {
    curvature: Matrix,
    gradient: Vector,
}

impl Balance<'_> {
    /// Finds the numbers of the PMTs that fit all pairs best. For a linear model that is the solution of
    /// the normal equations, found by the first step.
    pub(super) fn minimise(&self, row: impl Fn(usize, f64, f64) -> Row) -> Balanced {
        let mut values = Vector::repeat(self.start);
        let mut squares = self.squares(&values, &row);
        let mut damping = 0.0;
        for _ in 0..STEPS_MAX {
            let sums = self.sums(&values, &row, |pair| self.weights[pair]);
            let free = self.free(&values, &sums.gradient);
            let Some(next) = self.step(&values, &sums, free, damping) else {
                damping = raised(damping);
                if damping > DAMPING_MAX {
                    break;
                }
                continue;
            };
            let squares_next = self.squares(&next, &row);
            if squares_next <= squares {
                let gained = squares - squares_next;
                (values, squares) = (next, squares_next);
                damping = if damping <= DAMPING_FIRST {
                    0.0
                } else {
                    damping / DAMPING_FACTOR
                };
                if gained <= PRECISION * squares {
                    break;
                }
            } else {
                damping = raised(damping);
                if damping > DAMPING_MAX {
                    break;
                }
            }
        }
        Balanced {
            covariance: self.covariance(&values, &row),
            values,
            squares,
        }
    }

    /// Iterates over the pairs that are looked at, with their channels.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let all = pair_list().iter().enumerate();
        let of_weight = all.filter(|(pair, _)| self.weights[*pair] > 0.0);
        of_weight.map(|(pair, (i, j))| (pair, usize::from(*i), usize::from(*j)))
    }

    fn squares(&self, at: &Vector, row: &impl Fn(usize, f64, f64) -> Row) -> f64 {
        let square = |(pair, i, j): (usize, usize, usize)| {
            self.weights[pair] * row(pair, at[i], at[j]).residual.powi(2)
        };
        self.pairs().map(square).sum()
    }

    fn sums(
        &self,
        at: &Vector,
        row: &impl Fn(usize, f64, f64) -> Row,
        weight: impl Fn(usize) -> f64,
    ) -> Sums {
        let mut sums = Sums {
            curvature: Matrix::zeros(),
            gradient: Vector::zeros(),
        };
        for (pair, i, j) in self.pairs() {
            let Row {
                residual,
                by_lower,
                by_higher,
            } = row(pair, at[i], at[j]);
            let weight = weight(pair);
            sums.curvature[(i, i)] += weight * by_lower * by_lower;
            sums.curvature[(j, j)] += weight * by_higher * by_higher;
            sums.curvature[(j, i)] += weight * by_lower * by_higher;
            sums.curvature[(i, j)] += weight * by_lower * by_higher;
            sums.gradient[i] += weight * by_lower * residual;
            sums.gradient[j] += weight * by_higher * residual;
        }
        sums
    }

    /// Returns the PMTs that may move: not those at a bound that the sum of squares pushes against.
    fn free(&self, at: &Vector, gradient: &Vector) -> u32 {
        let moves = |channel: &usize| {
            let (value, slope) = (at[*channel], gradient[*channel]);
            let is_held = value <= self.low && slope >= 0.0 || value >= self.high && slope <= 0.0;
            self.wanted >> channel & 1 == 1 && !is_held
        };
        (0..CHANNELS)
            .filter(moves)
            .fold(0, |bits, channel| bits | 1 << channel)
    }

    fn step(&self, at: &Vector, sums: &Sums, free: u32, damping: f64) -> Option<Vector> {
        let mut curvature = sums.curvature;
        let mut gradient = sums.gradient;
        for channel in 0..CHANNELS {
            curvature[(channel, channel)] *= 1.0 + damping;
            if free >> channel & 1 == 0 {
                gradient[channel] = 0.0;
            }
        }
        hold(&mut curvature, free);
        let step = Cholesky::new(curvature)?.solve(&gradient);
        let inside = |n: usize| match free >> n & 1 {
            1 => (at[n] - step[n]).clamp(self.low, self.high),
            _ => at[n],
        };
        Some(Vector::from_fn(|n, _| inside(n)))
    }

    /// Carries the variances of the pairs over to the PMTs.
    fn covariance(
        &self,
        at: &Vector,
        row: &impl Fn(usize, f64, f64) -> Row,
    ) -> Option<Box<Matrix>> {
        let Sums {
            mut curvature,
            gradient,
        } = self.sums(at, row, |pair| self.weights[pair]);
        let of_measured = |pair: usize| self.weights[pair].powi(2) * self.variances[pair];
        let mut spread = self.sums(at, row, of_measured).curvature;
        let free = self.free(at, &gradient);
        hold(&mut curvature, free);
        for channel in (0..CHANNELS).filter(|c| free >> c & 1 == 0) {
            spread.row_mut(channel).fill(0.0);
            spread.column_mut(channel).fill(0.0);
        }
        let inverse = Cholesky::new(curvature)?.inverse();
        let covariance = inverse * spread * inverse;
        let is_sound = covariance
            .diagonal()
            .iter()
            .all(|variance| variance.is_finite());
        is_sound.then(|| Box::new(covariance))
    }
}

fn raised(damping: f64) -> f64 {
    (damping * DAMPING_FACTOR).max(DAMPING_FIRST)
}

/// Takes those that do not move out of the equations.
fn hold(curvature: &mut Matrix, free: u32) {
    for channel in (0..CHANNELS).filter(|c| free >> c & 1 == 0) {
        curvature.row_mut(channel).fill(0.0);
        curvature.column_mut(channel).fill(0.0);
        curvature[(channel, channel)] = 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k40::pair_index;

    #[test]
    fn products_of_two_numbers_give_the_numbers_with_their_errors() {
        // Three PMTs with 2, 3 and 0.5: products 6, 1, 1.5.
        let mut weights = [0.0; PAIRS];
        let mut products = [0.0; PAIRS];
        for (i, j, product) in [(0, 1, 6.0), (0, 2, 1.0), (1, 2, 1.5)] {
            weights[pair_index(i, j)] = 1.0;
            products[pair_index(i, j)] = product;
        }
        let balance = Balance {
            weights: &weights,
            variances: &[0.01; PAIRS],
            wanted: 0b111,
            start: 1.0,
            low: 0.1,
            high: 10.0,
        };
        let found = balance.minimise(|pair, a, b| Row {
            residual: a * b - products[pair],
            by_lower: b,
            by_higher: a,
        });
        for (channel, expected) in [(0, 2.0), (1, 3.0), (2, 0.5)] {
            assert!(
                (found.values[channel] - expected).abs() < 1e-6,
                "{:?}",
                found.values
            );
        }
        assert!(found.squares < 1e-12);
        // By hand: c^2 = 1 * 1.5 / 6, so dc/c = sqrt((.1/1)^2 + (.1/1.5)^2 + (.1/6)^2) / 2 = 0.0606.
        let error = found.covariance.unwrap()[(2, 2)].sqrt();
        assert!((error - 0.5 * 0.0607).abs() < 1e-4, "{error}");
    }

    #[test]
    fn a_number_outside_stays_at_its_bound_and_the_others_make_the_best_of_it() {
        let mut weights = [0.0; PAIRS];
        let mut sums = [0.0; PAIRS];
        for (i, j, sum) in [(0, 1, 8.0), (0, 2, 1.0), (1, 2, 3.0)] {
            weights[pair_index(i, j)] = 1.0;
            sums[pair_index(i, j)] = sum;
        }
        // Without bounds: 3, 5 and -2.
        let balance = Balance {
            weights: &weights,
            variances: &[1.0; PAIRS],
            wanted: 0b111,
            start: 1.0,
            low: 0.0,
            high: 10.0,
        };
        let found = balance.minimise(|pair, a, b| Row {
            residual: a + b - sums[pair],
            by_lower: 1.0,
            by_higher: 1.0,
        });
        // By hand: with c = 0, 2a + b = 9 and a + 2b = 11.
        for (channel, expected) in [(0, 7.0 / 3.0), (1, 13.0 / 3.0), (2, 0.0)] {
            assert!(
                (found.values[channel] - expected).abs() < 1e-9,
                "{:?}",
                found.values
            );
        }
    }

    #[test]
    fn what_pairs_do_not_determine_has_no_errors() {
        let mut weights = [0.0; PAIRS];
        weights[pair_index(0, 1)] = 1.0;
        let balance = Balance {
            weights: &weights,
            variances: &[1.0; PAIRS],
            wanted: 0b11,
            start: 0.0,
            low: -10.0,
            high: 10.0,
        };
        let found = balance.minimise(|_, a, b| Row {
            residual: b - a - 1.0,
            by_lower: -1.0,
            by_higher: 1.0,
        });
        assert!(found.covariance.is_none());
    }
}
