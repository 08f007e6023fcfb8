//! Detector descriptions: DETX files of versions 1 to 5, and generated geometries.
//!
//! [`Detector`] is the same whatever version it was read from.

mod by_id;
mod detector;
mod digest;
mod error;
mod layout;
mod lines;
mod optics;
mod parse;
mod position;
mod table;
mod write;

pub use detector::{Detector, Module, Place, Pmt, Utm, Validity, status_bits};
pub use error::{DetxError, DetxWarning};
pub use layout::Layout;
pub use optics::{DOM_RADIUS_M, pmt_directions};
pub use parse::ParsedDetx;
pub use table::TableError;
pub use write::DetxVersion;
