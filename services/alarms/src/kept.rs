//! The state of a service on its disk: read at the start, written after changes, tried again while the
//! disk does not take it.

use std::time::Duration;

use fathom_kernel::{ServiceCx, ServiceError, blocking, chain};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::warn;

/// Time between two attempts to keep the state on a disk that does not take it.
const KEEP_AGAIN: Duration = Duration::from_secs(30);

/// Reads what was kept; without it, or when it cannot be used, everything is as at the first start.
pub(crate) async fn restored<T: DeserializeOwned + Default>(
    cx: &ServiceCx,
    what: &str,
) -> Result<T, ServiceError> {
    let checkpoint = cx.checkpoint.clone();
    let saved = match blocking(move || checkpoint.load()).await? {
        Ok(saved) => saved,
        Err(error) => {
            warn!(%error, "kept {what} cannot be read, starting without them");
            return Ok(T::default());
        }
    };
    let Some(snapshot) = saved.snapshot else {
        return Ok(T::default());
    };
    Ok(serde_json::from_slice(&snapshot).unwrap_or_else(|error| {
        warn!(%error, "kept {what} do not fit, starting without them");
        T::default()
    }))
}

/// Whether the state on disk is the one in memory.
#[derive(Debug)]
pub(crate) struct Kept {
    what: &'static str,
    is_kept: bool,
    /// When keeping it failed last.
    failed: Option<Instant>,
}

impl Kept {
    /// The state as it was read; `what` is its name in words.
    pub(crate) fn new(what: &'static str) -> Self {
        Self {
            what,
            is_kept: true,
            failed: None,
        }
    }

    /// Notes that the state in memory is another one now.
    pub(crate) fn changed(&mut self) {
        self.is_kept = false;
    }

    /// Tells whether it is time to write.
    pub(crate) fn is_due(&self) -> bool {
        let is_soon = |failed: Instant| failed.elapsed() < KEEP_AGAIN;
        !self.is_kept && !self.failed.is_some_and(is_soon)
    }

    /// Writes the state, due or not; a disk that does not take it is counted and told.
    pub(crate) async fn keep(
        &mut self,
        cx: &ServiceCx,
        state: &impl Serialize,
    ) -> Result<(), ServiceError> {
        let bytes = serde_json::to_vec(state).map_err(ServiceError::new)?;
        let checkpoint = cx.checkpoint.clone();
        match blocking(move || checkpoint.save(&bytes)).await? {
            Ok(()) => (self.is_kept, self.failed) = (true, None),
            Err(error) => {
                cx.counters.bad(&format!("{} not kept", self.what));
                warn!(error = chain(&error), "{} cannot be kept", self.what);
                self.failed = Some(Instant::now());
            }
        }
        Ok(())
    }
}
