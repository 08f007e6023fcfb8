//! Messages on their way out: the bytes as they stand on the wire, and where each message lies.

use bytes::{BufMut, Bytes, BytesMut};
use fathom_formats::controlhost::{PREFIX_BYTES, Prefix, Tag};

/// Messages of one stream, back to back with their prefixes.
#[derive(Debug, Clone, Default)]
pub struct Chunk {
    wire: BytesMut,
    messages: Vec<Message>,
}

/// Where a message lies in its chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Message {
    tag: Tag,
    start: usize,
    end: usize,
}

/// A finished chunk; clones share the bytes.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// All messages with their prefixes, ready to be written to a ligier.
    pub wire: Bytes,
    messages: Vec<Message>,
}

impl Chunk {
    /// Makes a chunk with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            wire: BytesMut::with_capacity(bytes),
            messages: Vec::new(),
        }
    }

    /// Appends a message whose body is what `fill` appends.
    pub fn push(&mut self, tag: Tag, fill: impl FnOnce(&mut BytesMut)) {
        let prefix_at = self.wire.len();
        self.wire.put_bytes(0, PREFIX_BYTES);
        let start = self.wire.len();
        fill(&mut self.wire);
        let end = self.wire.len();
        match Prefix::new(tag, end - start) {
            Ok(prefix) => {
                self.wire[prefix_at..start].copy_from_slice(&prefix.wire());
                self.messages.push(Message { tag, start, end });
            }
            // A body that no prefix can announce is not sent at all.
            Err(_) => self.wire.truncate(prefix_at),
        }
    }

    /// Returns whether there are no messages.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Lets `damage` change each body; one that it shortens keeps a prefix that fits.
    pub(crate) fn rewrite(&mut self, mut damage: impl FnMut(Tag, &mut Vec<u8>)) {
        let old = std::mem::take(self);
        let mut body = Vec::new();
        for message in &old.messages {
            body.clear();
            body.extend_from_slice(&old.wire[message.start..message.end]);
            damage(message.tag, &mut body);
            self.push(message.tag, |out| out.put_slice(&body));
        }
    }

    /// Finishes the chunk.
    pub fn seal(self) -> Sealed {
        Sealed {
            wire: self.wire.freeze(),
            messages: self.messages,
        }
    }
}

impl Sealed {
    /// Iterates over the messages; bodies share the bytes of the chunk.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = (Tag, Bytes)> + '_ {
        let messages = self.messages.iter();
        messages.map(|m| (m.tag, self.wire.slice(m.start..m.end)))
    }

    /// Returns the number of messages.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Returns whether there are no messages.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use fathom_formats::controlhost::{Splitter, tags};

    use super::*;

    #[test]
    fn a_chunk_is_what_a_ligier_reads() {
        let mut chunk = Chunk::default();
        chunk.push(tags::MSG, |out| out.put_slice(b"hello"));
        chunk.push(tags::IO_EVT, |out| out.put_slice(b"xy"));
        let sealed = chunk.seal();
        let mut splitter = Splitter::new(1 << 20);
        let found: Vec<_> = splitter
            .frames(&sealed.wire)
            .map(|range| range.unwrap().tag)
            .collect();
        assert_eq!(found, [tags::MSG, tags::IO_EVT]);
        let bodies: Vec<_> = sealed.messages().map(|(_, body)| body).collect();
        assert_eq!(bodies, [&b"hello"[..], b"xy"]);
    }

    #[test]
    fn rewritten_bodies_get_a_prefix_that_fits() {
        let mut chunk = Chunk::default();
        chunk.push(tags::MSG, |out| out.put_slice(b"hello"));
        chunk.rewrite(|_, body| body.truncate(2));
        let sealed = chunk.seal();
        assert_eq!(sealed.wire[8..12], [0, 0, 0, 2]);
        assert_eq!(sealed.wire.len(), 18);
    }
}
