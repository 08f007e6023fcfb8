//! Failed logins, and how long the next attempt has to wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Failures that cost nothing: people mistype.
const FREE: u32 = 5;
/// Longest wait; reached after a few more failures, each doubling it.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// A failure is forgotten after this time.
const FORGET_AFTER: Duration = Duration::from_secs(600);
/// Most addresses and names watched; beyond it the oldest are forgotten.
const WATCHED_MAX: usize = 4_096;

/// Where an attempt came from, and for which name (digested).
pub(crate) type Attempt = (IpAddr, [u8; 32]);

/// Shortest time between two log records about refused logins.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Recent failures by address and name.
#[derive(Default)]
pub(crate) struct Failures {
    records: Mutex<HashMap<Attempt, Record>>,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    untold: u64,
    last: Option<Instant>,
}

struct Record {
    failures: u32,
    last: Instant,
}

impl Record {
    fn free_at(&self) -> Instant {
        match self.failures.checked_sub(FREE) {
            None => self.last,
            Some(over) => self.last + WAIT_MAX.min(Duration::from_secs(1 << over.min(6))),
        }
    }
}

impl Failures {
    /// Returns the seconds that this attempt must wait, rounded up; `None` when it need not.
    pub(crate) fn wait_s(&self, attempt: &Attempt) -> Option<u64> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let free_at = records.get(attempt)?.free_at();
        let wait = free_at.checked_duration_since(Instant::now())?;
        (!wait.is_zero()).then(|| wait.as_secs() + 1)
    }

    /// Counts a failure.
    pub(crate) fn count(&self, attempt: Attempt) {
        let now = Instant::now();
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() >= WATCHED_MAX && !records.contains_key(&attempt) {
            records.retain(|_, record| now.duration_since(record.last) < FORGET_AFTER);
            forget_oldest(&mut records);
        }
        let record = records.entry(attempt).or_insert(Record {
            failures: 0,
            last: now,
        });
        if now.duration_since(record.last) >= FORGET_AFTER {
            record.failures = 0;
        }
        record.failures += 1;
        record.last = now;
    }

    /// Counts a refusal; returns the number not logged yet when it is time to log them.
    pub(crate) fn refusals_to_log(&self) -> Option<u64> {
        let now = Instant::now();
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.untold += 1;
        if log
            .last
            .is_some_and(|last| now.duration_since(last) < LOG_EVERY)
        {
            return None;
        }
        log.last = Some(now);
        Some(std::mem::take(&mut log.untold))
    }

    /// Forgets the failures of who has shown the right password.
    pub(crate) fn forget(&self, attempt: &Attempt) {
        self.records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(attempt);
    }
}

fn forget_oldest(records: &mut HashMap<Attempt, Record>) {
    if records.len() < WATCHED_MAX {
        return;
    }
    let oldest = records.iter().min_by_key(|(_, record)| record.last);
    if let Some(attempt) = oldest.map(|(attempt, _)| *attempt) {
        records.remove(&attempt);
    }
}
