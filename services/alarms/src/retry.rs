//! How long to wait before something that failed is tried again.

use std::time::Duration;

/// Doublings of the wait; more would overflow.
const DOUBLINGS_MAX: u32 = 20;

/// Returns the wait after a failure before which there were so many in a row: twice as long each time,
/// up to the longest.
pub(crate) fn wait(first: Duration, most: Duration, failures: u32) -> Duration {
    first
        .saturating_mul(1 << failures.min(DOUBLINGS_MAX))
        .min(most)
}
