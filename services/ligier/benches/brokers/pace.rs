//! Full-detector traffic at ten times real time, and the same beside a subscriber that stalls.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::runtime;

use crate::SIX;
use crate::dialect::Dialect;
use crate::load::{MSG_TRUNC, discard};
use crate::server::Server;

/// Messages per second and body of each tag of [`SIX`]: 44,800 messages/s and 223 MB/s in all.
const RATES_HZ: [f64; 6] = [41_400.0, 1_800.0, 500.0, 600.0, 400.0, 100.0];
const BODIES: [usize; 6] = [256, 8_000, 100_000, 100_000, 220_000, 120];
const TICK: Duration = Duration::from_millis(1);
const WARM_UP: Duration = Duration::from_millis(500);
const DURATION: Duration = Duration::from_secs(5);

/// What came of a paced run.
struct Outcome {
    /// Times from sending to receiving, sorted [us].
    latencies_us: Vec<u32>,
    lost: i64,
    cpu_percent: f64,
    /// Longest time that the producer's write took.
    blocked: Duration,
    sent_hz: f64,
    sent_mb: f64,
}

impl Outcome {
    fn quantile_ms(&self, fraction: f64) -> f64 {
        let last = self.latencies_us.len().saturating_sub(1) as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index into the list"
        )]
        let at = (last * fraction) as usize;
        f64::from(self.latencies_us.get(at).copied().unwrap_or(0)) / 1e3
    }
}

/// Compares latencies and processor time.
pub(crate) fn at_ten_times(peers: &[Server]) {
    println!(
        "\n== full detector at ten times real time, six tags, 12 subscribers of two tags each"
    );
    let ours = Server::ligier("");
    for _ in 0..2 {
        for server in [&ours].into_iter().chain(peers) {
            let outcome = run(server, DURATION);
            print(server.name, &outcome);
        }
    }
}

fn print(name: &str, outcome: &Outcome) {
    println!(
        "  {name:<8} {:>6.0} messages/s {:>4.0} MB/s in  p50 {:>6.2} ms  p99 {:>6.2} ms  max {:>6.2} ms  cpu {:>4.0} %  lost {}  producer blocked at most {:.1} ms",
        outcome.sent_hz,
        outcome.sent_mb,
        outcome.quantile_ms(0.5),
        outcome.quantile_ms(0.99),
        outcome.quantile_ms(1.0),
        outcome.cpu_percent,
        outcome.lost,
        outcome.blocked.as_secs_f64() * 1e3,
    );
}

/// Shows what a stalled subscriber does to the others and to the memory.
pub(crate) fn beside_a_stalled_one() {
    println!("\n== the same with one subscriber of everything that does not read, limit 64 MiB");
    let server = Server::ligier("queue_bytes = \"64MiB\"");
    let without = run(&server, DURATION);
    print("without", &without);
    let before = server.memory_mib();
    let stalled = Dialect::ControlHost.subscriber(server.subscribers, SIX);
    let mut stalled = stalled.expect("subscriber");
    let with = run(&server, DURATION);
    print("with", &with);
    println!(
        "  p99 x{:.2}, memory grew by {} MiB",
        with.quantile_ms(0.99) / without.quantile_ms(0.99),
        server.memory_mib().saturating_sub(before),
    );
    println!("  then it reads: {}", catch_up(&server, &mut stalled));
}

/// Reads until a message sent just now arrives.
fn catch_up(server: &Server, stalled: &mut TcpStream) -> String {
    let dialect = server.dialect;
    let mut producer = dialect.producer(server.producers).expect("producer");
    let newest = dialect.publish("MSG", b"the newest message");
    producer.write_all(&newest).expect("broker takes it");
    stalled
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("timeout");
    let (mut read, mut piece) = (Vec::new(), vec![0; 1 << 20]);
    let mut total = 0;
    while !read.ends_with(&newest) {
        match stalled.read(&mut piece) {
            Ok(bytes @ 1..) => {
                total += bytes;
                read.extend_from_slice(&piece[..bytes]);
                let keep = read.len().saturating_sub(newest.len());
                read.drain(..keep);
            }
            end => return format!("connection lost: {end:?}"),
        }
    }
    format!("the newest message comes after {} MiB", total >> 20)
}

fn run(server: &Server, duration: Duration) -> Outcome {
    let dialect = server.dialect;
    let epoch = Instant::now();
    let done = Arc::new(AtomicBool::new(false));
    let received: Arc<[AtomicU64]> = (0..12).map(|_| AtomicU64::new(0)).collect();
    let subscribers: Vec<TcpStream> = (0..12)
        .map(|n| {
            let tags = [SIX[n % 6], SIX[(n + 1) % 6]];
            dialect
                .subscriber(server.subscribers, &tags)
                .expect("subscriber")
        })
        .collect();
    let mut producer = dialect.producer(server.producers).expect("producer");
    let mut told = producer.try_clone().expect("clone");
    let quiet = std::thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
    std::thread::sleep(Duration::from_millis(300));
    let reader = {
        let (received, done) = (received.clone(), done.clone());
        std::thread::spawn(move || receive(dialect, subscribers, &received, &done, epoch))
    };
    let mut pacer = Pacer::new(dialect);
    pacer.send(&mut producer, WARM_UP, epoch);
    let (cpu, begun) = (server.cpu(), Instant::now());
    let (messages, bytes) = (pacer.sent.iter().sum::<u64>(), pacer.bytes);
    pacer.blocked = Duration::ZERO;
    pacer.send(&mut producer, duration, epoch);
    let seconds = begun.elapsed().as_secs_f64();
    let cpu_percent = (server.cpu() - cpu).as_secs_f64() / seconds * 100.0;
    let expected = |n: usize| pacer.sent[n % 6] + pacer.sent[(n + 1) % 6];
    let missing = || -> i64 {
        let missing =
            |n: usize| expected(n).cast_signed() - received[n].load(Relaxed).cast_signed();
        (0..12).map(missing).sum()
    };
    let deadline = Instant::now() + Duration::from_secs(3);
    while missing() != 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let lost = missing();
    done.store(true, Relaxed);
    let _closed = producer.shutdown(std::net::Shutdown::Both);
    let _told = quiet.join();
    let mut latencies_us = reader.join().expect("no panic");
    latencies_us.sort_unstable();
    Outcome {
        latencies_us,
        lost,
        cpu_percent,
        blocked: pacer.blocked,
        sent_hz: (pacer.sent.iter().sum::<u64>() - messages) as f64 / seconds,
        sent_mb: (pacer.bytes - bytes) as f64 / seconds / 1e6,
    }
}

/// Sends what is due, once per tick, with the time of sending at the front of each body.
struct Pacer {
    /// A message of each tag, and where its body starts.
    messages: Vec<(Vec<u8>, usize)>,
    due: [f64; 6],
    sent: [u64; 6],
    bytes: usize,
    blocked: Duration,
    buffer: Vec<u8>,
}

impl Pacer {
    fn new(dialect: Dialect) -> Self {
        let message = |(tag, bytes): (&&str, &usize)| {
            let message = dialect.publish(tag, &vec![b'x'; *bytes]);
            let tail = if matches!(dialect, Dialect::Nats | Dialect::Redis) {
                2
            } else {
                0
            };
            let body = message.len() - tail - bytes;
            (message, body)
        };
        Self {
            messages: SIX.iter().zip(&BODIES).map(message).collect(),
            // The sources of a detector do not beat in step.
            due: std::array::from_fn(|at| at as f64 / 6.0),
            sent: [0; 6],
            bytes: 0,
            blocked: Duration::ZERO,
            buffer: Vec::new(),
        }
    }

    fn send(&mut self, producer: &mut TcpStream, duration: Duration, epoch: Instant) {
        let begun = Instant::now();
        let mut last = begun;
        while begun.elapsed() < duration {
            std::thread::sleep(TICK.saturating_sub(last.elapsed()));
            let now = Instant::now();
            let passed = now.duration_since(last).as_secs_f64();
            last = now;
            self.fill(passed, epoch);
            producer.write_all(&self.buffer).expect("broker takes it");
            self.blocked = self.blocked.max(now.elapsed());
        }
    }

    fn fill(&mut self, seconds: f64, epoch: Instant) {
        self.buffer.clear();
        // At least eight digits, so that the bodies of text protocols stay what they are.
        let now_us = u64::try_from(epoch.elapsed().as_micros()).unwrap_or(0);
        for (at, (message, body)) in self.messages.iter().enumerate() {
            self.due[at] += RATES_HZ[at] * seconds;
            while self.due[at] >= 1.0 {
                self.due[at] -= 1.0;
                self.sent[at] += 1;
                self.bytes += BODIES[at];
                let start = self.buffer.len() + body;
                self.buffer.extend_from_slice(message);
                self.buffer[start..start + 8].copy_from_slice(&now_us.to_be_bytes());
            }
        }
    }
}

/// Receives with all subscribers until told that all is done; returns the times on the way [us].
fn receive(
    dialect: Dialect,
    subscribers: Vec<TcpStream>,
    received: &Arc<[AtomicU64]>,
    done: &AtomicBool,
    epoch: Instant,
) -> Vec<u32> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("runtime").block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        let all = Arc::new(std::sync::Mutex::new(Vec::new()));
        for (n, stream) in subscribers.into_iter().enumerate() {
            let (received, all) = (received.clone(), all.clone());
            tasks.spawn(async move {
                stream.set_nonblocking(true).expect("non-blocking");
                let stream = tokio::net::TcpStream::from_std(stream).expect("stream");
                let mut arrivals = Arrivals::default();
                while arrivals.read(dialect, &stream).await {
                    let now_us = u64::try_from(epoch.elapsed().as_micros()).unwrap_or(0);
                    received[n].fetch_add(arrivals.sent_us.len() as u64, Relaxed);
                    let on_the_way = arrivals.sent_us.drain(..).map(|sent_us| now_us - sent_us);
                    let mut all = all.lock().expect("no panic");
                    all.extend(on_the_way.map(|us| u32::try_from(us).unwrap_or(u32::MAX)));
                }
            });
        }
        while !done.load(Relaxed) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tasks.shutdown().await;
        std::mem::take(&mut *all.lock().expect("no panic"))
    })
}

/// The messages of one subscriber. Only their beginnings are copied out of the kernel, so that the
/// receivers cost little of the processors that the brokers need.
#[derive(Default)]
struct Arrivals {
    /// Times of sending of the messages that are complete [us].
    sent_us: Vec<u64>,
    /// Bytes of an incomplete message of which enough is known.
    front: Vec<u8>,
    /// Bytes missing of a message, and its time of sending [us].
    missing: Option<(usize, u64)>,
}

impl Arrivals {
    /// Largest piece that is copied.
    const PIECE_BYTES: usize = 16 << 10;

    /// Waits for bytes; `false` is the end.
    async fn read(&mut self, dialect: Dialect, stream: &tokio::net::TcpStream) -> bool {
        if let Some((bytes, sent_us)) = self.missing {
            let read = stream.async_io(Interest::READABLE, || discard(stream, MSG_TRUNC, bytes));
            let Ok(read @ 1..) = read.await else {
                return false;
            };
            self.missing = Some((bytes - read, sent_us)).filter(|(left, _)| *left > 0);
            if self.missing.is_none() {
                self.sent_us.push(sent_us);
            }
            return true;
        }
        let mut piece = [0; Self::PIECE_BYTES];
        let read = stream.async_io(Interest::READABLE, || stream.try_read(&mut piece));
        let Ok(read @ 1..) = read.await else {
            return false;
        };
        self.front.extend_from_slice(&piece[..read]);
        let mut at = 0;
        while let Some((length, body)) = dialect.parse(&self.front[at..]) {
            let Some(stamp) = self.front.get(at + body..at + body + 8) else {
                break;
            };
            let sent_us = u64::from_be_bytes(stamp.try_into().expect("eight bytes"));
            let there = self.front.len() - at;
            if there < length {
                self.missing = Some((length - there, sent_us));
                at = self.front.len();
                break;
            }
            self.sent_us.push(sent_us);
            at += length;
        }
        self.front.drain(..at);
        true
    }
}
