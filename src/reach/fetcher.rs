//! The fetcher behind every service's context.

use std::path::PathBuf;
use std::sync::Arc;

use fathom_kernel::{BoxFuture, Content, Fetch, FetchError, Fetcher, Location, World};
use tokio::time::timeout;

use super::files::Files;
use super::web;

/// Reads files and web addresses.
#[derive(Clone)]
pub struct Reach {
    files: Files,
}

impl Reach {
    /// Makes a fetcher; relative paths start at the folder.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            files: Files::new(folder),
        }
    }

    async fn read(&self, what: &Fetch) -> Result<Content, FetchError> {
        match &what.from {
            Location::File(path) => self.files.read(path, what).await,
            Location::Http(url) => {
                let client = web::client().await.map_err(|why| FetchError::Failed {
                    location: what.from.to_string(),
                    why,
                })?;
                web::get(client, url, what).await
            }
        }
    }
}

impl From<Reach> for World {
    fn from(reach: Reach) -> Self {
        Self::new(Arc::new(reach))
    }
}

impl Fetcher for Reach {
    fn fetch(&self, what: Fetch) -> BoxFuture<'static, Result<Content, FetchError>> {
        let reach = self.clone();
        Box::pin(async move {
            let read = timeout(what.timeout, reach.read(&what)).await;
            read.unwrap_or_else(|_| {
                Err(FetchError::TimedOut {
                    location: what.from.to_string(),
                    after: what.timeout,
                })
            })
        })
    }
}
