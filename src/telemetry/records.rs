//! The last lines of every service of one stack: for `tail`, for followers, and for the bus.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use fathom_kernel::{Bus, Event, LogLine, LogStream, Timestamp, Topic};
use tokio::sync::watch;

use super::ring::{self, Ring, Voice, lines_of};
use crate::logs::{Logs, Past, Question};

/// The log lines of one stack. Clones share them.
///
/// Lines of in-process services arrive by themselves when their future runs inside
/// [`Records::span`]; lines of child processes are given to [`Records::push`].
#[derive(Clone)]
pub struct Records {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    /// Tells the stacks of one process apart (tests run several).
    id: u64,
    bus: Bus,
    /// Where records of services are written as well.
    logs: OnceLock<Logs>,
    rings: Mutex<HashMap<String, Arc<Ring>>>,
}

/// The stacks of this process; the subscriber is global, they are not.
static STACKS: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());
static NEXT_STACK: AtomicU64 = AtomicU64::new(1);

/// What a follower gets at once.
#[derive(Debug, Default)]
pub struct Batch {
    /// Lines that were overwritten before this follower took them.
    pub missed: u64,
    /// New lines, oldest first.
    pub lines: Vec<Arc<LogLine>>,
}

/// Reads the lines of one service as they come, with no gap after the first ones.
pub struct Follow {
    service: Arc<str>,
    ring: Arc<Ring>,
    next: u64,
    changes: watch::Receiver<u64>,
}

impl Records {
    /// Most lines kept per service.
    pub const LINES_MAX: usize = 2000;
    /// Most bytes kept per service.
    pub const BYTES_MAX: usize = 1 << 20;
    /// Longer lines are cut here.
    pub const LINE_BYTES_MAX: usize = 16 << 10;
    /// Most lines per second of one service that go on the bus; further ones are counted, and are
    /// still kept and written. Bounds a service that logs about the log events it receives.
    pub const PUBLISHED_PER_S: u64 = 1000;
    /// Most names; lines of further ones are not kept.
    const SERVICES_MAX: usize = 4096;

    /// Makes the records of a stack; lines go on its bus, too.
    pub fn new(bus: Bus) -> Self {
        let inner = Arc::new(Inner {
            id: NEXT_STACK.fetch_add(1, Relaxed),
            bus,
            logs: OnceLock::new(),
            rings: Mutex::default(),
        });
        let mut stacks = lock(&STACKS);
        stacks.retain(|stack| stack.strong_count() > 0);
        stacks.push(Arc::downgrade(&inner));
        Self { inner }
    }

    /// Writes the records of services into their logs, too, from now on; the first call counts.
    pub fn write_to(&self, logs: Logs) {
        self.inner.logs.get_or_init(|| logs);
    }

    /// Returns the span that marks every record written inside it as this service's, since this start.
    pub fn span(&self, service: &str, incarnation: u64) -> tracing::Span {
        // The highest level, so that no filter for records takes the mark away.
        tracing::error_span!(
            target: super::tagging::TARGET,
            "service",
            service,
            incarnation,
            stack = self.inner.id
        )
    }

    /// Keeps a line and puts it on the bus.
    pub fn push(&self, line: LogLine) {
        self.inner.push(&line);
    }

    /// Returns what keeps the output of a service's process.
    pub(crate) fn pen(&self, service: Arc<str>, voice: Voice) -> Pen {
        Pen {
            ring: self.inner.ring(&service).unwrap_or_default(),
            inner: self.inner.clone(),
            service,
            voice,
        }
    }

    /// Returns the last lines of a service, oldest first; `None` when it never wrote one. The
    /// supervisor's own lines have the empty name.
    pub fn tail(&self, service: &str, lines: usize) -> Option<Vec<Arc<LogLine>>> {
        let ring = lock(&self.inner.rings).get(service).cloned()?;
        Some(ring.tail(service, lines).lines)
    }

    /// Answers out of memory; `None` when the files may know more.
    pub(crate) fn recall(&self, service: &str, question: Question) -> Option<Past> {
        let kept = self.tail(service, question.lines).unwrap_or_default();
        question.is_met_by(&kept).then(|| Past {
            lines: question.among(&kept),
            cut: false,
        })
    }

    /// Answers out of the files of a service, or out of memory when it has none. Reads files.
    pub(crate) fn look_back(&self, service: &str, question: Question) -> io::Result<Past> {
        let written = self
            .inner
            .logs
            .get()
            .map(|logs| logs.past(service, question));
        let written = written.transpose()?.unwrap_or_default();
        let kept = self.tail(service, question.lines).unwrap_or_default();
        let kept = question.among(&kept);
        // Memory knows its lines better: to the millisecond, and of which start they are.
        if written.lines.len() > kept.len() {
            return Ok(written);
        }
        let forgot = self.written(service) > kept.len() as u64;
        Ok(Past {
            cut: question.since.is_some() && forgot,
            lines: kept,
        })
    }

    /// Forgets the lines of a service.
    pub fn clear(&self, service: &str) {
        if let Some(ring) = lock(&self.inner.rings).get(service) {
            ring.clear();
        }
    }

    /// Lets a service be found under another name; what still writes under the old one is found too.
    pub fn rename(&self, from: &str, to: &str) {
        let mut rings = lock(&self.inner.rings);
        if let Some(ring) = rings.get(from).cloned() {
            rings.insert(to.to_owned(), ring);
        }
    }

    /// Drops a service that is gone.
    pub fn forget(&self, service: &str) {
        lock(&self.inner.rings).remove(service);
    }

    /// Returns how many lines a service ever wrote.
    pub fn written(&self, service: &str) -> u64 {
        let ring = lock(&self.inner.rings).get(service).cloned();
        ring.map_or(0, |ring| ring.follow(0).0)
    }

    /// Starts to follow a service with its last lines.
    pub fn follow(&self, service: &str, lines: usize) -> Follow {
        let ring = self.inner.ring(service).unwrap_or_default();
        let (next, changes) = ring.follow(lines);
        Follow {
            service: service.into(),
            ring,
            next,
            changes,
        }
    }
}

/// Keeps the output of one pipe of a service.
pub(crate) struct Pen {
    inner: Arc<Inner>,
    ring: Arc<Ring>,
    service: Arc<str>,
    voice: Voice,
}

impl Pen {
    /// Keeps whole lines that came at once, and puts them on the bus: all, or as many as one service
    /// may.
    pub(crate) fn write(&self, at: Timestamp, text: &[u8], all_on_bus: bool) {
        let ends = memchr::memchr_iter(b'\n', text).count() as u64;
        let lines = ends + u64::from(text.last().is_some_and(|last| *last != b'\n'));
        let mut publish = self.ring.push(at, self.voice, text, lines);
        if !self.inner.bus.wants(Topic::Log) {
            return;
        }
        if all_on_bus {
            publish.allowed = lines;
            publish.held_back = 0;
        }
        let allowed = usize::try_from(publish.allowed).unwrap_or(usize::MAX);
        let texts = lines_of(text, false).take(allowed);
        let lines = texts.map(|text| ring::line(&self.service, self.voice, at, text));
        self.inner.publish(lines, publish.held_back);
    }
}

/// Formats a line for people: records with their time, lines of children as they came.
pub fn shown(line: &LogLine) -> String {
    match line.stream {
        LogStream::Record => format!("{:.3} {}", line.at, line.line),
        LogStream::Stdout | LogStream::Stderr => line.line.clone(),
    }
}

impl Inner {
    /// Finds the stack with this number.
    pub(super) fn of(id: u64) -> Option<Arc<Self>> {
        let stacks = lock(&STACKS);
        let mut living = stacks.iter().filter_map(Weak::upgrade);
        living.find(|stack| stack.id == id)
    }

    /// Returns all stacks; a record outside of any span belongs to each of them.
    pub(super) fn all() -> Vec<Arc<Self>> {
        lock(&STACKS).iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn push(&self, line: &LogLine) {
        if line.stream == LogStream::Record
            && let Some(logs) = self.logs.get()
        {
            logs.record(line);
        }
        let Some(ring) = self.ring(&line.service) else {
            return;
        };
        let text = line.line.as_bytes();
        // A little more than is shown, so that it shows that there was more.
        let most = text.len().min(Records::LINE_BYTES_MAX + 4);
        let mut text = text.split_at(most).0.to_owned();
        // Records keep their line ends; output is kept with one after each line.
        if line.stream != LogStream::Record {
            text.push(b'\n');
        }
        let publish = ring.push(line.at, Voice::of(line), &text, 1);
        if !self.bus.wants(Topic::Log) {
            return;
        }
        let line = ring::line(
            &line.service,
            Voice::of(line),
            line.at,
            line.line.as_bytes(),
        );
        let lines = (publish.allowed > 0).then_some(line);
        self.publish(lines.into_iter(), publish.held_back);
    }

    /// Puts lines on the bus, and says how many were not in the last second.
    fn publish(&self, mut lines: impl Iterator<Item = LogLine>, held_back: u64) {
        if let Some(first) = lines.next() {
            let notice = (held_back > 0).then(|| LogLine {
                line: format!("WARN {held_back} lines were not published"),
                ..first.clone()
            });
            for line in notice.into_iter().chain([first]).chain(lines) {
                self.bus.publish(Event::Log(line));
            }
        }
    }

    fn ring(&self, service: &str) -> Option<Arc<Ring>> {
        let mut rings = lock(&self.rings);
        if let Some(ring) = rings.get(service) {
            return Some(ring.clone());
        }
        if rings.len() >= Records::SERVICES_MAX {
            return None;
        }
        let ring = Arc::<Ring>::default();
        rings.insert(service.to_owned(), ring.clone());
        Some(ring)
    }
}

impl Follow {
    /// Takes what is there already.
    pub fn past(&mut self) -> Batch {
        self.take()
    }

    /// Waits for lines. Cancel-safe: nothing is taken before it returns.
    pub async fn next(&mut self) -> Batch {
        loop {
            self.changes.borrow_and_update();
            let batch = self.take();
            if batch.missed > 0 || !batch.lines.is_empty() {
                return batch;
            }
            // The ring is held by this follower, so its sender lives as long.
            if self.changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn take(&mut self) -> Batch {
        let taken = self.ring.since(&self.service, self.next);
        self.next = taken.next;
        Batch {
            missed: taken.missed,
            lines: taken.lines,
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use fathom_kernel::{Filter, Limits};

    use super::*;

    fn line(service: &str, text: &str) -> LogLine {
        LogLine {
            service: service.to_owned(),
            incarnation: 1,
            stream: LogStream::Stdout,
            line: text.to_owned(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn texts(lines: &[Arc<LogLine>]) -> Vec<&str> {
        lines.iter().map(|l| l.line.as_str()).collect()
    }

    #[test]
    fn the_tail_is_the_end_of_one_service() {
        let records = Records::new(Bus::new());
        for text in ["one", "two", "three"] {
            records.push(line("a", text));
        }
        records.push(line("b", "other"));
        let tail = records.tail("a", 2).expect("it wrote");
        assert_eq!(texts(&tail), ["two", "three"]);
        assert!(records.tail("c", 2).is_none());
    }

    #[tokio::test]
    async fn a_follower_begins_with_the_tail_and_misses_nothing() {
        let records = Records::new(Bus::new());
        records.push(line("a", "one"));
        records.push(line("a", "two"));
        let mut follow = records.follow("a", 1);
        assert_eq!(texts(&follow.next().await.lines), ["two"]);
        let waiting = tokio::spawn(async move { follow.next().await });
        tokio::task::yield_now().await;
        records.push(line("a", "three"));
        assert_eq!(texts(&waiting.await.expect("no panic").lines), ["three"]);
    }

    #[tokio::test]
    async fn a_slow_follower_learns_how_many_lines_it_missed() {
        let records = Records::new(Bus::new());
        let mut follow = records.follow("a", 0);
        for number in 0..Records::LINES_MAX + 5 {
            records.push(line("a", &number.to_string()));
        }
        let batch = follow.next().await;
        assert_eq!(batch.missed, 5);
        assert_eq!(batch.lines.len(), Records::LINES_MAX);
        assert_eq!(batch.lines[0].line, "5");
    }

    #[test]
    fn long_lines_are_cut_and_bytes_are_bounded() {
        let records = Records::new(Bus::new());
        for _ in 0..100 {
            records.push(line("a", &"é".repeat(20_000)));
        }
        let tail = records.tail("a", usize::MAX).expect("it wrote");
        let bytes: usize = tail.iter().map(|l| l.line.len()).sum();
        assert!(bytes <= Records::BYTES_MAX);
        assert!(tail[0].line.len() <= Records::LINE_BYTES_MAX + '…'.len_utf8());
    }

    #[test]
    fn records_of_a_service_stand_in_its_log_file_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let logs = Logs::new(folder.path(), None);
        let outlet = logs.keep("a", &Default::default()).out;
        let records = Records::new(Bus::new());
        records.write_to(logs);
        records.push(LogLine {
            stream: LogStream::Record,
            ..line("a", "INFO hello")
        });
        let path = outlet.file().expect("it has one").path().to_owned();
        let expected = "1970-01-01T00:00:00.000Z INFO hello\n";
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !std::fs::read_to_string(&path).is_ok_and(|text| text == expected) {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
    }

    #[test]
    fn lines_go_on_the_bus() {
        let bus = Bus::new();
        let mut events = bus.subscribe("t", Filter::none().and(Topic::Log), Limits::default());
        Records::new(bus).push(line("a", "hello"));
        let mut batch = VecDeque::new();
        assert!(events.try_batch(&mut batch));
        assert!(matches!(&*batch[0], Event::Log(l) if l.line == "hello"));
    }
}
