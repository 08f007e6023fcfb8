//! Lines on their way to an outlet that may be slow: whoever brings them never waits.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

use super::file::{COMPLAIN_EVERY, PENDING_MAX};
use crate::chronicle::Chronicle;

/// A writer without work ends after this time.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// What was dropped since the supervisor started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Lines.
    pub lines: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Keeps lines until its writer has written them; drops what finds no room.
#[derive(Debug)]
pub(super) struct Queue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Whose lines these are, for complaints.
    name: String,
    /// Hears of what is dropped.
    chronicle: Option<Chronicle>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// Taken by the writer and not written yet.
    under_way_bytes: usize,
    has_writer: bool,
    closed: bool,
    dropped: Dropped,
    /// Dropped since the last complaint, and when that was.
    unsaid: Dropped,
    complained: Option<Instant>,
}

impl Queue {
    pub(super) fn new(name: String, chronicle: Option<Chronicle>) -> Self {
        Self(Arc::new(Inner {
            name,
            chronicle,
            state: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// Brings whole lines; `write` is how they are written, and may take its time.
    pub(super) fn push(&self, lines: &[u8], write: impl Fn(&[u8]) + Send + 'static) {
        let mut state = self.0.lock();
        if state.waiting.len() + state.under_way_bytes + lines.len() > PENDING_MAX {
            state.drop_lines(lines);
            let complaint = state.complaint();
            drop(state);
            return self.0.complain(complaint);
        }
        state.waiting.extend_from_slice(lines);
        if !state.has_writer {
            let inner = self.0.clone();
            let thread = std::thread::Builder::new().name("log-writer".to_owned());
            // Without a thread the lines wait, and the next ones try again.
            state.has_writer = thread.spawn(move || inner.write(write)).is_ok();
        }
        drop(state);
        self.0.changed.notify_all();
    }

    /// Waits until everything is written, but not for long.
    pub(super) fn settle(&self, most: Duration) {
        let state = self.0.lock();
        let settled = self.0.changed.wait_timeout_while(state, most, |state| {
            state.has_writer && (state.under_way_bytes > 0 || !state.waiting.is_empty())
        });
        drop(settled);
    }

    /// Returns the bytes that its writer has not taken yet.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.0.lock().waiting.len()
    }

    pub(super) fn dropped(&self) -> Dropped {
        self.0.lock().dropped
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what was dropped. The record may be one of the very service whose log takes nothing, and come
    /// back here: nobody says it with the state locked.
    fn complain(&self, complaint: Option<(Dropped, u64)>) {
        let Some((Dropped { lines, bytes }, total)) = complaint else {
            return;
        };
        let name = &*self.name;
        warn!(
            service = name,
            lines, bytes, total, "output was dropped: its log takes nothing"
        );
        if let Some(chronicle) = &self.chronicle {
            let text = format!("dropped {lines} lines of output, its log takes nothing");
            chronicle.notice(name, "output_dropped", text);
        }
    }

    /// Writes until nothing came for a while, or the queue was dropped and is empty.
    fn write(&self, write: impl Fn(&[u8])) {
        let mut state = self.lock();
        loop {
            if state.waiting.is_empty() {
                let idle = |state: &mut State| state.waiting.is_empty() && !state.closed;
                let woken = self.changed.wait_timeout_while(state, IDLE_MAX, idle);
                state = woken.unwrap_or_else(PoisonError::into_inner).0;
                let complaint = state.complaint();
                if complaint.is_some() {
                    drop(state);
                    self.complain(complaint);
                    state = self.lock();
                }
            }
            if state.waiting.is_empty() {
                state.has_writer = false;
                return;
            }
            let lines = std::mem::take(&mut state.waiting);
            state.under_way_bytes = lines.len();
            drop(state);
            write(&lines);
            state = self.lock();
            state.under_way_bytes = 0;
            self.changed.notify_all();
        }
    }
}

impl State {
    /// Returns what was dropped since that was said last, and all lines that ever were; at most once a
    /// minute.
    fn complaint(&mut self) -> Option<(Dropped, u64)> {
        let lately = |at: Instant| at.elapsed() < COMPLAIN_EVERY;
        if self.unsaid == Dropped::default() || self.complained.is_some_and(lately) {
            return None;
        }
        self.complained = Some(Instant::now());
        Some((std::mem::take(&mut self.unsaid), self.dropped.lines))
    }

    fn drop_lines(&mut self, lines: &[u8]) {
        let count = memchr::memchr_iter(b'\n', lines).count() as u64;
        for dropped in [&mut self.dropped, &mut self.unsaid] {
            dropped.lines += count;
            dropped.bytes += lines.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use fathom_kernel::Clock;

    use super::*;
    use crate::chronicle::Subject;
    use crate::logs::recording::recorded;

    #[test]
    fn what_finds_no_room_is_dropped_and_counted_and_the_rest_arrives_in_order() {
        let chronicle = Chronicle::in_memory(Clock::system());
        let queue = Queue::new("t".to_owned(), Some(chronicle.clone()));
        let (free, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let (tell, told) = mpsc::channel();
        let write = move || {
            let (gate, tell) = (gate.clone(), tell.clone());
            move |lines: &[u8]| {
                gate.lock().unwrap().recv().unwrap();
                tell.send(lines.len()).unwrap();
            }
        };
        let mebibyte = [&[b'x'; (1 << 20) - 1][..], b"\n"].concat();
        for _ in 0..6 {
            queue.push(&mebibyte, write());
        }
        let dropped = Dropped {
            lines: 2,
            bytes: 2 << 20,
        };
        assert_eq!(queue.dropped(), dropped);
        // The second one comes too soon after the first to be told.
        let events = chronicle.last(10, &[Subject::Notice].into());
        let texts: Vec<String> = events.iter().map(|entry| entry.what.to_string()).collect();
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(texts[0].contains("dropped 1 lines of output"), "{texts:?}");
        let mut written = 0;
        while written < 4 << 20 {
            free.send(()).unwrap();
            written += told.recv_timeout(Duration::from_secs(20)).unwrap();
        }
        queue.settle(Duration::from_secs(20));
        queue.push(&mebibyte, write());
        free.send(()).unwrap();
        assert_eq!(told.recv_timeout(Duration::from_secs(20)).unwrap(), 1 << 20);
        assert_eq!(queue.dropped(), dropped);
    }

    #[test]
    fn a_complaint_that_came_back_as_a_line_of_the_same_queue_waited_for_itself() {
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let queue = Arc::new(Queue::new("t".to_owned(), None));
            let (again, (held, gate)) = (queue.clone(), mpsc::channel::<()>());
            let gate = Mutex::new(gate);
            queue.push(b"first\n", move |_| {
                gate.lock().unwrap().recv().ok();
            });
            let too_much = vec![b'x'; PENDING_MAX + 1];
            recorded(
                move |_| again.push(b"it was dropped\n", |_| {}),
                || {
                    queue.push(&too_much, |_| {});
                },
            );
            tell.send(queue.dropped().bytes).unwrap();
            drop(held);
        });
        let dropped = told.recv_timeout(Duration::from_secs(20));
        assert_eq!(dropped, Ok(PENDING_MAX as u64 + 1));
    }
}
