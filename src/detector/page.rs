//! The last good answer of the data base, kept on disk so that it survives an outage.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::config::read_bytes;
use crate::files;

/// Longest answer.
pub(crate) const BYTES_MAX: u64 = 256 << 20;

/// Where the answer of an address is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page(PathBuf);

impl Page {
    /// Names the place of an address; each has its own.
    pub(crate) fn of(data_dir: &Path, url: &str) -> Self {
        let digest = Sha256::digest(url);
        let short: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
        Self(data_dir.join("detector").join(format!("{short}.txt")))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Reads it; `None` when there is none. Blocks.
    pub(crate) fn load(&self) -> Result<Option<Vec<u8>>, String> {
        match self.0.try_exists() {
            Ok(false) => Ok(None),
            Ok(true) | Err(_) => read_bytes(&self.0, BYTES_MAX).map(Some),
        }
    }

    /// Keeps another one. Blocks.
    pub(crate) fn save(&self, bytes: &[u8]) -> io::Result<()> {
        if let Some(folder) = self.0.parent() {
            std::fs::create_dir_all(folder)?;
        }
        files::replace(&self.0, &[bytes])
    }
}
