//! How often each service said `WATCHDOG=1`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// The heartbeats of all services. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Heartbeats(Arc<Mutex<HashMap<Arc<str>, Heartbeat>>>);

/// The heartbeats of one service, counted over all its incarnations.
#[derive(Debug, Clone, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeats {
    /// Returns those of one service.
    pub fn of(&self, service: &Arc<str>) -> Heartbeat {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(service.clone()).or_default().clone()
    }
}

impl Heartbeat {
    /// Counts one.
    pub fn beat(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Returns how many there were.
    pub fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
