//! Detector simulator, recorder and replay.

use fathom_kernel::Kind;

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[];
