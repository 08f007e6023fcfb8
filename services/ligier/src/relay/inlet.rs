//! Reads a stream in large pieces and finds the frames in it.

use std::io;

use bytes::{BufMut, Bytes};
use fathom_formats::controlhost::{FrameError, FrameRange, PREFIX_BYTES, Splitter, TAG_BYTES};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use super::pool::Pool;
use super::slab::Slab;

/// Capacity of the first buffer; a client that only receives never needs more.
const BUFFER_BYTES_MIN: usize = 16 << 10;

/// Largest capacity that a buffer is given before a frame needs it.
const BUFFER_BYTES_MAX: usize = 512 << 10;

/// Largest capacity that a buffer is given because earlier frames needed it.
const BUFFER_BYTES_LARGE: usize = 8 << 20;

/// Bytes that the first frame lacks above which nothing beyond it is read, so that the start of the
/// next one need not be moved to a new buffer.
const LACKING_BYTES_MIN: usize = 64 << 10;

/// The receiving side of one connection.
pub(crate) struct Inlet {
    buffer: Vec<u8>,
    splitter: Splitter,
    capacity: usize,
    pool: Pool,
}

/// The complete frames of one read.
pub(crate) struct Arrival {
    pub(crate) chunk: Bytes,
    /// Memory that is kept as long as any part of the chunk is.
    pub(crate) held: usize,
    pub(crate) frames: Vec<FrameRange>,
    /// Why the stream cannot be read on, after these frames.
    pub(crate) error: Option<FrameError>,
}

impl Arrival {
    /// Returns all frames as one slab.
    pub(crate) fn into_slab(self) -> Slab {
        Slab::new(self.chunk, self.frames.len(), self.held, Instant::now())
    }
}

impl Inlet {
    pub(crate) fn new(body_bytes_max: usize, pool: Pool) -> Self {
        Self {
            buffer: Vec::new(),
            splitter: Splitter::new(body_bytes_max),
            capacity: BUFFER_BYTES_MIN,
            pool,
        }
    }

    /// Waits for bytes; 0 is the end of the stream. Cancel-safe.
    pub(crate) async fn read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<usize> {
        let room = self.make_room();
        let read = stream.read_buf(&mut (&mut self.buffer).limit(room)).await?;
        if self.buffer.len() == self.buffer.capacity() {
            self.capacity = self.capacity.max((self.capacity * 2).min(BUFFER_BYTES_MAX));
        }
        Ok(read)
    }

    /// Returns the bytes of a frame whose rest never came.
    pub(crate) fn rest(&self) -> usize {
        self.buffer.len()
    }

    /// Takes the complete frames out.
    pub(crate) fn split(&mut self) -> Arrival {
        let mut frames = Vec::new();
        let mut error = None;
        let mut found = self.splitter.frames(&self.buffer);
        for frame in found.by_ref() {
            match frame {
                Ok(frame) => frames.push(frame),
                Err(wrong) => error = Some(wrong),
            }
        }
        let consumed = found.consumed();
        frames
            .iter()
            .for_each(|frame| tidy(&mut self.buffer, frame));
        let (chunk, held) = self.take(consumed);
        Arrival {
            chunk,
            held,
            frames,
            error,
        }
    }

    /// Makes room in the buffer and returns how many bytes to read.
    fn make_room(&mut self) -> usize {
        let length = self.buffer.len();
        if length == 0 && self.buffer.capacity() < self.capacity {
            self.replace_buffer(self.capacity);
        }
        let lacking = self.splitter.missing(&self.buffer);
        if self.buffer.capacity() == length {
            // The peer announces the length of a frame, but memory follows the bytes that came.
            self.grow(lacking.min(length));
        }
        let room = self.buffer.capacity() - length;
        if length > 0 && lacking >= LACKING_BYTES_MIN {
            return room.min(lacking);
        }
        room
    }

    /// Takes the front of the buffer: the buffer itself when it is well filled, else a copy, so
    /// that few bytes never keep much memory.
    fn take(&mut self, consumed: usize) -> (Bytes, usize) {
        let capacity = self.buffer.capacity();
        if consumed == 0 {
            return (Bytes::new(), 0);
        }
        if consumed * 2 < capacity {
            let mut copy = self.pool.lend(consumed);
            copy.extend_from_slice(self.buffer.get(..consumed).unwrap_or_default());
            let held = copy.capacity();
            let rest = self.buffer.len() - consumed;
            self.buffer.copy_within(consumed.., 0);
            self.buffer.truncate(rest);
            if consumed < capacity / 8 && rest == 0 && self.capacity > BUFFER_BYTES_MIN {
                self.capacity = (self.capacity / 2).max(BUFFER_BYTES_MIN);
                self.replace_buffer(self.capacity);
            }
            return (self.pool.share(copy), held);
        }
        let rest = self.buffer.len() - consumed;
        if consumed > BUFFER_BYTES_MAX {
            // The next frame is likely to be as large; a peer that lied gets no more than it sent.
            self.capacity = consumed.min(BUFFER_BYTES_LARGE);
        }
        let mut next = self.pool.lend(self.capacity.max(rest * 2));
        next.extend_from_slice(self.buffer.get(consumed..).unwrap_or_default());
        let mut full = std::mem::replace(&mut self.buffer, next);
        full.truncate(consumed);
        (self.pool.share(full), capacity)
    }

    fn grow(&mut self, more: usize) {
        let mut next = self.pool.lend(self.buffer.len() + more);
        next.extend_from_slice(&self.buffer);
        self.pool
            .give_back(std::mem::replace(&mut self.buffer, next));
    }

    fn replace_buffer(&mut self, capacity: usize) {
        let next = self.pool.lend(capacity);
        self.pool
            .give_back(std::mem::replace(&mut self.buffer, next));
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.buffer));
    }
}

/// Writes the prefix as receivers expect it: nothing after the tag, padding zero.
fn tidy(buffer: &mut [u8], frame: &FrameRange) {
    let prefix = frame.whole().start..frame.body().start;
    let Some(prefix) = buffer.get_mut(prefix) else {
        return;
    };
    let (tag, rest) = prefix.split_at_mut(TAG_BYTES);
    if tag != frame.tag.wire() {
        tag.copy_from_slice(&frame.tag.wire());
    }
    const PADDING_BYTES: usize = 4;
    if let Some(padding) = rest.last_chunk_mut::<PADDING_BYTES>() {
        debug_assert_eq!(TAG_BYTES + 2 * PADDING_BYTES, PREFIX_BYTES);
        *padding = [0; PADDING_BYTES];
    }
}

#[cfg(test)]
mod tests {
    use fathom_formats::controlhost::{encode_frame, tags};
    use proptest::prelude::*;

    use super::*;

    /// Reads a stream that arrives in pieces of certain sizes; returns bodies and the most memory.
    async fn bodies(stream: &[u8], pieces: &[usize]) -> (Vec<Vec<u8>>, usize) {
        let mut inlet = Inlet::new(1 << 30, Pool::default());
        let (mut bodies, mut most, mut rest) = (Vec::new(), 0, stream);
        for size in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (mut piece, later) = rest.split_at((*size).min(rest.len()));
            rest = later;
            while !piece.is_empty() {
                inlet.read(&mut piece).await.unwrap();
                most = most.max(inlet.buffer.capacity());
                let arrival = inlet.split();
                assert_eq!(arrival.error, None);
                assert!(arrival.held >= arrival.chunk.len());
                assert!(
                    arrival.held <= arrival.chunk.len() * 2 + 64,
                    "little holds much"
                );
                bodies.extend(
                    arrival
                        .frames
                        .iter()
                        .map(|f| arrival.chunk[f.body()].to_vec()),
                );
            }
        }
        assert_eq!(inlet.rest(), 0);
        (bodies, most)
    }

    #[tokio::test]
    async fn an_announced_length_is_not_allocated_before_the_bytes_come() {
        let mut inlet = Inlet::new(64 << 20, Pool::default());
        let mut start = Vec::new();
        encode_frame(tags::MSG, &vec![0; 50 << 20], &mut start).unwrap();
        let mut piece = &start[..100_000];
        while !piece.is_empty() {
            inlet.read(&mut piece).await.unwrap();
            assert!(inlet.split().frames.is_empty());
        }
        assert!(inlet.buffer.capacity() <= 200_000);
    }

    proptest! {
        // A case moves up to two megabytes in pieces.
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn any_pieces_give_the_same_frames(
            lengths in prop::collection::vec(prop_oneof![0..300_usize, 0..70_000_usize], 1..30),
            pieces in prop::collection::vec(prop_oneof![1..40_usize, 1..200_000_usize], 1..5),
        ) {
            let sent: Vec<Vec<u8>> = lengths.iter().map(|n| vec![n.to_le_bytes()[0]; *n]).collect();
            let mut stream = Vec::new();
            for body in &sent {
                encode_frame(tags::MSG, body, &mut stream).unwrap();
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (got, most) = runtime.block_on(bodies(&stream, &pieces));
            prop_assert_eq!(got, sent);
            prop_assert!(most <= 2 * BUFFER_BYTES_MAX, "{most}");
        }
    }
}
