//! The 16 bytes in front of every message.
//!
//! ```text
//! 0             8              12         16
//! | tag, NULs   | length i32   | padding  | body ...        length and padding big-endian
//! ```

use bytes::BufMut;

use super::tag::{TAG_BYTES, Tag, TagError};

/// Bytes of the prefix.
pub const PREFIX_BYTES: usize = 16;
/// Longest body accepted unless configured otherwise.
pub const BODY_BYTES_MAX_DEFAULT: usize = 64 << 20;

/// Tag and body length of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    tag: Tag,
    body_len: usize,
}

/// Why a stream cannot be read on; nothing marks where its next message would start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The tag is malformed; the original dispatcher reports it under the tag `WrongHdr`.
    #[error("malformed tag {field:02x?} at offset {offset}")]
    WrongHdr {
        /// Where the prefix starts in the stream.
        offset: u64,
        /// The eight bytes of the tag.
        field: [u8; TAG_BYTES],
        /// What is wrong with them.
        #[source]
        cause: TagError,
    },
    /// The length is negative, which once meant shared memory.
    #[error("negative body length {length} of tag {tag} at offset {offset}")]
    NegativeLength {
        /// Where the prefix starts in the stream.
        offset: u64,
        /// Tag of the message.
        tag: Tag,
        /// Length found.
        length: i32,
    },
    /// The body is longer than the limit.
    #[error("body of {length} bytes of tag {tag} at offset {offset} exceeds limit {limit}")]
    TooLong {
        /// Where the prefix starts in the stream; 0 when encoding.
        offset: u64,
        /// Tag of the message.
        tag: Tag,
        /// Length announced, or of the body to encode.
        length: u64,
        /// Longest body accepted.
        limit: u64,
    },
}

impl FrameError {
    /// Returns a short name of the reason, the label under which it is counted.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::WrongHdr { .. } => "wrong_header",
            Self::NegativeLength { .. } => "negative_length",
            Self::TooLong { .. } => "too_long",
        }
    }
}

impl Prefix {
    /// Makes the prefix of a body.
    pub fn new(tag: Tag, body_len: usize) -> Result<Self, FrameError> {
        let limit = i32::MAX.unsigned_abs();
        if body_len > limit as usize {
            let (length, limit) = (body_len as u64, u64::from(limit));
            return Err(FrameError::TooLong {
                offset: 0,
                tag,
                length,
                limit,
            });
        }
        Ok(Self { tag, body_len })
    }

    /// Decodes a prefix that stands at `offset` of its stream.
    pub fn decode(
        wire: &[u8; PREFIX_BYTES],
        body_bytes_max: usize,
        offset: u64,
    ) -> Result<Self, FrameError> {
        let [field @ .., l0, l1, l2, l3, _, _, _, _] = *wire;
        let tag = Tag::from_wire(field).map_err(|cause| FrameError::WrongHdr {
            offset,
            field,
            cause,
        })?;
        let length = i32::from_be_bytes([l0, l1, l2, l3]);
        let body_len = usize::try_from(length).map_err(|_| FrameError::NegativeLength {
            offset,
            tag,
            length,
        })?;
        if body_len > body_bytes_max {
            let (length, limit) = (body_len as u64, body_bytes_max as u64);
            return Err(FrameError::TooLong {
                offset,
                tag,
                length,
                limit,
            });
        }
        Ok(Self { tag, body_len })
    }

    /// Returns the tag.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// Returns the length of the body.
    pub fn body_len(&self) -> usize {
        self.body_len
    }

    /// Returns the 16 bytes on the wire.
    pub fn wire(&self) -> [u8; PREFIX_BYTES] {
        let [t0, t1, t2, t3, t4, t5, t6, t7] = self.tag.wire();
        let length = u32::try_from(self.body_len).expect("checked when the prefix was made");
        let [l0, l1, l2, l3] = length.to_be_bytes();
        [t0, t1, t2, t3, t4, t5, t6, t7, l0, l1, l2, l3, 0, 0, 0, 0]
    }
}

/// Appends prefix and body, so that both leave in one piece.
pub fn encode_frame(tag: Tag, body: &[u8], out: &mut impl BufMut) -> Result<(), FrameError> {
    out.put_slice(&Prefix::new(tag, body.len())?.wire());
    out.put_slice(body);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controlhost::tags;

    const HELLO: &[u8; 16] = b"MSG\0\0\0\0\0\0\0\0\x05\0\0\0\0";

    #[test]
    fn the_length_is_big_endian_and_does_not_count_the_prefix() {
        let mut out = Vec::new();
        encode_frame(tags::MSG, b"hello", &mut out).unwrap();
        assert_eq!(out, [HELLO.as_slice(), b"hello"].concat());
        assert_eq!(Prefix::decode(HELLO, 5, 0), Prefix::new(tags::MSG, 5));
    }

    #[test]
    fn padding_may_hold_anything() {
        let mut wire = *HELLO;
        wire[12..].fill(0xff);
        assert_eq!(Prefix::decode(&wire, 5, 0), Prefix::new(tags::MSG, 5));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_offset() {
        let text = |wire: &[u8; 16]| Prefix::decode(wire, 4, 99).unwrap_err().to_string();
        assert_eq!(
            text(HELLO),
            "body of 5 bytes of tag MSG at offset 99 exceeds limit 4"
        );
        let mut wire = *HELLO;
        wire[8] = 0x80;
        assert_eq!(
            text(&wire),
            "negative body length -2147483643 of tag MSG at offset 99"
        );
        wire[0] = 0;
        assert_eq!(
            text(&wire),
            "malformed tag [00, 53, 47, 00, 00, 00, 00, 00] at offset 99"
        );
    }
}
