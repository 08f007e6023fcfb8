//! The gate before the routing of data: closed while a client whose messages must be kept is full.

use std::sync::atomic::{AtomicUsize, Ordering::AcqRel, Ordering::Acquire};

use tokio::sync::Notify;

/// Stops producers while at least one client holds it closed.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    holders: AtomicUsize,
    changed: Notify,
}

impl Gate {
    /// Closes the gate for one more holder. Those who wait look whether it is themselves.
    pub(crate) fn hold(&self) {
        self.holders.fetch_add(1, AcqRel);
        self.changed.notify_waiters();
    }

    /// Takes one holder away and lets producers pass after the last.
    pub(crate) fn release(&self) {
        if self.holders.fetch_sub(1, AcqRel) == 1 {
            self.changed.notify_waiters();
        }
    }

    /// Returns how many clients hold the gate closed.
    pub(crate) fn holders(&self) -> usize {
        self.holders.load(Acquire)
    }

    /// Waits until nobody holds the gate closed.
    pub(crate) async fn pass(&self) {
        self.pass_unless(|| false).await;
    }

    /// Waits until nobody holds the gate closed, or `exempt` says that one need not wait.
    pub(crate) async fn pass_unless(&self, exempt: impl Fn() -> bool) {
        while self.holders() > 0 {
            let changed = self.changed.notified();
            if self.holders() == 0 || exempt() {
                return;
            }
            changed.await;
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

    #[tokio::test(start_paused = true)]
    async fn who_becomes_a_holder_while_it_waits_passes() {
        let (gate, own) = (Gate::default(), std::cell::Cell::new(false));
        gate.hold();
        let waiting = timeout(Duration::from_secs(60), gate.pass_unless(|| own.get()));
        let (passed, ()) = tokio::join!(waiting, async {
            tokio::task::yield_now().await;
            own.set(true);
            gate.hold();
        });
        assert!(passed.is_ok());
    }
}
