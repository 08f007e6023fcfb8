//! What a monitor asks of the world beyond the bus: a file or a web address, read for it by whoever
//! runs it. Monitors stay pure; tests answer for the world.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::BoxFuture;

/// A wish for the content of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// What the answer is called; at most one fetch of a name is under way.
    pub name: String,
    /// Where it is.
    pub from: Location,
    /// Version that is there already; when the place still has it, the answer is
    /// [`Content::Unchanged`].
    pub known: Option<String>,
    /// Most bytes taken.
    pub bytes_max: usize,
    /// Longest wait.
    pub timeout: Duration,
}

/// Where content is: a file, or a web address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Location {
    /// A file; relative ones start at the folder of the configuration file.
    File(PathBuf),
    /// An address that begins with `http://` or `https://`.
    Http(String),
}

/// What a place has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The content, with the version it can be recognised by, if the place tells one.
    Bytes(Bytes, Option<String>),
    /// Nothing new since the known version.
    Unchanged,
}

/// Why content could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The file or server did not answer as it should.
    #[error("{location}: {why}")]
    Failed {
        /// Where.
        location: String,
        /// Why, for people.
        why: String,
    },
    /// The web server answered with another code than 200.
    #[error("{location}: answered {status}, expected 200")]
    Status {
        /// Where.
        location: String,
        /// The code.
        status: u16,
    },
    /// More bytes than wanted.
    #[error("{location}: more than {limit} bytes")]
    TooLong {
        /// Where.
        location: String,
        /// The limit.
        limit: usize,
    },
    /// No answer in time.
    #[error("{location}: no answer within {} s", .after.as_secs_f64())]
    TimedOut {
        /// Where.
        location: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// Too many fetches at one time, or nobody here can fetch.
    #[error("{location}: {why}")]
    Refused {
        /// Where.
        location: String,
        /// Why not.
        why: &'static str,
    },
}

/// The answer to a [`Fetch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// What it is called.
    pub name: String,
    /// The content, or why there is none.
    pub content: Result<Content, FetchError>,
}

/// Reads places of the world; the supervisor has one that knows files and HTTP.
pub trait Fetcher: Send + Sync + 'static {
    /// Reads one place, within its limits.
    fn fetch(&self, what: Fetch) -> BoxFuture<'static, Result<Content, FetchError>>;
}

/// A handle on a [`Fetcher`]; clones share it.
#[derive(Clone)]
pub struct World(Option<Arc<dyn Fetcher>>);

impl World {
    /// A world that is read by this fetcher.
    pub fn new(fetcher: Arc<dyn Fetcher>) -> Self {
        Self(Some(fetcher))
    }

    /// A world out of reach: every fetch is refused.
    pub fn nothing() -> Self {
        Self(None)
    }

    /// Reads one place.
    pub async fn fetch(&self, what: Fetch) -> Fetched {
        let name = what.name.clone();
        let content = match &self.0 {
            Some(fetcher) => fetcher.fetch(what).await,
            None => Err(what.refused("nothing can be fetched here")),
        };
        Fetched { name, content }
    }
}

impl Fetch {
    /// Most bytes taken unless said otherwise.
    pub const BYTES_MAX: usize = 64 << 20;
    /// Longest wait unless said otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// A wish with the usual limits.
    pub fn new(name: impl Into<String>, from: Location) -> Self {
        Self {
            name: name.into(),
            from,
            known: None,
            bytes_max: Self::BYTES_MAX,
            timeout: Self::TIMEOUT,
        }
    }

    /// Names the version that is there already.
    #[must_use]
    pub fn unless(mut self, known: Option<String>) -> Self {
        self.known = known;
        self
    }

    pub(crate) fn refused(&self, why: &'static str) -> FetchError {
        FetchError::Refused {
            location: self.from.to_string(),
            why,
        }
    }
}

impl From<String> for Location {
    fn from(text: String) -> Self {
        match text.starts_with("http://") || text.starts_with("https://") {
            true => Self::Http(text),
            false => Self::File(text.into()),
        }
    }
}

impl From<Location> for String {
    fn from(location: Location) -> Self {
        location.to_string()
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Http(url) => f.write_str(url),
        }
    }
}
