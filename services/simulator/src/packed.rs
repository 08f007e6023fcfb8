//! Files that may be packed with gzip, read as if they were not.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::MultiGzDecoder;

/// How packed files begin: the magic of gzip and its only method.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// Bytes read from the disk, and unpacked, at a time.
const PIECE_BYTES: usize = 1 << 16;
/// Content kept for a step back; a longer one begins the file anew.
const KEPT_BYTES: usize = 4 << 20;

/// A file whose content is read, whether it is packed or not.
pub(crate) enum Source {
    Plain(File),
    Packed(Box<Packed>),
}

/// Why the rest of the content of a packed file is missing.
#[derive(Debug, thiserror::Error)]
pub enum PackedError {
    /// The file is shorter than it was.
    #[error("the file packed with gzip is cut off: the rest of its content is missing")]
    Cut,
    /// Bytes are not what was written.
    #[error("the file packed with gzip is damaged: the rest of its content is missing")]
    Damaged(#[source] io::Error),
}

/// A packed file.
pub(crate) struct Packed {
    decoder: MultiGzDecoder<BufReader<File>>,
    /// The newest content, and how much of its end is to be read again.
    kept: Vec<u8>,
    back: usize,
    /// Content that was unpacked.
    unpacked: u64,
    /// Where the content ends, or a fault ends it, once that was measured.
    end: u64,
}

impl Source {
    /// Opens a file. `is_plain` looks at the first 16 bytes: there are dumps that begin like a packed
    /// file, with a body of just that length.
    pub(crate) fn open(path: &Path, is_plain: impl Fn(&[u8]) -> bool) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut start = Vec::new();
        Read::by_ref(&mut file).take(16).read_to_end(&mut start)?;
        file.rewind()?;
        Ok(match start.starts_with(&MAGIC) && !is_plain(&start) {
            true => Self::Packed(Box::new(Packed::new(file))),
            false => Self::Plain(file),
        })
    }

    /// Returns the first bytes of the content, fewer when there are no more, and goes back to the start.
    pub(crate) fn peek(&mut self, bytes: u64) -> io::Result<Vec<u8>> {
        let mut start = Vec::new();
        let read = Read::by_ref(self).take(bytes).read_to_end(&mut start);
        // What is wrong with a packed file is told when it is read.
        if let (Self::Plain(_), Err(error)) = (&self, read) {
            return Err(error);
        }
        self.rewind()?;
        Ok(start)
    }

    /// Returns the length of the content, for which a packed file is unpacked as far as it goes, and why
    /// it is no longer; the content ends there from then on, without an error. The place for reading is
    /// then anywhere.
    pub(crate) fn measure(&mut self) -> io::Result<(u64, Option<PackedError>)> {
        match self {
            Self::Plain(file) => Ok((file.seek(SeekFrom::End(0))?, None)),
            Self::Packed(packed) => {
                packed.seek(SeekFrom::Start(0))?;
                let fault = io::copy(packed, &mut io::sink()).err();
                packed.end = packed.unpacked;
                Ok((packed.end, fault.map(PackedError::of)))
            }
        }
    }

    /// Returns the bytes read from the disk, where they are others than those of the content.
    pub(crate) fn packed_bytes(&self) -> Option<u64> {
        match self {
            Self::Plain(_) => None,
            Self::Packed(packed) => {
                let mut file = packed.decoder.get_ref().get_ref();
                file.stream_position().ok()
            }
        }
    }
}

impl PackedError {
    /// What a failure to unpack means.
    pub(crate) fn of(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof => Self::Cut,
            _ => Self::Damaged(error),
        }
    }

    /// Returns a short name of the reason.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Cut => "packed_cut",
            Self::Damaged(_) => "packed_damaged",
        }
    }
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(into),
            Self::Packed(packed) => packed.read(into),
        }
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Plain(file) => file.seek(to),
            Self::Packed(packed) => packed.seek(to),
        }
    }
}

impl Packed {
    fn new(file: File) -> Self {
        Self {
            decoder: MultiGzDecoder::new(BufReader::with_capacity(PIECE_BYTES, file)),
            kept: Vec::new(),
            back: 0,
            unpacked: 0,
            end: u64::MAX,
        }
    }

    fn place(&self) -> u64 {
        self.unpacked - self.back as u64
    }

    /// Unpacks a piece. The pieces are always the same, whoever reads: what the decoder gives before a
    /// damage depends on them.
    fn unpack(&mut self) -> io::Result<()> {
        if self.kept.len() > 2 * KEPT_BYTES {
            self.kept.drain(..self.kept.len() - KEPT_BYTES);
        }
        if self.unpacked >= self.end {
            return Ok(());
        }
        let known = self.kept.len();
        self.kept.resize(known + PIECE_BYTES, 0);
        let read = self.decoder.read(&mut self.kept[known..]);
        self.back = *read.as_ref().unwrap_or(&0);
        self.kept.truncate(known + self.back);
        self.unpacked += self.back as u64;
        read.map(|_| ())
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        let mut file = self.decoder.get_ref().get_ref().try_clone()?;
        file.rewind()?;
        *self = Self {
            end: self.end,
            ..Self::new(file)
        };
        Ok(())
    }
}

impl Read for Packed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.back == 0 {
            self.unpack()?;
        }
        let again = &self.kept[self.kept.len() - self.back..];
        let read = again.len().min(into.len());
        into[..read].copy_from_slice(&again[..read]);
        self.back -= read;
        Ok(read)
    }
}

impl Seek for Packed {
    /// Goes to a place counted from the start; one behind the end is the end.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(to) = to else {
            let text = "the end of a packed file is not known";
            return Err(io::Error::new(ErrorKind::Unsupported, text));
        };
        let back = self.unpacked.saturating_sub(to);
        match usize::try_from(back) {
            Ok(back) if back <= self.kept.len() => self.back = back,
            _ => self.begin_anew()?,
        }
        let ahead = to.saturating_sub(self.place());
        io::copy(&mut Read::by_ref(self).take(ahead), &mut io::sink())?;
        Ok(self.place())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn content() -> Vec<u8> {
        (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect()
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn opened(bytes: &[u8]) -> Source {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Source::open(file.path(), |_| false).unwrap()
    }

    #[test]
    fn any_place_of_a_packed_file_is_reached() {
        let content = content();
        // Two files behind one another are one, as gzip has it.
        let (a, b) = content.split_at(5_000_001);
        let mut source = opened(&[packed(a), packed(b)].concat());
        assert_eq!(source.measure().unwrap().0, content.len() as u64);
        for at in [0, 11_999_990, 11_999_000, 4_000_000, 5_000_000, 3, 2] {
            assert_eq!(source.seek(SeekFrom::Start(at)).unwrap(), at);
            let mut read = [0; 10];
            source.read_exact(&mut read).unwrap();
            let at = usize::try_from(at).unwrap();
            assert_eq!(read, content[at..at + 10], "{at}");
        }
        let behind = SeekFrom::Start(99_000_000);
        assert_eq!(source.seek(behind).unwrap(), content.len() as u64);
    }

    #[test]
    fn what_stands_before_the_fault_of_a_packed_file_is_measured() {
        let content = content();
        let whole = packed(&content);
        let (length, fault) = opened(&whole[..whole.len() / 2]).measure().unwrap();
        assert!(length > 1_000_000 && length < content.len() as u64);
        assert!(matches!(fault, Some(PackedError::Cut)));
        let mut damaged = whole.clone();
        let at = damaged.len() - 6;
        damaged[at] ^= 1;
        let (length, fault) = opened(&damaged).measure().unwrap();
        assert_eq!(length, content.len() as u64);
        assert!(matches!(fault, Some(PackedError::Damaged(_))));
        let (length, fault) = opened(&content).measure().unwrap();
        assert!(length == content.len() as u64 && fault.is_none());
    }
}
