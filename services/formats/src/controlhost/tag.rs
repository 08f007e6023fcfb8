//! The tag that labels a ControlHost message.

use std::fmt;
use std::str::FromStr;

/// Longest tag on the wire, in bytes.
pub const TAG_BYTES: usize = 8;

/// A ControlHost tag: one to eight printable, non-blank ASCII characters, padded with NUL.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag([u8; TAG_BYTES]);

/// Why bytes or text are not a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// Nothing before the first NUL.
    #[error("tag is empty, expected 1 to 8 characters")]
    Empty,
    /// More than eight characters.
    #[error("tag of {got} characters exceeds limit 8")]
    TooLong {
        /// Characters found.
        got: usize,
    },
    /// A byte that is not printable ASCII, or a blank.
    #[error("tag has byte {byte:#04x} at {at}, expected printable ASCII")]
    Unprintable {
        /// The offending byte.
        byte: u8,
        /// Its position.
        at: usize,
    },
}

impl Tag {
    /// Returns the tag made of the bytes before the first NUL of a wire field.
    pub fn from_wire(field: [u8; TAG_BYTES]) -> Result<Self, TagError> {
        if let Some(tag) = Self::from_intact_wire(field) {
            return Ok(tag);
        }
        let length = field.iter().position(|&b| b == 0).unwrap_or(TAG_BYTES);
        Self::from_text(field.get(..length).unwrap_or_default())
    }

    /// Checks all eight bytes at once: a relay does this for every message.
    fn from_intact_wire(field: [u8; TAG_BYTES]) -> Option<Self> {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const TOPS: u64 = ONES * 0x80;
        const FIRST_GRAPHIC: u64 = ONES * b'!' as u64;

        let word = u64::from_le_bytes(field);
        let nuls = word.wrapping_sub(ONES) & !word & TOPS;
        let kept = match nuls.trailing_zeros() / 8 {
            0 => return None,
            bytes => u64::MAX
                .checked_shl(bytes * 8)
                .map_or(u64::MAX, |behind| !behind),
        };
        // Bytes behind the first NUL are made graphic, so that only the others decide.
        let filled = word & kept | FIRST_GRAPHIC & !kept;
        let is_ascii = filled & TOPS == 0;
        let is_not_below = (filled | TOPS).wrapping_sub(FIRST_GRAPHIC) & TOPS == TOPS;
        let is_not_delete = filled.wrapping_add(ONES) & TOPS == 0;
        (is_ascii && is_not_below && is_not_delete).then_some(Self((word & kept).to_le_bytes()))
    }

    /// Returns the eight bytes as they stand on the wire.
    pub const fn wire(self) -> [u8; TAG_BYTES] {
        self.0
    }

    /// Makes a tag at compile time; panics there, not at run time, when the text is no tag.
    #[expect(
        clippy::indexing_slicing,
        reason = "a wrong index stops the build, not the program"
    )]
    pub const fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        assert!(
            !bytes.is_empty() && bytes.len() <= TAG_BYTES,
            "a tag has 1 to 8 characters"
        );
        let mut field = [0; TAG_BYTES];
        let mut at = 0;
        while at < bytes.len() {
            assert!(bytes[at].is_ascii_graphic(), "a tag is printable ASCII");
            field[at] = bytes[at];
            at += 1;
        }
        Self(field)
    }

    /// Returns the tag as text, without padding.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|&b| b == 0).unwrap_or(TAG_BYTES);
        self.0
            .get(..length)
            .and_then(|b| std::str::from_utf8(b).ok())
            .unwrap_or_default()
    }

    fn from_text(text: &[u8]) -> Result<Self, TagError> {
        if text.is_empty() {
            return Err(TagError::Empty);
        }
        let mut field = [0; TAG_BYTES];
        let Some(head) = field.get_mut(..text.len()) else {
            return Err(TagError::TooLong { got: text.len() });
        };
        let mut bytes = text.iter().copied().enumerate();
        if let Some((at, byte)) = bytes.find(|(_, b)| !b.is_ascii_graphic()) {
            return Err(TagError::Unprintable { byte, at });
        }
        head.copy_from_slice(text);
        Ok(Self(field))
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        Self::from_text(text.as_bytes())
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}

impl serde::Serialize for Tag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Tag {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The tags of a KM3NeT shore station.
pub mod tags {
    use super::Tag;

    /// Triggered event.
    pub const IO_EVT: Tag = Tag::of("IO_EVT");
    /// Summary slice.
    pub const IO_SUM: Tag = Tag::of("IO_SUM");
    /// Time slice, level 0.
    pub const IO_TSL0: Tag = Tag::of("IO_TSL0");
    /// Time slice, level 1.
    pub const IO_TSL1: Tag = Tag::of("IO_TSL1");
    /// Time slice, level 2.
    pub const IO_TSL2: Tag = Tag::of("IO_TSL2");
    /// Time slice, supernova stream.
    pub const IO_TSSN: Tag = Tag::of("IO_TSSN");
    /// CLB monitoring packet.
    pub const IO_MONIT: Tag = Tag::of("IO_MONIT");
    /// Online reconstruction.
    pub const IO_OLINE: Tag = Tag::of("IO_OLINE");
    /// Arrivals of acoustic pings.
    pub const IO_TOA: Tag = Tag::of("IO_TOA");
    /// Log text.
    pub const MSG: Tag = Tag::of("MSG");

    /// All that a shore station sends.
    pub const STATION: [Tag; 10] = [
        IO_EVT, IO_SUM, IO_TSL0, IO_TSL1, IO_TSL2, IO_TSSN, IO_MONIT, IO_OLINE, IO_TOA, MSG,
    ];

    /// Sets a client's subscriptions.
    pub const SUBSCRIBE: Tag = Tag::of("_Subscri");
    /// Asks to send without further asking.
    pub const ALWAYS: Tag = Tag::of("_Always");

    /// Published by a broker when a client gives its name.
    pub const BORN: Tag = Tag::of("Born");
    /// Published by a broker when a named client leaves.
    pub const DIED: Tag = Tag::of("Died");
    /// Published by a broker when it drops a client for a malformed tag.
    pub const WRONG_HDR: Tag = Tag::of("WrongHdr");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_after_the_first_nul_are_ignored() {
        assert_eq!(Tag::from_wire(*b"MSG\0zzzz"), Ok(tags::MSG));
    }

    #[test]
    fn the_check_of_eight_bytes_at_once_agrees_with_the_one_byte_by_byte() {
        for at in 0..TAG_BYTES {
            for byte in 0..=u8::MAX {
                for rest in [b'A', b'!', b'~', 0] {
                    let mut field = [rest; TAG_BYTES];
                    field[..at].fill(b'Z');
                    field[at] = byte;
                    let length = field.iter().position(|&b| b == 0).unwrap_or(TAG_BYTES);
                    let slow = Tag::from_text(&field[..length]);
                    assert_eq!(Tag::from_wire(field), slow, "{field:?}");
                }
            }
        }
    }

    #[test]
    fn malformed_tags_say_what_is_wrong() {
        assert_eq!(Tag::from_wire([0; 8]), Err(TagError::Empty));
        assert_eq!(
            "A B".parse::<Tag>(),
            Err(TagError::Unprintable { byte: b' ', at: 1 })
        );
        assert_eq!(
            "IO_TOOLONG".parse::<Tag>(),
            Err(TagError::TooLong { got: 10 })
        );
    }
}
