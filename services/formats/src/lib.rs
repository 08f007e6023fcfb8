//! Pure decoders and encoders for detector data: wire bytes to values and back.
//!
//! Knows no runtime and does no I/O; every decoder is a view over bytes that the caller owns.
//! Called by the kernel (tags, detector description), the ligier (framing), the monitors and the
//! simulator (payloads).

#![deny(missing_docs)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod controlhost;
pub mod detx;
pub mod km3net;
