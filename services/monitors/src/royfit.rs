//! `royfit`: fits a straight muon to the hits of each DU.

mod fit;
mod model;
mod select;

pub use fit::{LineFit, first_guess, fit_line, q_sum};
pub use model::LineTrack;
pub use select::{Selection, seed_hits, select_hits};

/// Speed of light in vacuum (m/ns).
const LIGHT_M_PER_NS: f64 = 0.299_792_458;
/// Refractive index of deep sea water, as the line fit has it.
const REFRACTIVE_INDEX: f64 = 1.380_085_128_2;
