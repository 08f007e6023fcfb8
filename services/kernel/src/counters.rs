//! What one service received, lost and could not read, counted where it happens.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Counters of one service over all its incarnations. Shared: the keeper owns them, the bus, the
/// driver and the service add to them, status shows them.
#[derive(Debug, Default)]
pub struct Counters {
    received: AtomicU64,
    received_bytes: AtomicU64,
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    dropped: AtomicU64,
    dropped_bytes: AtomicU64,
    outputs: AtomicU64,
    last_output_us: AtomicI64,
    lag_us: Gauge,
    memory_bytes: Gauge,
    busy_ns: AtomicU64,
    bad: Mutex<BTreeMap<String, u64>>,
    note: Mutex<Option<String>>,
}

/// A figure that goes up and down; unknown until it is measured.
#[derive(Debug)]
struct Gauge(AtomicU64);

impl Gauge {
    /// No figure is so large: it is half a million years, or all addresses there are.
    const UNKNOWN: u64 = u64::MAX;

    fn set(&self, value: Option<u64>) {
        self.0.store(value.unwrap_or(Self::UNKNOWN), Relaxed);
    }

    fn read(&self) -> Option<u64> {
        Some(self.0.load(Relaxed)).filter(|value| *value != Self::UNKNOWN)
    }
}

impl Default for Gauge {
    fn default() -> Self {
        Self(AtomicU64::new(Self::UNKNOWN))
    }
}

/// The counters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct CountersSnapshot {
    /// Messages that reached the service.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Messages the service sent.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Messages dropped because the service, or a client of it, was too slow.
    pub dropped: u64,
    /// Their bytes.
    pub dropped_bytes: u64,
    /// Outputs put on the board.
    pub outputs: u64,
    /// When the last output was put there.
    #[schemars(with = "Option<String>")]
    pub last_output: Option<Timestamp>,
    /// Time from the arrival of the newest message it took to when it had taken it (s); of a monitor,
    /// once it took one.
    #[schemars(extend("unit" = "s"))]
    pub lag_s: Option<f64>,
    /// Memory that the state of a monitor takes, roughly.
    pub memory_bytes: Option<u64>,
    /// Time in which its tasks held a thread (s), without waits, and without work of the disk.
    #[schemars(extend("unit" = "s"))]
    pub busy_s: f64,
    /// Messages that could not be read, by reason.
    pub bad: BTreeMap<String, u64>,
    /// What whoever looks at the service should know of it now, such as that it holds something back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Counters {
    /// Counts messages that reached the service.
    pub fn received(&self, messages: u64, bytes: u64) {
        self.received.fetch_add(messages, Relaxed);
        self.received_bytes.fetch_add(bytes, Relaxed);
    }

    /// Counts messages that the service sent.
    pub fn sent(&self, messages: u64, bytes: u64) {
        self.sent.fetch_add(messages, Relaxed);
        self.sent_bytes.fetch_add(bytes, Relaxed);
    }

    /// Counts messages dropped because the service, or a client of it, was too slow.
    pub fn dropped(&self, messages: u64, bytes: u64) {
        self.dropped.fetch_add(messages, Relaxed);
        self.dropped_bytes.fetch_add(bytes, Relaxed);
    }

    /// Counts a message that could not be read. Reasons are few and fixed: `truncated`, `version`.
    pub fn bad(&self, reason: &str) {
        self.bad_many(reason, 1);
    }

    /// Counts several messages that could not be read for the same reason.
    pub fn bad_many(&self, reason: &str, messages: u64) {
        let mut bad = self.bad.lock().unwrap_or_else(PoisonError::into_inner);
        match bad.get_mut(reason) {
            Some(count) => *count += messages,
            None => {
                bad.insert(reason.to_owned(), messages);
            }
        }
    }

    /// Counts an output put on the board.
    pub fn output(&self, at: Timestamp) {
        self.outputs.fetch_add(1, Relaxed);
        self.last_output_us.store(at.as_microsecond(), Relaxed);
    }

    /// Sets how long after its arrival the newest message was taken.
    pub fn lag(&self, lag: Duration) {
        self.lag_us.set(u64::try_from(lag.as_micros()).ok());
    }

    /// Sets the lag of a batch whose newest message arrived at a time and was taken `now`; nothing
    /// without messages. A clock that was set back says nothing.
    pub fn lag_since(&self, newest: Option<Timestamp>, now: Timestamp) {
        if let Some(received) = newest {
            let lag = now.duration_since(received);
            self.lag(lag.try_into().unwrap_or(Duration::ZERO));
        }
    }

    /// Sets how much memory the state takes.
    pub fn memory(&self, bytes: usize) {
        self.memory_bytes.set(u64::try_from(bytes).ok());
    }

    /// Sets what whoever looks at the service should know of it now; `None` is nothing.
    pub fn note(&self, note: Option<String>) {
        *self.note.lock().unwrap_or_else(PoisonError::into_inner) = note;
    }

    /// Counts the time in which a task of the service holds a thread, poll by poll.
    ///
    /// By the clock on the wall: asking the kernel for the processor time of the thread costs more
    /// than many a poll. On a machine with more work than processors, time that the kernel gave to
    /// others counts too.
    pub fn timed<F: Future>(self: &Arc<Self>, task: F) -> impl Future<Output = F::Output> + use<F> {
        let counters = self.clone();
        async move {
            let mut task = pin!(task);
            poll_fn(|cx| counters.time(|| task.as_mut().poll(cx))).await
        }
    }

    /// Counts the time that work of the service takes on a thread.
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        let ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.busy_ns.fetch_add(ns, Relaxed);
        done
    }

    /// Forgets what was measured of an incarnation that has ended.
    pub fn forget_gauges(&self) {
        self.lag_us.set(None);
        self.memory_bytes.set(None);
        self.note(None);
    }

    /// Returns all counters.
    pub fn snapshot(&self) -> CountersSnapshot {
        let outputs = self.outputs.load(Relaxed);
        CountersSnapshot {
            received: self.received.load(Relaxed),
            received_bytes: self.received_bytes.load(Relaxed),
            sent: self.sent.load(Relaxed),
            sent_bytes: self.sent_bytes.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            dropped_bytes: self.dropped_bytes.load(Relaxed),
            outputs,
            last_output: (outputs > 0)
                .then(|| Timestamp::from_microsecond(self.last_output_us.load(Relaxed)).ok())
                .flatten(),
            lag_s: self
                .lag_us
                .read()
                .map(|us| Duration::from_micros(us).as_secs_f64()),
            memory_bytes: self.memory_bytes.read(),
            busy_s: Duration::from_nanos(self.busy_ns.load(Relaxed)).as_secs_f64(),
            bad: self
                .bad
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            note: self
                .note
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }

    /// Replaces all values, with those that a child process reported of itself.
    pub fn mirror(&self, of: &CountersSnapshot) {
        self.received.store(of.received, Relaxed);
        self.received_bytes.store(of.received_bytes, Relaxed);
        self.sent.store(of.sent, Relaxed);
        self.sent_bytes.store(of.sent_bytes, Relaxed);
        self.dropped.store(of.dropped, Relaxed);
        self.dropped_bytes.store(of.dropped_bytes, Relaxed);
        self.outputs.store(of.outputs, Relaxed);
        self.last_output_us
            .store(of.last_output.map_or(0, Timestamp::as_microsecond), Relaxed);
        let lag = of.lag_s.and_then(|s| Duration::try_from_secs_f64(s).ok());
        self.lag_us
            .set(lag.and_then(|lag| u64::try_from(lag.as_micros()).ok()));
        self.memory_bytes.set(of.memory_bytes);
        let busy = Duration::try_from_secs_f64(of.busy_s).unwrap_or_default();
        let busy_ns = u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX);
        self.busy_ns.store(busy_ns, Relaxed);
        self.bad
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&of.bad);
        self.note(of.note.clone());
    }
}

impl CountersSnapshot {
    /// Returns the sums of two, such as those of two incarnations; what is no sum stays.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.received += other.received;
        self.received_bytes += other.received_bytes;
        self.sent += other.sent;
        self.sent_bytes += other.sent_bytes;
        self.dropped += other.dropped;
        self.dropped_bytes += other.dropped_bytes;
        self.outputs += other.outputs;
        self.busy_s += other.busy_s;
        self.last_output = self.last_output.max(other.last_output);
        for (reason, count) in &other.bad {
            *self.bad.entry(reason.clone()).or_default() += count;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_are_busy_while_they_compute_and_not_while_they_wait() {
        let counters = Arc::new(Counters::default());
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let began = Instant::now();
        let task = tokio::spawn(counters.timed(async {
            gone.await.unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }));
        tokio::task::yield_now().await;
        std::thread::sleep(Duration::from_millis(50));
        go.send(()).unwrap();
        task.await.unwrap();
        let (busy_s, all_s) = (counters.snapshot().busy_s, began.elapsed().as_secs_f64());
        assert!(busy_s >= 0.02 && busy_s <= all_s - 0.05, "{busy_s} {all_s}");
    }

    #[test]
    fn sums_have_all_fields_and_the_newer_output() {
        let one = Counters::default();
        one.received(1, 10);
        one.bad("version");
        one.output(Timestamp::from_second(5).unwrap());
        let two = Counters::default();
        two.dropped(2, 20);
        two.sent(3, 30);
        two.bad("version");
        two.output(Timestamp::from_second(4).unwrap());
        one.lag(Duration::from_millis(1500));
        two.lag(Duration::from_secs(9));
        two.memory(7);
        one.note(Some("rests".into()));
        one.busy_ns.store(500_000_000, Relaxed);
        two.busy_ns.store(250_000_000, Relaxed);
        let sum = one.snapshot().plus(&two.snapshot());
        assert_eq!((sum.lag_s, sum.memory_bytes), (Some(1.5), None));
        assert_eq!(sum.note.as_deref(), Some("rests"));
        assert_eq!(sum.busy_s, 0.75);
        let mirror = Counters::default();
        mirror.mirror(&sum);
        assert_eq!(mirror.snapshot(), sum);
        assert_eq!((sum.received, sum.dropped, sum.sent), (1, 2, 3));
        assert_eq!(
            (sum.received_bytes, sum.dropped_bytes, sum.sent_bytes),
            (10, 20, 30)
        );
        assert_eq!((sum.outputs, sum.bad["version"]), (2, 2));
        assert_eq!(sum.last_output, one.snapshot().last_output);
    }
}
