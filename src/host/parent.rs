//! The supervisor's end of a hosted service.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fathom_kernel::{
    Counters, CountersSnapshot, Event, Exit, Filter, Limits, OutputChange, Request, Subscription,
    Topic,
};
use futures_util::StreamExt;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};
use tracing::warn;

use super::images::{Had, Told};
use super::wire::{
    Down, Hello, Lost, Notice, Received, Up, WireError, codec, decode, encode, encode_event, put,
};
use crate::body::World;

/// Most answers waiting to be written to a child; further ones wait.
const WAITING_MAX: usize = 256;

/// What a bridge needs.
pub(crate) struct Bridge {
    pub(crate) world: World,
    pub(crate) name: Arc<str>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) hello: Hello,
    /// The kind reads outputs of others.
    pub(crate) reads_board: bool,
    /// Becomes true when the service says that it is ready.
    pub(crate) ready: watch::Sender<bool>,
    /// Questions to the service.
    pub(crate) inbox: mpsc::Receiver<Request>,
    /// How the service ended, in its own words.
    pub(crate) exit: Arc<Mutex<Option<Exit>>>,
}

/// Questions to the child that wait for their answers.
type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<serde_json::Value, String>>>>>;

/// Remembers who waits for an answer. Who has stopped waiting is forgotten: a child may leave any
/// number of questions unanswered.
fn await_answer(
    pending: &Pending,
    id: u64,
    reply: oneshot::Sender<Result<serde_json::Value, String>>,
) {
    let mut pending = lock(pending);
    pending.retain(|_, reply| !reply.is_closed());
    pending.insert(id, reply);
}

/// Speaks with a child until its end of the connection is closed.
pub(crate) async fn attach(stream: UnixStream, bridge: Bridge) {
    let (from, to) = stream.into_split();
    let (down, answers) = mpsc::channel(WAITING_MAX);
    let (interest, wanted) = watch::channel(Filter::none());
    let pending = Pending::default();
    let name = bridge.name.clone();
    let ours = Arc::new(Counters::default());
    let writer = Writer {
        to: BufWriter::new(to),
        world: bridge.world.clone(),
        name: bridge.name.clone(),
        pending: pending.clone(),
        told: Told::default(),
        ours: ours.clone(),
        told_lost: Lost::default(),
    };
    let reader = Reader {
        world: bridge.world,
        name: bridge.name,
        before: bridge.counters.snapshot(),
        counters: bridge.counters,
        ours,
        had: Had::default(),
        ready: bridge.ready,
        exit: bridge.exit,
        pending,
        interest,
        down,
    };
    let ends = (bridge.inbox, answers, wanted);
    // The child's end decides: what it wrote last is read, even when it reads nothing any more.
    let (read, written) = tokio::join!(
        reader.run(FramedRead::new(from, codec())),
        writer.run(bridge.hello, bridge.reads_board, ends),
    );
    if let Err(error) = read {
        warn!(service = %name, %error, "cannot understand a hosted service");
    }
    if let Err(error) = written {
        tracing::debug!(service = %name, %error, "a hosted service does not listen any more");
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Reader {
    world: World,
    name: Arc<str>,
    counters: Arc<Counters>,
    /// What former incarnations counted.
    before: CountersSnapshot,
    /// What was lost at this end.
    ours: Arc<Counters>,
    had: Had,
    ready: watch::Sender<bool>,
    exit: Arc<Mutex<Option<Exit>>>,
    pending: Pending,
    interest: watch::Sender<Filter>,
    down: mpsc::Sender<Bytes>,
}

impl Reader {
    /// Reads until the child closes; dropping the reader ends the writer.
    async fn run(
        mut self,
        from: FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
    ) -> Result<(), WireError> {
        // All that has arrived goes on the bus as one batch.
        let mut chunks = from.ready_chunks(1024);
        while let Some(chunk) = chunks.next().await {
            let mut frames = Vec::new();
            for bytes in chunk {
                match decode(bytes?.freeze())? {
                    Received::Frame(frame) => frames.push(Event::Frame(frame)),
                    Received::Message(message) => {
                        // Order matters between frames and what is said of them.
                        self.publish_frames(&mut frames);
                        self.take(message);
                    }
                }
            }
            self.publish_frames(&mut frames);
        }
        Ok(())
    }

    fn publish_frames(&self, frames: &mut Vec<Event>) {
        if !frames.is_empty() {
            self.world.bus.publish_batch(std::mem::take(frames));
        }
    }

    fn take(&mut self, message: Up) {
        match message {
            Up::Ready => {
                self.ready.send_replace(true);
            }
            Up::Interest(filters) => {
                let all = filters.iter().fold(Filter::none(), Filter::union);
                self.interest.send_replace(all);
            }
            Up::Event(notice) => self.publish(notice),
            Up::Counters(theirs) => {
                let all = theirs.plus(&self.before).plus(&self.ours.snapshot());
                self.counters.mirror(&all);
            }
            Up::Announce(name, address) => self.world.addresses.announce(&name, address),
            Up::Withdraw(name) => self.world.addresses.withdraw(&name),
            Up::Ask(id, command, caller) => {
                let (control, down) = (self.world.control.clone(), self.down.clone());
                tokio::spawn(async move {
                    let answer = control.ask(command, caller).await;
                    if let Ok(bytes) = encode(&Down::Answer(id, answer)) {
                        // A child that has ended needs no answer.
                        down.send(bytes).await.ok();
                    }
                });
            }
            Up::Answer(id, answer) => {
                if let Some(reply) = lock(&self.pending).remove(&id) {
                    reply.send(answer).ok();
                }
            }
            Up::Exit(exit) => *lock(&self.exit) = Some(exit),
        }
    }

    fn publish(&mut self, notice: Notice) {
        let Some(event) = notice.event(&mut self.had) else {
            self.ours.bad("image without its former columns");
            return;
        };
        match event {
            // The board of the stack numbers and announces it.
            Event::Output(OutputChange {
                updated, output, ..
            }) => {
                let output = Arc::unwrap_or_clone(output);
                if !self.world.board.put(&self.name, output, updated) {
                    warn!(service = %self.name, "output refused by the board");
                }
            }
            event @ (Event::Frame(_)
            | Event::Alarm(_)
            | Event::Notice(_)
            | Event::Life(_)
            | Event::Log(_)) => {
                self.world.bus.publish(event);
            }
        }
    }
}

struct Writer {
    to: BufWriter<OwnedWriteHalf>,
    world: World,
    name: Arc<str>,
    pending: Pending,
    told: Told,
    /// Counts what the queues here drop.
    ours: Arc<Counters>,
    /// What the child knows of that.
    told_lost: Lost,
}

type Ends = (
    mpsc::Receiver<Request>,
    mpsc::Receiver<Bytes>,
    watch::Receiver<Filter>,
);

impl Writer {
    async fn run(
        mut self,
        hello: Hello,
        reads_board: bool,
        (mut inbox, mut answers, mut wanted): Ends,
    ) -> Result<(), WireError> {
        let mut detector = self.world.detector.subscribe();
        // It may have changed since the greeting was written.
        detector.mark_changed();
        let mut told = hello.detector.clone();
        self.send(&Down::Hello(Box::new(hello))).await?;
        let mut addresses = self.world.addresses.watch();
        addresses.mark_changed();
        let mut outputs = match reads_board {
            true => Some(self.whole_board().await?),
            false => None,
        };
        let mut events: Option<Subscription> = None;
        let (mut batch, mut changes) = (VecDeque::new(), VecDeque::new());
        let mut next_id = 0;
        loop {
            // All branches are cancel-safe: nothing is taken before a branch completes.
            tokio::select! {
                open = wanted.changed() => {
                    if open.is_err() {
                        return Ok(());
                    }
                    let filter = wanted.borrow_and_update().clone();
                    match &events {
                        Some(events) => events.refilter(filter),
                        None => events = Some(self.subscribe(filter)),
                    }
                }
                Some(bytes) = answers.recv() => {
                    put(&mut self.to, &bytes).await?;
                    self.to.flush().await?;
                }
                Ok(()) = addresses.changed() => {
                    let list = addresses.borrow_and_update().clone();
                    self.send(&Down::Addresses(list)).await?;
                }
                Ok(()) = detector.changed() => {
                    let newer = detector.borrow_and_update().clone();
                    if let Some(text) = newer.filter(|newer| told.as_ref() != Some(newer)) {
                        self.send(&Down::Detector(text.clone())).await?;
                        told = Some(text);
                    }
                }
                Some(request) = inbox.recv() => {
                    next_id += 1;
                    await_answer(&self.pending, next_id, request.reply);
                    let question = Down::Request(next_id, request.verb, request.args);
                    self.send(&question).await?;
                }
                true = receive(&mut outputs, &mut changes) => {
                    self.send_events(&mut changes, Down::Mirror).await?;
                }
                true = receive(&mut events, &mut batch) => {
                    self.send_events(&mut batch, Down::Event).await?;
                }
            }
        }
    }

    /// Sends all outputs there are and subscribes to what follows.
    async fn whole_board(&mut self) -> Result<Subscription, WireError> {
        let filter = Filter::none().and(Topic::Output);
        let follow = self.subscribe(filter);
        let entries = self.world.board.entries().into_iter().map(|entry| {
            Arc::new(Event::Output(OutputChange {
                service: entry.service,
                version: entry.version,
                updated: entry.updated,
                output: entry.output,
            }))
        });
        self.send_events(&mut entries.collect(), Down::Mirror)
            .await?;
        Ok(follow)
    }

    fn subscribe(&self, filter: Filter) -> Subscription {
        let (limits, ours) = (Limits::default(), Some(self.ours.clone()));
        let bus = &self.world.bus;
        bus.subscribe_counted(&self.name, filter, limits, ours)
    }

    async fn send(&mut self, message: &Down) -> Result<(), WireError> {
        put(&mut self.to, &encode(message)?).await?;
        Ok(self.to.flush().await?)
    }

    /// Tells the child what was dropped here before what it gets next: its outputs say how much of
    /// its input they lack.
    async fn tell_losses(&mut self) -> Result<(), WireError> {
        let counted = self.ours.snapshot();
        let lost = Lost {
            messages: counted.dropped,
            bytes: counted.dropped_bytes,
        };
        if lost != self.told_lost {
            self.told_lost = lost;
            put(&mut self.to, &encode(&Down::Lost(lost))?).await?;
        }
        Ok(())
    }

    async fn send_events(
        &mut self,
        batch: &mut VecDeque<Arc<Event>>,
        wrap: fn(Notice) -> Down,
    ) -> Result<(), WireError> {
        self.tell_losses().await?;
        for event in batch.drain(..) {
            put(&mut self.to, &encode_event(&event, &mut self.told, wrap)?).await?;
        }
        Ok(self.to.flush().await?)
    }
}

/// Receives a batch; waits for ever without a subscription.
async fn receive(from: &mut Option<Subscription>, batch: &mut VecDeque<Arc<Event>>) -> bool {
    match from {
        Some(subscription) => subscription.recv_batch(batch).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_that_nobody_waits_for_any_more_are_forgotten() {
        let pending = Pending::default();
        let mut waiting = Vec::new();
        for id in 0..100 {
            let (reply, told) = oneshot::channel();
            await_answer(&pending, id, reply);
            if id % 10 == 0 {
                waiting.push(told);
            }
        }
        // Those that wait, and the last one, which stopped to do so after it was asked.
        assert_eq!(lock(&pending).len(), waiting.len() + 1);
    }
}
