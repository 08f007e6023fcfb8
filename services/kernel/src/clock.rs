//! The only source of wall-clock time, so that tests can set it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// Tells the wall-clock time (UTC); durations are measured with `tokio::time` instead.
#[derive(Debug, Clone, Default)]
pub struct Clock(Source);

#[derive(Debug, Clone, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// Returns the clock of the machine.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// Returns a clock that stands still until [`Clock::set`] moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(
            start.as_microsecond(),
        ))))
    }

    /// Returns the time now.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp::now(),
            Source::Manual(at) => {
                Timestamp::from_microsecond(at.load(Ordering::Relaxed)).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Moves a manual clock; the system clock ignores it.
    pub fn set(&self, now: Timestamp) {
        if let Source::Manual(at) = &self.0 {
            at.store(now.as_microsecond(), Ordering::Relaxed);
        }
    }
}
