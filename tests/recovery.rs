//! What the simulation puts in comes out of the monitors again, within stated errors.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "recovery/royfit.rs"]
mod royfit;
