//! Reads a file, or lists a folder, for somebody who must not wait for a disk.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use fathom_kernel::{Content, Fetch, FetchError};
use nix::fcntl::OFlag;
use tokio::sync::Semaphore;

/// Most threads that read files at one time: a file system that hangs takes these and no more.
const READERS_MAX: usize = 8;

/// Reads files, each on a thread that may block.
#[derive(Clone)]
pub(super) struct Files {
    /// Where relative paths start.
    folder: PathBuf,
    readers: Arc<Semaphore>,
}

/// Why a file was not read to its end.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it is no regular file")]
    Irregular,
    #[error("too long")]
    TooLong,
}

impl Files {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            readers: Arc::new(Semaphore::new(READERS_MAX)),
        }
    }

    /// Reads a file, however long that takes; a caller that gives up leaves the thread to it, and the
    /// place of that thread stays taken.
    pub(super) async fn read(&self, path: &Path, what: &Fetch) -> Result<Content, FetchError> {
        let path = self.folder.join(path);
        let location = what.from.to_string();
        let failed = |why: String| FetchError::Failed {
            location: location.clone(),
            why,
        };
        let reader = self.readers.clone().acquire_owned().await;
        let reader = reader.map_err(|error| failed(error.to_string()))?;
        let (known, limit, lists) = (what.known.clone(), what.bytes_max, what.lists);
        let read = tokio::task::spawn_blocking(move || {
            let content = match lists {
                true => list(&path, limit),
                false => read(&path, known.as_deref(), limit),
            };
            drop(reader);
            content
        });
        match read.await {
            Ok(Ok(content)) => Ok(content),
            Ok(Err(Fault::TooLong)) => Err(FetchError::TooLong { location, limit }),
            Ok(Err(Fault::Io(error))) if error.kind() == io::ErrorKind::NotFound => {
                let why = error.to_string();
                Err(FetchError::Absent { location, why })
            }
            Ok(Err(fault)) => Err(failed(fault.to_string())),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

fn read(path: &Path, known: Option<&str>, limit: usize) -> Result<Content, Fault> {
    // A pipe without a writer must not be waited for.
    let file = File::options()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)?;
    let before = file.metadata()?;
    if !before.is_file() {
        return Err(Fault::Irregular);
    }
    // As it was before it was read: what is written meanwhile is another version.
    let version = version(&before);
    if known == Some(version.as_str()) {
        return Ok(Content::Unchanged);
    }
    let limit_bytes = u64::try_from(limit).unwrap_or(u64::MAX);
    if before.len() > limit_bytes {
        return Err(Fault::TooLong);
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.take(limit_bytes.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(Fault::TooLong);
    }
    Ok(Content::Bytes(Bytes::from(bytes), Some(version)))
}

/// Lists the files of a folder; it has no version, because its time is too coarse to tell every change.
fn list(folder: &Path, limit: usize) -> Result<Content, Fault> {
    let mut names = Vec::new();
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name.contains('\n') {
            continue;
        }
        bytes += name.len() + 1;
        if bytes > limit {
            return Err(Fault::TooLong);
        }
        names.push(name);
    }
    names.sort_unstable();
    let text: String = names.iter().flat_map(|name| [name, "\n"]).collect();
    Ok(Content::Bytes(Bytes::from(text), None))
}

fn version(of: &Metadata) -> String {
    let (s, ns) = (of.mtime(), of.mtime_nsec());
    format!("{s}.{ns:09}/{}/{}", of.len(), of.ino())
}
