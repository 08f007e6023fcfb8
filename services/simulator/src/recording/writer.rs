//! Writes recordings.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use bytes::BufMut;
use fathom_formats::controlhost::Tag;

use super::format::{
    FILE_HEADER_BYTES, FILE_MAGIC, FOOTER_MAGIC, INDEX_MAGIC, IndexEntry, RECORD_HEADER_BYTES,
    RecordHeader, VERSION,
};

/// Records are indexed at most this often (ns).
const INDEX_EVERY_NS: i64 = 1_000_000_000;

/// A recording that is being written; records are readable once they are flushed.
pub struct RecordingWriter {
    file: BufWriter<File>,
    offset: u64,
    number: u64,
    index: Vec<IndexEntry>,
    header: Vec<u8>,
}

impl RecordingWriter {
    /// Makes a file; one that exists is not overwritten.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create_new(path)?);
        file.write_all(&FILE_MAGIC)?;
        file.write_all(&VERSION.to_le_bytes())?;
        file.write_all(&[0; 4])?;
        Ok(Self {
            file,
            offset: FILE_HEADER_BYTES as u64,
            number: 0,
            index: Vec::new(),
            header: Vec::with_capacity(RECORD_HEADER_BYTES),
        })
    }

    /// Appends a message.
    pub fn append(&mut self, received_ns: i64, tag: Tag, body: &[u8]) -> io::Result<()> {
        let header = RecordHeader::of(received_ns, tag, body)
            .ok_or_else(|| io::Error::other("body of more than 4 GiB"))?;
        let is_new_second = self
            .index
            .last()
            .is_none_or(|last| received_ns.abs_diff(last.received_ns) >= INDEX_EVERY_NS as u64);
        if is_new_second {
            self.index.push(IndexEntry {
                received_ns,
                offset: self.offset,
                number: self.number,
            });
        }
        self.header.clear();
        header.put(&mut self.header);
        self.file.write_all(&self.header)?;
        self.file.write_all(body)?;
        self.offset += (RECORD_HEADER_BYTES + body.len()) as u64;
        self.number += 1;
        Ok(())
    }

    /// Hands everything to the system, so that a crash of the program loses nothing.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    /// Returns the records and bytes written so far.
    pub fn written(&self) -> (u64, u64) {
        (self.number, self.offset)
    }

    /// Writes the index and makes sure that all is on the disk.
    pub fn finish(mut self) -> io::Result<()> {
        let mut entries = Vec::new();
        entries.put_u32_le(u32::try_from(self.index.len()).unwrap_or(u32::MAX));
        let kept = self.index.iter().take(u32::MAX as usize);
        kept.for_each(|entry| entry.put(&mut entries));
        let crc = crc32fast::hash(&entries);
        self.file.write_all(&INDEX_MAGIC)?;
        self.file.write_all(&crc.to_le_bytes())?;
        self.file.write_all(&entries)?;
        self.file.write_all(&self.offset.to_le_bytes())?;
        self.file.write_all(&FOOTER_MAGIC)?;
        self.file.flush()?;
        self.file.get_ref().sync_all()
    }
}
