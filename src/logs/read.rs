//! Reads parts of a log file, with the arithmetic of supervisord's clients.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

/// Most bytes of one answer; a longer part is cut at its end.
const READ_MAX: u64 = 16 << 20;

/// Why a part cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nothing was written yet, or the file is gone.
    #[error("no such file")]
    NoFile,
    /// This offset does not go with this length.
    #[error("an offset of {offset} does not go with a length of {length}")]
    Arguments {
        /// As given.
        offset: i64,
        /// As given.
        length: i64,
    },
    /// The file cannot be read.
    #[error("cannot read it")]
    Failed(#[source] io::Error),
}

/// A part of a file from its end, for clients that poll.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail {
    /// The bytes.
    pub data: Vec<u8>,
    /// Where to go on: the size of the file.
    pub offset: u64,
    /// There was more than was asked for; `data` is the end of it.
    pub overflow: bool,
}

/// Reads a part of a file: from an offset, `length` bytes or, for 0, to the end; or, for a negative
/// offset and length 0, so many bytes from the end.
pub fn read(path: &Path, offset: i64, length: i64) -> Result<Vec<u8>, ReadError> {
    let mut file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => ReadError::NoFile,
        _ => ReadError::Failed(error),
    })?;
    if length < 0 || (offset < 0 && length != 0) {
        return Err(ReadError::Arguments { offset, length });
    }
    let mut part = || {
        let size = file.metadata()?.len();
        let from = match u64::try_from(offset) {
            Ok(offset) => offset,
            Err(_) => size.saturating_sub(offset.unsigned_abs()),
        };
        let most = match (length.unsigned_abs(), offset.unsigned_abs()) {
            (0, back) if offset < 0 => back,
            (0, _) => READ_MAX,
            (length, _) => length,
        };
        bytes_at(&mut file, from, most.min(READ_MAX))
    };
    part().map_err(ReadError::Failed)
}

/// Reads the end of a file: `length` bytes from `offset` while the file is that short, else its last
/// `length` bytes. A file that is not there is empty.
pub fn tail(path: &Path, offset: i64, length: i64) -> io::Result<Tail> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Tail::default()),
        file => file?,
    };
    let size = file.metadata()?.len();
    let (mut offset, mut length) = (i128::from(offset), i128::from(length));
    let end = i128::from(size);
    let overflow = end > offset + length;
    if overflow {
        offset = end - 1;
    }
    if offset + length > end {
        if offset > end - 1 {
            length = 0;
        }
        offset = end - length;
    }
    let from = u64::try_from(offset).unwrap_or(0);
    let length = u64::try_from(length).unwrap_or(0);
    Ok(Tail {
        data: bytes_at(&mut file, from, length.min(READ_MAX))?,
        offset: size,
        overflow,
    })
}

/// Reads at most so many bytes from an offset.
pub(super) fn bytes_at(file: &mut File, from: u64, most: u64) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    if from >= file.metadata()?.len() {
        return Ok(data);
    }
    file.seek(SeekFrom::Start(from))?;
    file.take(most).read_to_end(&mut data)?;
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "abcdefghijklmnop\ntick\ntick";

    fn written() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(&path, TEXT).unwrap();
        (folder, path)
    }

    #[test]
    fn parts_are_read_as_clients_ask_for_them() {
        let (_folder, path) = written();
        let text = |offset, length| String::from_utf8(read(&path, offset, length).unwrap());
        assert_eq!(text(-4, 0).unwrap(), "tick");
        assert_eq!(text(-1600, 0).unwrap().len(), 26);
        assert_eq!(text(0, 3).unwrap(), "abc");
        assert_eq!(text(20, 0).unwrap(), "k\ntick");
        assert_eq!(text(100, 0).unwrap(), "");
        assert_eq!(text(0, 1000).unwrap().len(), 26);
        for (offset, length) in [(-5, 3), (0, -1), (-1, -1), (i64::MIN, 1)] {
            let error = read(&path, offset, length).unwrap_err();
            assert!(matches!(error, ReadError::Arguments { .. }), "{offset}");
        }
        assert!(read(&path, i64::MIN, 0).is_ok() && read(&path, i64::MAX, i64::MAX).is_ok());
        let missing = read(Path::new("/no/such/log"), -5, 3).unwrap_err();
        assert!(matches!(missing, ReadError::NoFile));
    }

    /// Facts of `formats/supervisord-rpc.md` 5.
    #[test]
    fn tails_are_those_of_supervisord() {
        let (_folder, path) = written();
        let tail = |offset, length| {
            let tail = tail(&path, offset, length).unwrap();
            let text = String::from_utf8(tail.data).unwrap();
            (text, tail.offset, tail.overflow)
        };
        assert_eq!(tail(0, 9), ("tick\ntick".to_owned(), 26, true));
        assert_eq!(tail(0, 100_000).0.len(), 26);
        assert!(!tail(0, 100_000).2);
        assert_eq!(tail(0, 0), (String::new(), 26, true));
        assert_eq!(tail(26 - 4, 4), ("tick".to_owned(), 26, false));
        assert_eq!(tail(26, 5), (String::new(), 26, false));
        for offset in [i64::MIN, -1, i64::MAX] {
            for length in [i64::MIN, -1, i64::MAX] {
                assert_eq!(tail(offset, length).1, 26);
            }
        }
        assert_eq!(
            super::tail(Path::new("/no/such/log"), 5, 3).unwrap(),
            Tail::default()
        );
    }
}
