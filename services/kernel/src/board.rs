//! The board: the latest value of every output, behind a version that grows with each change.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;

use crate::{Bus, Event, Output, OutputChange};

/// Most outputs the board keeps; further names are refused.
pub(crate) const OUTPUTS_MAX: usize = 20_000;

/// The latest outputs of all services. Clones are handles to the same board.
#[derive(Clone, Default)]
pub struct Board {
    wall: Arc<RwLock<Wall>>,
    bus: Bus,
}

#[derive(Default)]
struct Wall {
    entries: BTreeMap<String, Entry>,
    version: u64,
}

/// One output with its place in time.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Service that made it (full name).
    pub service: Arc<str>,
    /// Grows by one with every change on the board.
    pub version: u64,
    /// When it was put here.
    pub updated: Timestamp,
    /// The value.
    pub output: Arc<Output>,
}

impl Board {
    /// Makes an empty board that announces changes on a bus.
    pub fn new(bus: Bus) -> Self {
        Self {
            wall: Arc::default(),
            bus,
        }
    }

    /// Puts up an output, replacing the one of the same name, and announces it on the bus.
    /// Returns `false` when the name is not valid or the board is full.
    pub fn put(&self, service: &Arc<str>, output: Output, now: Timestamp) -> bool {
        let Some(entry) = self.hang(service, Arc::new(output), now) else {
            return false;
        };
        self.bus.publish(Event::Output(OutputChange {
            service: entry.service,
            version: entry.version,
            updated: entry.updated,
            output: entry.output,
        }));
        true
    }

    /// Puts up an output that another process already announced, without announcing it again.
    pub fn mirror(&self, change: &OutputChange) {
        let _known = self.hang(&change.service, change.output.clone(), change.updated);
    }

    /// Returns the entry of a name.
    pub fn entry(&self, name: &str) -> Option<Entry> {
        self.read().entries.get(name).cloned()
    }

    /// Returns all entries by name.
    pub fn entries(&self) -> Vec<Entry> {
        self.read().entries.values().cloned().collect()
    }

    /// Returns the version of the newest entry.
    pub fn version(&self) -> u64 {
        self.read().version
    }

    fn hang(&self, service: &Arc<str>, output: Arc<Output>, now: Timestamp) -> Option<Entry> {
        if !Output::is_valid_name(&output.name) {
            return None;
        }
        let mut wall = self.wall.write().unwrap_or_else(PoisonError::into_inner);
        if wall.entries.len() >= OUTPUTS_MAX && !wall.entries.contains_key(&output.name) {
            return None;
        }
        wall.version += 1;
        let entry = Entry {
            service: service.clone(),
            version: wall.version,
            updated: now,
            output,
        };
        wall.entries
            .insert(entry.output.name.clone(), entry.clone());
        Some(entry)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Wall> {
        self.wall.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Scalar;

    fn scalar(name: &str, value: f64) -> Output {
        Output::new(
            name,
            "t",
            Scalar {
                value,
                unit: "Hz".into(),
            },
        )
    }

    #[test]
    fn a_new_value_replaces_the_old_one_under_a_new_version() {
        let board = Board::default();
        let service = Arc::from("m");
        assert!(board.put(&service, scalar("rate", 1.0), Timestamp::UNIX_EPOCH));
        let first = board.entry("rate").unwrap().version;
        assert!(board.put(&service, scalar("rate", 2.0), Timestamp::UNIX_EPOCH));
        assert!(board.entry("rate").unwrap().version > first);
        assert_eq!(board.entries().len(), 1);
    }

    #[test]
    fn a_name_that_could_leave_the_plots_folder_is_refused() {
        let board = Board::default();
        for name in ["../x", "a/b", "", ".hidden"] {
            assert!(
                !board.put(&Arc::from("m"), scalar(name, 0.0), Timestamp::UNIX_EPOCH),
                "{name}"
            );
        }
    }
}
