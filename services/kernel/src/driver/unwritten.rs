//! What could not be written for a monitor, told seldom: a full disk refuses many times a second.

use std::io;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

/// Time between two lines of the log.
const EVERY: Duration = Duration::from_secs(60);

/// The refusals that the log has not heard of.
#[derive(Default)]
pub(super) struct Unwritten {
    told: Option<Instant>,
    refused: u64,
}

impl Unwritten {
    /// Tells of a refusal and how many there were since the last line, unless that was just now.
    pub(super) fn tell(&mut self, reason: &str, error: &io::Error) {
        if let Some(refused) = self.due(Instant::now()) {
            warn!(%error, reason, refused, "cannot write for a monitor");
        }
    }

    fn due(&mut self, now: Instant) -> Option<u64> {
        self.refused += 1;
        if self.told.is_some_and(|told| now - told < EVERY) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_filled_the_log_as_well() {
        let (mut unwritten, begun) = (Unwritten::default(), Instant::now());
        let told = (0..=600).map(|n| unwritten.due(begun + n * EVERY / 300));
        let told: Vec<u64> = told.flatten().collect();
        assert_eq!(told, [1, 300, 300]);
    }
}
