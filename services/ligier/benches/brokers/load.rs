//! As much as goes: one producer, as fast as the slowest subscriber allows, so that nothing is lost.

use std::io::Write;
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::Interest;
use tokio::runtime;

use crate::dialect::Dialect;
use crate::server::Server;

/// Tells the kernel to throw the bytes away instead of copying them, so that subscribers cost little
/// of the processors that the brokers need.
pub(crate) const MSG_TRUNC: i32 = 0x20;

/// Bytes of one block of messages, and of all that may be on their way to one subscriber.
const BLOCK_BYTES: usize = 128 << 10;
const WINDOW_BYTES: u64 = 4 << 20;

/// What is sent, and who wants what of it.
pub(crate) struct Traffic {
    pub(crate) body_bytes: usize,
    pub(crate) tags: &'static [&'static str],
    /// Tags of each subscriber.
    pub(crate) wanted: Vec<Vec<&'static str>>,
}

/// What a broker did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) deliveries: f64,
    pub(crate) bytes: f64,
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.deliveries / self.seconds
    }

    pub(crate) fn gigabytes_per_second(&self) -> f64 {
        self.bytes / self.seconds / 1e9
    }

    /// Returns the broker's processor time per delivery [us].
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu_seconds / self.deliveries * 1e6
    }
}

/// Runs traffic through a broker for a time.
pub(crate) fn run(server: &Server, traffic: &Traffic, duration: Duration) -> Outcome {
    let dialect = server.dialect;
    let subscribers: Vec<TcpStream> = traffic
        .wanted
        .iter()
        .map(|tags| {
            dialect
                .subscriber(server.subscribers, tags)
                .expect("subscriber")
        })
        .collect();
    let producer = dialect.producer(server.producers).expect("producer");
    // ZeroMQ does not say when it knows a subscription.
    std::thread::sleep(Duration::from_millis(if dialect == Dialect::Zmtp {
        300
    } else {
        10
    }));
    let counts: Arc<[AtomicU64]> = subscribers.iter().map(|_| AtomicU64::new(0)).collect();
    let done = Arc::new(AtomicBool::new(false));
    let drained = drain(subscribers, &producer, counts.clone(), done.clone());
    let outcome = produce(server, producer, traffic, &counts, duration);
    done.store(true, Relaxed);
    drained.join().expect("no panic");
    outcome
}

fn produce(
    server: &Server,
    mut producer: TcpStream,
    traffic: &Traffic,
    counts: &[AtomicU64],
    duration: Duration,
) -> Outcome {
    let dialect = server.dialect;
    let body = vec![7; traffic.body_bytes];
    let wire = traffic.body_bytes + 16;
    let rounds = (BLOCK_BYTES / wire / traffic.tags.len()).max(1);
    let round: Vec<u8> = traffic
        .tags
        .iter()
        .flat_map(|tag| dialect.publish(tag, &body))
        .collect();
    let block = round.repeat(rounds);
    // The raw fan-out gives everything to everybody.
    let all = traffic.tags.to_vec();
    let wants = |at: usize| match dialect {
        Dialect::Raw => &all,
        _ => &traffic.wanted[at],
    };
    let per_block: Vec<(u64, u64)> = (0..counts.len())
        .map(|at| {
            let tags = wants(at);
            let bytes: usize = tags.iter().map(|t| dialect.delivered(t, body.len())).sum();
            ((tags.len() * rounds) as u64, (bytes * rounds) as u64)
        })
        .collect();
    let lag = |blocks: u64| {
        let subscribers = counts.iter().zip(&per_block);
        subscribers
            .map(|(count, (_, bytes))| (blocks * bytes).saturating_sub(count.load(Relaxed)))
            .max()
            .unwrap_or(0)
    };
    let largest = per_block.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
    let window = WINDOW_BYTES.max(largest);
    let (cpu, begun) = (server.cpu(), Instant::now());
    let mut blocks = 0;
    while begun.elapsed() < duration {
        producer.write_all(&block).expect("broker takes it");
        blocks += 1;
        wait_until(server, || lag(blocks) <= window);
    }
    wait_until(server, || lag(blocks) == 0);
    Outcome {
        deliveries: (blocks * per_block.iter().map(|(n, _)| n).sum::<u64>()) as f64,
        bytes: (blocks * per_block.iter().map(|(_, n)| n).sum::<u64>()) as f64,
        seconds: begun.elapsed().as_secs_f64(),
        cpu_seconds: (server.cpu() - cpu).as_secs_f64(),
    }
}

fn wait_until(server: &Server, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{} lost messages", server.name);
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// Counts what subscribers get, and forgets what the producer is told.
fn drain(
    subscribers: Vec<TcpStream>,
    producer: &TcpStream,
    counts: Arc<[AtomicU64]>,
    done: Arc<AtomicBool>,
) -> std::thread::JoinHandle<()> {
    let producer = producer.try_clone().expect("clone");
    std::thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("runtime");
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            let to_producer = Arc::new([AtomicU64::new(0)]);
            let told = std::thread::spawn(move || forget(&producer, &to_producer[0], &done));
            for (at, stream) in subscribers.into_iter().enumerate() {
                let counts = counts.clone();
                tasks.spawn(async move { count(stream, &counts[at]).await });
            }
            while !told.is_finished() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tasks.shutdown().await;
        });
    })
}

fn forget(producer: &TcpStream, count: &AtomicU64, done: &AtomicBool) {
    producer
        .set_read_timeout(Some(Duration::from_millis(20)))
        .expect("timeout");
    while !done.load(Relaxed) {
        if let Ok(bytes) = discard(producer, 0, PIECE_BYTES) {
            count.fetch_add(bytes as u64, Relaxed);
            if bytes == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

async fn count(stream: TcpStream, count: &AtomicU64) {
    stream.set_nonblocking(true).expect("non-blocking");
    let stream = tokio::net::TcpStream::from_std(stream).expect("stream");
    loop {
        let read = stream
            .async_io(Interest::READABLE, || {
                discard(&stream, MSG_TRUNC, PIECE_BYTES)
            })
            .await;
        match read {
            Ok(bytes @ 1..) => count.fetch_add(bytes as u64, Relaxed),
            _ => return,
        };
    }
}

/// Largest piece thrown away at once.
const PIECE_BYTES: usize = 1 << 20;

/// Receives and forgets up to `most` bytes.
pub(crate) fn discard<'s>(
    stream: &'s impl std::os::fd::AsFd,
    flags: i32,
    most: usize,
) -> std::io::Result<usize> {
    thread_local! {
        static PIECE: std::cell::RefCell<Vec<MaybeUninit<u8>>> =
            std::cell::RefCell::new(vec![MaybeUninit::uninit(); PIECE_BYTES]);
    }
    let socket: SockRef<'s> = SockRef::from(stream);
    let most = most.min(PIECE_BYTES);
    PIECE.with_borrow_mut(|piece| socket.recv_with_flags(&mut piece[..most], flags))
}
