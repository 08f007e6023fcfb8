//! ControlHost broker, mirror and source.

use fathom_kernel::Kind;

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[];
