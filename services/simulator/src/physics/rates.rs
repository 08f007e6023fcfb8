//! The rates of all PMTs, frame by frame: background that drifts slowly, bursts, counting noise.

use fathom_formats::km3net::{CHANNELS, RATE_MAX_HZ, rate_code};
use rand::rngs::SmallRng;

use crate::chance::{Purpose, Tables, generator};
use crate::fault::DomFault;
use crate::layout::Layout;
use crate::options::RateOptions;
use crate::timeline::{FRAME_S, FRAMES_PER_SECOND};

use super::bursts::Bursts;
use super::pmts::DomPmts;

/// Time in which the background of a module forgets where it was (s).
const DRIFT_TIME_S: f64 = 120.0;
/// A PMT that a fault puts into high-rate veto counts this many times the threshold.
const VETO_FAULT_FACTOR: f32 = 3.0;

/// What one module counted in one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DomCounts {
    /// Hits of each channel in 100 ms; in veto an extrapolation, as in real data.
    pub(crate) counts: [u32; CHANNELS],
    /// Channels in high-rate veto.
    pub(crate) hrv: u32,
    /// Channels whose FIFO is almost full.
    pub(crate) fifo: u32,
    /// Sum of all counts.
    pub(crate) total: u32,
}

impl Default for DomCounts {
    fn default() -> Self {
        Self {
            counts: [0; CHANNELS],
            hrv: 0,
            fifo: 0,
            total: 0,
        }
    }
}

impl DomCounts {
    /// Returns the counts of the channels that are not in veto.
    pub(crate) fn without_veto(&self) -> Self {
        let mut heard = *self;
        for (channel, count) in heard.counts.iter_mut().enumerate() {
            if self.hrv >> channel & 1 == 1 {
                heard.total = heard.total.saturating_sub(std::mem::take(count));
            }
        }
        heard
    }
}

/// The rates of the whole detector.
#[derive(Debug, Clone)]
pub(crate) struct Rates {
    /// Mean hits of each PMT in 100 ms, without bursts and drift.
    base: Vec<[f32; CHANNELS]>,
    /// Factor by which the background of a module differs from its mean now.
    drift: Vec<f32>,
    pub(crate) counts: Vec<DomCounts>,
    drift_spread: f32,
    hrv_count: f32,
    fifo_count: f32,
    frame: u64,
    rng: SmallRng,
    tables: Tables,
}

impl Rates {
    pub(crate) fn new(layout: &Layout, pmts: &[DomPmts], options: &RateOptions, seed: u64) -> Self {
        let (dark, k40) = (single(options.dark_khz), single(options.k40_khz));
        // 1 kHz is 100 hits in a frame.
        let count = |efficiency: f32| match efficiency {
            0.0 => 0.0,
            seen => 100.0 * (dark + k40 * seen),
        };
        Self {
            base: pmts.iter().map(|dom| dom.efficiency.map(count)).collect(),
            drift: vec![0.0; layout.doms.len()],
            counts: vec![DomCounts::default(); layout.doms.len()],
            drift_spread: single(options.drift),
            hrv_count: 100.0 * single(options.hrv_khz),
            fifo_count: 100.0 * single(options.fifo_khz),
            frame: 0,
            rng: generator(seed, Purpose::Rates),
            tables: Tables::new(),
        }
    }

    /// Counts the next frame.
    pub(crate) fn step(&mut self, bursts: &Bursts, faults: &[DomFault]) {
        if self.frame.is_multiple_of(FRAMES_PER_SECOND) {
            self.let_drift();
        }
        self.frame += 1;
        for (dom, fault) in (0..self.base.len()).zip(faults) {
            self.counts[dom] = if fault.dead {
                DomCounts::default()
            } else {
                self.count_dom(dom, bursts.extra_hz(dom), fault.veto)
            };
        }
    }

    /// Returns the mean hits of a PMT in a frame, without bursts and drift.
    #[cfg(test)]
    pub(crate) fn base_count(&self, dom: usize, channel: usize) -> f32 {
        self.base[dom][channel]
    }

    /// Moves the background of each module by one second of an Ornstein-Uhlenbeck process.
    fn let_drift(&mut self) {
        let keep = single((-1.0 / DRIFT_TIME_S).exp());
        let kick = self.drift_spread * (1.0 - keep * keep).sqrt();
        for drift in &mut self.drift {
            *drift = *drift * keep + kick * single(self.tables.normal(&mut self.rng));
        }
    }

    fn count_dom(&mut self, dom: usize, extra_hz: &[f32; CHANNELS], veto: u32) -> DomCounts {
        let factor = (1.0 + self.drift[dom]).max(0.0);
        let mut noise = [0.0_f32; CHANNELS + 4];
        for five in noise.chunks_exact_mut(5) {
            five.copy_from_slice(&self.tables.five_normal(&mut self.rng));
        }
        let mut counted = DomCounts::default();
        let base = &self.base[dom];
        for channel in 0..CHANNELS {
            let mut mean = base[channel] * factor + extra_hz[channel] * single(FRAME_S);
            if veto >> channel & 1 == 1 {
                mean = mean.max(self.hrv_count * VETO_FAULT_FACTOR);
            }
            // Above some hundred hits the Poisson distribution is a normal one.
            let count = whole(mean + mean.sqrt() * noise[channel]);
            counted.counts[channel] = count;
            counted.total += count;
            counted.hrv |= u32::from(mean > self.hrv_count) << channel;
            counted.fifo |= u32::from(mean > self.fifo_count) << channel;
        }
        counted
    }
}

/// Translates hits in a frame to the rate code of summary slices.
#[derive(Debug, Clone)]
pub(crate) struct Codes(Box<[u8]>);

impl Codes {
    /// Makes the table for all counts up to the highest rate that has a code.
    pub(crate) fn new() -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "200,000 counts"
        )]
        let most = (RATE_MAX_HZ * FRAME_S) as u32;
        Self(
            (0..=most)
                .map(|count| rate_code(f64::from(count) / FRAME_S))
                .collect(),
        )
    }

    /// Returns the code of a number of hits.
    pub(crate) fn of(&self, count: u32) -> u8 {
        self.0.get(count as usize).copied().unwrap_or(u8::MAX)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "single precision is enough"
)]
fn single(value: f64) -> f32 {
    value as f32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from float saturates"
)]
fn whole(value: f32) -> u32 {
    (value + 0.5) as u32
}

#[cfg(test)]
mod tests {
    use fathom_formats::detx::{Detector, Layout as Geometry};

    use super::*;
    use crate::options::BurstOptions;

    fn dark(options: &RateOptions) -> (Layout, Rates, Bursts) {
        let layout = Layout::new(&Detector::generated(&Geometry::orca(1)));
        let pmts = DomPmts::of(&layout, 3, options.spread, 1.0);
        let rates = Rates::new(&layout, &pmts, options, 3);
        let none = BurstOptions {
            per_dom_and_hour: 0.0,
            ..BurstOptions::default()
        };
        let bursts = Bursts::new(&layout, &none, 3);
        (layout, rates, bursts)
    }

    #[test]
    fn the_mean_rate_is_the_one_asked_for_within_five_sigma() {
        let options = RateOptions {
            drift: 0.0,
            ..RateOptions::default()
        };
        let (layout, mut rates, mut bursts) = dark(&options);
        let healthy = vec![DomFault::default(); layout.doms.len()];
        let frames = 200;
        let mut sums = vec![[0_u64; CHANNELS]; layout.doms.len()];
        for _ in 0..frames {
            bursts.step(&layout);
            rates.step(&bursts, &healthy);
            for (sum, counted) in sums.iter_mut().zip(&rates.counts) {
                let both = sum.iter_mut().zip(counted.counts);
                both.for_each(|(sum, count)| *sum += u64::from(count));
            }
        }
        let mut worst: f64 = 0.0;
        for (dom, sum) in sums.iter().enumerate() {
            for (channel, sum) in sum.iter().enumerate() {
                let expected = f64::from(rates.base_count(dom, channel)) * f64::from(frames);
                worst = worst.max((*sum as f64 - expected).abs() / expected.sqrt());
            }
        }
        assert!((2.0..5.0).contains(&worst), "{worst} sigma");
        // The mean over all PMTs: 7 kHz of K40 and 0.5 kHz dark, 10 % spread over 558 PMTs.
        let total: u64 = sums.iter().flatten().sum();
        let mean_hz = total as f64 / f64::from(frames) / FRAME_S / 558.0;
        assert!(
            (mean_hz - 7500.0).abs() < 5.0 * 700.0 / 558_f64.sqrt(),
            "{mean_hz}"
        );
    }

    #[test]
    fn a_vetoed_pmt_shows_its_bit_and_a_high_rate_and_a_dead_module_is_silent() {
        let (layout, mut rates, bursts) = dark(&RateOptions::default());
        let mut faults = vec![DomFault::default(); layout.doms.len()];
        faults[2].veto = 1 << 9;
        faults[4].dead = true;
        rates.step(&bursts, &faults);
        assert_eq!(rates.counts[2].hrv, 1 << 9);
        assert!((5500..6500).contains(&rates.counts[2].counts[9]));
        assert_eq!(rates.counts[3].hrv, 0);
        assert_eq!(rates.counts[4].total, 0);
    }

    #[test]
    fn codes_of_counts_are_those_of_their_rates() {
        let codes = Codes::new();
        for count in [0, 199, 201, 750, 6000, 199_999, 200_000, 4_000_000_000] {
            assert_eq!(codes.of(count), rate_code(f64::from(count) * 10.0));
        }
    }
}
