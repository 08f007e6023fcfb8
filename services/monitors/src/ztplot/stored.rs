//! Rows that `local_db` found in its file, those of km3mon among them: when to look for them, and what
//! waits for them.

use std::collections::VecDeque;
use std::time::Duration;

use fathom_kernel::view::Table;
use fathom_kernel::{Content, Fetch, FetchError, Fetched, Timestamp};
use serde::{Deserialize, Serialize};

use super::row::Key;

/// What the answer to our wish is called.
pub(super) const FETCH: &str = "rows of local_db";
/// Time between two looks (ms).
const EVERY_MS: i64 = 60_000;
/// The same until the first rows have come (ms): they may be there at any moment.
const EVERY_MS_FIRST: i64 = 1000;
/// Records wait so long for rows that they would have to beat (ms).
const PATIENCE_MS: i64 = 30_000;
/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Records that wait before those without a place any more are let go.
const HELD_MAX: usize = 1000;
/// Events remembered that an operator has taken out.
const REMOVED_MAX: usize = 1000;

/// What is known of the rows.
#[derive(Debug)]
pub(super) struct Stored {
    /// Name of the table.
    table: String,
    kept: Kept,
    version: Option<String>,
    first_ms: Option<i64>,
    asked_ms: Option<i64>,
    is_under_way: bool,
    /// Nothing comes any more: do not wait.
    is_over: bool,
}

/// What is kept over a restart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    stage: Stage,
    /// Events that an operator has taken out: the file, which forgets nothing, must not bring them
    /// back.
    removed: VecDeque<Key>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Stage {
    /// No rows have come yet; what has found a place among the best waits to be told of.
    Waiting(Vec<Held>),
    /// They have come, or were not waited for any longer.
    Settled,
    /// The selection has begun anew without them.
    Stopped,
}

/// An event among the best that might be a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) key: Key,
    /// It took a place of the full top 10, as far as was known.
    pub(super) is_record: bool,
    pub(super) received: Timestamp,
}

/// What an answer says.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// The rows.
    Rows(Table),
    /// They are those that were taken before.
    Known,
    /// There are none yet, and may never be any: without `local_db` nobody looks for them.
    Absent,
    /// They cannot be read.
    Unreadable,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Waiting(Vec::new())
    }
}

impl Stored {
    pub(super) fn new(table: &str) -> Self {
        Self {
            table: table.to_owned(),
            kept: Kept::default(),
            version: None,
            first_ms: None,
            asked_ms: None,
            is_under_way: false,
            is_over: false,
        }
    }

    pub(super) fn kept(&self) -> Kept {
        self.kept.clone()
    }

    pub(super) fn take_back(&mut self, kept: Kept) {
        self.kept = kept;
    }

    /// The selection begins anew: rows of the file would bring back at once what was to be forgotten.
    pub(super) fn begin_anew(&mut self) {
        // Before the first look nothing of it was taken.
        if self.first_ms.is_some() {
            self.kept.stage = Stage::Stopped;
        }
    }

    /// Wishes for the rows when it is time.
    pub(super) fn fetch(&mut self, now_ms: i64) -> Option<Fetch> {
        self.first_ms.get_or_insert(now_ms);
        let every_ms = match self.kept.stage {
            Stage::Waiting(_) => EVERY_MS_FIRST,
            Stage::Settled => EVERY_MS,
            Stage::Stopped => return None,
        };
        let is_early = |at: i64| now_ms.abs_diff(at) < every_ms.unsigned_abs();
        if self.is_under_way || self.asked_ms.is_some_and(is_early) {
            return None;
        }
        self.asked_ms = Some(now_ms);
        self.is_under_way = true;
        let place = format!("data:files/local_db/{}.json", self.table);
        let mut fetch = Fetch::new(FETCH, place.into()).unless(self.version.clone());
        fetch.timeout = TIMEOUT;
        Some(fetch)
    }

    /// Takes an answer.
    pub(super) fn take(&mut self, fetched: Fetched) -> Answer {
        self.is_under_way = false;
        match fetched.content {
            Ok(Content::Unchanged) => Answer::Known,
            Ok(Content::Bytes(bytes, version)) => {
                // Once is enough for what cannot be read.
                self.version = version;
                let table = serde_json::from_slice(&bytes).map(Answer::Rows);
                table.unwrap_or(Answer::Unreadable)
            }
            Err(FetchError::Absent { .. }) => Answer::Absent,
            Err(_) => Answer::Unreadable,
        }
    }

    /// Takes all rows again at the next look, because others of them may have a place now.
    pub(super) fn look_again(&mut self) {
        self.version = None;
        self.asked_ms = None;
    }

    /// Tells whether rows are still taken.
    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.kept.stage, Stage::Stopped)
    }

    /// Remembers an event that an operator took out.
    pub(super) fn removed(&mut self, key: Key) {
        if self.kept.removed.len() >= REMOVED_MAX {
            self.kept.removed.pop_front();
        }
        self.kept.removed.push_back(key);
    }

    /// Returns the events that operators took out.
    pub(super) fn all_removed(&self) -> impl Iterator<Item = Key> {
        self.kept.removed.iter().copied()
    }

    pub(super) fn is_removed(&self, key: Key) -> bool {
        self.kept.removed.contains(&key)
    }

    /// Holds an event back while the rows may still come; gives it back when they may not.
    pub(super) fn hold(&mut self, event: Held, has_place: impl Fn(Key) -> bool) -> Option<Held> {
        let Stage::Waiting(held) = &mut self.kept.stage else {
            return Some(event);
        };
        if held.len() >= HELD_MAX {
            held.retain(|other| has_place(other.key));
        }
        held.push(event);
        None
    }

    /// Says that nothing comes any more.
    pub(super) fn is_over(&mut self) {
        self.is_over = true;
    }

    /// Tells whether events are held back.
    pub(super) fn holds(&self) -> bool {
        matches!(&self.kept.stage, Stage::Waiting(held) if !held.is_empty())
    }

    /// Tells whether rows have been waited for long enough.
    pub(super) fn is_impatient(&self, now_ms: i64) -> bool {
        let first_ms = self.first_ms.unwrap_or(now_ms);
        let is_late = now_ms.abs_diff(first_ms) >= PATIENCE_MS.unsigned_abs();
        matches!(self.kept.stage, Stage::Waiting(_)) && (is_late || self.is_over)
    }

    /// Ends the waiting and returns what was held back.
    pub(super) fn settle(&mut self) -> Vec<Held> {
        match &mut self.kept.stage {
            Stage::Waiting(held) => {
                let held = std::mem::take(held);
                self.kept.stage = Stage::Settled;
                held
            }
            Stage::Settled | Stage::Stopped => Vec::new(),
        }
    }
}
