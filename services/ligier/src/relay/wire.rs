//! Makes wire bytes of messages that come from this process.

use bytes::{Bytes, BytesMut};
use fathom_formats::controlhost::{FrameError, PREFIX_BYTES, Splitter, Tag, encode_frame};

use super::inlet::Arrival;

/// Frames put together before they are routed; bodies are copied once for all clients.
#[derive(Default)]
pub(crate) struct WireBuffer(BytesMut);

impl WireBuffer {
    /// Bytes after which the frames should be taken out.
    pub(crate) const FULL_BYTES: usize = 256 << 10;

    /// Makes an arrival of a single frame.
    pub(crate) fn one(tag: Tag, body: &[u8]) -> Result<Arrival, FrameError> {
        let mut buffer = Self::default();
        buffer.add(tag, body)?;
        Ok(buffer.take())
    }

    /// Appends a frame.
    pub(crate) fn add(&mut self, tag: Tag, body: &[u8]) -> Result<(), FrameError> {
        self.0.reserve(PREFIX_BYTES + body.len());
        encode_frame(tag, body, &mut self.0)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= Self::FULL_BYTES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the frames out.
    pub(crate) fn take(&mut self) -> Arrival {
        let buffer = std::mem::take(&mut self.0);
        let held = buffer.capacity();
        let chunk: Bytes = buffer.freeze();
        let frames = Splitter::new(usize::MAX)
            .frames(&chunk)
            .map_while(Result::ok)
            .collect();
        Arrival {
            chunk,
            held,
            frames,
            error: None,
        }
    }
}
