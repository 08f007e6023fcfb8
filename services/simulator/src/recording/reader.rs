//! Reads recordings, whole ones and those that a crash or a bad disk left behind.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use fathom_formats::controlhost::Tag;

use crate::packed::{PackedError, Source};

use super::format::{
    BODY_BYTES_MAX, FILE_HEADER_BYTES, FILE_MAGIC, FOOTER_BYTES, FOOTER_MAGIC, INDEX_ENTRY_BYTES,
    INDEX_HEADER_BYTES, INDEX_MAGIC, IndexEntry, RECORD_HEADER_BYTES, RECORD_MAGIC, Record,
    RecordHeader, VERSION,
};

/// Longest index that is read: half a year at one entry per second. A damaged footer may call the
/// whole file an index.
const INDEX_BYTES_MAX: u64 = 384 << 20;

/// A recording that is being read.
pub struct Recording {
    file: BufReader<Source>,
    offset: u64,
    /// Where the records end.
    end: u64,
    index: Vec<IndexEntry>,
    has_index: bool,
    /// Why the file ends there, when it should not.
    fault: Option<PackedError>,
}

/// Why something in a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file is something else.
    #[error("not a recording, expected it to start with \"FATHOMRC\"")]
    NotARecording,
    /// The file is of a version that is not known.
    #[error("recording of version {got}, expected {VERSION}")]
    Version {
        /// Version found.
        got: u32,
    },
    /// The file ends inside a record, as after a crash.
    #[error("record at offset {offset} is cut off, {left} bytes are left")]
    Truncated {
        /// Where the record starts.
        offset: u64,
        /// Bytes from there to the end.
        left: u64,
    },
    /// Bytes are not what was written.
    #[error("record at offset {offset} is damaged, {skipped} bytes skipped")]
    Damaged {
        /// Where the damage starts.
        offset: u64,
        /// Bytes up to the next record.
        skipped: u64,
    },
    /// The recording is packed, and the rest of it is missing.
    #[error("{cause}")]
    Packed {
        /// Where in its content the rest is missing.
        offset: u64,
        /// Why.
        cause: PackedError,
    },
    /// The file cannot be read.
    #[error("cannot read the file")]
    Io(#[from] io::Error),
}

impl RecordingError {
    /// Returns a short name of the reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotARecording => "not_a_recording",
            Self::Version { .. } => "version",
            Self::Truncated { .. } => "record_truncated",
            Self::Damaged { .. } => "record_damaged",
            Self::Packed { cause, .. } => cause.reason(),
            Self::Io(_) => "io",
        }
    }

    /// Returns where it is.
    pub fn offset(&self) -> u64 {
        match self {
            Self::Truncated { offset, .. }
            | Self::Damaged { offset, .. }
            | Self::Packed { offset, .. } => *offset,
            Self::NotARecording | Self::Version { .. } | Self::Io(_) => 0,
        }
    }
}

impl Recording {
    /// Returns whether a file starts as recordings do.
    pub fn is_one(start: &[u8]) -> bool {
        start.starts_with(&FILE_MAGIC)
    }

    /// Opens a recording, also one that is packed with gzip; that one is unpacked once to its end, for
    /// its index and to know where it ends.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        Self::of(Source::open(path, |_| false)?)
    }

    /// The recording of this content.
    pub(crate) fn of(mut file: Source) -> Result<Self, RecordingError> {
        let (length, fault) = file.measure()?;
        file.rewind()?;
        let mut header = [0; FILE_HEADER_BYTES];
        file.read_exact(&mut header)
            .map_err(|_| RecordingError::NotARecording)?;
        let [magic @ .., v0, v1, v2, v3, _, _, _, _] = header;
        if magic != FILE_MAGIC {
            return Err(RecordingError::NotARecording);
        }
        let got = u32::from_le_bytes([v0, v1, v2, v3]);
        if got != VERSION {
            return Err(RecordingError::Version { got });
        }
        let index = read_index(&mut file, length)?;
        let (end, has_index) = index
            .as_ref()
            .map_or((length, false), |(at, _)| (*at, true));
        file.seek(SeekFrom::Start(FILE_HEADER_BYTES as u64))?;
        Ok(Self {
            file: BufReader::with_capacity(1 << 20, file),
            offset: FILE_HEADER_BYTES as u64,
            end,
            index: index.map(|(_, index)| index).unwrap_or_default(),
            has_index,
            fault,
        })
    }

    /// Returns whether the recording was closed in order and has its index.
    pub fn has_index(&self) -> bool {
        self.has_index
    }

    /// Returns the bytes of records read, and of all.
    pub fn progress(&self) -> (u64, u64) {
        (self.offset, self.end)
    }

    /// Jumps to the last indexed record that came before a time; without an index to the start.
    /// Returns the number of records jumped over.
    pub fn seek(&mut self, received_ns: i64) -> Result<u64, RecordingError> {
        let after = self
            .index
            .partition_point(|entry| entry.received_ns < received_ns);
        let entry = after.checked_sub(1).and_then(|at| self.index.get(at));
        let (offset, number) = entry.map_or((FILE_HEADER_BYTES as u64, 0), |entry| {
            (entry.offset, entry.number)
        });
        self.file.seek(SeekFrom::Start(offset))?;
        self.offset = offset;
        Ok(number)
    }

    /// Reads the next record; `None` at the end. After an error the next readable record follows.
    pub fn next_record(&mut self) -> Option<Result<Record, RecordingError>> {
        let left = self.end.saturating_sub(self.offset);
        if left == 0 {
            let (offset, cause) = (self.end, self.fault.take()?);
            return Some(Err(RecordingError::Packed { offset, cause }));
        }
        let record = self.read_record(left);
        match &record {
            // A disk that fails once would fail for ever at this place.
            Err(RecordingError::Io(_)) => self.offset = self.end,
            // A record that is cut as the file is cut is told once.
            Err(RecordingError::Truncated { .. }) => {
                self.fault
                    .take_if(|fault| matches!(fault, PackedError::Cut));
            }
            _ => {}
        }
        Some(record)
    }

    fn read_record(&mut self, left: u64) -> Result<Record, RecordingError> {
        let offset = self.offset;
        if left < RECORD_HEADER_BYTES as u64 {
            self.offset = self.end;
            return Err(RecordingError::Truncated { offset, left });
        }
        let mut wire = [0; RECORD_HEADER_BYTES];
        self.file.read_exact(&mut wire)?;
        let (magic, rest) = wire.split_at(RECORD_MAGIC.len());
        let header = RecordHeader::read(rest);
        let length = header.length as usize;
        let need = RECORD_HEADER_BYTES as u64 + u64::from(header.length);
        if magic != RECORD_MAGIC || length > BODY_BYTES_MAX || need > left {
            return Err(self.resynchronise(offset)?);
        }
        let mut body = Vec::new();
        // Grows with the bytes that are there, whatever the length says.
        let got = Read::by_ref(&mut self.file)
            .take(length as u64)
            .read_to_end(&mut body)?;
        let tag = Tag::from_wire(header.tag);
        match tag {
            Ok(tag) if got == length && header.crc_with(&body) == header.crc => {
                self.offset += need;
                Ok(Record {
                    offset,
                    received_ns: header.received_ns,
                    tag,
                    body,
                })
            }
            _ => Err(self.resynchronise(offset)?),
        }
    }

    /// Looks for the next record behind a bad one, by its magic.
    fn resynchronise(&mut self, bad: u64) -> Result<RecordingError, RecordingError> {
        self.file.seek(SeekFrom::Start(bad + 1))?;
        let mut at = bad + 1;
        let mut tail: Vec<u8> = Vec::new();
        loop {
            let buffer = self.file.fill_buf()?;
            if buffer.is_empty() {
                self.offset = self.end;
                let left = self.end - bad;
                return Ok(RecordingError::Truncated { offset: bad, left });
            }
            let read = buffer.len();
            let kept = tail.len();
            tail.extend_from_slice(buffer);
            let found = tail
                .windows(RECORD_MAGIC.len())
                .position(|w| w == RECORD_MAGIC);
            if let Some(found) = found {
                let offset = at - kept as u64 + found as u64;
                if offset >= self.end {
                    self.offset = self.end;
                    let left = self.end - bad;
                    return Ok(RecordingError::Truncated { offset: bad, left });
                }
                self.file.seek(SeekFrom::Start(offset))?;
                self.offset = offset;
                let skipped = offset - bad;
                return Ok(RecordingError::Damaged {
                    offset: bad,
                    skipped,
                });
            }
            self.file.consume(read);
            at += read as u64;
            let keep = tail.len().saturating_sub(RECORD_MAGIC.len() - 1);
            tail.drain(..keep);
        }
    }
}

/// Reads the index; `None` when there is none, or a damaged one.
fn read_index(file: &mut Source, length: u64) -> io::Result<Option<(u64, Vec<IndexEntry>)>> {
    let Some(footer_at) = length.checked_sub(FOOTER_BYTES as u64) else {
        return Ok(None);
    };
    file.seek(SeekFrom::Start(footer_at))?;
    let mut footer = [0; FOOTER_BYTES];
    file.read_exact(&mut footer)?;
    let [o0, o1, o2, o3, o4, o5, o6, o7, magic @ ..] = footer;
    let index_at = u64::from_le_bytes([o0, o1, o2, o3, o4, o5, o6, o7]);
    if magic != FOOTER_MAGIC || index_at < FILE_HEADER_BYTES as u64 || index_at > footer_at {
        return Ok(None);
    }
    let index_bytes = footer_at - index_at;
    if index_bytes > INDEX_BYTES_MAX {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(index_at))?;
    let mut bytes = Vec::new();
    file.take(index_bytes).read_to_end(&mut bytes)?;
    let Some((header, entries)) = bytes.split_at_checked(INDEX_HEADER_BYTES) else {
        return Ok(None);
    };
    let is_whole = header.starts_with(&INDEX_MAGIC)
        && header.get(4..8) == Some(&crc32fast::hash(&bytes[8..]).to_le_bytes()[..])
        && entries.len().is_multiple_of(INDEX_ENTRY_BYTES);
    let entries = entries.chunks_exact(INDEX_ENTRY_BYTES);
    Ok(is_whole.then(|| (index_at, entries.map(IndexEntry::read).collect())))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use fathom_formats::controlhost::tags;

    use super::super::RecordingWriter;
    use super::*;

    /// Writes 100 messages, ten per second.
    fn written(folder: &Path) -> PathBuf {
        let path = folder.join("test.rec");
        let mut writer = RecordingWriter::create(&path).unwrap();
        for n in 0..100_u8 {
            let body = vec![n; usize::from(n)];
            let at_ns = 1_000_000_000_000 + i64::from(n) * 100_000_000;
            writer.append(at_ns, tags::IO_SUM, &body).unwrap();
        }
        writer.finish().unwrap();
        path
    }

    fn read_all(recording: &mut Recording) -> (Vec<u8>, Vec<&'static str>) {
        let (mut bodies, mut errors) = (Vec::new(), Vec::new());
        while let Some(record) = recording.next_record() {
            match record {
                Ok(record) => {
                    let number = u8::try_from(record.body.len()).unwrap();
                    assert!(record.body.iter().all(|b| *b == number));
                    assert_eq!(record.tag, tags::IO_SUM);
                    bodies.push(number);
                }
                Err(error) => errors.push(error.reason()),
            }
        }
        (bodies, errors)
    }

    #[test]
    fn what_was_written_is_read_and_the_index_leads_to_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let mut recording = Recording::open(&written(folder.path())).unwrap();
        assert!(recording.has_index());
        assert_eq!(read_all(&mut recording).0, (0..100).collect::<Vec<_>>());
        // Record 55 comes at 5.5 s; the index has one entry per second.
        assert_eq!(recording.seek(1_005_500_000_000).unwrap(), 50);
        assert_eq!(read_all(&mut recording).0, (50..100).collect::<Vec<_>>());
        assert_eq!(recording.seek(0).unwrap(), 0);
        assert!(RecordingWriter::create(&folder.path().join("test.rec")).is_err());
    }

    #[test]
    fn a_file_cut_at_any_place_gives_all_whole_records() {
        let folder = tempfile::tempdir().unwrap();
        let whole = std::fs::read(written(folder.path())).unwrap();
        let cut = folder.path().join("cut.rec");
        // Records of 28 + n bytes behind a header of 16.
        let ends: Vec<usize> = (0..100)
            .scan(FILE_HEADER_BYTES, |at, n| {
                *at += RECORD_HEADER_BYTES + n;
                Some(*at)
            })
            .collect();
        for length in (FILE_HEADER_BYTES..whole.len()).step_by(7) {
            std::fs::write(&cut, &whole[..length]).unwrap();
            let mut recording = Recording::open(&cut).unwrap();
            assert!(!recording.has_index());
            let (bodies, errors) = read_all(&mut recording);
            let complete = ends.iter().filter(|end| **end <= length).count();
            assert_eq!(bodies.len(), complete, "{length}");
            assert!(errors.len() <= 1, "{length}: {errors:?}");
        }
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_packed_recording_is_read_like_one_that_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let mut whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, packed(&whole)).unwrap();
        let mut recording = Recording::open(&path).unwrap();
        assert!(recording.has_index());
        let all = (0..100).collect::<Vec<_>>();
        assert_eq!(read_all(&mut recording), (all.clone(), vec![]));
        assert_eq!(recording.seek(1_005_500_000_000).unwrap(), 50);
        assert_eq!(read_all(&mut recording).0, all[50..]);
        whole[FILE_HEADER_BYTES + 5] ^= 1;
        std::fs::write(&path, packed(&whole)).unwrap();
        let mut recording = Recording::open(&path).unwrap();
        let expected = (all[1..].to_vec(), vec!["record_damaged"]);
        assert_eq!(read_all(&mut recording), expected);
    }

    #[test]
    fn a_packed_recording_that_is_cut_off_gives_all_whole_records_and_says_so_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let packed = packed(&std::fs::read(&path).unwrap());
        let mut most = 0;
        for length in packed.len() / 2..packed.len() {
            std::fs::write(&path, &packed[..length]).unwrap();
            let mut recording = Recording::open(&path).unwrap();
            let (bodies, errors) = read_all(&mut recording);
            let number = u8::try_from(bodies.len()).unwrap();
            assert_eq!(bodies, (0..number).collect::<Vec<_>>());
            most = most.max(number);
            assert_eq!(errors.len(), 1, "{length}: {errors:?}");
            let reasons = ["record_truncated", "packed_cut"];
            assert!(reasons.contains(&errors[0]), "{length}: {errors:?}");
        }
        assert_eq!(most, 100);
    }

    #[test]
    fn a_damaged_record_is_reported_and_the_next_ones_follow() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let whole = std::fs::read(&path).unwrap();
        for at in (FILE_HEADER_BYTES..4000).step_by(11) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            std::fs::write(&path, &damaged).unwrap();
            let mut recording = Recording::open(&path).unwrap();
            let (bodies, errors) = read_all(&mut recording);
            assert_eq!((bodies.len(), errors.len()), (99, 1), "{at}");
            assert_eq!(errors[0], "record_damaged");
        }
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other");
        std::fs::write(&path, b"short").unwrap();
        assert!(matches!(
            Recording::open(&path),
            Err(RecordingError::NotARecording)
        ));
        std::fs::write(&path, b"FATHOMRC\x09\0\0\0\0\0\0\0").unwrap();
        assert!(matches!(
            Recording::open(&path),
            Err(RecordingError::Version { got: 9 })
        ));
    }
}
