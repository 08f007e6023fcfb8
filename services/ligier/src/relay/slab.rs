//! A run of whole frames that travels through queues as one piece.

use bytes::{Bytes, BytesMut};
use fathom_formats::controlhost::{FrameRange, Splitter, Tag};
use tokio::time::Instant;

use super::lost::Lost;

/// Memory of a queue entry beside the bytes it holds.
pub(crate) const SLAB_OVERHEAD_BYTES: usize = 96;

/// One or more whole frames, prefixes included. Clones share the bytes.
///
/// A frame tells its own length, so a slab needs no index: it is walked only when frames have to be
/// told apart, which is when a queue drops.
#[derive(Debug, Clone)]
pub(crate) struct Slab {
    bytes: Bytes,
    messages: usize,
    charge: usize,
    queued: Instant,
}

impl Slab {
    /// Makes a slab. `held` is the memory that it keeps from being freed, which may be more than
    /// its own length when it is part of a read buffer.
    pub(crate) fn new(bytes: Bytes, messages: usize, held: usize, queued: Instant) -> Self {
        Self {
            charge: held.max(bytes.len()) + SLAB_OVERHEAD_BYTES,
            bytes,
            messages,
            queued,
        }
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the number of frames.
    pub(crate) fn messages(&self) -> usize {
        self.messages
    }

    /// Returns the memory that this slab is accounted with.
    pub(crate) fn charge(&self) -> usize {
        self.charge
    }

    /// Returns when the slab was put into its queue.
    pub(crate) fn queued(&self) -> Instant {
        self.queued
    }

    /// Counts all frames as dropped.
    pub(crate) fn count_into(&self, lost: &mut Lost) {
        for frame in walk(&self.bytes) {
            lost.add(frame.tag, frame.whole().len());
        }
    }

    /// Splits the first frames off; both parts have at least one frame when `messages` is between 1
    /// and one less than this slab has.
    pub(crate) fn split_front(&mut self, messages: usize) -> Self {
        let end = walk(&self.bytes)
            .nth(messages.saturating_sub(1))
            .map_or(self.bytes.len(), |frame| frame.whole().end);
        let messages = messages.min(self.messages);
        let front = self.part(self.bytes.slice(..end), messages);
        let rest = self.part(self.bytes.slice(end..), self.messages - messages);
        *self = rest;
        front
    }

    /// Keeps the frames with certain tags; `None` when none is left.
    pub(crate) fn retain(
        &self,
        mut keep: impl FnMut(Tag) -> bool,
        lost: &mut Lost,
    ) -> Option<Self> {
        let before = lost.messages();
        let mut kept = Vec::new();
        for frame in walk(&self.bytes) {
            if keep(frame.tag) {
                kept.push(frame);
            } else {
                lost.add(frame.tag, frame.whole().len());
            }
        }
        if kept.is_empty() {
            return None;
        }
        if lost.messages() == before {
            return Some(self.clone());
        }
        let mut bytes = BytesMut::with_capacity(kept.iter().map(|f| f.whole().len()).sum());
        for frame in &kept {
            bytes.extend_from_slice(self.bytes.get(frame.whole()).unwrap_or_default());
        }
        let bytes = bytes.freeze();
        let held = bytes.len();
        Some(Self::new(bytes, kept.len(), held, self.queued))
    }

    /// Makes a part of this slab that holds no more memory than it is charged for.
    fn part(&self, bytes: Bytes, messages: usize) -> Self {
        let held = self.charge.saturating_sub(SLAB_OVERHEAD_BYTES);
        if bytes.len() * 2 >= held {
            return Self::new(bytes, messages, held, self.queued);
        }
        let own = Bytes::copy_from_slice(&bytes);
        let held = own.len();
        Self::new(own, messages, held, self.queued)
    }
}

/// Iterates over the frames of bytes that were checked when they arrived.
pub(crate) fn walk(bytes: &[u8]) -> impl Iterator<Item = FrameRange> {
    let mut splitter = Splitter::new(usize::MAX);
    let frames: Vec<FrameRange> = splitter.frames(bytes).map_while(Result::ok).collect();
    frames.into_iter()
}
