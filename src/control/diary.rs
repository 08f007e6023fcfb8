//! The last life-cycle changes and alarms, for those who ask what happened.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fathom_kernel::{Bus, Event, Filter, Limits, Topic};
use tokio_util::sync::CancellationToken;

/// Most events kept.
const KEPT_MAX: usize = 1000;

/// The diary of one stack. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Diary {
    kept: Arc<Mutex<VecDeque<Arc<Event>>>>,
}

impl Diary {
    /// Writes events down until `stop`. Subscribes before it returns the future, so that nothing
    /// published after the call is missed.
    pub(super) fn write(
        &self,
        bus: &Bus,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let filter = Filter::none().and(Topic::Life).and(Topic::Alarm);
        let mut events = bus.subscribe("control/diary", filter, Limits::default());
        let kept = self.kept.clone();
        async move {
            let mut batch = VecDeque::new();
            loop {
                // Cancel-safe: a batch is taken only when it is returned.
                let more = tokio::select! {
                    biased;
                    () = stop.cancelled() => false,
                    more = events.recv_batch(&mut batch) => more,
                };
                if !more {
                    return;
                }
                let mut kept = lock(&kept);
                kept.extend(batch.drain(..));
                let over = kept.len().saturating_sub(KEPT_MAX);
                kept.drain(..over);
            }
        }
    }

    /// Returns the last events that pass the filter, oldest first.
    pub(super) fn last(&self, count: usize, filter: &Filter) -> Vec<Arc<Event>> {
        let kept = lock(&self.kept);
        let passing: Vec<_> = kept.iter().filter(|event| filter.wants(event)).collect();
        let skip = passing.len().saturating_sub(count);
        passing.into_iter().skip(skip).cloned().collect()
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
