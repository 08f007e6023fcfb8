//! The live web page and its data API.

use fathom_kernel::Kind;

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[];
