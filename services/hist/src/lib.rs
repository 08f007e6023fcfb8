//! Pure histograms, series and rolling windows: no runtime, no I/O, nothing of the detector.
//!
//! Called by the monitors. What is bounded here is bounded by construction: a ring never grows past
//! its capacity.
#![deny(missing_docs)]

mod code;
mod h1;
mod median;
mod ring;
mod running_median;
mod stat;

pub use code::LogCode;
pub use h1::{H1, H1Error};
pub use median::{median, quantile};
pub use ring::Ring;
pub use running_median::RunningMedian;
pub use stat::Stat;
