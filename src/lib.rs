//! fathom.
