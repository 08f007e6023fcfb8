//! Where the output of a service goes: a file, our standard output, or nowhere; and what happens
//! when that is slow.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

use super::file::{COMPLAIN_EVERY, LogFile};
use super::queue::{Dropped, Queue};
use crate::chronicle::Chronicle;
use crate::config::plan::{LogPlan, LogTarget, OnFull};

/// Time between two attempts to write to a full disk.
const RETRY_EVERY: Duration = Duration::from_millis(200);

/// Where one stream of a service goes.
#[derive(Debug)]
pub struct Outlet {
    end: End,
    /// In between, when the service must not wait.
    queue: Option<Queue>,
    written: AtomicU64,
}

#[derive(Debug, Clone)]
enum End {
    File(Arc<LogFile>),
    Stdout,
    Nowhere,
}

impl Outlet {
    /// Makes the outlet of a service; `file` is its log file, should it need one, and the event log
    /// hears of what is dropped.
    pub(super) fn new(
        name: &str,
        plan: &LogPlan,
        file: Arc<LogFile>,
        chronicle: Option<&Chronicle>,
    ) -> Self {
        let end = match plan.target {
            LogTarget::File => End::File(file),
            LogTarget::Stdout => End::Stdout,
            LogTarget::Bus | LogTarget::None => End::Nowhere,
        };
        let queue = match plan.on_full {
            OnFull::Drop => Some(Queue::new(name.to_owned(), chronicle.cloned())),
            OnFull::Block => None,
        };
        Self {
            end,
            queue,
            written: AtomicU64::new(0),
        }
    }

    /// Returns the file, if it goes into one.
    pub fn file(&self) -> Option<&Arc<LogFile>> {
        match &self.end {
            End::File(file) => Some(file),
            End::Stdout | End::Nowhere => None,
        }
    }

    /// Tells whether only whole lines may be given to it.
    pub(crate) fn wants_lines(&self) -> bool {
        self.queue.is_some() || matches!(self.end, End::Stdout)
    }

    /// Tells whether what is given to it goes anywhere.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.end, End::Nowhere)
    }

    /// Writes output; may wait for a slow disk, unless the service must not wait for it.
    pub(crate) fn write(&self, output: &[u8]) {
        self.written.fetch_add(output.len() as u64, Relaxed);
        match (&self.queue, &self.end) {
            (_, End::Nowhere) => {}
            (None, End::File(file)) => file.write(output),
            (None, End::Stdout) => print(output),
            (Some(queue), end) => {
                let end = end.clone();
                queue.push(output, move |lines| end.write_patiently(lines));
            }
        }
    }

    /// Tries again to write what waits; tells whether nothing waits any more.
    pub(crate) fn retry(&self) -> bool {
        match (&self.queue, &self.end) {
            (None, End::File(file)) => file.retry(),
            (Some(_), _) | (_, End::Stdout | End::Nowhere) => true,
        }
    }

    /// Tells whether so much more can be given to it without a wait for a slow disk.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        match (&self.queue, &self.end) {
            (None, End::File(file)) => file.has_room(bytes),
            (Some(_), _) | (_, End::Stdout | End::Nowhere) => true,
        }
    }

    /// Returns how many bytes have not been on their way to a slow disk yet.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, Queue::waiting_bytes)
    }

    /// Waits until what was given is written, but not for long.
    pub(crate) fn settle(&self, most: Duration) {
        if let Some(queue) = &self.queue {
            queue.settle(most);
        }
    }

    /// Returns how many bytes it was given.
    pub fn bytes(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// Returns what was dropped.
    pub fn dropped(&self) -> Dropped {
        self.queue.as_ref().map(Queue::dropped).unwrap_or_default()
    }
}

impl End {
    fn write_patiently(&self, lines: &[u8]) {
        match self {
            Self::File(file) => {
                file.write(lines);
                while !file.retry() {
                    std::thread::sleep(RETRY_EVERY);
                }
            }
            Self::Stdout => print(lines),
            Self::Nowhere => {}
        }
    }
}

/// Writes whole lines to our standard output; what nobody takes any more is lost.
fn print(lines: &[u8]) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(lines).and_then(|()| out.flush()) {
        complain(&error);
    }
}

fn complain(error: &io::Error) {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
        *last = Some(Instant::now());
        warn!(%error, "standard output takes no logs");
    }
}
