//! What is counted of the slices of one interval.

use serde::{Deserialize, Serialize};

use crate::bins::Interval;

/// Streams of time slices.
pub(super) const STREAMS: usize = 4;

/// Slices of one interval, by stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub(super) struct Slices {
    messages: [u64; STREAMS],
    frames: [u64; STREAMS],
    observed_ms: i64,
}

/// The same without names, since there are thousands.
type Wire = ([u64; STREAMS], [u64; STREAMS], i64);

impl From<Wire> for Slices {
    fn from((messages, frames, observed_ms): Wire) -> Self {
        Self {
            messages,
            frames,
            observed_ms,
        }
    }
}

impl From<Slices> for Wire {
    fn from(slices: Slices) -> Self {
        (slices.messages, slices.frames, slices.observed_ms)
    }
}

impl Slices {
    /// Counts a slice, and its frame when it is the first one of it.
    pub(super) fn add(&mut self, stream: usize, is_first: bool) {
        if let Some(messages) = self.messages.get_mut(stream) {
            *messages += 1;
        }
        if let Some(frames) = self.frames.get_mut(stream) {
            *frames += u64::from(is_first);
        }
    }

    pub(super) fn messages(&self, stream: usize) -> u64 {
        self.messages.get(stream).copied().unwrap_or(0)
    }

    pub(super) fn frames(&self, stream: usize) -> u64 {
        self.frames.get(stream).copied().unwrap_or(0)
    }
}

impl Interval for Slices {
    fn observed_ms(&self) -> i64 {
        self.observed_ms
    }

    fn observe(&mut self, observed_ms: i64) {
        self.observed_ms = observed_ms;
    }
}
