//! Round-trip times of the cables to the DUs: each of its own length, drifting slowly, with noise and
//! with shifts on demand.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

use super::FakeDetectorManagerOptions;
use crate::chance::{Purpose, Tables, generator};

/// Period of the drift (s).
pub(super) const PERIOD_S: f64 = 6.0 * 3600.0;

/// All cables.
#[derive(Debug)]
pub(super) struct Cables {
    list: BTreeMap<u32, Cable>,
    drift_ps: f64,
    noise_ps: f64,
    rng: SmallRng,
}

#[derive(Debug)]
struct Cable {
    /// Mean round-trip time (ps).
    mean_ps: f64,
    /// Delays TX and RX of slave and master (ps).
    deltas_ps: [f64; 4],
    /// Where in its drift it is at time 0 [turns].
    phase: f64,
    shift_ps: f64,
}

/// What can be asked of a cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    RoundTrip,
    Delay(usize),
}

impl Cables {
    pub(super) fn new(dus: &[u32], options: &FakeDetectorManagerOptions) -> Self {
        let mut rng = generator(options.seed, Purpose::Cables);
        let tenths = |ps: f64| (ps * 10.0).round() / 10.0;
        let mut cable = || Cable {
            mean_ps: tenths(rng.random_range(5.0e8..5.9e8)),
            deltas_ps: std::array::from_fn(|_| tenths(rng.random_range(1.5e5..2.5e5))),
            phase: rng.random(),
            shift_ps: 0.0,
        };
        Self {
            list: dus.iter().map(|du| (*du, cable())).collect(),
            drift_ps: options.drift,
            noise_ps: options.noise,
            rng,
        }
    }

    /// Tells whether there is a DU.
    pub(super) fn has(&self, du: u32) -> bool {
        self.list.contains_key(&du)
    }

    /// Measures a quantity at a time since 1970 (ps).
    pub(super) fn measure(&mut self, du: u32, quantity: Quantity, at_s: f64) -> Option<f64> {
        let cable = self.list.get(&du)?;
        match quantity {
            Quantity::Delay(which) => cable.deltas_ps.get(which).copied(),
            Quantity::RoundTrip => {
                let turn = (at_s / PERIOD_S + cable.phase).fract();
                let drift_ps = self.drift_ps * (TAU * turn).sin();
                let noise_ps = self.noise_ps * Tables::new().normal(&mut self.rng);
                let ps = cable.mean_ps + drift_ps + noise_ps + cable.shift_ps;
                Some((ps * 10.0).round() / 10.0)
            }
        }
    }

    /// Makes a cable longer by so much than it was.
    pub(super) fn shift(&mut self, du: u64, ps: f64) -> Result<Value, String> {
        let dus: Vec<u32> = self.list.keys().copied().collect();
        let cable = u32::try_from(du).ok().and_then(|du| self.list.get_mut(&du));
        let cable = cable.ok_or_else(|| format!("no DU {du}, expected one of {dus:?}"))?;
        cable.shift_ps = ps;
        Ok(json!({ "du": du, "ps": ps }))
    }

    /// Ends all shifts; returns how many there were.
    pub(super) fn clear(&mut self) -> usize {
        let shifted = self.shifts().count();
        self.list
            .values_mut()
            .for_each(|cable| cable.shift_ps = 0.0);
        shifted
    }

    /// Iterates over the DUs that are shifted (ps).
    pub(super) fn shifts(&self) -> impl Iterator<Item = (u32, f64)> {
        let all = self.list.iter().map(|(du, cable)| (*du, cable.shift_ps));
        all.filter(|(_, ps)| *ps != 0.0)
    }
}
