//! Splits a stream into messages without copying.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::prefix::{FrameError, PREFIX_BYTES, Prefix};
use super::tag::Tag;

/// Finds the messages in whatever pieces the stream arrives.
///
/// Keeps only its limit and its position: the caller owns the buffer, hands it over from the first
/// byte not yet consumed, and removes what was consumed.
#[derive(Debug, Clone)]
pub struct Splitter {
    body_bytes_max: usize,
    position: u64,
}

/// Where a complete message lies in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRange {
    /// Tag of the message.
    pub tag: Tag,
    start: usize,
    end: usize,
}

/// A complete message taken out of a buffer; clones share the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Tag of the message.
    pub tag: Tag,
    whole: Bytes,
}

/// Iterates over the complete messages of a buffer.
///
/// After the last one, [`Frames::consumed`] tells how much of the buffer they took. The first error
/// is the last item: the stream has to be closed.
#[derive(Debug)]
pub struct Frames<'s, 'b> {
    splitter: &'s mut Splitter,
    buffer: &'b [u8],
    consumed: usize,
    failed: bool,
}

impl Splitter {
    /// Makes a splitter that refuses bodies above a limit.
    pub fn new(body_bytes_max: usize) -> Self {
        Self {
            body_bytes_max,
            position: 0,
        }
    }

    /// Returns the bytes of the stream that were consumed so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Iterates over the complete messages at the front of a buffer.
    pub fn frames<'s, 'b>(&'s mut self, buffer: &'b [u8]) -> Frames<'s, 'b> {
        Frames {
            splitter: self,
            buffer,
            consumed: 0,
            failed: false,
        }
    }

    /// Takes the next complete message off the front of a buffer.
    pub fn take_frame(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let Some(range) = self.frames(buffer).next().transpose()? else {
            return Ok(None);
        };
        let whole = buffer.split_to(range.end).freeze();
        Ok(Some(Frame {
            tag: range.tag,
            whole,
        }))
    }

    /// Returns how many bytes the message at the front of a buffer still lacks, at least 1.
    ///
    /// For sizing the next read only. The peer announces the number, so never reserve all of it
    /// before the bytes arrive. A malformed prefix lacks 1: reading on finds the error.
    pub fn missing(&self, buffer: &[u8]) -> usize {
        let Some(wire) = buffer.first_chunk() else {
            return PREFIX_BYTES - buffer.len();
        };
        Prefix::decode(wire, self.body_bytes_max, self.position).map_or(1, |p| {
            (PREFIX_BYTES + p.body_len())
                .saturating_sub(buffer.len())
                .max(1)
        })
    }

    /// Decodes the message at `start` of the buffer if it is complete.
    fn frame_at(&self, buffer: &[u8], start: usize) -> Result<Option<FrameRange>, FrameError> {
        let Some(rest) = buffer.get(start..) else {
            return Ok(None);
        };
        let Some(wire) = rest.first_chunk() else {
            return Ok(None);
        };
        let prefix = Prefix::decode(wire, self.body_bytes_max, self.position)?;
        let length = PREFIX_BYTES + prefix.body_len();
        let range = FrameRange {
            tag: prefix.tag(),
            start,
            end: start + length,
        };
        Ok((rest.len() >= length).then_some(range))
    }
}

impl Frames<'_, '_> {
    /// Returns the bytes of the buffer that the messages so far took.
    pub fn consumed(&self) -> usize {
        self.consumed
    }
}

impl Iterator for Frames<'_, '_> {
    type Item = Result<FrameRange, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let frame = self
            .splitter
            .frame_at(self.buffer, self.consumed)
            .transpose()?;
        match &frame {
            Ok(range) => {
                self.splitter.position += (range.end - range.start) as u64;
                self.consumed = range.end;
            }
            Err(_) => self.failed = true,
        }
        Some(frame)
    }
}

impl FrameRange {
    /// Returns the range of prefix and body.
    pub fn whole(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Returns the range of the body.
    pub fn body(&self) -> Range<usize> {
        self.start + PREFIX_BYTES..self.end
    }

    /// Returns the length of the body.
    pub fn body_len(&self) -> usize {
        self.end - self.start - PREFIX_BYTES
    }
}

impl Frame {
    /// Makes the message of a tag and a body; copies the body once, behind its prefix.
    pub fn new(tag: Tag, body: &[u8]) -> Result<Self, FrameError> {
        let mut whole = BytesMut::with_capacity(PREFIX_BYTES + body.len());
        super::prefix::encode_frame(tag, body, &mut whole)?;
        Ok(Self {
            tag,
            whole: whole.freeze(),
        })
    }

    /// Returns the body.
    pub fn body(&self) -> Bytes {
        self.whole.slice(PREFIX_BYTES..)
    }

    /// Returns prefix and body as they stood on the wire.
    pub fn whole(&self) -> &Bytes {
        &self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controlhost::{encode_frame, tags};

    fn stream() -> Vec<u8> {
        let mut out = Vec::new();
        encode_frame(tags::MSG, b"hello", &mut out).unwrap();
        encode_frame(tags::IO_EVT, b"", &mut out).unwrap();
        encode_frame(tags::IO_SUM, &[7; 100], &mut out).unwrap();
        out
    }

    #[test]
    fn a_buffer_of_several_messages_is_split_without_copying() {
        let stream = stream();
        let mut splitter = Splitter::new(100);
        let mut frames = splitter.frames(&stream[..150]);
        let first: Vec<_> = frames.by_ref().map(Result::unwrap).collect();
        assert_eq!(frames.consumed(), 37);
        assert_eq!(
            first.iter().map(|f| f.tag).collect::<Vec<_>>(),
            [tags::MSG, tags::IO_EVT]
        );
        assert_eq!(first[0].body(), 16..21);
        assert_eq!(first[1].whole(), 21..37);
        assert_eq!(splitter.position(), 37);
        assert_eq!(splitter.missing(&stream[37..150]), 3);
        assert_eq!(splitter.missing(&stream[37..40]), 13);
    }

    #[test]
    fn every_cut_of_the_stream_gives_the_same_messages() {
        let stream = stream();
        for cut in 0..stream.len() {
            let mut splitter = Splitter::new(100);
            let mut buffer = BytesMut::from(&stream[..cut]);
            let mut bodies = Vec::new();
            for piece in [&stream[cut..], &[]] {
                while let Some(frame) = splitter.take_frame(&mut buffer).unwrap() {
                    bodies.push((frame.tag, frame.body().len()));
                }
                buffer.extend_from_slice(piece);
            }
            assert_eq!(
                bodies,
                [(tags::MSG, 5), (tags::IO_EVT, 0), (tags::IO_SUM, 100)]
            );
            assert_eq!(splitter.position(), stream.len() as u64);
        }
    }

    #[test]
    fn messages_before_a_bad_one_are_delivered_and_the_error_is_the_end() {
        let mut splitter = Splitter::new(99);
        let stream = stream();
        let items: Vec<_> = splitter.frames(&stream).collect();
        assert_eq!(items.len(), 3);
        assert!(items[1].is_ok());
        let expected = FrameError::TooLong {
            offset: 37,
            tag: tags::IO_SUM,
            length: 100,
            limit: 99,
        };
        assert_eq!(items[2], Err(expected));
    }
}
