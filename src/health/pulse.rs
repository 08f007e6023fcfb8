//! How well a service does by its counters alone, for want of rules.

use std::time::{Duration, Instant};

use fathom_kernel::Health;

/// Drops and silence are remembered for so long.
const MEMORY: Duration = Duration::from_secs(10);

/// What the counters of a service did lately.
#[derive(Debug, Clone, Default)]
pub(super) struct Pulse {
    known: bool,
    received: u64,
    dropped: u64,
    received_at: Option<Instant>,
    dropped_at: Option<Instant>,
}

impl Pulse {
    /// Takes the counters of now.
    pub(super) fn beat(&mut self, received: u64, dropped: u64, now: Instant) {
        if received != self.received {
            self.received_at = Some(now);
        }
        if self.known && dropped > self.dropped {
            self.dropped_at = Some(now);
        }
        (self.known, self.received, self.dropped) = (true, received, dropped);
    }

    /// Returns the health of a service that runs and is ready.
    pub(super) fn health(&self, now: Instant) -> Health {
        let lately = |at: Instant| now.saturating_duration_since(at) < MEMORY;
        if self.dropped_at.is_some_and(lately) {
            Health::Lagging
        } else if self.received_at.is_some_and(|at| !lately(at)) {
            Health::Idle
        } else {
            Health::Ok
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_drops_lags_for_a_while() {
        let (mut pulse, start) = (Pulse::default(), Instant::now());
        pulse.beat(5, 0, start);
        assert_eq!(pulse.health(start), Health::Ok);
        pulse.beat(6, 1, start);
        assert_eq!(pulse.health(start), Health::Lagging);
        assert_eq!(pulse.health(start + MEMORY), Health::Idle);
    }
}
