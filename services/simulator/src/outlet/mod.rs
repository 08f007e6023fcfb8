//! Where messages go: to the bus, or to a ligier over TCP.

mod port;
mod queue;
mod target;
mod tcp;

pub use port::{Outlet, OutletParts};
pub use target::Target;
