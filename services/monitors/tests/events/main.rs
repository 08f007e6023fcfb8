//! Monitors of events, slices, reconstruction and acoustics, by hand and by the numbers of the
//! reference suite.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "helpers of tests"
)]

#[path = "../common/mod.rs"]
mod common;

mod acoustics;
mod online_reco;
mod timeslice_rates;
mod triggermap;
