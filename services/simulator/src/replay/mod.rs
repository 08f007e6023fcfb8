//! Plays recorded messages again, at the times at which they came.

mod feed;
mod play;
mod service;

pub use feed::{Feed, Timed};
pub use play::{Played, Player, Speed};
pub use service::{Replay, ReplayOptions};
