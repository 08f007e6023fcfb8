//! Keeps the state of services in files: a snapshot, and a journal of records appended since.
//!
//! ```text
//! NAME.snapshot   magic 8 | generation u64 | payload
//! NAME.journal    magic 8 | generation u64 | { length u32 | crc32 u32 | payload } ...
//! ```
//! Numbers are little-endian. A journal counts only when it carries the generation of the snapshot,
//! so a crash between the two never replays old records on a new snapshot. A record that was cut
//! short by a crash, at the end of the journal, is dropped.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fathom_kernel::{CheckpointError, CheckpointStore, Saved};

use crate::files;

const SNAPSHOT_MAGIC: &[u8; 8] = b"FATHOMS1";
const JOURNAL_MAGIC: &[u8; 8] = b"FATHOMJ1";
const HEAD_BYTES: usize = 16;
const RECORD_HEAD_BYTES: usize = 8;

/// Largest snapshot of one service.
const SNAPSHOT_MAX: usize = 256 << 20;

/// Largest journal of one service; a service must write a snapshot before.
const JOURNAL_MAX: u64 = 64 << 20;

/// Keeps the state of all services in one folder.
pub struct FileStore {
    folder: PathBuf,
    open: Mutex<HashMap<String, Kept>>,
}

/// What is known of one service's files.
struct Kept {
    generation: u64,
    journal: Option<File>,
    journal_bytes: u64,
}

impl FileStore {
    /// Makes a store in a folder, which is made when first written to.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            open: Mutex::default(),
        }
    }

    fn path(&self, service: &str, what: &str) -> PathBuf {
        self.folder
            .join(format!("{}.{what}", files::name_of(service)))
    }

    fn read(&self, service: &str) -> Result<(u64, Saved, u64), CheckpointError> {
        let path = self.path(service, "snapshot");
        let (generation, snapshot) = match read_if_there(&path)? {
            Some(bytes) => {
                let (generation, payload) = head(&path, &bytes, SNAPSHOT_MAGIC)?;
                (generation, Some(payload.to_vec()))
            }
            None => (0, None),
        };
        let path = self.path(service, "journal");
        let (records, good) = match read_if_there(&path)? {
            // Cut short while it was made.
            Some(bytes) if bytes.len() < HEAD_BYTES => (Vec::new(), 0),
            Some(bytes) => match head(&path, &bytes, JOURNAL_MAGIC)? {
                (of, payload) if of == generation => records(&path, payload)?,
                _older => (Vec::new(), 0),
            },
            None => (Vec::new(), 0),
        };
        Ok((generation, Saved { snapshot, records }, good))
    }

    /// Finds out where the journal ends and opens it there.
    fn opened<'a>(
        &self,
        service: &str,
        open: &'a mut MutexGuard<'_, HashMap<String, Kept>>,
    ) -> Result<&'a mut Kept, CheckpointError> {
        if !open.contains_key(service) {
            let (generation, _, journal_bytes) = self.read(service)?;
            let kept = Kept {
                generation,
                journal: None,
                journal_bytes,
            };
            open.insert(service.to_owned(), kept);
        }
        Ok(open.get_mut(service).expect("inserted above"))
    }

    fn journal<'a>(&self, path: &Path, kept: &'a mut Kept) -> io::Result<&'a mut File> {
        if kept.journal.is_none() {
            std::fs::create_dir_all(&self.folder)?;
            let mut file = File::options()
                .create(true)
                .truncate(false)
                .append(true)
                .open(path)?;
            file.set_len(kept.journal_bytes)?;
            if kept.journal_bytes == 0 {
                file.write_all(&[&JOURNAL_MAGIC[..], &kept.generation.to_le_bytes()].concat())?;
                kept.journal_bytes = HEAD_BYTES as u64;
            }
            kept.journal = Some(file);
        }
        Ok(kept.journal.as_mut().expect("opened above"))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CheckpointStore for FileStore {
    fn load(&self, service: &str) -> Result<Saved, CheckpointError> {
        let _quiet = self.lock();
        self.read(service).map(|(_, saved, _)| saved)
    }

    fn save(&self, service: &str, snapshot: &[u8]) -> Result<(), CheckpointError> {
        let path = self.path(service, "snapshot");
        check_size(&path, snapshot.len() as u64, SNAPSHOT_MAX as u64)?;
        let mut open = self.lock();
        // A damaged old state must not keep a service from writing a new one.
        let generation = self
            .opened(service, &mut open)
            .map_or(0, |kept| kept.generation)
            + 1;
        let generation_bytes = generation.to_le_bytes();
        std::fs::create_dir_all(&self.folder)
            .and_then(|()| files::replace(&path, &[SNAPSHOT_MAGIC, &generation_bytes, snapshot]))
            .map_err(at(&path))?;
        let kept = Kept {
            generation,
            journal: None,
            journal_bytes: 0,
        };
        open.insert(service.to_owned(), kept);
        Ok(())
    }

    fn append(&self, service: &str, record: &[u8]) -> Result<(), CheckpointError> {
        let path = self.path(service, "journal");
        let mut open = self.lock();
        let kept = self.opened(service, &mut open)?;
        let bytes = (RECORD_HEAD_BYTES + record.len()) as u64;
        check_size(&path, kept.journal_bytes + bytes, JOURNAL_MAX)?;
        let length = u32::try_from(record.len()).expect("bounded by the size of the journal");
        let crc = crc32fast::hash(record);
        let whole = [&length.to_le_bytes()[..], &crc.to_le_bytes(), record].concat();
        let written = self
            .journal(&path, kept)
            .and_then(|file| file.write_all(&whole));
        match written {
            Ok(()) => {
                kept.journal_bytes += bytes;
                Ok(())
            }
            Err(error) => {
                // Opened anew next time, cut behind the last whole record.
                kept.journal = None;
                Err(at(&path)(error))
            }
        }
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let path = path.to_owned();
    move |source| CheckpointError::Io { path, source }
}

fn check_size(path: &Path, bytes: u64, max: u64) -> Result<(), CheckpointError> {
    if bytes <= max {
        return Ok(());
    }
    let text = format!("{bytes} bytes exceed limit {max}");
    Err(at(path)(io::Error::new(io::ErrorKind::FileTooLarge, text)))
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, CheckpointError> {
    let length = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(path)(error)),
    };
    check_size(path, length, (SNAPSHOT_MAX + HEAD_BYTES) as u64)?;
    std::fs::read(path).map(Some).map_err(at(path))
}

/// Splits a file into the generation and what follows.
fn head<'a>(
    path: &Path,
    bytes: &'a [u8],
    magic: &[u8; 8],
) -> Result<(u64, &'a [u8]), CheckpointError> {
    let damaged = || CheckpointError::Damaged {
        path: path.to_owned(),
        offset: 0,
        expected: "a file of fathom",
    };
    let (start, payload) = bytes.split_at_checked(HEAD_BYTES).ok_or_else(damaged)?;
    let generation = start.strip_prefix(magic).ok_or_else(damaged)?;
    let generation = generation.try_into().map_err(|_| damaged())?;
    Ok((u64::from_le_bytes(generation), payload))
}

/// Reads records and tells up to where the file is good.
fn records(path: &Path, mut rest: &[u8]) -> Result<(Vec<Vec<u8>>, u64), CheckpointError> {
    let mut found = Vec::new();
    let mut good = HEAD_BYTES as u64;
    while let Some((record, crc, behind)) = record(rest) {
        if crc32fast::hash(record) != crc {
            if behind.is_empty() {
                break;
            }
            return Err(CheckpointError::Damaged {
                path: path.to_owned(),
                offset: good,
                expected: "a record that fits its checksum",
            });
        }
        found.push(record.to_vec());
        good += (RECORD_HEAD_BYTES + record.len()) as u64;
        rest = behind;
    }
    Ok((found, good))
}

/// Splits off one record with its checksum; `None` when it is not all there.
fn record(bytes: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (record, behind) = rest.split_at_checked(length)?;
    Some((record, u32::from_le_bytes(*crc), behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "monitoring:rates";

    fn saved(snapshot: Option<&[u8]>, records: &[&[u8]]) -> Saved {
        Saved {
            snapshot: snapshot.map(<[u8]>::to_vec),
            records: records.iter().map(|r| r.to_vec()).collect(),
        }
    }

    #[test]
    fn what_was_kept_comes_back_in_another_process() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path().join("checkpoints"));
        assert_eq!(store.load(NAME).unwrap(), Saved::default());
        store.append(NAME, b"early").unwrap();
        store.save(NAME, b"snapshot").unwrap();
        store.append(NAME, b"one").unwrap();
        store.append(NAME, b"").unwrap();
        let other = FileStore::new(folder.path().join("checkpoints"));
        let expected = saved(Some(b"snapshot"), &[b"one", b""]);
        assert_eq!(other.load(NAME).unwrap(), expected);
        other.append(NAME, b"two").unwrap();
        let expected = saved(Some(b"snapshot"), &[b"one", b"", b"two"]);
        assert_eq!(other.load(NAME).unwrap(), expected);
    }

    #[test]
    fn a_record_cut_short_at_any_byte_is_dropped_and_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("monitoring:rates.journal");
        let store = FileStore::new(folder.path().to_owned());
        store.append(NAME, b"whole").unwrap();
        store.append(NAME, b"last words").unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for cut in 0..bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let whole: &[&[u8]] = if cut < HEAD_BYTES + 13 {
                &[]
            } else {
                &[b"whole"]
            };
            let again = FileStore::new(folder.path().to_owned());
            assert_eq!(again.load(NAME).unwrap(), saved(None, whole), "{cut}");
            again.append(NAME, b"new").unwrap();
            let expected = saved(None, &[whole, &[b"new"]].concat());
            assert_eq!(again.load(NAME).unwrap(), expected, "{cut}");
        }
    }

    #[test]
    fn a_flipped_bit_in_the_middle_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("monitoring:rates.journal");
        let store = FileStore::new(folder.path().to_owned());
        store.append(NAME, b"one").unwrap();
        store.append(NAME, b"two").unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[HEAD_BYTES + RECORD_HEAD_BYTES] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = FileStore::new(folder.path().to_owned())
            .load(NAME)
            .unwrap_err();
        assert!(
            matches!(error, CheckpointError::Damaged { offset: 16, .. }),
            "{error}"
        );
    }

    #[test]
    fn a_journal_of_an_older_snapshot_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("monitoring:rates.journal");
        let store = FileStore::new(folder.path().to_owned());
        store.append(NAME, b"old").unwrap();
        let old = std::fs::read(&path).unwrap();
        store.save(NAME, b"new").unwrap();
        std::fs::write(&path, old).unwrap();
        let again = FileStore::new(folder.path().to_owned());
        assert_eq!(again.load(NAME).unwrap(), saved(Some(b"new"), &[]));
        again.append(NAME, b"record").unwrap();
        assert_eq!(again.load(NAME).unwrap(), saved(Some(b"new"), &[b"record"]));
    }
}
