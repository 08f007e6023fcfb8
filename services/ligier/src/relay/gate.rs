//! The gate before the routing of data: closed while a client whose messages must be kept is full.

use std::sync::atomic::{AtomicUsize, Ordering::AcqRel, Ordering::Acquire};

use tokio::sync::Notify;

/// Stops producers while at least one client holds it closed.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    holders: AtomicUsize,
    opened: Notify,
}

impl Gate {
    /// Closes the gate for one more holder.
    pub(crate) fn hold(&self) {
        self.holders.fetch_add(1, AcqRel);
    }

    /// Takes one holder away and lets producers pass after the last.
    pub(crate) fn release(&self) {
        if self.holders.fetch_sub(1, AcqRel) == 1 {
            self.opened.notify_waiters();
        }
    }

    /// Returns how many clients hold the gate closed.
    pub(crate) fn holders(&self) -> usize {
        self.holders.load(Acquire)
    }

    /// Waits until nobody holds the gate closed.
    pub(crate) async fn pass(&self) {
        while self.holders() > 0 {
            let opened = self.opened.notified();
            if self.holders() == 0 {
                return;
            }
            opened.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn producers_pass_after_the_last_holder() {
        let gate = Gate::default();
        gate.pass().await;
        gate.hold();
        gate.hold();
        gate.release();
        let waiting = timeout(Duration::from_secs(60), gate.pass());
        assert!(waiting.await.is_err());
        let (passed, ()) = tokio::join!(timeout(Duration::from_secs(60), gate.pass()), async {
            gate.release();
        });
        assert!(passed.is_ok());
    }
}
