//! The files that a configuration was read from, and whether they say something else by now.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::files;

/// Largest file compared; that of the detector may be large.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// A file that was not written for so long shows every further writing by its time.
const SETTLED: Duration = Duration::from_secs(2);

/// The files of one reading, in the order in which they were read.
#[derive(Debug, Clone, Default)]
pub struct FileSet {
    files: Vec<Mark>,
    /// Patterns of includes, with what they matched.
    patterns: Vec<(PathBuf, Vec<PathBuf>)>,
}

/// One file as it was read.
#[derive(Debug, Clone)]
struct Mark {
    path: PathBuf,
    digest: [u8; 32],
    stamp: Option<Stamp>,
}

/// What changes with every writing of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
}

impl FileSet {
    /// Returns the SHA-256 of all files as hexadecimal digits: of a single file its own, else that
    /// of the row of their digests.
    pub fn sha256(&self) -> String {
        let digest: [u8; 32] = match &self.files[..] {
            [one] => one.digest,
            many => {
                let mut whole = Sha256::new();
                many.iter().for_each(|mark| whole.update(mark.digest));
                whole.finalize().into()
            }
        };
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Tells whether a new reading would find something else. Reads those files again that were
    /// written since; what cannot be read is something else.
    pub fn differs(&self) -> bool {
        self.files.iter().any(Mark::differs)
            || self
                .patterns
                .iter()
                .any(|(pattern, found)| files::matching(pattern).as_ref() != Ok(found))
    }

    /// Reads a file of at most so many bytes and adds it.
    pub(crate) fn read(&mut self, path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
        // Looked at first: what is written from here on shows.
        let stamp = Stamp::settled(path);
        let content = files::read_bytes(path, bytes_max)?;
        self.files.push(Mark {
            path: path.to_owned(),
            digest: Sha256::digest(&content).into(),
            stamp,
        });
        Ok(content)
    }

    /// Adds a text that is in no file, so that it never differs.
    pub(crate) fn add_text(&mut self, text: &str) {
        self.files.push(Mark {
            path: PathBuf::new(),
            digest: Sha256::digest(text).into(),
            stamp: None,
        });
    }

    /// Adds a pattern with the files that it matched.
    pub(crate) fn add_pattern(&mut self, pattern: &Path, found: &[PathBuf]) {
        self.patterns.push((pattern.to_owned(), found.to_vec()));
    }
}

impl Mark {
    fn differs(&self) -> bool {
        if self.path.as_os_str().is_empty() {
            return false;
        }
        let now = Stamp::of(&self.path);
        if now.is_some() && now == self.stamp {
            return false;
        }
        files::read_bytes(&self.path, FILE_BYTES_MAX).map_or(true, |content| {
            <[u8; 32]>::from(Sha256::digest(&content)) != self.digest
        })
    }
}

impl Stamp {
    /// Returns the stamp of a file that was not written just now: within a tick of the file system's
    /// clock a second writing would not show.
    fn settled(path: &Path) -> Option<Self> {
        let modified = std::fs::metadata(path).ok()?.modified().ok()?;
        let age = modified.elapsed().ok()?;
        (age >= SETTLED).then(|| Self::of(path)).flatten()
    }

    fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        Some(Self {
            inode: (found.dev(), found.ino()),
            bytes: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_differs_by_what_it_says_and_not_by_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, "one").unwrap();
        let mut set = FileSet::default();
        assert_eq!(set.read(&path, 3).unwrap(), b"one");
        // Of `printf one | sha256sum`.
        let sha = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
        assert_eq!(set.sha256(), sha);
        std::fs::remove_file(&path).unwrap();
        assert!(set.differs());
        std::fs::write(&path, "one").unwrap();
        assert!(!set.differs());
        std::fs::write(&path, "two").unwrap();
        assert!(set.differs());
    }

    #[test]
    fn a_new_file_that_a_pattern_matches_is_a_difference() {
        let folder = tempfile::tempdir().unwrap();
        let pattern = folder.path().join("*.toml");
        std::fs::write(folder.path().join("a.toml"), "").unwrap();
        let mut set = FileSet::default();
        set.add_pattern(&pattern, &files::matching(&pattern).unwrap());
        assert!(!set.differs());
        std::fs::write(folder.path().join("b.toml"), "").unwrap();
        assert!(set.differs());
    }
}
