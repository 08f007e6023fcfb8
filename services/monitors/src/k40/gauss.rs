//! Fits a peak of Gauss's shape to the time differences of one pair of PMTs.

use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt, TerminationReason};
use nalgebra::storage::Owned;
use nalgebra::{Const, Matrix4, OMatrix, SVector, Vector4};

use super::counting::TMAX_MAX_NS;

/// Bins of the usual and of the largest window; smaller ones are filled up with bins of no weight, so
/// that nothing is allocated.
const BINS_USUAL: usize = 21;
const BINS_MOST: usize = 2 * TMAX_MAX_NS as usize + 1;

/// Width at which a fit begins (ns).
const START_SIGMA_NS: f64 = 3.0;
/// One bin in so many, the lowest ones, tells the offset at which a fit begins when nothing is known of
/// it: a fixed one that is above the bins makes a dip beside the peak of what is a peak.
const LOWEST: usize = 3;
/// Largest width (ns), rate (Hz) and offset (Hz per bin).
pub(super) const SIGMA_MAX_NS: f64 = 10.0;
pub(super) const RATE_MAX_HZ: f64 = 10.0;
const OFFSET_MAX_HZ: f64 = 1.0;
/// Rates of weighted fits may go further: a real peak above the bound is no failure. Their widths may not
/// be less than chance makes of single bins.
const RATE_MAX_WEIGHTED_HZ: f64 = 100.0;
const SIGMA_MIN_WEIGHTED_NS: f64 = 1.0;

/// Relative precision of the sum of squares and of the parameters.
const PRECISION: f64 = 1e-10;
/// Evaluations per parameter after which a fit has failed.
const PATIENCE: usize = 30;
/// Rounds of a weighted fit: each takes its weights from the result of the one before. The fixed point
/// is the maximum of the Poisson likelihood; the third round moves the mean by less than a tenth of its
/// error.
const ROUNDS: usize = 3;
/// Fewest counts that a bin is taken to expect in its weight.
const EXPECTED_MIN: f64 = 0.3;

/// How the bins are weighted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weighting {
    /// By the Poisson errors of the expected counts.
    Poisson,
    /// All the same, as the reference suite does.
    Equal,
}

/// The time differences of one pair.
#[derive(Debug, Clone, Copy)]
pub struct Histogram<'a> {
    /// Counts from -tmax to tmax, bins of 1 ns.
    pub counts: &'a [u16],
    /// Time in which they were counted (s).
    pub livetime_s: f64,
    /// Random coincidences per bin (Hz); `None` when they are not known and fitted as an offset.
    pub background_hz: Option<f64>,
    /// Fits an offset on top of the known background as well, for rates that vary: of those, the mean
    /// of the products is more than the product of the medians. It hardly changes the mean of a peak.
    pub fits_offset: bool,
}

/// A peak.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Peak {
    /// Time of the higher channel minus that of the lower one (ns).
    pub mean_ns: f64,
    /// Width (ns).
    pub sigma_ns: f64,
    /// Rate below the peak (Hz).
    pub rate_hz: f64,
    /// Constant rate per bin (Hz) on top of the known background; 0 when it is not fitted.
    pub offset_hz: f64,
    /// Errors of mean (ns), width (ns) and rate (Hz).
    pub errors: [f64; 3],
}

/// What came of a fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GaussFit {
    /// A minimum inside all bounds.
    Good(Peak),
    /// A minimum with a parameter at its bound.
    AtBound(Peak),
    /// No minimum was found.
    Failed,
}

impl GaussFit {
    /// Returns the peak, wherever the minimum is.
    pub fn peak(&self) -> Option<&Peak> {
        match self {
            Self::Good(peak) | Self::AtBound(peak) => Some(peak),
            Self::Failed => None,
        }
    }
}

impl Histogram<'_> {
    /// Returns the mean of the counts per bin above the background (Hz).
    pub fn mean_hz(&self) -> f64 {
        let sum: f64 = self.counts.iter().map(|&count| f64::from(count)).sum();
        sum / self.livetime_s / self.counts.len() as f64 - self.background_hz.unwrap_or(0.0)
    }

    /// Returns the errors of mean (ns), width (ns) and rate (Hz) that a fit of an expected peak has by
    /// the Poisson errors of its counts, whatever was counted; NaN when they cannot be told.
    pub fn expected_errors(&self, peak: &Peak) -> [f64; 3] {
        if self.livetime_s <= 0.0 {
            return [f64::NAN; 3];
        }
        match self.counts.len() {
            0..=BINS_USUAL => Problem::<BINS_USUAL>::new(self, Weighting::Poisson).look(self, peak),
            _ => Problem::<BINS_MOST>::new(self, Weighting::Poisson).look(self, peak),
        }
    }

    /// Fits the peak; windows longer than the longest are cut.
    pub fn fit(&self, weighting: Weighting) -> GaussFit {
        if self.livetime_s <= 0.0 || self.counts.iter().all(|&count| count == 0) {
            return GaussFit::Failed;
        }
        match self.counts.len() {
            0..=BINS_USUAL => Problem::<BINS_USUAL>::new(self, weighting).fit(self, weighting),
            _ => Problem::<BINS_MOST>::new(self, weighting).fit(self, weighting),
        }
    }
}

/// Parameters: mean, width, rate, offset.
type Parameters = Vector4<f64>;

/// Least squares over at most `M` bins.
#[derive(Clone)]
struct Problem<const M: usize> {
    first_ns: f64,
    bins: usize,
    /// Rates above the background (Hz per bin).
    rates: SVector<f64, M>,
    /// Factors of the residuals.
    weights: SVector<f64, M>,
    at: Parameters,
    free: [bool; 4],
    low: Parameters,
    high: Parameters,
}

/// The method knows its sizes when it is compiled.
trait Minimise: Sized {
    fn minimise(self) -> (Self, TerminationReason);
}

impl Minimise for Problem<BINS_USUAL> {
    fn minimise(self) -> (Self, TerminationReason) {
        let (problem, report) = method().minimize(self);
        (problem, report.termination)
    }
}

impl Minimise for Problem<BINS_MOST> {
    fn minimise(self) -> (Self, TerminationReason) {
        let (problem, report) = method().minimize(self);
        (problem, report.termination)
    }
}

fn method() -> LevenbergMarquardt<f64> {
    LevenbergMarquardt::new()
        .with_ftol(PRECISION)
        .with_xtol(PRECISION)
        .with_patience(PATIENCE)
}

impl<const M: usize> Problem<M>
where
    Self: Minimise,
{
    fn new(of: &Histogram<'_>, weighting: Weighting) -> Self {
        let bins = of.counts.len().min(M);
        let background_hz = of.background_hz.unwrap_or(0.0);
        let (sigma_min_ns, rate_max_hz) = match weighting {
            Weighting::Equal => (0.0, RATE_MAX_HZ),
            Weighting::Poisson => (SIGMA_MIN_WEIGHTED_NS, RATE_MAX_WEIGHTED_HZ),
        };
        let mut rates = SVector::zeros();
        let mut weights = SVector::zeros();
        for (bin, &count) in of.counts.iter().take(bins).enumerate() {
            let count = f64::from(count);
            rates[bin] = count / of.livetime_s - background_hz;
            weights[bin] = match weighting {
                Weighting::Equal => 1.0,
                Weighting::Poisson => of.livetime_s / count.max(1.0).sqrt(),
            };
        }
        let tmax_ns = (bins.saturating_sub(1) / 2) as f64;
        let mut problem = Self {
            first_ns: -tmax_ns,
            bins,
            rates,
            weights,
            at: Parameters::zeros(),
            free: [
                true,
                true,
                true,
                of.fits_offset || of.background_hz.is_none(),
            ],
            low: Parameters::new(-tmax_ns, sigma_min_ns, 0.0, -background_hz),
            high: Parameters::new(tmax_ns + 1.0, SIGMA_MAX_NS, rate_max_hz, OFFSET_MAX_HZ),
        };
        problem.at = problem.start();
        problem
    }

    fn start(&self) -> Parameters {
        // Over three bins, so that one high count in a low peak is not taken for the peak.
        let at = |bin: usize| self.rates.get(bin).copied().unwrap_or(0.0);
        let around = |bin: usize| at(bin.wrapping_sub(1)) + at(bin) + at(bin + 1);
        let highest = (0..self.bins).max_by(|a, b| around(*a).total_cmp(&around(*b)));
        // Nothing is known of the background when it may not be negative.
        let is_unknown = self.free[3] && self.low[3] == 0.0;
        let offset_hz = if is_unknown { self.lowest_hz() } else { 0.0 };
        let sum_hz: f64 = self.rates.iter().take(self.bins).sum();
        Parameters::new(
            self.first_ns + highest.unwrap_or(0) as f64,
            START_SIGMA_NS,
            (sum_hz - offset_hz * self.bins as f64).max(0.01),
            offset_hz,
        )
    }

    /// Returns the mean rate of the lowest bins.
    fn lowest_hz(&self) -> f64 {
        let mut rates = self.rates;
        let rates = &mut rates.as_mut_slice()[..self.bins];
        rates.sort_unstable_by(f64::total_cmp);
        let lowest = &rates[..self.bins.div_ceil(LOWEST)];
        lowest.iter().sum::<f64>() / lowest.len() as f64
    }

    fn fit(mut self, of: &Histogram<'_>, weighting: Weighting) -> GaussFit {
        let free = self.free;
        if !self.bounded() {
            return GaussFit::Failed;
        }
        for _ in 1..ROUNDS {
            if weighting == Weighting::Equal {
                break;
            }
            self.weigh(of);
            self.free = free;
            if !self.bounded() {
                return GaussFit::Failed;
            }
        }
        // No background at all is a fair result.
        let is_inside = self.free[..3] == free[..3];
        let mean_ns = self.at[0];
        let peak = Peak {
            mean_ns,
            sigma_ns: self.at[1],
            rate_hz: self.at[2],
            offset_hz: self.at[3],
            errors: self.errors(weighting),
        };
        let is_sure = peak.errors.iter().all(|error| error.is_finite());
        match is_inside && is_sure {
            true => GaussFit::Good(peak),
            false => GaussFit::AtBound(peak),
        }
    }

    fn look(mut self, of: &Histogram<'_>, peak: &Peak) -> [f64; 3] {
        self.at = Parameters::new(peak.mean_ns, peak.sigma_ns, peak.rate_hz, peak.offset_hz);
        self.weigh(of);
        self.errors(Weighting::Poisson)
    }

    /// Minimises within the bounds: a parameter that would leave them is held at its bound, then
    /// the others are fitted again.
    fn bounded(&mut self) -> bool {
        for _ in 0..=self.free.len() {
            let (problem, ended) = self.clone().minimise();
            let found = problem.at;
            // Already as precise as numbers are.
            let is_exact = matches!(ended, TerminationReason::NoImprovementPossible(_));
            let is_minimum = ended.was_successful() || is_exact;
            if !is_minimum || found.iter().any(|p| !p.is_finite()) {
                return false;
            }
            self.at = found;
            // The sign of the width does not matter to the shape.
            let negative = self.at[1] < 0.0;
            if negative {
                self.at[1] = -self.at[1];
                self.at[2] = -self.at[2];
            }
            let outside = (0..4)
                .find(|&n| self.free[n] && !(self.low[n]..=self.high[n]).contains(&self.at[n]));
            let Some(outside) = outside else { return true };
            self.at[outside] = self.at[outside].clamp(self.low[outside], self.high[outside]);
            if outside == 1 && self.at[1] == 0.0 {
                return false;
            }
            self.free[outside] = false;
        }
        false
    }

    /// Takes the weights from the counts that are expected now.
    fn weigh(&mut self, of: &Histogram<'_>) {
        let background_hz = of.background_hz.unwrap_or(0.0);
        for bin in 0..self.bins {
            let expected_hz = background_hz + self.model(bin).0;
            let expected = (of.livetime_s * expected_hz).max(EXPECTED_MIN);
            self.weights[bin] = of.livetime_s / expected.sqrt();
        }
    }
}

impl<const M: usize> Problem<M> {
    /// Returns the rate in a bin, and its derivatives.
    fn model(&self, bin: usize) -> (f64, Parameters) {
        let [mean_ns, sigma_ns, rate_hz, offset_hz] = self.at.into();
        let from_mean = (self.first_ns + bin as f64 - mean_ns) / sigma_ns;
        let shape =
            (-0.5 * from_mean * from_mean).exp() / ((2.0 * std::f64::consts::PI).sqrt() * sigma_ns);
        let by_mean = rate_hz * shape * from_mean / sigma_ns;
        let by_sigma = rate_hz * shape * (from_mean * from_mean - 1.0) / sigma_ns;
        let slopes = Parameters::new(by_mean, by_sigma, shape, 1.0);
        (rate_hz * shape + offset_hz, slopes)
    }

    /// Returns the errors of mean, width and rate from the curvature at the minimum; without weights
    /// scaled by how far the bins scatter.
    fn errors(&self, weighting: Weighting) -> [f64; 3] {
        let mut curvature = Matrix4::<f64>::zeros();
        let mut squares = 0.0;
        for bin in 0..self.bins {
            let (rate_hz, slopes) = self.model(bin);
            let weight = self.weights[bin];
            curvature += slopes * slopes.transpose() * (weight * weight);
            squares += (weight * (rate_hz - self.rates[bin])).powi(2);
        }
        for n in (0..4).filter(|n| !self.free[*n]) {
            curvature.row_mut(n).fill(0.0);
            curvature.column_mut(n).fill(0.0);
            curvature[(n, n)] = 1.0;
        }
        let Some(covariance) = curvature.cholesky().map(|c| c.inverse()) else {
            return [f64::NAN; 3];
        };
        let free = self.free.iter().filter(|free| **free).count();
        let scale = match weighting {
            Weighting::Poisson => 1.0,
            Weighting::Equal => squares / self.bins.saturating_sub(free).max(1) as f64,
        };
        [0, 1, 2].map(|n| (scale * covariance[(n, n)]).sqrt())
    }
}

impl<const M: usize> LeastSquaresProblem<f64, Const<M>, Const<4>> for Problem<M> {
    type ResidualStorage = Owned<f64, Const<M>>;
    type JacobianStorage = Owned<f64, Const<M>, Const<4>>;
    type ParameterStorage = Owned<f64, Const<4>>;

    fn set_params(&mut self, parameters: &Parameters) {
        for n in (0..4).filter(|n| self.free[*n]) {
            self.at[n] = parameters[n];
        }
    }

    fn params(&self) -> Parameters {
        self.at
    }

    fn residuals(&self) -> Option<SVector<f64, M>> {
        let mut residuals = SVector::zeros();
        for bin in 0..self.bins {
            residuals[bin] = self.weights[bin] * (self.model(bin).0 - self.rates[bin]);
        }
        Some(residuals)
    }

    fn jacobian(&self) -> Option<OMatrix<f64, Const<M>, Const<4>>> {
        let mut jacobian = OMatrix::<f64, Const<M>, Const<4>>::zeros();
        for bin in 0..self.bins {
            let slopes = self.model(bin).1;
            for n in (0..4).filter(|n| self.free[*n]) {
                jacobian[(bin, n)] = self.weights[bin] * slopes[n];
            }
        }
        Some(jacobian)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts of a peak without noise.
    fn peak(mean_ns: f64, sigma_ns: f64, counts: f64, background: f64) -> Vec<u16> {
        let count = |bin: i32| {
            let from_mean = (f64::from(bin) - 10.0 - mean_ns) / sigma_ns;
            let shape = (-0.5 * from_mean * from_mean).exp() / (2.506_628_274_631 * sigma_ns);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "small"
            )]
            let count = (counts * shape + background).round() as u16;
            count
        };
        (0..21).map(count).collect()
    }

    #[test]
    fn a_peak_without_noise_comes_back() {
        let counts = peak(1.3, 2.7, 40_000.0, 300.0);
        for weighting in [Weighting::Equal, Weighting::Poisson] {
            for background_hz in [Some(0.03), None] {
                let livetime_s = 10_000.0;
                let histogram = Histogram {
                    counts: &counts,
                    livetime_s,
                    background_hz,
                    fits_offset: false,
                };
                let GaussFit::Good(found) = histogram.fit(weighting) else {
                    panic!("{weighting:?} {background_hz:?}")
                };
                assert!((found.mean_ns - 1.3).abs() < 1e-3, "{found:?}");
                assert!((found.sigma_ns - 2.7).abs() < 3e-3, "{found:?}");
                assert!((found.rate_hz - 4.0).abs() < 5e-3, "{found:?}");
                let offset_hz = 0.03 - background_hz.unwrap_or(0.0);
                assert!((found.offset_hz - offset_hz).abs() < 1e-3, "{found:?}");
            }
        }
    }

    #[test]
    fn the_error_of_the_mean_is_sigma_over_the_root_of_the_counts() {
        let counts = peak(0.2, 2.0, 10_000.0, 0.0);
        let histogram = Histogram {
            counts: &counts,
            livetime_s: 1e4,
            background_hz: Some(0.0),
            fits_offset: false,
        };
        let GaussFit::Good(found) = histogram.fit(Weighting::Poisson) else {
            panic!()
        };
        let [mean, sigma, rate] = found.errors;
        // By hand: 2 / 100, 2 / sqrt(20000), 1 Hz / 100; the bins widen them a little.
        assert!((mean / 0.02 - 1.0).abs() < 0.03, "{mean}");
        assert!((sigma / 0.014_142 - 1.0).abs() < 0.05, "{sigma}");
        assert!((rate / 0.01 - 1.0).abs() < 0.02, "{rate}");
    }

    #[test]
    fn no_counts_and_no_time_are_failures_and_a_flat_line_is_not_good() {
        let fit = |counts: &[u16], livetime_s, background_hz| {
            Histogram {
                counts,
                livetime_s,
                background_hz,
                fits_offset: false,
            }
            .fit(Weighting::Poisson)
        };
        assert_eq!(fit(&[0; 21], 10.0, Some(0.0)), GaussFit::Failed);
        assert_eq!(fit(&[5; 21], 0.0, Some(0.0)), GaussFit::Failed);
        assert_eq!(fit(&[], 10.0, Some(0.0)), GaussFit::Failed);
        let flat = fit(&[50; 21], 100.0, Some(0.5));
        assert!(!matches!(flat, GaussFit::Good(_)), "{flat:?}");
    }

    #[test]
    fn the_mean_of_the_counts_is_that_above_the_background() {
        let mean_hz = |background_hz| {
            let histogram = Histogram {
                counts: &[5; 21],
                livetime_s: 100.0,
                background_hz,
                fits_offset: false,
            };
            histogram.mean_hz()
        };
        assert_eq!(mean_hz(None), 0.05);
        assert!((mean_hz(Some(0.02)) - 0.03).abs() < 1e-12);
        assert!(mean_hz(Some(0.06)) < 0.0);
    }

    #[test]
    fn a_peak_narrower_than_chance_makes_single_bins_is_not_good() {
        let mut counts = [0; 21];
        counts[10] = 1000;
        let histogram = Histogram {
            counts: &counts,
            livetime_s: 100.0,
            background_hz: Some(0.0),
            fits_offset: false,
        };
        match histogram.fit(Weighting::Poisson) {
            GaussFit::AtBound(found) => assert_eq!(found.sigma_ns, SIGMA_MIN_WEIGHTED_NS),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn errors_without_weights_are_those_of_the_scatter_per_degree_of_freedom() {
        let mut counts = peak(0.0, 2.5, 40_000.0, 1000.0);
        // 0.02 Hz up and down from bin to bin, which no peak follows.
        for (bin, count) in counts.iter_mut().enumerate() {
            *count = if bin % 2 == 0 {
                *count + 200
            } else {
                *count - 200
            };
        }
        let histogram = Histogram {
            counts: &counts,
            livetime_s: 1e4,
            background_hz: Some(0.1),
            fits_offset: false,
        };
        let GaussFit::Good(found) = histogram.fit(Weighting::Equal) else {
            panic!()
        };
        // By hand: the slope of the mean has the sum of squares rate^2 / (4 sqrt(pi) sigma^3), and
        // of 21 bins 18 are free.
        let scatter_hz = 0.02 * (21.0_f64 / 18.0).sqrt();
        let curvature = 16.0 / (4.0 * std::f64::consts::PI.sqrt() * 2.5_f64.powi(3));
        let expected = scatter_hz / curvature.sqrt();
        let ratio = found.errors[0] / expected;
        assert!((ratio - 1.0).abs() < 0.02, "{ratio}");
    }

    #[test]
    fn a_background_that_is_less_than_what_is_known_is_taken_off() {
        let counts = peak(1.4, 3.0, 4000.0, 300.0);
        let histogram = Histogram {
            counts: &counts,
            livetime_s: 1000.0,
            background_hz: Some(0.33),
            fits_offset: true,
        };
        let GaussFit::Good(found) = histogram.fit(Weighting::Poisson) else {
            panic!()
        };
        assert!((found.rate_hz - 4.0).abs() < 0.02, "{found:?}");
        assert!((found.offset_hz + 0.03).abs() < 0.002, "{found:?}");
    }

    #[test]
    fn a_background_that_is_twice_what_is_known_is_fitted_on_top() {
        let counts = peak(-2.1, 3.0, 4000.0, 600.0);
        let histogram = Histogram {
            counts: &counts,
            livetime_s: 1000.0,
            background_hz: Some(0.3),
            fits_offset: true,
        };
        let GaussFit::Good(found) = histogram.fit(Weighting::Poisson) else {
            panic!()
        };
        assert!((found.mean_ns + 2.1).abs() < 0.01, "{found:?}");
        assert!((found.rate_hz - 4.0).abs() < 0.02, "{found:?}");
        assert!((found.offset_hz - 0.3).abs() < 0.002, "{found:?}");
    }
}
