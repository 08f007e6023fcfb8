//! Log services: the message dumper.

use fathom_kernel::Kind;

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[];
