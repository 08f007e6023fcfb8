//! The lock on a data folder: one supervisor at a time, and it says which.

use std::fs::{File, TryLockError};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::stack::StackError;

/// A data folder that is ours; free again when dropped.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone is not enough: a child on its way to its exec still holds a copy of the file.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the lock of the data folder stays until every copy is closed");
        }
    }
}

/// Takes the exclusive lock of a data folder.
pub(crate) fn take(data_dir: &Path) -> Result<Lock, StackError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| StackError::DataDir { path, source }
    };
    std::fs::create_dir_all(data_dir).map_err(failed(data_dir))?;
    let path = data_dir.join("fathom.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(failed(&path))?;
    match file.try_lock() {
        Ok(()) => {
            // For whoever finds it locked.
            let pid = format!("{}\n", std::process::id());
            file.set_len(0)
                .and_then(|()| file.write_all_at(pid.as_bytes(), 0))
                .map_err(failed(&path))?;
            Ok(Lock(file))
        }
        Err(TryLockError::WouldBlock) => {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            Err(StackError::Locked(
                data_dir.to_owned(),
                text.trim().parse().ok(),
            ))
        }
        Err(TryLockError::Error(source)) => Err(failed(&path)(source)),
    }
}

/// Names the process that holds a lock, when it said so.
pub(crate) fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}
