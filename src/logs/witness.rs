//! Tells the event log of rotations, but not of each one of a file that is rotated all the time.

use std::time::{Duration, Instant};

use crate::chronicle::Chronicle;

/// Least time between two events of one file.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Tells of the rotations of one file.
#[derive(Debug)]
pub(super) struct Witness {
    chronicle: Chronicle,
    service: String,
    told: Option<Instant>,
    untold: u64,
}

impl Witness {
    /// Makes the witness of a file of a service.
    pub(super) fn new(chronicle: Chronicle, service: &str) -> Self {
        Self {
            chronicle,
            service: service.to_owned(),
            told: None,
            untold: 0,
        }
    }

    /// Sees a rotation.
    pub(super) fn saw(&mut self, file: &str, bytes: u64, now: Instant) {
        self.untold += 1;
        let lately = |at: Instant| now.saturating_duration_since(at) < TELL_EVERY;
        if !self.told.is_some_and(lately) {
            let count = std::mem::take(&mut self.untold);
            self.told = Some(now);
            self.chronicle.rotation(&self.service, file, (bytes, count));
        }
    }
}

#[cfg(test)]
mod tests {
    use fathom_kernel::Clock;

    use super::*;
    use crate::chronicle::Subject;

    #[test]
    fn many_rotations_in_a_second_are_told_at_the_next_one_after_it() {
        let chronicle = Chronicle::in_memory(Clock::system());
        let mut witness = Witness::new(chronicle.clone(), "a");
        let start = Instant::now();
        for millis in [0, 100, 200, 1100, 1200] {
            witness.saw("a.log", 10, start + Duration::from_millis(millis));
        }
        let events = chronicle.last(10, &[Subject::Rotation].into());
        let texts: Vec<String> = events.iter().map(|entry| entry.what.to_string()).collect();
        assert_eq!(
            texts,
            ["a: a.log of 10 bytes", "a: a.log of 10 bytes, 3 times"]
        );
    }
}
