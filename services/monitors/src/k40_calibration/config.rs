//! Options of `k40_calibration`.

use fathom_formats::km3net::SliceLevel;
use fathom_kernel::{Setup, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::ms_of;
use crate::k40::{TMAX_MAX_NS, Weighting};

/// Shortest cycle (ms).
const CYCLE_MIN_MS: i64 = 10_000;
/// Smallest window that holds a peak (ns).
const TMAX_MIN_NS: u32 = 5;
/// Most modules calibrated in one tick: with them it takes half a second.
const DOMS_PER_TICK_MAX: usize = 100;

/// Options of `k40_calibration`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whose slices are counted: `l1`, coincidences, or `l0`, all hits.
    pub stream: Stream,
    /// Data time between two calibrations of a module.
    pub cycle: Span,
    /// Largest time between the two hits of a coincidence. State: 42 bytes per pair of PMTs and 1 ns
    /// of it and module, 19.5 kB per module at 10 ns.
    #[schemars(range(min = 5, max = 20), extend("unit" = "ns"))]
    pub tmax: u32,
    /// Times that are counted: `calibrated`, with the time offsets of the detector file added, or `raw`.
    pub times: Times,
    /// How fits are weighted: `poisson`, by the errors of the counts, or `equal`, as the reference
    /// suite does.
    pub weighting: Weights,
    /// Where random coincidences are known from: `singles`, the median rates in `IO_MONIT`, second by
    /// second (a PMT without them has an offset fitted), `offset`, fitted, or `both`, fitted on top of
    /// the singles, for rates that vary.
    pub background: Background,
    /// Pairs of PMTs whose angle has a smaller cosine are dropped.
    #[schemars(range(min = -1.0, max = 1.0))]
    pub ct_min: f64,
    /// PMTs that are left out: of one module, or, without `dom_id`, of all.
    pub masked: Vec<Mask>,
    /// A PMT whose time is further than this from what the detector file says raises an alarm; 0 never
    /// does.
    #[schemars(extend("unit" = "ns"))]
    pub alarm_shift: f64,
    /// Detection units whose modules are drawn; the first one when none is given. Others are shown by
    /// the request `show`.
    pub shown: Vec<i32>,
    /// Modules calibrated per tick of 200 ms, about 5 ms of work each.
    #[schemars(range(min = 1, max = 100))]
    pub doms_per_tick: usize,
    /// Time between two checkpoints of more than 4 MiB; smaller ones are written every 30 s.
    pub checkpoint: Span,
}

/// Whose slices are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Coincidences, `IO_TSL1`.
    L1,
    /// All hits, `IO_TSL0`.
    L0,
}

/// Which times are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Times {
    /// With the time offsets of the detector file.
    Calibrated,
    /// As they are in the data.
    Raw,
}

/// How fits are weighted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Weights {
    /// By the errors of the counts.
    Poisson,
    /// All the same.
    Equal,
}

/// Where random coincidences are known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Background {
    /// Singles rates.
    Singles,
    /// Singles rates and a fitted constant on top.
    Both,
    /// A fitted constant.
    Offset,
}

/// PMTs that are left out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mask {
    /// The module; all when it is not given.
    pub dom_id: Option<u32>,
    /// Its channels, 0 to 30.
    pub channels: Vec<u8>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            stream: Stream::L1,
            cycle: Span::from_secs(3 * 3600),
            tmax: 10,
            times: Times::Calibrated,
            weighting: Weights::Poisson,
            background: Background::Both,
            ct_min: -1.0,
            masked: Vec::new(),
            alarm_shift: 1.0,
            shown: Vec::new(),
            doms_per_tick: 4,
            checkpoint: Span::from_secs(600),
        }
    }
}

impl Config {
    /// Says what is wrong with the numbers.
    pub(super) fn check(&self, setup: &Setup) -> Result<(), String> {
        if ms_of(self.cycle) < CYCLE_MIN_MS {
            return Err(format!("cycle is {}, expected at least 10s", self.cycle));
        }
        if !(TMAX_MIN_NS..=TMAX_MAX_NS).contains(&self.tmax) {
            return Err(format!(
                "tmax is {}, expected {TMAX_MIN_NS} to {TMAX_MAX_NS}",
                self.tmax
            ));
        }
        if !(-1.0..=1.0).contains(&self.ct_min) {
            return Err(format!("ct_min is {}, expected -1 to 1", self.ct_min));
        }
        if !(self.alarm_shift.is_finite() && self.alarm_shift >= 0.0) {
            return Err(format!(
                "alarm_shift is {}, expected 0 or more",
                self.alarm_shift
            ));
        }
        if !(1..=DOMS_PER_TICK_MAX).contains(&self.doms_per_tick) {
            return Err(format!(
                "doms_per_tick is {}, expected 1 to {DOMS_PER_TICK_MAX}",
                self.doms_per_tick
            ));
        }
        let channels = self.masked.iter().flat_map(|mask| &mask.channels);
        if let Some(channel) = channels.into_iter().find(|channel| **channel > 30) {
            return Err(format!("masked channel {channel}, expected 0 to 30"));
        }
        let dus = setup.detector.as_ref().map(|detector| detector.dus());
        let is_known =
            |du: &i32| dus.is_none_or(|dus| u32::try_from(*du).is_ok_and(|du| dus.contains(&du)));
        match self.shown.iter().find(|du| !is_known(du)) {
            Some(du) => Err(format!(
                "shown has DU {du}, which the detector does not have"
            )),
            None => Ok(()),
        }
    }

    /// Returns the masked channels of a module, one bit each.
    pub(super) fn masked(&self, dom_id: u32) -> u32 {
        let of_dom = |mask: &&Mask| mask.dom_id.is_none_or(|id| id == dom_id);
        let channels = self
            .masked
            .iter()
            .filter(of_dom)
            .flat_map(|mask| &mask.channels);
        channels.fold(0, |bits, channel| {
            bits | 1_u32.checked_shl((*channel).into()).unwrap_or(0)
        })
    }
}

impl Stream {
    /// Returns the level of its slices.
    pub(super) fn level(self) -> SliceLevel {
        match self {
            Self::L1 => SliceLevel::L1,
            Self::L0 => SliceLevel::L0,
        }
    }
}

impl From<Weights> for Weighting {
    fn from(weights: Weights) -> Self {
        match weights {
            Weights::Poisson => Self::Poisson,
            Weights::Equal => Self::Equal,
        }
    }
}
