//! Log files: written and rotated here, read and followed by whoever asks.

mod file;
mod growth;
mod marks;
mod outlet;
mod past;
mod queue;
mod read;
#[cfg(test)]
mod recording;
mod shape;
mod shelf;
mod shift;
mod witness;

pub use file::{LogFile, Rotation};
pub use growth::{Grown, Growth, TRUNCATED};
pub use outlet::Outlet;
pub use past::{Past, Question};
pub use queue::Dropped;
pub use read::{ReadError, Tail, read, tail};
pub(crate) use shape::Shaper;
pub use shelf::{Logs, ServiceLogs};
