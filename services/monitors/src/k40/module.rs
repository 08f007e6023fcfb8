//! What goes into the calibration of one module, and what comes out.

use fathom_formats::km3net::CHANNELS;

use super::counting::Table;
use super::gauss::Weighting;
use super::pairs::{PAIRS, pair_list};

/// What is known of a module when it is calibrated.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// The counts.
    pub table: &'a Table,
    /// Cosine of the angle of each pair.
    pub cos_angles: &'a [f64; PAIRS],
    /// Channels that count, one bit each.
    pub channels: u32,
    /// Singles rates (Hz); NaN where they are not known: then the background is fitted.
    pub singles_hz: [f64; CHANNELS],
    /// Fits an offset on top of the background as well.
    pub fits_offset: bool,
    /// Time offsets beyond the whole nanoseconds that the counting added (ns).
    pub fractions_ns: [f64; CHANNELS],
    /// What the time offsets are to be compared with (ns).
    pub compared_ns: [f64; CHANNELS],
    /// How fits are weighted.
    pub weighting: Weighting,
    /// Pairs with a smaller cosine are dropped.
    pub cos_min: f64,
}

/// What became of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PairState {
    /// Not looked at: a PMT does not count, or the angle is too large.
    #[default]
    Dropped,
    /// Not expected to stand out in the time counted.
    Weak,
    /// Its fit failed, or ended at a bound.
    Failed,
    /// Used.
    Good,
}

/// One pair.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pair {
    /// What became of it.
    pub state: PairState,
    /// Time of the higher channel minus that of the lower one (ns).
    pub mean_ns: f32,
    /// Error of the mean (ns).
    pub mean_error_ns: f32,
    /// Width (ns).
    pub sigma_ns: f32,
    /// Rate (Hz).
    pub rate_hz: f32,
}

/// What is found of one PMT; NaN where its pairs do not determine it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PmtResult {
    /// How much later than the first PMT its hits are (ns).
    pub t0_ns: f64,
    /// Error of `t0_ns`; zero for the first PMT.
    pub t0_error_ns: f64,
    /// How much later than the median PMT its hits are, against what it was compared with (ns).
    pub shift_ns: f64,
    /// Error of `shift_ns`.
    pub shift_error_ns: f64,
    /// Width of its times (ns).
    pub sigma_ns: f64,
    /// Efficiency, about 1 on average.
    pub efficiency: f64,
    /// Error of `efficiency`.
    pub efficiency_error: f64,
}

/// What is found of one module.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Time counted (s).
    pub livetime_s: f64,
    /// Pairs of hits counted.
    pub coincidences: u64,
    /// Measured over expected rate.
    pub scale: f64,
    /// The PMTs.
    pub pmts: [PmtResult; CHANNELS],
    /// The pairs, in the order of [`pair_list`].
    pub pairs: Box<[Pair; PAIRS]>,
    /// Root mean square of the means of used pairs, before and after correction (ns).
    pub rms_ns: [f64; 2],
    /// Root mean square of their rates minus the expected ones, before and after correction (Hz).
    pub rms_hz: [f64; 2],
    /// Sum of squares of the time offsets per degree of freedom; NaN for unweighted fits.
    pub chi2_per_ndf: f64,
}

impl PmtResult {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        t0_ns: f64::NAN,
        t0_error_ns: f64::NAN,
        shift_ns: f64::NAN,
        shift_error_ns: f64::NAN,
        sigma_ns: f64::NAN,
        efficiency: f64::NAN,
        efficiency_error: f64::NAN,
    };
}

impl Calibration {
    /// Returns the number of pairs in a state.
    pub fn count(&self, state: PairState) -> usize {
        self.pairs.iter().filter(|pair| pair.state == state).count()
    }

    /// Returns the mean of a pair after correction (ns).
    pub fn corrected_ns(&self, pair: usize) -> f64 {
        let (i, j) = pair_list()[pair];
        let t0 = |channel: u8| self.pmts[usize::from(channel)].t0_ns;
        t0(j) - t0(i) - f64::from(self.pairs[pair].mean_ns)
    }

    /// Returns the rate of a pair after correction (Hz).
    pub fn corrected_hz(&self, pair: usize) -> f64 {
        let (i, j) = pair_list()[pair];
        let efficiency = |channel: u8| self.pmts[usize::from(channel)].efficiency;
        f64::from(self.pairs[pair].rate_hz) / (efficiency(i) * efficiency(j))
    }
}
