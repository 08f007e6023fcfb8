//! The shelf: pictures and serialised outputs, made once per version, bounded in bytes; and the
//! few blocking threads that make them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fathom_kernel::Counters;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What one entry costs beside its bytes.
const OVERHEAD_BYTES: usize = 256;
/// A request that waits longer than this for its turn is told to come back.
const TURN_WAIT: Duration = Duration::from_secs(10);

/// Which rendering of which output.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) variant: Variant,
}

/// One way to render an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Variant {
    Json { since: Option<i64>, gzip: bool },
    Picture { width: u32, height: u32, form: Form },
}

/// The file that a picture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    Png,
    Svg,
}

/// What a rendering depends on: board version, and how stale the value looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edition {
    pub(crate) version: u64,
    pub(crate) staleness: u64,
}

/// Finished renderings and the right to make new ones.
pub(crate) struct Shelf {
    stock: Mutex<Stock>,
    turns: Arc<Semaphore>,
    /// Count the time that drawing takes.
    counters: Arc<Counters>,
}

/// Why nothing was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotMade {
    #[error("too much to draw at this moment; try again")]
    Busy,
    #[error("drawing failed")]
    Failed,
}

#[derive(Default)]
struct Stock {
    by_key: HashMap<Key, Item>,
    /// Keys by last use, oldest first.
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
    bytes_max: usize,
}

struct Item {
    edition: Edition,
    body: Bytes,
    last_use: u64,
}

impl Shelf {
    /// Makes an empty shelf.
    pub(crate) fn new(bytes_max: usize, counters: Arc<Counters>) -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let stock = Stock {
            bytes_max,
            ..Stock::default()
        };
        Self {
            stock: Mutex::new(stock),
            turns: Arc::new(Semaphore::new(threads)),
            counters,
        }
    }

    /// Returns a rendering, made now by `make` on a blocking thread unless it is there already.
    pub(crate) async fn fetch(
        &self,
        key: Key,
        edition: Edition,
        make: impl FnOnce() -> Vec<u8> + Send + 'static,
    ) -> Result<Bytes, NotMade> {
        self.fetch_or(key, edition, || Ok(make())).await
    }

    /// The same for a rendering that may not succeed; a failure is not kept.
    pub(crate) async fn fetch_or<E: From<NotMade> + Send + 'static>(
        &self,
        key: Key,
        edition: Edition,
        make: impl FnOnce() -> Result<Vec<u8>, E> + Send + 'static,
    ) -> Result<Bytes, E> {
        if let Some(body) = self.lock().take(&key, edition) {
            return Ok(body);
        }
        let turn = self.turn().await?;
        // Others may have asked for the same while this one waited.
        if let Some(body) = self.lock().take(&key, edition) {
            return Ok(body);
        }
        let body = Bytes::from(work(turn, self.counters.clone(), make).await?);
        self.lock().put(key, edition, body.clone());
        Ok(body)
    }

    /// Makes something on a blocking thread when it is its turn, and keeps nothing.
    pub(crate) async fn make<E: From<NotMade> + Send + 'static>(
        &self,
        make: impl FnOnce() -> Result<Vec<u8>, E> + Send + 'static,
    ) -> Result<Vec<u8>, E> {
        let turn = self.turn().await?;
        work(turn, self.counters.clone(), make).await
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, NotMade> {
        let turn = self.turns.clone().acquire_owned();
        match tokio::time::timeout(TURN_WAIT, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(NotMade::Busy),
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        let mut stock = self.lock();
        *stock = Stock {
            bytes_max: stock.bytes_max,
            ..Stock::default()
        };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn work<E: From<NotMade> + Send + 'static>(
    turn: OwnedSemaphorePermit,
    counters: Arc<Counters>,
    make: impl FnOnce() -> Result<Vec<u8>, E> + Send + 'static,
) -> Result<Vec<u8>, E> {
    let made = tokio::task::spawn_blocking(move || {
        let body = counters.time(make);
        drop(turn);
        body
    });
    made.await.map_err(|_| E::from(NotMade::Failed))?
}

impl Stock {
    fn take(&mut self, key: &Key, edition: Edition) -> Option<Bytes> {
        let item = self.by_key.get_mut(key)?;
        if item.edition != edition {
            return None;
        }
        self.by_use.remove(&item.last_use);
        self.uses += 1;
        item.last_use = self.uses;
        self.by_use.insert(self.uses, key.clone());
        Some(item.body.clone())
    }

    fn put(&mut self, key: Key, edition: Edition, body: Bytes) {
        self.remove(&key);
        self.bytes += body.len() + OVERHEAD_BYTES;
        self.uses += 1;
        self.by_use.insert(self.uses, key.clone());
        let last_use = self.uses;
        self.by_key.insert(
            key,
            Item {
                edition,
                body,
                last_use,
            },
        );
        while self.bytes > self.bytes_max {
            let Some((_, oldest)) = self.by_use.first_key_value() else {
                break;
            };
            let oldest = oldest.clone();
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(item) = self.by_key.remove(key) {
            self.by_use.remove(&item.last_use);
            self.bytes -= item.body.len() + OVERHEAD_BYTES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        let variant = Variant::Json {
            since: None,
            gzip: false,
        };
        Key {
            name: name.to_owned(),
            variant,
        }
    }

    fn edition(version: u64) -> Edition {
        Edition {
            version,
            staleness: 0,
        }
    }

    #[tokio::test]
    async fn a_rendering_is_made_once_per_version() {
        let shelf = Shelf::new(1 << 20, Arc::default());
        let first = shelf.fetch(key("a"), edition(1), || vec![1]).await;
        assert_eq!(first.unwrap().as_ref(), [1]);
        let again = shelf.fetch(key("a"), edition(1), || vec![2]).await;
        assert_eq!(again.unwrap().as_ref(), [1]);
        let newer = shelf.fetch(key("a"), edition(2), || vec![3]).await;
        assert_eq!(newer.unwrap().as_ref(), [3]);
    }

    #[tokio::test]
    async fn what_was_not_used_for_longest_goes_first() {
        let shelf = Shelf::new(3 * (100 + OVERHEAD_BYTES), Arc::default());
        for name in ["a", "b", "c"] {
            shelf
                .fetch(key(name), edition(1), || vec![0; 100])
                .await
                .unwrap();
        }
        shelf.fetch(key("a"), edition(1), Vec::new).await.unwrap();
        shelf
            .fetch(key("d"), edition(1), || vec![0; 100])
            .await
            .unwrap();
        let stock = shelf.lock();
        let mut names: Vec<&str> = stock.by_key.keys().map(|key| key.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "c", "d"]);
        assert_eq!(stock.bytes, 3 * (100 + OVERHEAD_BYTES));
    }

    #[tokio::test]
    async fn a_panic_while_drawing_is_an_answer_and_gives_its_turn_back() {
        let shelf = Shelf::new(1 << 20, Arc::default());
        for _ in 0..20 {
            let made = shelf
                .fetch(key("a"), edition(1), || panic!("drawn badly"))
                .await;
            assert_eq!(made, Err(NotMade::Failed));
        }
        assert!(shelf.fetch(key("a"), edition(1), Vec::new).await.is_ok());
    }
}
