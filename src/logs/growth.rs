//! Follows a log file as it grows, across rotations and when it is emptied.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::{Stream, stream};

use super::read::bytes_at;
use super::shift;

/// What is shown where a file was emptied.
pub const TRUNCATED: &str = "==> File truncated <==\n";

/// Time between two looks at a file that did not grow.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Most bytes sent at once.
const CHUNK_MAX: u64 = 64 << 10;

/// Most rotated files among which the one that was followed is looked for.
const BACKUPS_MAX: usize = 1000;

/// A log file that is followed.
#[derive(Debug)]
pub struct Growth {
    path: PathBuf,
    file: Option<File>,
    at: u64,
}

/// What happened to the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grown {
    /// It got longer by this.
    By(Vec<u8>),
    /// It was emptied; what comes next is from its beginning.
    Truncated,
}

impl Growth {
    /// Follows a file from its last bytes on; one that does not exist yet from its beginning.
    pub fn from_end(path: PathBuf, last_bytes: u64) -> Self {
        let file = File::open(&path).ok();
        let length = file.as_ref().and_then(|file| file.metadata().ok());
        let length = length.map_or(0, |file| file.len());
        Self {
            path,
            file,
            at: length.saturating_sub(last_bytes),
        }
    }

    /// Returns what happens from now on, each piece within 0.2 s. Ends when dropped, or with the
    /// first error.
    pub fn stream(self) -> impl Stream<Item = io::Result<Grown>> + Send {
        stream::unfold(Some(self), |growth| async {
            let mut growth = growth?;
            loop {
                // The file may lie on a slow disk.
                let look = move || {
                    let seen = growth.look();
                    (growth, seen)
                };
                let seen = tokio::task::spawn_blocking(look).await;
                growth = match seen {
                    Ok((growth, Ok(None))) => growth,
                    Ok((growth, Ok(Some(grown)))) => return Some((Ok(grown), Some(growth))),
                    Ok((_, Err(error))) => return Some((Err(error), None)),
                    Err(gone) => return Some((Err(io::Error::other(gone)), None)),
                };
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
    }

    /// Returns what happened since the last look.
    pub fn look(&mut self) -> io::Result<Option<Grown>> {
        loop {
            let Some(file) = &mut self.file else {
                match File::open(&self.path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    file => self.file = Some(file?),
                }
                self.at = 0;
                continue;
            };
            // Before reading: what is written to a file that was rotated meanwhile is read, too.
            let present = shift::inode_of(&self.path);
            let found = file.metadata()?;
            if found.len() < self.at {
                self.at = 0;
                return Ok(Some(Grown::Truncated));
            }
            let grown = bytes_at(file, self.at, CHUNK_MAX)?;
            if !grown.is_empty() {
                self.at += grown.len() as u64;
                return Ok(Some(Grown::By(grown)));
            }
            if present == Some(found.ino()) {
                return Ok(None);
            }
            // Rotated, once or several times; or taken away, and the next one is not there yet.
            let next = match shift::number_of(&self.path, found.ino(), BACKUPS_MAX) {
                Some(number @ 2..) => File::open(shift::backup(&self.path, number - 1)),
                Some(_) | None => File::open(&self.path),
            };
            match next {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                next => self.file = Some(next?),
            }
            self.at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::{LogFile, Rotation};
    use super::*;

    fn rotation(max_bytes: u64, backups: usize) -> Rotation {
        Rotation {
            max_bytes,
            age: None,
            backups,
            compress: false,
        }
    }

    fn text(growth: &mut Growth) -> String {
        let mut all = Vec::new();
        while let Some(grown) = growth.look().unwrap() {
            match grown {
                Grown::By(bytes) => all.extend(bytes),
                Grown::Truncated => all.extend(TRUNCATED.as_bytes()),
            }
        }
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn a_file_is_followed_across_its_rotations() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let log = LogFile::new(path.clone(), rotation(6, 9));
        let mut growth = Growth::from_end(path.clone(), 1024);
        assert_eq!(growth.look().unwrap(), None);
        log.write(b"one");
        assert_eq!(text(&mut growth), "one");
        // Rotated more than once between two looks.
        log.write(b"\ntwo\nthree\nfour\nfive\nsix\n");
        assert!(shift::backup(&path, 3).exists());
        assert_eq!(text(&mut growth), "\ntwo\nthree\nfour\nfive\nsix\n");
        log.write(b"seven\n");
        assert_eq!(text(&mut growth), "seven\n");
    }

    #[test]
    fn a_file_is_followed_from_its_last_bytes_and_when_it_is_emptied_or_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let log = LogFile::new(path.clone(), rotation(0, 1));
        log.write(b"one two");
        let mut growth = Growth::from_end(path.clone(), 3);
        assert_eq!(text(&mut growth), "two");
        log.clear().unwrap();
        log.write(b"x");
        assert_eq!(text(&mut growth), format!("{TRUNCATED}x"));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text(&mut growth), "");
        log.write(b"new");
        assert_eq!(text(&mut growth), "new");
    }
}
