//! How a service keeps its own state over a restart: a snapshot plus records appended since.

use std::sync::Arc;

use serde::de::DeserializeOwned;

/// Stores the state of services; the supervisor implements it over files.
pub trait CheckpointStore: Send + Sync {
    /// Returns what was kept for a service.
    fn load(&self, service: &str) -> Result<Saved, CheckpointError>;
    /// Replaces what is kept by a snapshot, atomically.
    fn save(&self, service: &str, snapshot: &[u8]) -> Result<(), CheckpointError>;
    /// Appends a record behind the snapshot.
    fn append(&self, service: &str, record: &[u8]) -> Result<(), CheckpointError>;
}

/// What was kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saved {
    /// The last snapshot, if any.
    pub snapshot: Option<Vec<u8>>,
    /// Records appended since, in order.
    pub records: Vec<Vec<u8>>,
}

impl Saved {
    /// Reads a snapshot that [`crate::Persist::json`] wrote; `None` when there is none.
    ///
    /// # Errors
    /// When it is no such JSON; the text says why.
    pub fn json<T: DeserializeOwned>(&self) -> Result<Option<T>, String> {
        let read = |bytes: &Vec<u8>| serde_json::from_slice(bytes).map_err(|e| e.to_string());
        self.snapshot.as_ref().map(read).transpose()
    }
}

/// Why state could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Reading or writing failed.
    #[error("cannot access {path}")]
    Io {
        /// File concerned.
        path: std::path::PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is damaged from an offset on.
    #[error("{path} is damaged at offset {offset}, expected {expected}")]
    Damaged {
        /// File concerned.
        path: std::path::PathBuf,
        /// Where.
        offset: u64,
        /// What should have stood there.
        expected: &'static str,
    },
}

/// The checkpoint of one service. Calls block on the disk: use them off the async threads.
#[derive(Clone, Default)]
pub struct Checkpoint {
    service: Arc<str>,
    store: Option<Arc<dyn CheckpointStore>>,
}

impl Checkpoint {
    /// Makes the handle of one service on a store.
    pub fn new(service: Arc<str>, store: Arc<dyn CheckpointStore>) -> Self {
        Self {
            service,
            store: Some(store),
        }
    }

    /// Makes the handle of what is kept beside the state of the service, under a name that no
    /// service has.
    pub(crate) fn beside(&self, what: &str) -> Self {
        Self {
            service: format!("{} {what}", self.service).into(),
            store: self.store.clone(),
        }
    }

    /// Makes a handle that keeps nothing.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Returns what was kept.
    pub fn load(&self) -> Result<Saved, CheckpointError> {
        self.store
            .as_ref()
            .map_or_else(|| Ok(Saved::default()), |s| s.load(&self.service))
    }

    /// Replaces what is kept by a snapshot, atomically.
    pub fn save(&self, snapshot: &[u8]) -> Result<(), CheckpointError> {
        self.store
            .as_ref()
            .map_or(Ok(()), |s| s.save(&self.service, snapshot))
    }

    /// Appends a record behind the snapshot.
    pub fn append(&self, record: &[u8]) -> Result<(), CheckpointError> {
        self.store
            .as_ref()
            .map_or(Ok(()), |s| s.append(&self.service, record))
    }
}
