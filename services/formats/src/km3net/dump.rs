//! Walks over `.dat` dumps: the bodies of one tag back to back in a file.
//!
//! Bodies with a preamble follow each other directly, its length leads to the next one. Monitoring
//! packets have no preamble; each comes behind its length as u32, little-endian. Text is one
//! message per line.

use super::header::PREAMBLE_BYTES;
use crate::controlhost::{Tag, tags};

/// How the bodies of a dump are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DumpShape {
    /// By the length in their preamble.
    Preamble,
    /// By a u32 LE in front of each, which does not count itself.
    LengthPrefix,
    /// By newlines.
    Lines,
}

/// A body of a dump, not yet decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpItem<'a> {
    /// Where the body starts in the file, or where no body could be found.
    pub offset: u64,
    /// The body.
    pub body: Result<&'a [u8], DumpError>,
}

/// Why the walk ends before the end of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DumpError {
    /// The length cannot be one, so the next body cannot be found.
    #[error("length {length} at offset {offset}, expected at least {min}")]
    ImpossibleLength {
        /// Where the length stands.
        offset: u64,
        /// Length found.
        length: i64,
        /// Smallest length of a body.
        min: u32,
    },
    /// The file ends inside a body.
    #[error("body of {length} bytes at offset {offset}, but only {left} are left")]
    Truncated {
        /// Where the body starts.
        offset: u64,
        /// Bytes it should have.
        length: u64,
        /// Bytes there are.
        left: u64,
    },
}

impl DumpError {
    /// Returns a short name of the reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ImpossibleLength { .. } => "impossible_length",
            Self::Truncated { .. } => "truncated",
        }
    }
}

/// Iterates over the bodies of a dump.
///
/// A body that does not decode does not end the walk, a length that leads nowhere does: there is
/// no mark by which the next body could be found.
#[derive(Debug, Clone)]
pub struct Dump<'a> {
    left: &'a [u8],
    offset: u64,
    shape: DumpShape,
}

impl DumpShape {
    /// Returns the shape of dumps of a tag.
    pub fn of_tag(tag: Tag) -> Self {
        match tag {
            tags::IO_MONIT => Self::LengthPrefix,
            tags::MSG => Self::Lines,
            _ => Self::Preamble,
        }
    }
}

impl<'a> Dump<'a> {
    /// Walks over the bytes of a dump of the given tag.
    pub fn new(tag: Tag, bytes: &'a [u8]) -> Self {
        Self::with_shape(DumpShape::of_tag(tag), bytes)
    }

    /// Walks over the bytes of a dump of the given shape.
    pub fn with_shape(shape: DumpShape, bytes: &'a [u8]) -> Self {
        Self {
            left: bytes,
            offset: 0,
            shape,
        }
    }

    /// Takes `skip` bytes and the body of `length` bytes behind them.
    fn take(&mut self, skip: usize, length: usize) -> Result<&'a [u8], DumpError> {
        let rest = self.left.get(skip..).unwrap_or_default();
        let Some((body, behind)) = rest.split_at_checked(length) else {
            return Err(DumpError::Truncated {
                offset: self.offset + skip as u64,
                length: length as u64,
                left: rest.len() as u64,
            });
        };
        self.left = behind;
        self.offset += (skip + length) as u64;
        Ok(body)
    }

    fn with_preamble(&mut self) -> Result<&'a [u8], DumpError> {
        if self.left.len() < PREAMBLE_BYTES {
            return self.take(0, PREAMBLE_BYTES);
        }
        let length = self.length_field().cast_signed();
        match usize::try_from(length) {
            Ok(bytes) if bytes >= PREAMBLE_BYTES => self.take(0, bytes),
            _ => Err(DumpError::ImpossibleLength {
                offset: self.offset,
                length: i64::from(length),
                min: 8,
            }),
        }
    }

    fn with_prefix(&mut self) -> Result<&'a [u8], DumpError> {
        if self.left.len() < size_of::<u32>() {
            return self.take(0, size_of::<u32>());
        }
        match self.length_field() {
            0 => Err(DumpError::ImpossibleLength {
                offset: self.offset,
                length: 0,
                min: 1,
            }),
            length => self.take(size_of::<u32>(), length as usize),
        }
    }

    fn line(&mut self) -> Result<&'a [u8], DumpError> {
        match self.left.iter().position(|&b| b == b'\n') {
            Some(end) => {
                let line = self.take(0, end);
                self.take(0, 1)?;
                line
            }
            None => self.take(0, self.left.len()),
        }
    }

    fn length_field(&self) -> u32 {
        self.left
            .first_chunk()
            .map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }
}

impl<'a> Iterator for Dump<'a> {
    type Item = DumpItem<'a>;

    fn next(&mut self) -> Option<DumpItem<'a>> {
        if self.left.is_empty() {
            return None;
        }
        let start = self.offset;
        let (skip, body) = match self.shape {
            DumpShape::Preamble => (0, self.with_preamble()),
            DumpShape::LengthPrefix => (size_of::<u32>() as u64, self.with_prefix()),
            DumpShape::Lines => (0, self.line()),
        };
        let offset = if body.is_ok() { start + skip } else { start };
        if body.is_err() {
            self.left = &[];
        }
        Some(DumpItem { offset, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(tag: Tag, bytes: &[u8]) -> Vec<(u64, Result<usize, &'static str>)> {
        Dump::new(tag, bytes)
            .map(|item| {
                (
                    item.offset,
                    item.body.map(<[u8]>::len).map_err(|e| e.reason()),
                )
            })
            .collect()
    }

    #[test]
    fn bodies_are_found_by_their_preamble() {
        let bytes = [8, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 7];
        assert_eq!(walk(tags::IO_EVT, &bytes), [(0, Ok(8)), (8, Ok(9))]);
        assert_eq!(
            walk(tags::IO_EVT, &bytes[..16]),
            [(0, Ok(8)), (8, Err("truncated"))]
        );
        assert_eq!(
            walk(tags::IO_EVT, &bytes[..11]),
            [(0, Ok(8)), (8, Err("truncated"))]
        );
        assert_eq!(
            walk(tags::IO_EVT, &[7, 0, 0, 0, 0, 0, 0, 0]),
            [(0, Err("impossible_length"))]
        );
    }

    #[test]
    fn monitoring_packets_come_behind_their_length() {
        let bytes = [2, 0, 0, 0, 1, 2, 1, 0, 0, 0, 3];
        assert_eq!(walk(tags::IO_MONIT, &bytes), [(4, Ok(2)), (10, Ok(1))]);
        assert_eq!(
            walk(tags::IO_MONIT, &bytes[..10]),
            [(4, Ok(2)), (6, Err("truncated"))]
        );
    }

    #[test]
    fn text_is_walked_by_lines() {
        assert_eq!(
            walk(tags::MSG, b"ab\n\nc"),
            [(0, Ok(2)), (3, Ok(0)), (4, Ok(1))]
        );
    }
}
