//! Changes of alarms as records of the log: some in a minute, then only their number.

use std::time::Duration;

use fathom_kernel::{Notice, Severity, Stage};
use tokio::time::Instant;
use tracing::{info, warn};

/// Most records in a minute; a detector that is switched off has thousands of alarms at once.
const RECORDS_MAX: u32 = 100;
const MINUTE: Duration = Duration::from_secs(60);

/// Counts the records of the present minute.
#[derive(Debug, Default)]
pub(super) struct Records {
    since: Option<Instant>,
    written: u32,
    withheld: u32,
}

impl Records {
    /// Writes a change to the log, unless there were too many.
    pub(super) fn write(&mut self, notice: &Notice, now: Instant) {
        if !self.admit(now) {
            return;
        }
        let Notice {
            id,
            rule,
            subject,
            from,
            to,
            text,
            repeat,
            ..
        } = notice;
        let by = notice.by.as_deref().unwrap_or_default();
        if notice.severity == Severity::Alert && *to == Stage::Firing {
            warn!(id, rule, subject, %from, %to, repeat, text, "alarm");
        } else {
            info!(id, rule, subject, %from, %to, by, text, "alarm");
        }
    }

    /// Tells whether one more record may be written.
    fn admit(&mut self, now: Instant) -> bool {
        self.look(now);
        if self.since.is_none() {
            self.since = Some(now);
        }
        let fits = self.written < RECORDS_MAX;
        match fits {
            true => self.written += 1,
            false => self.withheld += 1,
        }
        fits
    }

    /// Ends a minute, and says how many records it lacks.
    pub(super) fn look(&mut self, now: Instant) {
        let is_over = |since: Instant| now.duration_since(since) >= MINUTE;
        if self.since.is_some_and(is_over) {
            let withheld = std::mem::take(self).withheld;
            if withheld > 0 {
                warn!(withheld, "too many changes of alarms for the log");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_leaves_a_hundred_records_a_minute() {
        let (mut records, start) = (Records::default(), Instant::now());
        let written = (0..4140).filter(|_| records.admit(start)).count();
        assert_eq!(written, 100);
        assert!(!records.admit(start + Duration::from_secs(59)));
        assert!(records.admit(start + Duration::from_secs(60)));
    }
}
