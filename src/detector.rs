//! The description of the detector: where it comes from, and that all services follow when it
//! changes.

mod describe;
mod follow;
mod page;

pub(crate) use describe::{describe, read_detx};
pub(crate) use follow::follow;
pub(crate) use page::{BYTES_MAX, Page};
