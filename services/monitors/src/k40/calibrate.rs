//! The calibration of one module: all its pairs, then time offsets, widths and efficiencies of its PMTs.

use fathom_formats::km3net::CHANNELS;

use super::balance::{Balance, Balanced, Row};
use super::gauss::{GaussFit, Histogram, Peak, RATE_MAX_HZ, SIGMA_MAX_NS, Weighting};
use super::module::{Calibration, Inputs, Pair, PairState, PmtResult};
use super::pairs::{PAIRS, expected_rate_hz, pair_list};

/// Frames of 100 ms in a second.
const FRAMES_PER_SECOND: f64 = 10.0;
/// Pairs with a smaller angle set the scale of the expected rates (rad).
const SCALE_ANGLE_RAD: f64 = 1.5;
/// In weighted fits a pair is used when its expected peak stands out by so many standard deviations: a
/// choice by what is expected, not by what was found, so that it biases nothing.
const SIGNIFICANCE_MIN: f64 = 5.0;
/// Width of a usual peak (ns).
const USUAL_SIGMA_NS: f64 = 2.9;

/// Square of a range over the variance of what is anywhere in it.
const EVEN_RANGE2_PER_VARIANCE: f64 = 12.0;

/// Widths of PMTs: first guess and largest (ns).
const SIGMA_NS: [f64; 2] = [2.5, 5.0];
/// Efficiencies: first guess, smallest and largest.
const EFFICIENCY: [f64; 3] = [1.0, 0.1, 2.0];

/// Calibrates a module.
pub fn calibrate(inputs: &Inputs<'_>) -> Calibration {
    let mut work = Work::new(inputs);
    work.fit_pairs();
    work.set_scale();
    // A first look with usual PMTs tells the variances with which all is found.
    let usual_ns = USUAL_SIGMA_NS / std::f64::consts::SQRT_2;
    work.set_variances(&[1.0; CHANNELS], &[usual_ns; CHANNELS]);
    if inputs.weighting == Weighting::Poisson {
        let (sigma, efficiency) = (work.widths(), work.efficiencies());
        work.set_variances(&efficiency.or(1.0), &sigma.or(usual_ns));
    }
    let t0 = work.time_offsets();
    let sigma = work.widths();
    let efficiency = work.efficiencies();
    work.result(&t0, &sigma, &efficiency)
}

/// The pairs while they are worked on.
struct Work<'a> {
    inputs: &'a Inputs<'a>,
    states: [PairState; PAIRS],
    fits: Box<[GaussFit; PAIRS]>,
    means_ns: [f64; PAIRS],
    /// Expected rates, after scaling (Hz).
    expected_hz: [f64; PAIRS],
    /// Variances of mean (ns^2), width (ns^2) and rate (Hz^2) of each pair.
    variances: Box<[[f64; 3]; PAIRS]>,
    scale: f64,
}

/// Numbers of the PMTs that are determined, one bit each.
struct Found {
    determined: u32,
    balanced: Balanced,
    /// Degrees of freedom.
    free: usize,
}

impl<'a> Work<'a> {
    fn new(inputs: &'a Inputs<'a>) -> Self {
        Self {
            inputs,
            states: [PairState::Dropped; PAIRS],
            fits: Box::new([GaussFit::Failed; PAIRS]),
            means_ns: [f64::NAN; PAIRS],
            expected_hz: inputs.cos_angles.map(expected_rate_hz),
            variances: Box::new([[f64::NAN; 3]; PAIRS]),
            scale: 1.0,
        }
    }

    fn livetime_s(&self, pair: usize) -> f64 {
        f64::from(self.inputs.table.frames_of(pair)) / FRAMES_PER_SECOND
    }

    fn fit_pairs(&mut self) {
        for (pair, &(i, j)) in pair_list().iter().enumerate() {
            let (i, j) = (usize::from(i), usize::from(j));
            let counts = self.inputs.channels >> i & self.inputs.channels >> j & 1 == 1;
            // An unknown angle is not above any bound.
            if counts && self.inputs.cos_angles[pair] >= self.inputs.cos_min {
                self.fit_pair(pair, i, j);
            }
        }
    }

    fn fit_pair(&mut self, pair: usize, i: usize, j: usize) {
        let histogram = self.histogram(pair);
        let weighting = self.inputs.weighting;
        if weighting == Weighting::Poisson {
            let mut usual = self.peak(pair, 1.0, USUAL_SIGMA_NS);
            if histogram.background_hz.is_none() {
                // What is counted beyond the expected peak: without any background every peak stands out.
                let peak_hz = usual.rate_hz / histogram.counts.len() as f64;
                usual.offset_hz = (histogram.mean_hz() - peak_hz).max(0.0);
            }
            let [_, _, error_hz] = histogram.expected_errors(&usual);
            // Without time there is no error, and nothing is significant.
            let significance = usual.rate_hz / error_hz;
            if significance.is_nan() || significance < SIGNIFICANCE_MIN {
                self.states[pair] = PairState::Weak;
                return;
            }
        }
        let fit = histogram.fit(weighting);
        self.fits[pair] = fit;
        let fractions = self.inputs.fractions_ns;
        let mean_ns = fit.peak().map_or(f64::NAN, |peak| peak.mean_ns);
        self.means_ns[pair] = mean_ns + fractions[j] - fractions[i];
        self.states[pair] = match (fit, weighting) {
            _ if histogram.mean_hz() <= 0.0 => PairState::Failed,
            (GaussFit::Good(_), _) | (GaussFit::AtBound(_), Weighting::Equal) => PairState::Good,
            _ => PairState::Failed,
        };
    }

    fn histogram(&self, pair: usize) -> Histogram<'a> {
        let singles = &self.inputs.singles_hz;
        let (i, j) = pair_list()[pair];
        let random_hz = singles[usize::from(i)] * singles[usize::from(j)] * 1e-9;
        Histogram {
            counts: self.inputs.table.pair(pair),
            livetime_s: self.livetime_s(pair),
            background_hz: Some(random_hz).filter(|hz| hz.is_finite()),
            fits_offset: self.inputs.fits_offset,
        }
    }

    /// Returns what is expected of a pair with this product of efficiencies and this width.
    fn peak(&self, pair: usize, efficiencies: f64, sigma_ns: f64) -> Peak {
        let found = self.fits[pair].peak().copied().unwrap_or_default();
        Peak {
            sigma_ns,
            rate_hz: self.expected_hz[pair] * efficiencies,
            ..found
        }
    }

    /// Sets the variances. Those of weighted fits are what is expected with the efficiencies and widths
    /// found so far: the errors of the single fits go with their fluctuations, and fits that
    /// chance made narrow or low would count too much.
    fn set_variances(&mut self, efficiency: &[f64; CHANNELS], sigma_ns: &[f64; CHANNELS]) {
        for (pair, &(i, j)) in pair_list().iter().enumerate() {
            if !self.is_good(pair) {
                continue;
            }
            let (i, j) = (usize::from(i), usize::from(j));
            let width_ns = sigma_ns[i].hypot(sigma_ns[j]);
            let peak = self.peak(pair, efficiency[i] * efficiency[j], width_ns);
            let errors = match self.inputs.weighting {
                Weighting::Poisson => self.histogram(pair).expected_errors(&peak),
                Weighting::Equal => self.at_most(peak.errors),
            };
            // A pair without an error gets no weight.
            let variance = |error: f64| {
                if error.is_finite() {
                    error * error
                } else {
                    0.0
                }
            };
            self.variances[pair] = errors.map(variance);
        }
    }

    /// Returns the errors of a fit, which cannot be larger than those of a number that is anywhere within
    /// its bounds. Unweighted fits of pairs with hardly a peak say thousands of nanoseconds, which would
    /// be the error of all PMTs, and those that end at a bound may say nothing.
    fn at_most(&self, errors: [f64; 3]) -> [f64; 3] {
        let window_ns = self.inputs.table.pair(0).len() as f64;
        let ranges = [window_ns, SIGMA_MAX_NS, RATE_MAX_HZ];
        std::array::from_fn(|n| errors[n].min(ranges[n] / EVEN_RANGE2_PER_VARIANCE.sqrt()))
    }

    fn is_good(&self, pair: usize) -> bool {
        self.states[pair] == PairState::Good
    }

    fn set_scale(&mut self) {
        let cos_min = SCALE_ANGLE_RAD.cos();
        let near = |pair: &usize| self.is_good(*pair) && self.inputs.cos_angles[*pair] > cos_min;
        let (measured, expected) = (0..PAIRS).filter(near).fold((0.0, 0.0), |sums, pair| {
            (sums.0 + self.rate_hz(pair), sums.1 + self.expected_hz[pair])
        });
        if measured > 0.0 && expected > 0.0 {
            self.scale = measured / expected;
        }
        self.expected_hz = self.expected_hz.map(|hz| hz * self.scale);
    }

    fn rate_hz(&self, pair: usize) -> f64 {
        self.fits[pair].peak().map_or(f64::NAN, |peak| peak.rate_hz)
    }

    /// Returns the weights of squares for measurements of these variances.
    fn weights(&self, variances: &[f64; PAIRS]) -> [f64; PAIRS] {
        std::array::from_fn(|pair| match self.inputs.weighting {
            _ if !self.is_good(pair) => 0.0,
            Weighting::Poisson if variances[pair] > 0.0 => 1.0 / variances[pair],
            Weighting::Poisson => 0.0,
            Weighting::Equal => self.expected_hz[pair].powi(2),
        })
    }

    /// Returns the variances of one of mean, width and rate.
    fn variances(&self, of: usize) -> [f64; PAIRS] {
        self.variances.each_ref().map(|variances| variances[of])
    }

    /// Returns the PMTs that good pairs connect with the first one that has any.
    fn connected(&self) -> u32 {
        let good = pair_list().iter().enumerate();
        let good: Vec<u32> = good
            .filter(|(pair, _)| self.is_good(*pair))
            .map(|(_, (i, j))| 1 << i | 1 << j)
            .collect();
        let first = good.iter().min_by_key(|both| both.trailing_zeros());
        let mut connected = first.copied().unwrap_or(0);
        loop {
            let more = good
                .iter()
                .filter(|both| **both & connected != 0)
                .fold(connected, |all, both| all | both);
            if more == connected {
                return connected;
            }
            connected = more;
        }
    }

    /// Minimises the sum of squares of the means against differences of time offsets.
    fn time_offsets(&self) -> Found {
        let determined = self.connected();
        let variances = self.variances(0);
        // The first PMT stays at zero.
        let wanted = determined & determined.wrapping_sub(1);
        let tmax_ns = (self.inputs.table.pair(0).len() / 2) as f64;
        let weights = self.weights(&variances);
        let balance = Balance {
            weights: &weights,
            variances: &variances,
            wanted,
            start: 0.0,
            low: -tmax_ns,
            high: tmax_ns,
        };
        let balanced = balance.minimise(|pair, a, b| Row {
            residual: b - a - self.means_ns[pair],
            by_lower: -1.0,
            by_higher: 1.0,
        });
        let used = weights.iter().filter(|weight| **weight > 0.0).count();
        Found {
            determined,
            balanced,
            free: used.saturating_sub(wanted.count_ones() as usize),
        }
    }

    fn widths(&self) -> Found {
        let variances = self.variances(1);
        let widths = self
            .fits
            .each_ref()
            .map(|fit| fit.peak().map_or(0.0, |peak| peak.sigma_ns));
        let [start, high] = SIGMA_NS;
        self.per_pmt(&variances, [start, 0.0, high], |pair, a, b| {
            let both = (a * a + b * b).sqrt().max(f64::MIN_POSITIVE);
            Row {
                residual: both - widths[pair],
                by_lower: a / both,
                by_higher: b / both,
            }
        })
    }

    fn efficiencies(&self) -> Found {
        let variances = self.variances(2);
        let row = |pair: usize, a: f64, b: f64| {
            let (rate_hz, expected_hz) = (self.rate_hz(pair), self.expected_hz[pair]);
            match self.inputs.weighting {
                // The error is that of the measured rate.
                Weighting::Poisson => Row {
                    residual: expected_hz * a * b - rate_hz,
                    by_lower: expected_hz * b,
                    by_higher: expected_hz * a,
                },
                Weighting::Equal => Row {
                    residual: rate_hz / (a * b) - expected_hz,
                    by_lower: -rate_hz / (a * a * b),
                    by_higher: -rate_hz / (a * b * b),
                },
            }
        };
        self.per_pmt(&variances, EFFICIENCY, row)
    }

    fn per_pmt(
        &self,
        variances: &[f64; PAIRS],
        [start, low, high]: [f64; 3],
        row: impl Fn(usize, f64, f64) -> Row,
    ) -> Found {
        let determined = self.connected();
        let weights = self.weights(variances);
        let balance = Balance {
            weights: &weights,
            variances,
            wanted: determined,
            start,
            low,
            high,
        };
        Found {
            determined,
            balanced: balance.minimise(row),
            free: 0,
        }
    }

    fn result(self, t0: &Found, sigma: &Found, efficiency: &Found) -> Calibration {
        let mut pmts = [PmtResult::UNKNOWN; CHANNELS];
        let shifts = shifts(t0, &self.inputs.compared_ns);
        for (channel, pmt) in pmts.iter_mut().enumerate() {
            if t0.determined >> channel & 1 == 0 {
                continue;
            }
            *pmt = PmtResult {
                t0_ns: t0.balanced.values[channel],
                t0_error_ns: t0.error(channel),
                shift_ns: shifts[channel].0,
                shift_error_ns: shifts[channel].1,
                sigma_ns: sigma.balanced.values[channel],
                efficiency: efficiency.balanced.values[channel],
                efficiency_error: efficiency.error(channel),
            };
        }
        let chi2 = t0.balanced.squares / t0.free as f64;
        let mut result = Calibration {
            livetime_s: f64::from(self.inputs.table.frames()) / FRAMES_PER_SECOND,
            coincidences: self.inputs.table.coincidences(),
            scale: self.scale,
            pmts,
            pairs: Box::new(std::array::from_fn(|pair| self.pair(pair))),
            rms_ns: [f64::NAN; 2],
            rms_hz: [f64::NAN; 2],
            chi2_per_ndf: match self.inputs.weighting {
                Weighting::Poisson if t0.free > 0 => chi2,
                _ => f64::NAN,
            },
        };
        let rms = |value: &dyn Fn(usize) -> f64| root_mean_square(self.used(&result), value);
        let rms_ns = [rms(&|p| self.means_ns[p]), rms(&|p| result.corrected_ns(p))];
        let against = |hz: f64, pair: usize| hz - self.expected_hz[pair];
        let rms_hz = [
            rms(&|p| against(self.rate_hz(p), p)),
            rms(&|p| against(result.corrected_hz(p), p)),
        ];
        result.rms_ns = rms_ns;
        result.rms_hz = rms_hz;
        result
    }

    /// Returns the good pairs whose PMTs are both determined.
    fn used(&self, result: &Calibration) -> impl Iterator<Item = usize> {
        (0..PAIRS).filter(|p| self.is_good(*p) && result.corrected_ns(*p).is_finite())
    }

    fn pair(&self, pair: usize) -> Pair {
        let state = self.states[pair];
        let Some(peak) = self.fits[pair].peak() else {
            let unknown = f32::NAN;
            return Pair {
                state,
                mean_ns: unknown,
                mean_error_ns: unknown,
                sigma_ns: unknown,
                rate_hz: unknown,
            };
        };
        Pair {
            state,
            mean_ns: single(self.means_ns[pair]),
            mean_error_ns: single(peak.errors[0]),
            sigma_ns: single(peak.sigma_ns),
            rate_hz: single(peak.rate_hz),
        }
    }
}

impl Found {
    /// Returns the numbers, and another one where nothing is known.
    fn or(&self, usual: f64) -> [f64; CHANNELS] {
        std::array::from_fn(|channel| match self.determined >> channel & 1 {
            1 => self.balanced.values[channel],
            _ => usual,
        })
    }

    fn error(&self, channel: usize) -> f64 {
        let covariance = self.balanced.covariance.as_ref();
        covariance.map_or(f64::NAN, |matrix| matrix[(channel, channel)].sqrt())
    }
}

/// Returns the shift of each PMT against the median of all, with its error. The median, so that one PMT
/// far off does not shift all others; the error is that of the distance to the mean.
fn shifts(t0: &Found, compared_ns: &[f64; CHANNELS]) -> [(f64, f64); CHANNELS] {
    let is_known = |channel: &usize| t0.determined >> channel & 1 == 1;
    let differences: [f64; CHANNELS] =
        std::array::from_fn(|c| t0.balanced.values[c] + compared_ns[c]);
    let known = (0..CHANNELS).filter(is_known).map(|c| differences[c]);
    let middle = fathom_hist::median(known).unwrap_or(f64::NAN);
    let number = f64::from(t0.determined.count_ones());
    let covariance = t0.balanced.covariance.as_ref();
    let all = covariance.map_or(f64::NAN, |matrix| matrix.sum());
    std::array::from_fn(|c| {
        let variance = covariance.map_or(f64::NAN, |matrix| {
            matrix[(c, c)] - 2.0 * matrix.row(c).sum() / number + all / (number * number)
        });
        (differences[c] - middle, variance.max(0.0).sqrt())
    })
}

fn root_mean_square(of: impl Iterator<Item = usize>, value: impl Fn(usize) -> f64) -> f64 {
    let (number, squares) = of.fold((0_u32, 0.0), |(number, squares), at| {
        (number + 1, squares + value(at).powi(2))
    });
    (squares / f64::from(number)).sqrt()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "single precision is enough to show"
)]
fn single(value: f64) -> f32 {
    value as f32
}
