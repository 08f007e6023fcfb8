//! Raw dumps, read piece by piece.

use std::io::{self, Read};
use std::path::Path;

use fathom_formats::controlhost::{Tag, tags};
use fathom_formats::km3net::{Dump, DumpError, DumpShape, data_type};

use crate::packed::{PackedError, Source};

/// Bytes read at a time.
const PIECE_BYTES: u64 = 1 << 20;
/// Consumed bytes above which the buffer is moved to its front.
const COMPACT_BYTES: usize = 1 << 20;

/// A dump that is being read.
pub(super) struct DumpFile {
    source: Source,
    shape: DumpShape,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were given out.
    consumed: usize,
    /// Where the buffer starts in the file.
    base: u64,
    at_end: bool,
    /// Why nothing behind the buffer can be read.
    fault: Option<DumpFileError>,
}

/// A body with its offset, or why there is none at an offset.
pub(super) type DumpItem = Result<(u64, Vec<u8>), (u64, DumpFileError)>;

/// Why the rest of a dump cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum DumpFileError {
    #[error(transparent)]
    Dump(#[from] DumpError),
    #[error(transparent)]
    Packed(PackedError),
    #[error("cannot read the file")]
    Io(#[source] io::Error),
}

impl DumpFileError {
    fn is_end(&self) -> bool {
        matches!(self, Self::Packed(PackedError::Cut))
    }

    /// Returns a short name of the reason.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Dump(error) => error.reason(),
            Self::Packed(error) => error.reason(),
            Self::Io(_) => "io",
        }
    }
}

impl DumpFile {
    pub(super) fn new(source: Source, tag: Tag) -> Self {
        Self {
            source,
            shape: DumpShape::of_tag(tag),
            buffer: Vec::new(),
            consumed: 0,
            base: 0,
            at_end: false,
            fault: None,
        }
    }

    /// Returns the bytes of the file that were read so far.
    pub(super) fn position(&self) -> u64 {
        let content = self.base + self.consumed as u64;
        self.source.packed_bytes().unwrap_or(content)
    }

    /// Returns the next body with its offset; `None` at the end.
    pub(super) fn next_body(&mut self) -> Option<DumpItem> {
        loop {
            let left = &self.buffer[self.consumed..];
            let start = self.base + self.consumed as u64;
            let item = Dump::with_shape(self.shape, left).next();
            let is_cut = match item.as_ref().map(|item| &item.body) {
                None | Some(Err(DumpError::Truncated { .. })) => true,
                Some(Err(DumpError::ImpossibleLength { .. })) => false,
                // A line that ends with the buffer may go on in the file.
                Some(Ok(body)) => self.shape == DumpShape::Lines && body.len() == left.len(),
            };
            if is_cut && !self.at_end {
                self.read_piece();
                continue;
            }
            let Some(item) = item else {
                return self.fault.take().map(|fault| Err((start, fault)));
            };
            return Some(match item.body {
                Ok(body) => {
                    let body = body.to_vec();
                    let offset = start + item.offset;
                    self.consumed += step(self.shape, item.offset, &body, left.len());
                    Ok((offset, body))
                }
                Err(error) => {
                    self.at_end = true;
                    self.consumed = self.buffer.len();
                    let of_body = shifted(error, start).into();
                    // A body that is cut as the file is cut is told as in any dump.
                    let fault = self.fault.take();
                    Err((start, fault.filter(|f| !f.is_end()).unwrap_or(of_body)))
                }
            });
        }
    }

    /// Reads on; what was read before a fault counts.
    fn read_piece(&mut self) {
        if self.consumed > COMPACT_BYTES {
            self.buffer.drain(..self.consumed);
            self.base += self.consumed as u64;
            self.consumed = 0;
        }
        // Doubling keeps the work linear for one very long body.
        let piece = PIECE_BYTES.max((self.buffer.len() - self.consumed) as u64);
        let read = Read::by_ref(&mut self.source)
            .take(piece)
            .read_to_end(&mut self.buffer);
        match (read, &self.source) {
            (Ok(read), _) => self.at_end = read == 0,
            (Err(error), source) => {
                self.at_end = true;
                self.fault = Some(match source {
                    Source::Plain(_) => DumpFileError::Io(error),
                    Source::Packed(_) => DumpFileError::Packed(PackedError::of(error)),
                });
            }
        }
    }
}

/// Returns how far a body moves the reading on.
fn step(shape: DumpShape, skipped: u64, body: &[u8], left: usize) -> usize {
    let newline = usize::from(shape == DumpShape::Lines && body.len() < left);
    usize::try_from(skipped).unwrap_or(left) + body.len() + newline
}

/// Moves the offsets of an error from the buffer to the file.
fn shifted(error: DumpError, by: u64) -> DumpError {
    match error {
        DumpError::ImpossibleLength {
            offset,
            length,
            min,
        } => DumpError::ImpossibleLength {
            offset: offset + by,
            length,
            min,
        },
        DumpError::Truncated {
            offset,
            length,
            left,
        } => DumpError::Truncated {
            offset: offset + by,
            length,
            left,
        },
    }
}

/// Finds out the tag of a dump: by its file name (`IO_EVT.dat`, `IO_TSL1_1003.dat`), or by the type
/// in its first preamble.
pub fn guess_tag(path: &Path, start: &[u8]) -> Option<Tag> {
    let name = path.file_name()?.to_string_lossy();
    let by_name = tags::STATION.into_iter().find(|tag| {
        let rest = name.strip_prefix(tag.as_str());
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
    });
    by_name.or_else(|| tag_of_preamble(start))
}

/// Returns the tag of what begins with this preamble.
pub(super) fn tag_of_preamble(start: &[u8]) -> Option<Tag> {
    if start.get(4..8) == Some(b"TMCH") {
        return Some(tags::IO_MONIT);
    }
    let kind = i32::from_le_bytes(*start.get(4..)?.first_chunk()?);
    match kind {
        data_type::EVENT => Some(tags::IO_EVT),
        data_type::SUMMARY_SLICE => Some(tags::IO_SUM),
        data_type::TIME_SLICE_L0 => Some(tags::IO_TSL0),
        data_type::TIME_SLICE_L1 => Some(tags::IO_TSL1),
        data_type::TIME_SLICE_L2 => Some(tags::IO_TSL2),
        data_type::TIME_SLICE_SN => Some(tags::IO_TSSN),
        data_type::ONLINE_RECO => Some(tags::IO_OLINE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn bodies(tag: Tag, bytes: &[u8]) -> Vec<Result<(u64, usize), String>> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let mut dump = DumpFile::new(Source::Plain(file), tag);
        std::iter::from_fn(|| dump.next_body())
            .map(|item| {
                item.map(|(offset, body)| (offset, body.len()))
                    .map_err(|(_, error)| error.to_string())
            })
            .collect()
    }

    #[test]
    fn a_dump_larger_than_a_piece_is_read_like_a_small_one() {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for n in 0..3000_u32 {
            expected.push(Ok((bytes.len() as u64, 1000 + n as usize)));
            bytes.extend((1000 + n).to_le_bytes());
            bytes.resize(bytes.len() + 996 + n as usize, 7);
        }
        assert_eq!(bodies(tags::IO_EVT, &bytes), expected);
        // Cut inside the last body: all others are there, and the offset is that of the file.
        let last = bodies(tags::IO_EVT, &bytes[..bytes.len() - 1])
            .pop()
            .unwrap();
        let at = expected[2999].as_ref().unwrap().0;
        assert_eq!(
            last,
            Err(format!(
                "body of 3999 bytes at offset {at}, but only 3998 are left"
            ))
        );
    }

    #[test]
    fn lines_and_packets_are_found_across_pieces() {
        let line = vec![b'x'; 700_000];
        let mut text = line.clone();
        text.push(b'\n');
        text.extend(&line);
        text.extend(b"\nlast");
        let expected = [Ok((0, 700_000)), Ok((700_001, 700_000)), Ok((1_400_002, 4))];
        assert_eq!(bodies(tags::MSG, &text), expected);
        let packets = [2, 0, 0, 0, 1, 2, 1, 0, 0, 0, 3];
        assert_eq!(bodies(tags::IO_MONIT, &packets), [Ok((4, 2)), Ok((10, 1))]);
        assert_eq!(bodies(tags::IO_EVT, &[]), []);
    }

    #[test]
    fn tags_are_guessed_by_name_and_by_type() {
        let of = |name: &str, start: &[u8]| guess_tag(Path::new(name), start);
        assert_eq!(of("/x/IO_TSL1_1003.dat", b""), Some(tags::IO_TSL1));
        assert_eq!(of("IO_EVT_legacy.dat", b""), Some(tags::IO_EVT));
        assert_eq!(of("MSG.log", b""), Some(tags::MSG));
        assert_eq!(of("IO_SUMMARY.dat", b""), None);
        let typed = |kind: i32| [[9, 0, 0, 0], kind.to_le_bytes()].concat();
        assert_eq!(of("dump.bin", &typed(1005)), Some(tags::IO_TSSN));
        assert_eq!(of("dump.bin", b"\xf4\0\0\0TMCH"), Some(tags::IO_MONIT));
        assert_eq!(of("dump.bin", &typed(5)), None);
    }
}
