//! The memory that all queues together may hold, and what happens when it is used up.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gate::Gate;
use super::outbox::Limits;

/// Part of a limit that is left to what the allocator and the buffers between two uses take, so that
/// the process grows by the limit and not by more.
const SPARE_PART: usize = 6;

/// What happens when a client that must get all messages does not take them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WhenFull {
    /// Stop reading from producers until it does.
    #[default]
    Wait,
    /// Close its connection.
    Disconnect,
}

/// The memory of all queues.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Bounds of one client's queue, of messages that may be dropped.
    pub(crate) limits: Limits,
    /// Most memory of one client's messages that must be kept.
    pub(crate) kept_bytes: usize,
    /// Most memory of all queues together.
    pub(crate) memory: usize,
    /// What happens when messages must be kept and there is no room.
    pub(crate) when_full: WhenFull,
    /// Stops producers.
    pub(crate) gate: Gate,
    charged: AtomicUsize,
    clients: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(
        limits: Limits,
        kept_bytes: usize,
        memory: usize,
        when_full: WhenFull,
    ) -> Self {
        Self {
            limits,
            kept_bytes,
            memory,
            when_full,
            gate: Gate::default(),
            charged: AtomicUsize::new(0),
            clients: AtomicUsize::new(0),
        }
    }

    /// Returns the bounds of one queue. Messages that may be dropped have half of the memory: while
    /// it lasts a queue may fill up to its own limit, after that every client gets an equal share,
    /// so that all together stay below the memory and leave room for those that are kept.
    pub(crate) fn limits(&self) -> Limits {
        let half = self.memory / 2;
        let bytes = if self.charged.load(Relaxed) <= half {
            half
        } else {
            half / self.clients.load(Relaxed).max(1)
        };
        let bytes = self.limits.bytes.min(bytes);
        Limits {
            messages: self.limits.messages,
            bytes: bytes - bytes / SPARE_PART,
        }
    }

    /// Tells whether there is no room for messages that must be kept.
    pub(crate) fn is_over(&self, kept: usize) -> bool {
        kept > self.kept_bytes || (kept > 0 && self.charged.load(Relaxed) > self.memory)
    }

    /// Tells whether there is room again.
    pub(crate) fn has_room(&self, kept: usize) -> bool {
        kept == 0
            || (kept <= self.kept_bytes / 2 && self.charged.load(Relaxed) <= self.memory / 4 * 3)
    }

    /// Replaces what one client is charged with.
    pub(crate) fn charge(&self, before: usize, now: usize) {
        if now >= before {
            self.charged.fetch_add(now - before, Relaxed);
        } else {
            self.charged.fetch_sub(before - now, Relaxed);
        }
    }

    pub(crate) fn charged(&self) -> usize {
        self.charged.load(Relaxed)
    }

    pub(crate) fn clients_changed(&self, clients: usize) {
        self.clients.store(clients, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_its_limit_while_there_is_memory_and_its_share_after_that() {
        let limits = Limits {
            messages: 10,
            bytes: 300,
        };
        let budget = Budget::new(limits, 100, 1000, WhenFull::Wait);
        budget.clients_changed(5);
        assert_eq!(budget.limits().bytes, 250);
        budget.charge(0, 501);
        assert_eq!(budget.limits().bytes, 84);
        budget.charge(501, 400);
        assert_eq!(budget.limits().bytes, 250);
    }

    #[test]
    fn kept_messages_have_their_own_limit_and_that_of_all() {
        let limits = Limits {
            messages: 10,
            bytes: 300,
        };
        let budget = Budget::new(limits, 100, 1000, WhenFull::Wait);
        assert!(!budget.is_over(100));
        assert!(budget.is_over(101));
        budget.charge(0, 1001);
        assert!(!budget.is_over(0));
        assert!(budget.is_over(1));
        assert!(!budget.has_room(1));
        budget.charge(1001, 750);
        assert!(budget.has_room(50));
        assert!(!budget.has_room(51));
    }
}
