//! The detector as it is described now, for everybody who lives longer than a description.

use std::sync::Arc;

use fathom_formats::detx::Detector;
use tokio::sync::watch;

/// The newest description of the detector; clones share it. `None` until there is one: then what
/// [`crate::Setup`] says holds.
#[derive(Debug, Clone)]
pub struct DetectorFeed(Arc<watch::Sender<Option<Arc<Detector>>>>);

impl DetectorFeed {
    /// Makes a feed that begins with a description, or without one.
    pub fn new(detector: Option<Arc<Detector>>) -> Self {
        Self(Arc::new(watch::Sender::new(detector)))
    }

    /// Returns the newest description.
    pub fn now(&self) -> Option<Arc<Detector>> {
        self.0.borrow().clone()
    }

    /// Hears of newer ones.
    pub fn subscribe(&self) -> watch::Receiver<Option<Arc<Detector>>> {
        self.0.subscribe()
    }

    /// Puts a newer description in place. Returns `false`, and wakes nobody, when it says the same.
    pub fn publish(&self, detector: Arc<Detector>) -> bool {
        self.0.send_if_modified(|now| {
            let is_new = now.as_ref().is_none_or(|now| **now != *detector);
            if is_new {
                *now = Some(detector);
            }
            is_new
        })
    }
}

impl Default for DetectorFeed {
    fn default() -> Self {
        Self::new(None)
    }
}
