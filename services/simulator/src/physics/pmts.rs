//! The constants of each PMT: efficiency, time offset, pulse widths.

use fathom_formats::km3net::CHANNELS;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::chance::{Purpose, Tables, generator, round_u32};
use crate::layout::{Dom, Layout};

/// Transit time spread of a single photoelectron [ns].
pub(crate) const TRANSIT_SPREAD_NS: f64 = 2.0;
/// How far the times of a PMT are off what the detector file says [ns].
const MISALIGNMENT_NS: f64 = 1.0;

/// The constants of the PMTs of one module.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DomPmts {
    /// Detection efficiency, 1 on average; 0 where there is no PMT.
    pub(crate) efficiency: [f32; CHANNELS],
    /// What is added to the true time to get the time in the data [ns].
    pub(crate) raw_offset_ns: [f64; CHANNELS],
}

impl DomPmts {
    /// Draws the constants of all PMTs of a detector.
    pub(crate) fn of(layout: &Layout, seed: u64, spread: f64) -> Vec<Self> {
        let mut rng = generator(seed, Purpose::Detector);
        let dom = |dom: &Dom| Self::draw(dom, spread, &mut rng);
        layout.doms.iter().map(dom).collect()
    }

    fn draw(dom: &Dom, spread: f64, rng: &mut SmallRng) -> Self {
        let tables = Tables::new();
        let mut drawn = Self {
            efficiency: [0.0; CHANNELS],
            raw_offset_ns: [0.0; CHANNELS],
        };
        for (channel, pmt) in dom.channels() {
            let efficiency = (1.0 + spread * tables.normal(rng)).clamp(0.3, 2.0);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "single precision is enough"
            )]
            let efficiency = efficiency as f32;
            drawn.efficiency[channel] = efficiency;
            drawn.raw_offset_ns[channel] = MISALIGNMENT_NS * tables.normal(rng) - pmt.t0_ns;
        }
        drawn
    }
}

/// Draws the time over threshold of a pulse [ns].
///
/// One photoelectron gives 26.4 ns on average with a tail of small pulses; more of them lengthen the
/// pulse with their logarithm.
pub(crate) fn time_over_threshold(photoelectrons: u32, tables: Tables, rng: &mut SmallRng) -> u8 {
    if photoelectrons <= 1 && rng.random_ratio(1, 8) {
        return rng.random_range(4..22);
    }
    let mean = 26.4 * (1.0 + 0.45 * f64::from(photoelectrons.max(1)).ln());
    let tot = round_u32(mean + 4.0 * tables.normal(rng));
    u8::try_from(tot.max(3)).unwrap_or(u8::MAX)
}
