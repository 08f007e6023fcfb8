//! A monitor without a service around it: whoever holds it says what comes and how late it is, and
//! looks at what it says. For recorded data and for tests; no clock, bus, board or disk takes part.

use std::time::Duration;

use jiff::Timestamp;

use crate::{Event, Fetched, Filter, Monitor, Outputs, Persist, Saved};

/// A monitor of any kind, moved by hand. [`crate::Kind::by_hand`] makes one.
pub trait ByHand: Send {
    /// Returns what the monitor receives; nothing else is to be given to it.
    fn wants(&self) -> Filter;

    /// Returns the time between two ticks.
    fn tick_period(&self) -> Duration;

    /// See [`Monitor::on_event`].
    fn event(&mut self, event: &Event, out: &mut Outputs);

    /// See [`Monitor::on_tick`].
    fn tick(&mut self, now: Timestamp, out: &mut Outputs);

    /// See [`Monitor::on_fetched`].
    fn fetched(&mut self, fetched: Fetched, out: &mut Outputs);

    /// See [`Monitor::on_end`].
    fn ended(&mut self) {}

    /// See [`Monitor::is_busy`].
    fn busy(&self) -> bool {
        false
    }

    /// See [`Monitor::reset`].
    fn forget(&mut self);

    /// See [`Monitor::restore`].
    fn take_back(&mut self, saved: &Saved) -> Result<(), String>;

    /// See [`Monitor::persist`].
    fn keep(&mut self, keep: &mut Persist);

    /// See [`Monitor::memory_bytes`].
    fn size_bytes(&self) -> usize;
}

impl<M: Monitor> ByHand for M {
    fn wants(&self) -> Filter {
        M::TOPICS.into()
    }

    fn tick_period(&self) -> Duration {
        M::TICK
    }

    fn event(&mut self, event: &Event, out: &mut Outputs) {
        self.on_event(event, out);
    }

    fn tick(&mut self, now: Timestamp, out: &mut Outputs) {
        self.on_tick(now, out);
    }

    fn fetched(&mut self, fetched: Fetched, out: &mut Outputs) {
        self.on_fetched(fetched, out);
    }

    fn ended(&mut self) {
        self.on_end();
    }

    fn busy(&self) -> bool {
        self.is_busy()
    }

    fn forget(&mut self) {
        self.reset();
    }

    fn take_back(&mut self, saved: &Saved) -> Result<(), String> {
        self.restore(saved)
    }

    fn keep(&mut self, keep: &mut Persist) {
        self.persist(keep);
    }

    fn size_bytes(&self) -> usize {
        self.memory_bytes()
    }
}
