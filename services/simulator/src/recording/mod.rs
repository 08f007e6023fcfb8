//! Recordings: messages of a broker with the times at which they came.
//!
//! ```text
//! file    "FATHOMRC" | version u32 | 0 u32 | records ... | index | footer
//! record  "REC1" | crc u32 | time i64 | tag 8 bytes | length u32 | body        28 + length bytes
//! index   "IDX1" | crc u32 | count u32 | count entries (time i64, offset u64, number u64)
//! footer  index offset u64 | "FATHOMIX"                                        all little-endian
//! ```
//! The time counts nanoseconds since 1970; the CRC covers everything behind it up to the end of the
//! record or index. A file without its index, as a crash leaves it, is read all the same.

mod format;
mod reader;
mod writer;

pub use format::Record;
pub use reader::{Recording, RecordingError};
pub use writer::RecordingWriter;
