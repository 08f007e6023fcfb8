//! What passes between a body and its keeper.

use fathom_kernel::Exit;
use tokio::sync::mpsc;

use super::autopsy::Autopsy;

/// How urgently a body shall end. It only ever grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Not at all.
    #[default]
    None,
    /// By its own means.
    Terminate,
    /// At once, by force.
    Kill,
}

/// What a body tells of its incarnation.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// It exists; pid 0 for a task.
    Spawned(u32),
    /// It is ready.
    Ready,
    /// The process has ended, others of its group remain.
    LeaderExited(Exit),
    /// Nothing of it exists any more, and its output is written.
    Ended(Exit, Autopsy),
}

/// Tells the keeper news of one incarnation.
#[derive(Debug, Clone)]
pub struct Reporter {
    incarnation: u64,
    to: mpsc::Sender<(u64, News)>,
}

impl Reporter {
    /// News that may wait for a keeper; a body with more to tell waits.
    pub const WAITING_MAX: usize = 16;

    /// Makes the reporter of an incarnation.
    pub fn new(incarnation: u64, to: mpsc::Sender<(u64, News)>) -> Self {
        Self { incarnation, to }
    }

    /// Tells news; without a keeper, when the stack ends, nobody needs them.
    pub async fn tell(&self, news: News) {
        if self.to.send((self.incarnation, news)).await.is_err() {
            tracing::debug!("nobody keeps this service any more");
        }
    }
}
