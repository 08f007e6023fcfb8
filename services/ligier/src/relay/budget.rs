//! The memory that all queues together may hold, and what happens when it is used up.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gate::Gate;
use super::outbox::Limits;

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

    /// Returns the bounds of one queue: half of the memory is shared equally by messages that may
    /// be dropped, so that all stalled clients together leave the other half to those that are kept.
    pub(crate) fn limits(&self) -> Limits {
        let share = self.memory / 2 / self.clients.load(Relaxed).max(1);
        Limits {
            messages: self.limits.messages,
            bytes: self.limits.bytes.min(share),
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
