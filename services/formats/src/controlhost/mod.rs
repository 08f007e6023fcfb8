//! The ControlHost wire protocol: 16-byte prefix, tag, opaque body.

mod tag;

pub use tag::{TAG_BYTES, Tag, TagError, tags};
