//! Files of messages: recordings, and raw dumps of one tag.

mod dump;
mod file;

pub use dump::guess_tag;
pub use file::{FileMessage, FileProblem, InputFile, OpenError};
