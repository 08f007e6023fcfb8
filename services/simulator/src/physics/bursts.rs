//! Bioluminescence: animals flash near a module, and its neighbours see it too.

use fathom_formats::km3net::CHANNELS;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::chance::{Purpose, Tables, generator};
use crate::layout::vector::{Vector, direction, length, minus, unit};
use crate::layout::{Dom, Layout};
use crate::options::BurstOptions;
use crate::timeline::FRAME_S;

use super::light::acceptance;

/// Beyond this distance a burst is not followed (m).
const REACH_M: f64 = 80.0;
/// Length after which the light has fallen to 1/e, beside the geometrical loss (m).
const ATTENUATION_M: f64 = 30.0;
/// Distance at which the peak rate is meant (m).
const REFERENCE_M: f64 = 5.0;
/// Time in which a burst rises (s).
const RISE_S: f64 = 0.4;
/// Spread of the logarithm of the peak rates.
const PEAK_SPREAD: f64 = 0.9;
/// Most bursts at the same time; further ones are not started.
const ACTIVE_MAX: usize = 2000;

/// Rates above the background, for the modules that are lit now.
#[derive(Debug, Clone)]
pub(crate) struct Bursts {
    options: BurstOptions,
    active: Vec<Burst>,
    extra_hz: Vec<[f32; CHANNELS]>,
    lit: Vec<usize>,
    /// Where the modules are (m), close together, because each burst asks all of them.
    centres_m: Vec<Vector>,
    wait_s: f64,
    rng: SmallRng,
    tables: Tables,
}

#[derive(Debug, Clone)]
struct Burst {
    age_s: f64,
    decay_s: f64,
    /// Lit modules with the rates of their PMTs at the peak (Hz).
    seen: Vec<(usize, [f32; CHANNELS])>,
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tables")
    }
}

impl Bursts {
    pub(crate) fn new(layout: &Layout, options: &BurstOptions, seed: u64) -> Self {
        let mut bursts = Self {
            options: options.clone(),
            active: Vec::new(),
            extra_hz: vec![[0.0; CHANNELS]; layout.doms.len()],
            lit: Vec::new(),
            centres_m: layout.doms.iter().map(|dom| dom.position_m).collect(),
            wait_s: 0.0,
            rng: generator(seed, Purpose::Bursts),
            tables: Tables::new(),
        };
        bursts.wait_s = bursts.gap_s();
        bursts
    }

    /// Returns the rates above the background of a module (Hz).
    pub(crate) fn extra_hz(&self, dom: usize) -> &[f32; CHANNELS] {
        &self.extra_hz[dom]
    }

    /// Goes on by one frame.
    pub(crate) fn step(&mut self, layout: &Layout) {
        for dom in self.lit.drain(..) {
            self.extra_hz[dom] = [0.0; CHANNELS];
        }
        self.wait_s -= FRAME_S;
        while self.wait_s <= 0.0 {
            self.start(layout);
            self.wait_s += self.gap_s();
        }
        for burst in &mut self.active {
            burst.age_s += FRAME_S;
            let strength = burst.strength();
            for (dom, peak_hz) in &burst.seen {
                self.lit.push(*dom);
                let extra = self.extra_hz[*dom].iter_mut().zip(peak_hz);
                extra.for_each(|(sum, peak)| *sum += peak * strength);
            }
        }
        self.active
            .retain(|burst| burst.age_s < RISE_S + 8.0 * burst.decay_s);
    }

    /// Draws the time to the next burst (s).
    fn gap_s(&mut self) -> f64 {
        let per_s = self.options.per_dom_and_hour * self.extra_hz.len() as f64 / 3600.0;
        if per_s <= 0.0 {
            return f64::INFINITY;
        }
        self.tables.exponential(&mut self.rng) / per_s
    }

    fn start(&mut self, layout: &Layout) {
        if self.active.len() >= ACTIVE_MAX || layout.doms.is_empty() {
            return;
        }
        let near = &layout.doms[self.rng.random_range(0..layout.doms.len())];
        let away = direction(
            self.rng.random_range(-1.0..1.0),
            self.rng.random_range(0.0..std::f64::consts::TAU),
        );
        let distance_m = 1.0 + 4.0 * self.tables.exponential(&mut self.rng);
        let place_m = crate::layout::vector::along(near.position_m, distance_m, away);
        let peak_hz = self.options.peak_khz
            * 1000.0
            * (PEAK_SPREAD * self.tables.normal(&mut self.rng)).exp();
        let decay_s = self.options.decay.seconds() * (0.3 + self.tables.exponential(&mut self.rng));
        let modules = self.centres_m.iter().enumerate();
        let near = modules.filter(|(_, centre_m)| is_near(**centre_m, place_m));
        let seen = near.filter_map(|(at, _)| {
            let dom = &layout.doms[at];
            Some((at, seen_by(dom, place_m, peak_hz)?))
        });
        self.active.push(Burst {
            age_s: 0.0,
            decay_s,
            seen: seen.collect(),
        });
    }
}

impl Burst {
    /// Returns the share of the peak now: a quick rise, then an exponential fall.
    fn strength(&self) -> f32 {
        let share = if self.age_s < RISE_S {
            self.age_s / RISE_S
        } else {
            (-(self.age_s - RISE_S) / self.decay_s).exp()
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "single precision is enough"
        )]
        let share = share as f32;
        share
    }
}

fn is_near(centre_m: Vector, place_m: Vector) -> bool {
    length(minus(centre_m, place_m)) < REACH_M
}

/// Returns the rates that the PMTs of a near module see of a flash; `None` when the flash is at its centre.
fn seen_by(dom: &Dom, place_m: Vector, peak_hz: f64) -> Option<[f32; CHANNELS]> {
    let light = minus(dom.position_m, place_m);
    let distance_m = length(light);
    let direction = unit(light)?;
    let near = (REFERENCE_M / distance_m.max(1.0)).powi(2).min(4.0);
    let at_dom_hz = peak_hz * near * (-(distance_m - REFERENCE_M) / ATTENUATION_M).exp();
    let mut rates_hz = [0.0; CHANNELS];
    for (channel, pmt) in dom.channels() {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "single precision is enough"
        )]
        let rate_hz = (at_dom_hz * acceptance(pmt.direction, direction)) as f32;
        rates_hz[channel] = rate_hz;
    }
    Some(rates_hz)
}
