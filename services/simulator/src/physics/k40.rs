//! Potassium-40: how often two PMTs of a module see the same decay.

use fathom_formats::km3net::CHANNELS;
use rand::RngCore;
use rand::rngs::SmallRng;

use crate::chance::below;
use crate::layout::Dom;
use crate::layout::vector::dot;

use super::pmts::DomPmts;

/// Coefficients of the measured rate over the cosine of the angle between two PMTs.
const RATE_COEFFICIENTS: [f64; 4] = [-0.723_373_94, 2.591_963_35, -0.435_941_82, 1.105_149_14];

/// Rates that differ by less are those of the same angle, rounded in a file.
const SAME_RATE: f64 = 1e-3;
/// How often a pair is drawn until one counts.
const TRIES_MAX: usize = 100;

/// Returns the rate of genuine coincidences of two PMTs of efficiency 1 (Hz).
pub(crate) fn pair_rate_hz(cos_angle: f64) -> f64 {
    let [p1, p2, p3, p4] = RATE_COEFFICIENTS;
    (p1 + cos_angle * (p2 + cos_angle * (p3 + cos_angle * p4))).exp()
}

/// The pairs of PMTs of all modules with their rates, to draw from.
///
/// Modules whose PMTs look in the same directions, as all of one construction do, draw from the same pairs;
/// a drawn pair then counts as often as the efficiencies of its PMTs in the module say. What is
/// drawn from stays in the cache, which one list per module (12 MB for 4,140 of them) does not.
#[derive(Debug, Clone)]
pub(crate) struct Pairs {
    modules: Vec<ModuleRate>,
    geometries: Vec<Geometry>,
}

/// What one module makes of the pairs of its geometry.
#[derive(Debug, Clone, Copy)]
struct ModuleRate {
    /// Rate of all pairs (Hz).
    rate_hz: f64,
    geometry: u32,
    /// Turns the product of two efficiencies into the probability that a drawn pair counts.
    scale: f32,
}

/// PMTs that look in some directions.
#[derive(Debug, Clone)]
struct Geometry {
    pairs: Vec<(u8, u8)>,
    /// Of PMTs of efficiency 1 (Hz).
    rates_hz: Vec<f64>,
    slots: Box<[Slot]>,
}

/// Two pairs that share a slot; channels, the lower first. Each slot is as likely as any other, so that a pair
/// is drawn by looking at one (alias method).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Slot {
    /// Of 65,536 draws of this slot so many give its own pair.
    own_share: u16,
    own: (u8, u8),
    other: (u8, u8),
}

impl Pairs {
    /// Lists the pairs of all modules; rates scale with both efficiencies.
    pub(crate) fn of(doms: &[Dom], pmts: &[DomPmts]) -> Self {
        let mut pairs = Self {
            modules: Vec::with_capacity(doms.len()),
            geometries: Vec::new(),
        };
        for (dom, pmts) in doms.iter().zip(pmts) {
            let (list, rates_hz) = pairs_of(dom);
            let geometry = pairs.geometry(list, rates_hz);
            let module = pairs.geometries[geometry].with(&pmts.efficiency, geometry);
            pairs.modules.push(module);
        }
        pairs
    }

    /// Returns the rate of all pairs of a module together (Hz).
    pub(crate) fn rate_hz(&self, module: usize) -> f64 {
        self.modules[module].rate_hz
    }

    /// Draws a pair of a module with the efficiencies that it was listed with; `None` for one with
    /// fewer than two PMTs.
    pub(crate) fn draw(
        &self,
        module: usize,
        efficiency: &[f32; CHANNELS],
        rng: &mut SmallRng,
    ) -> Option<(u8, u8)> {
        let module = &self.modules[module];
        let slots = &*self.geometries[module.geometry as usize].slots;
        // At a usual spread of efficiencies some two thirds of the draws count.
        (0..TRIES_MAX).find_map(|_| {
            let bits = rng.next_u64();
            let slot = slots.get(below(bits, slots.len()))?;
            let [own, counts] = [bits & 0xffff, bits >> 16 & 0xffff];
            let pair = if own < u64::from(slot.own_share) {
                slot.own
            } else {
                slot.other
            };
            let both = efficiency[usize::from(pair.0)] * efficiency[usize::from(pair.1)];
            let limit = both * module.scale * 65_536.0;
            ((counts as f32) < limit).then_some(pair)
        })
    }

    /// Finds the geometry with the same rates, or adds it.
    fn geometry(&mut self, pairs: Vec<(u8, u8)>, rates_hz: Vec<f64>) -> usize {
        let same = |a: &f64, b: &f64| (a - b).abs() <= SAME_RATE * b;
        let found = self.geometries.iter().position(|known| {
            let mut rates = known.rates_hz.iter().zip(&rates_hz);
            known.pairs == pairs && rates.all(|(a, b)| same(a, b))
        });
        found.unwrap_or_else(|| {
            self.geometries.push(Geometry {
                slots: slots(&pairs, rates_hz.clone()),
                pairs,
                rates_hz,
            });
            self.geometries.len() - 1
        })
    }
}

impl Geometry {
    fn with(&self, efficiency: &[f32; CHANNELS], geometry: usize) -> ModuleRate {
        let both = |(i, j): (u8, u8)| efficiency[usize::from(i)] * efficiency[usize::from(j)];
        let rates = self.pairs.iter().zip(&self.rates_hz);
        let most = self
            .pairs
            .iter()
            .map(|pair| both(*pair))
            .fold(0.0, f32::max);
        ModuleRate {
            rate_hz: rates.map(|(pair, hz)| hz * f64::from(both(*pair))).sum(),
            geometry: u32::try_from(geometry).unwrap_or(u32::MAX),
            scale: if most > 0.0 { most.recip() } else { 0.0 },
        }
    }
}

/// Lists the pairs of a module with the rates of PMTs of efficiency 1 (Hz).
fn pairs_of(dom: &Dom) -> (Vec<(u8, u8)>, Vec<f64>) {
    let most = CHANNELS * (CHANNELS - 1) / 2;
    let (mut pairs, mut rates_hz) = (Vec::with_capacity(most), Vec::with_capacity(most));
    for (i, a) in dom.channels() {
        for (j, b) in dom.channels().filter(|(j, _)| *j > i) {
            rates_hz.push(pair_rate_hz(dot(a.direction, b.direction)));
            #[expect(clippy::cast_possible_truncation, reason = "channels are below 31")]
            pairs.push((i as u8, j as u8));
        }
    }
    (pairs, rates_hz)
}

/// Fills the slots: what a frequent pair has above the mean goes to the slots of rare ones.
fn slots(pairs: &[(u8, u8)], mut rates_hz: Vec<f64>) -> Box<[Slot]> {
    let mean_hz = rates_hz.iter().sum::<f64>() / rates_hz.len().max(1) as f64;
    let whole = |&pair: &(u8, u8)| Slot {
        own_share: u16::MAX,
        own: pair,
        other: pair,
    };
    let mut slots: Box<[Slot]> = pairs.iter().map(whole).collect();
    let (mut rare, mut frequent): (Vec<usize>, Vec<usize>) =
        (0..pairs.len()).partition(|&at| rates_hz[at] < mean_hz);
    while let (Some(&to), Some(&from)) = (rare.last(), frequent.last()) {
        rare.pop();
        slots[to].own_share = share(rates_hz[to] / mean_hz);
        slots[to].other = pairs[from];
        rates_hz[from] -= mean_hz - rates_hz[to];
        if rates_hz[from] < mean_hz {
            rare.extend(frequent.pop());
        }
    }
    slots
}

/// Returns a probability in parts of 65,536.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from float saturates"
)]
fn share(probability: f64) -> u16 {
    (probability * 65_536.0 + 0.5) as u16
}

#[cfg(test)]
mod tests {
    use fathom_formats::detx::{Detector, Layout as Arrangement};

    use super::*;
    use crate::chance::{Purpose, generator};
    use crate::layout::Layout;

    #[test]
    fn pairs_are_drawn_as_often_as_their_rates_and_efficiencies_say() {
        let layout = Layout::new(&Detector::generated(&Arrangement::orca(1)));
        let pmts = DomPmts::of(&layout, 5, 0.2, 1.0);
        let pairs = Pairs::of(&layout.doms, &pmts);
        assert_eq!(pairs.geometries.len(), 1);
        let (dom, pmts) = (&layout.doms[7], &pmts[7]);
        let mut rng = generator(5, Purpose::Slices);
        let draws = 2_000_000_u32;
        let mut counts = [[0_u32; CHANNELS]; CHANNELS];
        for _ in 0..draws {
            let (i, j) = pairs.draw(7, &pmts.efficiency, &mut rng).unwrap();
            counts[usize::from(i)][usize::from(j)] += 1;
        }
        let (mut chi2, mut sum_hz) = (0.0, 0.0);
        for (i, a) in dom.channels() {
            for (j, b) in dom.channels().filter(|(j, _)| *j > i) {
                let efficiency = f64::from(pmts.efficiency[i]) * f64::from(pmts.efficiency[j]);
                let rate_hz = pair_rate_hz(dot(a.direction, b.direction)) * efficiency;
                let expected = f64::from(draws) * rate_hz / pairs.rate_hz(7);
                chi2 += (f64::from(counts[i][j]) - expected).powi(2) / expected;
                sum_hz += rate_hz;
            }
        }
        assert!((sum_hz / pairs.rate_hz(7) - 1.0).abs() < 1e-3);
        // 464 degrees of freedom: 464 +- 30.5.
        assert!((340.0..590.0).contains(&chi2), "{chi2}");
    }

    #[test]
    fn a_module_without_some_pmts_has_pairs_of_its_own_and_one_with_a_single_pmt_none() {
        let layout = Layout::new(&Detector::generated(&Arrangement::orca(1)));
        let mut doms = layout.doms[..3].to_vec();
        doms[1].pmts[2..].fill(None);
        doms[2].pmts[1..].fill(None);
        let pmts = DomPmts::of(&layout, 5, 0.2, 1.0);
        let pairs = Pairs::of(&doms, &pmts);
        let mut rng = generator(5, Purpose::Slices);
        let mut draw = |module: usize| pairs.draw(module, &pmts[module].efficiency, &mut rng);
        assert!(draw(0).is_some());
        assert_eq!(draw(1), Some((0, 1)));
        assert_eq!(draw(2), None);
        assert_eq!(pairs.rate_hz(2), 0.0);
    }

    #[test]
    fn the_rate_falls_from_12_6_hz_to_8_mhz_with_the_angle() {
        // By hand: exp(-0.72337394 + 2.59196335 - 0.43594182 + 1.10514914) = exp(2.53779673).
        assert!((pair_rate_hz(1.0) - 12.6517).abs() < 1e-3);
        assert!((pair_rate_hz(0.0) - 0.485_11).abs() < 1e-4);
        assert!((pair_rate_hz(-1.0) - 0.007_77).abs() < 1e-4);
    }
}
