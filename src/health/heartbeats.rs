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
    /// Puts those of a service under its new name; who beats already goes on with them.
    pub fn rename(&self, from: &str, to: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(heartbeat) = all.remove(from) {
            all.insert(to.into(), heartbeat);
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_beats_goes_on_beating_under_another_name() {
        let (all, old, new) = (Heartbeats::default(), Arc::from("a:x"), Arc::from("b:x"));
        let heartbeat = all.of(&old);
        heartbeat.beat();
        all.rename("a:x", "b:x");
        heartbeat.beat();
        assert_eq!((all.of(&new).count(), all.of(&old).count()), (2, 0));
    }
}
