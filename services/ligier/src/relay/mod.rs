//! What broker, mirror and source share: streams in, frames routed by tag, bounded queues, streams out.

mod batch;
mod budget;
mod client;
mod flight;
mod gate;
mod hub;
mod inlet;
mod lost;
mod outbox;
mod outlet;
mod pool;
mod routes;
mod slab;
mod socket;
mod tally;
mod wire;

pub(crate) use budget::{Budget, WhenFull};
pub(crate) use client::{Client, Closing};
pub(crate) use flight::Flight;
pub(crate) use hub::{BusDoor, Hub, HubParts};
pub(crate) use inlet::{Arrival, Inlet};
pub(crate) use outbox::{Credit, Limits};
pub(crate) use outlet::write_frames;
pub(crate) use socket::prepare;
pub(crate) use tally::{Flow, TagRow};
pub(crate) use wire::WireBuffer;
