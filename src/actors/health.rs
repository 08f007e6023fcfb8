//! How well a running service does, judged by its counters.

use std::time::{Duration, Instant};

use fathom_kernel::{CountersSnapshot, Health};

/// Drops and silence are remembered for so long.
const MEMORY: Duration = Duration::from_secs(10);

/// What the counters of a service did lately.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    received: u64,
    dropped: u64,
    received_at: Option<Instant>,
    dropped_at: Option<Instant>,
}

impl Pulse {
    /// Takes the counters of now.
    pub(super) fn beat(&mut self, counters: &CountersSnapshot) {
        let now = Instant::now();
        if counters.received != self.received {
            self.received_at = Some(now);
        }
        if counters.dropped > self.dropped {
            self.dropped_at = Some(now);
        }
        (self.received, self.dropped) = (counters.received, counters.dropped);
    }

    /// Returns the health of a service that runs and is ready.
    pub(super) fn health(&self) -> Health {
        let lately = |at: Option<Instant>| at.is_some_and(|at| at.elapsed() < MEMORY);
        if lately(self.dropped_at) {
            Health::Lagging
        } else if self.received_at.is_some() && !lately(self.received_at) {
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
    fn a_service_that_drops_lags() {
        let mut pulse = Pulse::default();
        let mut counters = CountersSnapshot {
            received: 5,
            ..CountersSnapshot::default()
        };
        pulse.beat(&counters);
        assert_eq!(pulse.health(), Health::Ok);
        counters.dropped = 1;
        pulse.beat(&counters);
        assert_eq!(pulse.health(), Health::Lagging);
    }
}
