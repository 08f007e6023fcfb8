//! Incidents: for each failure of a service one report with all that is known of it.
//!
//! A keeper opens a case and goes on; a thread of its own gathers the last lines, events and figures
//! and puts the report on the shelf, one JSON file each.

mod ask;
mod gather;
mod gauges;
mod report;
mod shelf;
mod text;

pub(crate) use ask::{list, show};
pub use gauges::{Gauges, Peaks};
pub use report::{Case, Dependency, HealthStep, Incident, Line, Summary};
pub use shelf::{Shelf, ShelfError, Sources};
pub use text::lines;
