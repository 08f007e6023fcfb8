//! Connections that this side opens and keeps: to brokers elsewhere, with back-off.

mod backoff;
mod endpoint;
mod inward;
mod loops;
mod mirroring;
mod outward;
mod report;
mod words;

pub(crate) use endpoint::Endpoint;
pub(crate) use mirroring::{Mirroring, Plan};
pub(crate) use words::Words;
