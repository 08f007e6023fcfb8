//! Calibration of the PMTs of a module with coincidences of potassium-40 decays: counting, fits and
//! time offsets, as functions of numbers.

mod balance;
mod calibrate;
mod counting;
mod gauss;
mod module;
mod pairs;

pub use calibrate::calibrate;
pub use counting::{Counter, Excluded, Live, TMAX_MAX_NS, Table};
pub use gauss::{GaussFit, Histogram, Peak, Weighting};
pub use module::{Calibration, Inputs, Pair, PairState, PmtResult};
pub use pairs::{PAIRS, cos_angles, expected_rate_hz, pair_index, pair_list};
