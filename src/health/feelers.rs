//! What cannot be read at once is read by a task of its own: files, documents, brokers. A task that
//! hangs makes its own readings late and nobody else's.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use regex::Regex;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::brokers::{Asker, Tables};
use super::reading::{Mark, Reading};
use crate::body::knock;
use crate::telemetry::Follow;

/// A reading that was not renewed for so long says nothing.
const STALE: Duration = Duration::from_secs(5);

/// Longest time for a document.
const DOCUMENT_WAIT: Duration = Duration::from_secs(4);

/// Most entries of a folder that are looked at.
const ENTRIES_MAX: usize = 10_000;

/// What one task read, and when it was asked to.
#[derive(Debug, Clone, Default)]
struct Sample<T> {
    asked: Option<Instant>,
    value: T,
}

/// A task that reads something each time it is asked.
pub(super) struct Feeler<T> {
    sample: watch::Receiver<Sample<T>>,
    _task: AbortOnDropHandle<()>,
}

/// Reads one thing, as often as it is asked.
trait Organ: Send + 'static {
    /// What it reads.
    type Value: Default + Clone + Send + Sync + 'static;
    /// Reads it.
    fn feel(&mut self) -> impl Future<Output = Self::Value> + Send;
}

impl<T: Default + Clone + Send + Sync + 'static> Feeler<T> {
    fn start(mut asked: watch::Receiver<Instant>, mut organ: impl Organ<Value = T>) -> Self {
        let (to, sample) = watch::channel(Sample::default());
        let task = async move {
            loop {
                let at = Some(*asked.borrow_and_update());
                let value = organ.feel().await;
                to.send_replace(Sample { asked: at, value });
                if asked.changed().await.is_err() {
                    return;
                }
            }
        };
        Self {
            sample,
            _task: AbortOnDropHandle::new(tokio::spawn(task)),
        }
    }

    /// Waits until what was asked for at this moment is read.
    pub(super) fn done(&self, since: Instant) -> impl Future<Output = ()> + Send + 'static {
        let mut sample = self.sample.clone();
        async move {
            let is_new = |sample: &Sample<T>| sample.asked.is_some_and(|at| at >= since);
            // An error means that the task is gone; there is nothing to wait for.
            sample.wait_for(is_new).await.ok();
        }
    }

    /// Returns what was read last, or `None` when that is too long ago.
    pub(super) fn value(&self, now: Instant) -> Option<T> {
        let sample = self.sample.borrow();
        let fresh = |at: Instant| now.saturating_duration_since(at) < STALE;
        sample
            .asked
            .is_some_and(fresh)
            .then(|| sample.value.clone())
    }
}

impl Feeler<Option<Mark>> {
    /// Watches a file, or the entries of a folder.
    pub(super) fn file(asked: watch::Receiver<Instant>, path: PathBuf) -> Self {
        Self::start(asked, File(path))
    }

    /// Watches a value in a document; it is fetched no more often than `every`.
    pub(super) fn document(
        asked: watch::Receiver<Instant>,
        (url, pointer): (String, String),
        every: Duration,
    ) -> Self {
        let document = Document {
            url,
            pointer,
            every,
            fetched: None,
            mark: None,
        };
        Self::start(asked, document)
    }

    /// Returns the reading.
    pub(super) fn reading(&self, now: Instant) -> Reading {
        self.value(now).map_or_else(Reading::late, Reading::of)
    }
}

impl Feeler<Option<Tables>> {
    /// Watches a broker.
    pub(super) fn broker(asked: watch::Receiver<Instant>, asker: Asker) -> Self {
        Self::start(asked, asker)
    }
}

struct File(PathBuf);

impl Organ for File {
    type Value = Option<Mark>;

    async fn feel(&mut self) -> Option<Mark> {
        let path = self.0.clone();
        let look = tokio::task::spawn_blocking(move || stamp(&path));
        look.await.ok().flatten().map(Mark::Stamp)
    }
}

struct Document {
    url: String,
    pointer: String,
    every: Duration,
    fetched: Option<Instant>,
    mark: Option<Mark>,
}

impl Organ for Document {
    type Value = Option<Mark>;

    async fn feel(&mut self) -> Option<Mark> {
        if self.fetched.is_none_or(|at| at.elapsed() >= self.every) {
            self.fetched = Some(Instant::now());
            let text = timeout(DOCUMENT_WAIT, knock::document(&self.url)).await;
            let text = text.ok().and_then(Result::ok);
            let found = text.and_then(|text| value_at(&text, &self.pointer));
            // What cannot be had is no news; what stood there before may stand there still.
            self.mark = found.map(Mark::Stamp).or(self.mark);
        }
        self.mark
    }
}

impl Organ for Asker {
    type Value = Option<Tables>;

    async fn feel(&mut self) -> Option<Tables> {
        Tables::ask(self).await
    }
}

/// Counts the lines of a service that match.
pub(super) struct Lines {
    count: watch::Receiver<u64>,
    _task: AbortOnDropHandle<()>,
}

impl Lines {
    /// Begins to count with the next line.
    pub(super) fn follow(mut lines: Follow, pattern: Regex) -> Self {
        let (to, count) = watch::channel(0);
        let task = async move {
            loop {
                let batch = lines.next().await;
                let matches = batch
                    .lines
                    .iter()
                    .filter(|line| pattern.is_match(&line.line));
                // Lines that came too fast to be read may have matched: better silent than wrong.
                let found = matches.count() as u64 + u64::from(batch.missed > 0);
                to.send_modify(|count| *count += found);
            }
        };
        Self {
            count,
            _task: AbortOnDropHandle::new(tokio::spawn(task)),
        }
    }

    /// Returns how many there were.
    pub(super) fn count(&self) -> u64 {
        *self.count.borrow()
    }
}

/// Returns a number that changes with a file, or with any entry of a folder.
fn stamp(path: &Path) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    let metadata = std::fs::metadata(path).ok()?;
    (metadata.len(), metadata.modified().ok()).hash(&mut hasher);
    if metadata.is_dir() {
        let mut entries: Vec<_> = std::fs::read_dir(path)
            .ok()?
            .filter_map(Result::ok)
            .take(ENTRIES_MAX)
            .collect();
        // The order in which a folder is read may change while its entries do not.
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let metadata = entry.metadata().ok();
            let seen = metadata.map(|m| (m.len(), m.modified().ok()));
            (entry.file_name(), seen).hash(&mut hasher);
        }
    }
    Some(hasher.finish())
}

/// Returns a number that changes with the value at a place of a document.
fn value_at(text: &str, pointer: &str) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    if pointer.is_empty() {
        text.hash(&mut hasher);
    } else {
        let document: serde_json::Value = serde_json::from_str(text).ok()?;
        document.pointer(pointer)?.to_string().hash(&mut hasher);
    }
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_changes_with_its_entries() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.png");
        assert_eq!(stamp(&path), None);
        let empty = stamp(folder.path());
        std::fs::write(&path, "1").unwrap();
        let (one, of_file) = (stamp(folder.path()), stamp(&path));
        assert_ne!(one, empty);
        assert_eq!(one, stamp(folder.path()));
        std::fs::write(&path, "12").unwrap();
        assert_ne!(stamp(&path), of_file);
        assert_ne!(stamp(folder.path()), one);
    }

    #[test]
    fn only_the_value_at_its_place_matters() {
        let at = |text, pointer| value_at(text, pointer);
        let (one, two) = (r#"{"n":[1,5],"t":1}"#, r#"{"n":[1,5],"t":2}"#);
        assert_eq!(at(one, "/n/1"), at(two, "/n/1"));
        assert_ne!(at(one, "/t"), at(two, "/t"));
        assert_ne!(at(one, ""), at(two, ""));
        assert_eq!(at(one, "/nowhere"), None);
        assert_eq!(at("no json", "/n"), None);
    }

    /// Reads once, then hangs.
    struct Once(bool);

    impl Organ for Once {
        type Value = Option<Mark>;

        async fn feel(&mut self) -> Option<Mark> {
            if std::mem::replace(&mut self.0, true) {
                std::future::pending::<()>().await;
            }
            Some(Mark::Count(1))
        }
    }

    #[tokio::test]
    async fn a_task_that_hangs_is_late() {
        let now = Instant::now();
        let (asks, asked) = watch::channel(now);
        let feeler = Feeler::start(asked, Once(false));
        feeler.done(now).await;
        assert_eq!(feeler.reading(now), Reading::count(1));
        asks.send_replace(now + STALE);
        assert!(feeler.reading(now + STALE).late);
    }
}
