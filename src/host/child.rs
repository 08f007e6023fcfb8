//! The child's end: makes the service and the context that speaks to the supervisor.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use fathom_formats::detx::Detector;
use fathom_kernel::{
    Addresses, Answer, Ask, Board, Bus, Checkpoint, Clock, ControlHandle, Counters,
    CountersSnapshot, DetectorFeed, Event, Exit, Filter, Request, ServiceCx, Setup, Uplink,
};
use futures_util::StreamExt;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};
use tokio_util::sync::CancellationToken;

use super::images::{Had, Told};
use super::wire::{Down, Hello, Lost, Received, Up, codec, decode, encode, encode_event, put};
use crate::checkpoints::FileStore;
use crate::config;
use crate::reach::{self, Reach};
use crate::telemetry::{self, Telemetry};

/// Most messages and bytes waiting to be written to the supervisor; further events are dropped and
/// counted, other messages wait.
const WAITING_MAX: usize = 16_384;
const WAITING_BYTES_MAX: usize = 256 << 20;

/// Time between two reports of counters.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Threads of the child's pool.
const THREADS: usize = 2;

/// Runs the service that the supervisor asks for on standard input, until it ends.
pub fn run() -> anyhow::Result<ExitCode> {
    reach::install_tls();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(THREADS)
        .build()?;
    let exit = runtime.block_on(live());
    // A service that blocks a thread must not keep the process.
    runtime.shutdown_background();
    exit.map(|exit| ExitCode::from(u8::try_from(exit.code()).unwrap_or(1)))
}

async fn live() -> anyhow::Result<Exit> {
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    let socket = std::os::unix::net::UnixStream::from(socket);
    socket.set_nonblocking(true)?;
    let stream = UnixStream::from_std(socket).context("standard input is no socket")?;
    let (from, to) = stream.into_split();
    let mut from = FramedRead::new(from, codec());
    let first = from.next().await.context("the supervisor says nothing")??;
    let Received::Message(Down::Hello(hello)) = decode(first.freeze())? else {
        anyhow::bail!("the supervisor does not say what to run");
    };
    let logging = telemetry::Options {
        level: hello.level.clone(),
        ..telemetry::Options::default()
    };
    let _telemetry = Telemetry::install(&logging)?;
    let setup = setup(&hello)?;
    let factory = config::factory(&hello.kind, &hello.options, &setup)?;
    let (up, waiting) = mpsc::channel(WAITING_MAX);
    let (interest, wanted) = watch::channel(Vec::new());
    let counters = Arc::new(Counters::default());
    let link = Link {
        up: up.clone(),
        interest,
        bytes: Arc::default(),
        counters: counters.clone(),
        told: Mutex::default(),
    };
    let outbox = Outbox {
        waiting,
        wanted,
        bytes: link.bytes.clone(),
    };
    let writing = tokio::spawn(outbox.write(BufWriter::new(to)));
    let (cx, ends) = context(&hello, setup.detector, link, counters);
    let stop = cx.stop.clone();
    tokio::spawn(ends.serve(from, up.clone(), stop.clone()));
    tokio::spawn(obey_signals(stop));
    let end = tokio::spawn(async move { factory().run(cx).await }).await;
    let exit = match end {
        Ok(Ok(())) => Exit::Code(0),
        Ok(Err(error)) => {
            tracing::error!(error = error.chain(), "the service failed");
            Exit::Failed(error.chain())
        }
        Err(error) => match error.try_into_panic() {
            Ok(panic) => Exit::Panicked(crate::body::panic_text(&*panic)),
            Err(_cancelled) => Exit::Aborted,
        },
    };
    // The last word: behind all that the service published.
    let last = encode(&Up::Exit(exit.clone()))?;
    up.send((last, true)).await.ok();
    writing.await?;
    Ok(exit)
}

fn setup(hello: &Hello) -> anyhow::Result<Setup> {
    let detector = match &hello.detector {
        Some(text) => Some(Arc::new(Detector::parse(text.as_bytes())?.detector)),
        None => None,
    };
    Ok(Setup {
        // Whether one is configured was checked by the supervisor.
        detector_comes: detector.is_none(),
        data_dir: hello.data_dir.clone(),
        config_dir: hello.config_dir.clone(),
        detector,
    })
}

/// A message on its way up; `true` ends the connection behind it.
type Upward = (Bytes, bool);

/// Carries what is published here to the supervisor; never waits.
struct Link {
    up: mpsc::Sender<Upward>,
    /// What this process wants: only the newest counts, so it never waits in a queue.
    interest: watch::Sender<Vec<Filter>>,
    bytes: Arc<AtomicUsize>,
    counters: Arc<Counters>,
    told: Mutex<Told>,
}

impl Link {
    /// Sends an event, or counts it; tells whether it was sent.
    fn send(&self, event: &Event, told: &mut Told) -> bool {
        let Ok(bytes) = encode_event(event, told, Up::Event) else {
            self.counters.bad("event cannot be written");
            return false;
        };
        let count = bytes.len();
        let fits = self.bytes.fetch_add(count, Relaxed) + count <= WAITING_BYTES_MAX;
        let sent = fits && self.up.try_send((bytes, false)).is_ok();
        if !sent {
            self.bytes.fetch_sub(count, Relaxed);
            self.counters.dropped(1, count as u64);
        }
        sent
    }
}

impl Uplink for Link {
    fn publish(&self, events: Vec<Event>) {
        for event in &events {
            if let Event::Output(change) = event {
                // Held until it is sent: what was told has the order of the messages.
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                if !self.send(event, &mut told) {
                    told.forget(&change.output.name);
                }
            } else {
                self.send(event, &mut Told::default());
            }
        }
    }

    fn interest(&self, filters: Vec<Filter>) {
        self.interest.send_replace(filters);
    }
}

/// What goes up, in the order it is written.
struct Outbox {
    waiting: mpsc::Receiver<Upward>,
    wanted: watch::Receiver<Vec<Filter>>,
    bytes: Arc<AtomicUsize>,
}

impl Outbox {
    async fn write(mut self, mut to: BufWriter<OwnedWriteHalf>) {
        let mut batch = Vec::new();
        loop {
            // Both are cancel-safe: a batch is taken only when it is returned.
            let more = tokio::select! {
                biased;
                Ok(()) = self.wanted.changed() => {
                    let filters = self.wanted.borrow_and_update().clone();
                    match encode(&Up::Interest(filters)) {
                        Ok(message) => put(&mut to, &message).await.is_ok(),
                        Err(error) => {
                            tracing::error!(%error, "the supervisor does not hear what is wanted");
                            true
                        }
                    }
                }
                count = self.waiting.recv_many(&mut batch, 1024) => {
                    count > 0 && self.put_all(&mut to, &mut batch).await
                }
            };
            if to.flush().await.is_err() || !more {
                return;
            }
        }
    }

    /// Writes a batch; tells whether there may be more.
    async fn put_all(&self, to: &mut BufWriter<OwnedWriteHalf>, batch: &mut Vec<Upward>) -> bool {
        for (message, last) in batch.drain(..) {
            let count = message.len();
            let outcome = put(to, &message).await;
            // Only events were counted; others are few and small.
            self.bytes
                .fetch_update(Relaxed, Relaxed, |b| Some(b.saturating_sub(count)))
                .ok();
            if outcome.is_err() || last {
                return false;
            }
        }
        true
    }
}

/// What serves the context of the service.
struct Ends {
    name: Arc<str>,
    bus: Bus,
    board: Board,
    inbox: mpsc::Sender<Request>,
    asks: mpsc::Receiver<Ask>,
    counters: Arc<Counters>,
    addresses: Addresses,
    detector: DetectorFeed,
    ready: watch::Receiver<bool>,
    pending: Arc<Mutex<HashMap<u64, oneshot::Sender<Answer>>>>,
    had: Had,
    /// What the supervisor's end dropped of our events. It counts that itself, so our reports leave
    /// it out.
    lost: Lost,
}

fn context(
    hello: &Hello,
    detector: Option<Arc<Detector>>,
    link: Link,
    counters: Arc<Counters>,
) -> (ServiceCx, Ends) {
    let detector = DetectorFeed::new(detector);
    let name: Arc<str> = hello.name.as_str().into();
    let bus = Bus::branch(Box::new(link));
    let board = Board::new(bus.clone());
    let (inbox_to, inbox) = mpsc::channel(ServiceCx::INBOX_MAX);
    let (ready, ready_seen) = watch::channel(false);
    let (control, asks) = ControlHandle::channel();
    let addresses = Addresses::default();
    // The same files as for a service of the supervisor's process: one service, one writer.
    let store = FileStore::new(hello.data_dir.join("checkpoints"));
    let cx = ServiceCx {
        name: name.clone(),
        bus: bus.clone(),
        board: board.clone(),
        stop: CancellationToken::new(),
        inbox,
        control,
        counters: counters.clone(),
        clock: Clock::system(),
        checkpoint: Checkpoint::new(name.clone(), Arc::new(store)),
        addresses: addresses.clone(),
        detector: detector.clone(),
        world: Reach::new(hello.config_dir.clone()).into(),
        data_dir: hello.data_dir.clone(),
        ready,
    };
    let ends = Ends {
        name,
        bus,
        board,
        inbox: inbox_to,
        asks,
        counters,
        addresses,
        detector,
        ready: ready_seen,
        pending: Arc::default(),
        had: Had::default(),
        lost: Lost::default(),
    };
    (cx, ends)
}

impl Ends {
    /// Serves the context; the end of the connection is the end of the service.
    async fn serve(
        mut self,
        mut from: FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
        up: mpsc::Sender<Upward>,
        stop: CancellationToken,
    ) {
        let mut addresses = self.addresses.watch();
        let mut report = tokio::time::interval(REPORT_EVERY);
        let (mut announced, mut next_id, mut is_ready) = (BTreeMap::new(), 0, false);
        loop {
            // All branches are cancel-safe: a frame stays in the reader's buffer.
            let said = tokio::select! {
                read = from.next() => match read.map(|read| read.map(|b| decode(b.freeze()))) {
                    Some(Ok(Ok(received))) => {
                        self.take(received, &up).await;
                        continue;
                    }
                    Some(Ok(Err(error))) => {
                        tracing::error!(%error, "cannot understand the supervisor");
                        continue;
                    }
                    Some(Err(_)) | None => break,
                },
                Ok(_) = self.ready.changed(), if !is_ready => {
                    is_ready = true;
                    vec![Up::Ready]
                }
                _ = report.tick() => vec![Up::Counters(self.own_counters())],
                Ok(()) = addresses.changed() => {
                    news(&self.name, &addresses.borrow_and_update(), &mut announced)
                }
                Some(ask) = self.asks.recv() => {
                    next_id += 1;
                    let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
                    pending.insert(next_id, ask.reply);
                    vec![Up::Ask(next_id, ask.command, ask.caller)]
                }
            };
            for message in said {
                if let Ok(bytes) = encode(&message) {
                    up.send((bytes, false)).await.ok();
                }
            }
        }
        stop.cancel();
    }

    async fn take(&mut self, received: Received<Down>, up: &mpsc::Sender<Upward>) {
        match received {
            Received::Frame(frame) => self.bus.deliver(vec![Event::Frame(frame)]),
            Received::Message(Down::Event(notice)) => match notice.event(&mut self.had) {
                Some(event) => self.bus.deliver(vec![event]),
                None => self.counters.bad("image without its former columns"),
            },
            Received::Message(Down::Mirror(notice)) => match notice.event(&mut self.had) {
                Some(Event::Output(change)) => self.board.mirror(&change),
                Some(_) => {}
                None => self.counters.bad("image without its former columns"),
            },
            Received::Message(Down::Addresses(list)) => {
                let own = |name: &str| {
                    name == &*self.name || name.starts_with(&format!("{}/", self.name))
                };
                let known = self.addresses.watch().borrow().clone();
                for (name, address) in list.iter().filter(|(name, _)| !own(name)) {
                    if known.get(name) != Some(address) {
                        self.addresses.announce(name, *address);
                    }
                }
                for name in known
                    .keys()
                    .filter(|name| !own(name) && !list.contains_key(*name))
                {
                    self.addresses.withdraw(name);
                }
            }
            Received::Message(Down::Answer(id, answer)) => {
                let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(reply) = pending.remove(&id) {
                    reply.send(answer).ok();
                }
            }
            Received::Message(Down::Request(id, verb, args)) => self.ask(id, verb, args, up),
            Received::Message(Down::Lost(lost)) => {
                let messages = lost.messages.saturating_sub(self.lost.messages);
                let bytes = lost.bytes.saturating_sub(self.lost.bytes);
                self.counters.dropped(messages, bytes);
                self.lost = lost;
            }
            Received::Message(Down::Detector(text)) => self.follow(text).await,
            Received::Message(Down::Hello(_)) => {}
        }
    }

    /// Goes by another description of the detector; order matters, so it is waited for.
    async fn follow(&self, text: Arc<str>) {
        let parsed = tokio::task::spawn_blocking(move || Detector::parse(text.as_bytes()));
        match parsed.await {
            Ok(Ok(parsed)) => {
                self.detector.publish(Arc::new(parsed.detector));
            }
            Ok(Err(error)) => tracing::error!(%error, "cannot read the new detector"),
            Err(error) => tracing::error!(%error, "cannot read the new detector"),
        }
    }

    /// Returns what was counted in this process.
    fn own_counters(&self) -> CountersSnapshot {
        let mut counters = self.counters.snapshot();
        counters.dropped = counters.dropped.saturating_sub(self.lost.messages);
        counters.dropped_bytes = counters.dropped_bytes.saturating_sub(self.lost.bytes);
        counters
    }

    /// Asks the service and sends its answer up when it comes.
    fn ask(&self, id: u64, verb: String, args: serde_json::Value, up: &mpsc::Sender<Upward>) {
        let (reply, answer) = oneshot::channel();
        let request = Request { verb, args, reply };
        let asked = self.inbox.try_send(request).is_ok();
        let up = up.clone();
        tokio::spawn(async move {
            let answer = match asked {
                true => answer
                    .await
                    .unwrap_or_else(|_| Err("it does not answer".to_owned())),
                false => Err("it takes no questions".to_owned()),
            };
            if let Ok(bytes) = encode(&Up::Answer(id, answer)) {
                up.send((bytes, false)).await.ok();
            }
        });
    }
}

/// Returns what the supervisor does not know yet of this service's addresses.
fn news(
    service: &str,
    now: &BTreeMap<String, SocketAddr>,
    announced: &mut BTreeMap<String, SocketAddr>,
) -> Vec<Up> {
    let doors = format!("{service}/");
    let own = |name: &&String| **name == service || name.starts_with(&doors);
    let mine: BTreeMap<String, SocketAddr> = now
        .iter()
        .filter(|(name, _)| own(name))
        .map(|(name, address)| (name.clone(), *address))
        .collect();
    let new = mine
        .iter()
        .filter(|(name, address)| announced.get(*name) != Some(address));
    let gone = announced.keys().filter(|name| !mine.contains_key(*name));
    let said = new
        .map(|(name, address)| Up::Announce(name.clone(), *address))
        .chain(gone.map(|name| Up::Withdraw(name.clone())))
        .collect();
    *announced = mine;
    said
}

async fn obey_signals(stop: CancellationToken) {
    let (Ok(mut term), Ok(mut int)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return tracing::error!("cannot listen for signals");
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    stop.cancel();
}

#[cfg(test)]
mod tests;
