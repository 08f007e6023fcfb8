//! The supervisor: pure life cycles, and the actors that carry out what they say.

pub mod lifecycle;
pub mod phase;
pub mod policy;
