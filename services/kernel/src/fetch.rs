//! What a monitor asks of the world beyond the bus: a file or a web address, read for it by whoever
//! runs it. Monitors stay pure; tests answer for the world.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Addresses, BoxFuture, without_passwords};

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
    /// The place is a folder, and the content the names of its files: sorted, one a line, names that
    /// are no UTF-8 or have a line break left out.
    pub lists: bool,
}

/// What a path begins with that starts at the data folder of the stack.
const IN_DATA: &str = "data:";
/// What the host of a web address begins with that names a service of the same stack.
const BY_SERVICE: &str = "http://service:";

/// Where content is: a file, or a web address. Shown without the password of an address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Location {
    /// A file; relative ones start at the folder of the configuration file, and `data:PATH` at the
    /// data folder of the stack.
    File(PathBuf),
    /// An address that begins with `http://` or `https://`; `http://service:NAME/PATH` is asked of
    /// the service of that name in this stack.
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
    /// There is no such file.
    #[error("{location}: {why}")]
    Absent {
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
            lists: false,
        }
    }

    /// A wish for the names of the files in a folder, with the usual limits.
    pub fn list(name: impl Into<String>, folder: Location) -> Self {
        Self {
            lists: true,
            ..Self::new(name, folder)
        }
    }

    /// Names the version that is there already.
    #[must_use]
    pub fn unless(mut self, known: Option<String>) -> Self {
        self.known = known;
        self
    }

    /// Replaces what only the stack knows: its data folder, and where its services listen.
    ///
    /// # Errors
    /// When the service does not listen.
    pub fn within(mut self, data_dir: &Path, addresses: &Addresses) -> Result<Self, FetchError> {
        match &self.from {
            Location::File(path) => {
                if let Some(rest) = path.to_str().and_then(|p| p.strip_prefix(IN_DATA)) {
                    self.from = Location::File(absolute(&data_dir.join(rest)));
                }
            }
            Location::Http(url) => {
                let Some(rest) = url.strip_prefix(BY_SERVICE) else {
                    return Ok(self);
                };
                let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
                let Some(address) = addresses.of(name) else {
                    return Err(self.refused("that service does not listen"));
                };
                self.from = Location::Http(format!("http://{address}/{path}"));
            }
        }
        Ok(self)
    }

    pub(crate) fn refused(&self, why: &'static str) -> FetchError {
        FetchError::Refused {
            location: self.from.to_string(),
            why,
        }
    }
}

/// A relative data folder starts at the working folder, whatever relative paths start at elsewhere.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
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
        location.whole()
    }
}

impl Location {
    /// Returns the text as it was given, with the password of an address: for whoever goes there, and
    /// never for people.
    pub fn whole(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Http(url) => url.clone(),
        }
    }
}

impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Http(url) => f.write_str(&without_passwords(url)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(from: &str) -> Result<String, String> {
        let addresses = Addresses::default();
        addresses.announce("simulation:manager", ([127, 0, 0, 1], 1302).into());
        let fetch = Fetch::new("x", Location::from(from.to_owned()));
        match fetch.within(Path::new("/var/fathom"), &addresses) {
            Ok(fetch) => Ok(fetch.from.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_data_folder_and_services_are_put_in_by_the_stack() {
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(within("data:files/a.toml"), ok("/var/fathom/files/a.toml"));
        assert_eq!(within("files/a.toml"), ok("files/a.toml"));
        assert_eq!(
            within("http://service:simulation:manager/monshort/x?y=1"),
            ok("http://127.0.0.1:1302/monshort/x?y=1")
        );
        assert_eq!(within("http://db.org/x"), ok("http://db.org/x"));
        let error = within("http://service:nobody/x").unwrap_err();
        assert!(error.ends_with("that service does not listen"), "{error}");
    }

    #[test]
    fn a_location_is_shown_without_its_password_and_gone_to_with_it() {
        let text = "https://me:pass@db.org/x";
        let fetch = Fetch::new("x", Location::from(text.to_owned()));
        assert_eq!(fetch.from.whole(), text);
        let refused = fetch.refused("no").to_string();
        for shown in [fetch.from.to_string(), format!("{fetch:?}"), refused] {
            assert!(shown.contains("https://me:***@db.org/x"), "{shown}");
            assert!(!shown.contains("pass"), "{shown}");
        }
    }
}
