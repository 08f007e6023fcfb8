//! Monitoring processes, one file each.

use fathom_kernel::Kind;

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[];
