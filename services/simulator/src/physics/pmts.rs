//! The constants of each PMT: efficiency, time offset, pulse widths.

use fathom_formats::km3net::CHANNELS;
use rand::rngs::SmallRng;

use crate::chance::{Purpose, Tables, generator, round_u32};
use crate::layout::{Dom, Layout};

/// Transit time spread of a single photoelectron (ns).
const TRANSIT_SPREAD_NS: f64 = 2.0;

/// The constants of the PMTs of one module.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DomPmts {
    /// Detection efficiency, 1 on average; 0 where there is no PMT.
    pub(crate) efficiency: [f32; CHANNELS],
    /// What is added to the true time to get the time in the data (ns).
    pub(crate) raw_offset_ns: [f64; CHANNELS],
}

impl DomPmts {
    /// Draws the constants of all PMTs of a detector: the spread of their efficiencies, and that of
    /// their times against the detector file (ns).
    pub(crate) fn of(layout: &Layout, seed: u64, spread: f64, misalignment_ns: f64) -> Vec<Self> {
        let mut rng = generator(seed, Purpose::Detector);
        let dom = |dom: &Dom| Self::draw(dom, [spread, misalignment_ns], &mut rng);
        layout.doms.iter().map(dom).collect()
    }

    fn draw(dom: &Dom, [spread, misalignment_ns]: [f64; 2], rng: &mut SmallRng) -> Self {
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
            drawn.raw_offset_ns[channel] = misalignment_ns * tables.normal(rng) - pmt.t0_ns;
        }
        drawn
    }
}

/// Mean length of the pulse of one photoelectron, usual and small (ns).
const SINGLE_NS: [f64; 2] = [26.4, 13.0];
/// Above this normal number one pulse in eight lies.
const SMALL_PULSE: f32 = 1.1503;

/// What chance adds to a pulse.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pulse {
    /// Transit time beyond the mean (ns).
    pub(crate) delay_ns: f64,
    /// Time over threshold (ns).
    pub(crate) tot_ns: u8,
}

impl Pulse {
    /// Draws a pulse, all of it from one random number: time slices need a million per second.
    ///
    /// One photoelectron is 26.4 ns long on average, with a tail of small pulses; more of them
    /// lengthen the pulse with their logarithm.
    pub(crate) fn draw(photoelectrons: u32, tables: Tables, rng: &mut SmallRng) -> Self {
        let [delay, length, small, ..] = tables.five_normal(rng);
        let length = f64::from(length);
        let mean_ns = if photoelectrons <= 1 {
            // By index, because a branch would go wrong as often as pulses are small.
            SINGLE_NS[usize::from(small > SMALL_PULSE)]
        } else {
            SINGLE_NS[0] * (1.0 + 0.45 * f64::from(photoelectrons).ln())
        };
        let tot_ns = mean_ns + 4.0 * length;
        Self {
            delay_ns: TRANSIT_SPREAD_NS * f64::from(delay),
            tot_ns: u8::try_from(round_u32(tot_ns).max(3)).unwrap_or(u8::MAX),
        }
    }
}
