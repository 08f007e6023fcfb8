//! Events that have left the selection: `local_db` takes their rows out of its file, because their
//! pictures are gone.

use std::collections::VecDeque;

use super::row::{Key, Row};

/// Events remembered. Those that `local_db` did not hear of meanwhile keep their rows.
const EVENTS_MAX: usize = 1000;

/// The last events that have left.
#[derive(Debug, Default)]
pub(super) struct Gone(VecDeque<Row>);

impl Gone {
    /// Takes back what was kept.
    pub(super) fn of(mut rows: Vec<Row>) -> Self {
        rows.truncate(EVENTS_MAX);
        Self(rows.into())
    }

    /// An event has left. The row of one that others wrote is none of ours.
    pub(super) fn left(&mut self, row: Row) {
        if row.was_found {
            return;
        }
        if self.0.len() >= EVENTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(row);
    }

    /// An event has come back.
    pub(super) fn came(&mut self, key: Key) {
        self.0.retain(|row| row.key != key);
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.0.iter()
    }

    pub(super) fn kept(&self) -> Vec<Row> {
        self.0.iter().cloned().collect()
    }
}
