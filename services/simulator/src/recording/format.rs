//! The numbers of the file format.

use bytes::{Buf, BufMut};
use fathom_formats::controlhost::Tag;

pub(super) const FILE_MAGIC: [u8; 8] = *b"FATHOMRC";
pub(super) const VERSION: u32 = 1;
pub(super) const FILE_HEADER_BYTES: usize = 16;
pub(super) const RECORD_MAGIC: [u8; 4] = *b"REC1";
pub(super) const RECORD_HEADER_BYTES: usize = 28;
pub(super) const INDEX_MAGIC: [u8; 4] = *b"IDX1";
pub(super) const INDEX_HEADER_BYTES: usize = 12;
pub(super) const INDEX_ENTRY_BYTES: usize = 24;
pub(super) const FOOTER_MAGIC: [u8; 8] = *b"FATHOMIX";
pub(super) const FOOTER_BYTES: usize = 16;
/// Longest body that is believed; brokers take less.
pub(super) const BODY_BYTES_MAX: usize = 1 << 30;

/// A message of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where the record starts in the file.
    pub offset: u64,
    /// When the message came, in nanoseconds since 1970.
    pub received_ns: i64,
    /// Its tag.
    pub tag: Tag,
    /// Its body.
    pub body: Vec<u8>,
}

/// The header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) crc: u32,
    pub(super) received_ns: i64,
    pub(super) tag: [u8; 8],
    pub(super) length: u32,
}

/// A place in the file to which one can jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IndexEntry {
    pub(super) received_ns: i64,
    pub(super) offset: u64,
    /// Records before it.
    pub(super) number: u64,
}

impl RecordHeader {
    pub(super) fn of(received_ns: i64, tag: Tag, body: &[u8]) -> Option<Self> {
        let length = u32::try_from(body.len()).ok()?;
        let mut header = Self {
            crc: 0,
            received_ns,
            tag: tag.wire(),
            length,
        };
        header.crc = header.crc_with(body);
        Some(header)
    }

    pub(super) fn crc_with(&self, body: &[u8]) -> u32 {
        let mut covered = Vec::with_capacity(20);
        self.put_covered(&mut covered);
        let mut crc = crc32fast::Hasher::new();
        crc.update(&covered);
        crc.update(body);
        crc.finalize()
    }

    pub(super) fn put(&self, out: &mut impl BufMut) {
        out.put_slice(&RECORD_MAGIC);
        out.put_u32_le(self.crc);
        self.put_covered(out);
    }

    /// Reads what follows the magic.
    pub(super) fn read(mut bytes: &[u8]) -> Self {
        let crc = bytes.get_u32_le();
        let received_ns = bytes.get_i64_le();
        let mut tag = [0; 8];
        bytes.copy_to_slice(&mut tag);
        Self {
            crc,
            received_ns,
            tag,
            length: bytes.get_u32_le(),
        }
    }

    fn put_covered(&self, out: &mut impl BufMut) {
        out.put_i64_le(self.received_ns);
        out.put_slice(&self.tag);
        out.put_u32_le(self.length);
    }
}

impl IndexEntry {
    pub(super) fn put(&self, out: &mut impl BufMut) {
        out.put_i64_le(self.received_ns);
        out.put_u64_le(self.offset);
        out.put_u64_le(self.number);
    }

    pub(super) fn read(mut bytes: &[u8]) -> Self {
        Self {
            received_ns: bytes.get_i64_le(),
            offset: bytes.get_u64_le(),
            number: bytes.get_u64_le(),
        }
    }
}
