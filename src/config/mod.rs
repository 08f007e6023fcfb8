//! Configuration: text to a checked [`plan::Plan`], or all problems found.

pub mod plan;
mod policy;
mod ready;

pub use policy::{Backoff, Budget, OnFatal, Restart};
pub use ready::{Ready, ReadyError};
