//! How long to wait before the next attempt: doubling, bounded, not in step with others.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// The waiting times of one link.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    attempts: u32,
    /// Makes links differ, so that they do not all call at the same moment.
    seed: u64,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration, name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Self {
            first,
            most,
            attempts: 0,
            seed: hasher.finish(),
        }
    }

    /// Returns the next waiting time: between three quarters and the whole of the doubled time.
    pub(crate) fn next(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.attempts.min(20));
        let mut hasher = DefaultHasher::new();
        (self.seed, self.attempts).hash(&mut hasher);
        self.attempts = self.attempts.saturating_add(1);
        let most = doubled.min(self.most);
        let jitter = u32::try_from(hasher.finish() % 1000).unwrap_or(0);
        most - most / 4 * jitter / 1000
    }

    /// Starts again from the first waiting time when a connection lasted.
    pub(crate) fn note_lasted(&mut self, lasted: Duration) {
        if lasted >= self.most {
            self.attempts = 0;
        }
    }

    /// Starts again from the first waiting time.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_doubles_to_its_limit_and_starts_again() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, 30 * second, "mirror");
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            let most = expected * second;
            let wait = backoff.next();
            assert!(wait <= most && wait >= most / 4 * 3, "{wait:?}");
        }
        backoff.note_lasted(second);
        assert!(backoff.next() > 20 * second);
        backoff.note_lasted(60 * second);
        assert!(backoff.next() <= second);
    }

    #[test]
    fn links_do_not_wait_in_step() {
        let wait =
            |name| Backoff::new(Duration::from_secs(1), Duration::from_secs(30), name).next();
        assert_ne!(wait("a"), wait("b"));
    }
}
