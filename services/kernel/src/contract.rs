//! What every service must keep, whatever its kind, tried from outside: it becomes ready or fails in
//! time, counts what it receives, cannot read and drops, survives `reset` at any moment, stops within
//! its grace, and leaves no task or file open behind, however often it is started.
//!
//! For tests. Tasks and open files are counted for the whole runtime and the whole process, so a trial
//! wants both for itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fathom_formats::controlhost::{Tag, tags};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{
    Addresses, Bus, Counters, Event, Factory, Filter, Frame, Outside, Request, ServiceCx,
    ServiceError,
};

/// Starts of one trial, beside the first one, which may make what stays for ever.
const RESTARTS: usize = 3;

/// Time between two looks at a condition that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Tags whose payload is binary: garbage in it cannot be read.
const BINARY: [Tag; 8] = [
    tags::IO_EVT,
    tags::IO_SUM,
    tags::IO_TSL0,
    tags::IO_TSL1,
    tags::IO_TSL2,
    tags::IO_TSSN,
    tags::IO_MONIT,
    tags::IO_OLINE,
];

/// Bodies that are no payload of any tag.
const GARBAGE: [&[u8]; 5] = [b"", b"\0", b"garbage", &[0; 64], &[0xff; 300]];

/// Frames of this size overflow the queue of a service, whatever its limit in bytes is. They share
/// one body.
const FLOOD_FRAMES: usize = 6;
const FLOOD_BYTES: usize = 80 << 20;

/// A service that is tried.
pub struct Subject {
    /// Its name.
    pub name: String,
    /// Makes a fresh one for each start.
    pub factory: Factory,
    /// What a monitor receives; `None` for any other kind, whose counts have other meanings.
    pub monitor: Option<Filter>,
    /// Folder of all starts.
    pub data_dir: PathBuf,
    /// Where others listen.
    pub addresses: Addresses,
    /// Longest time until it is ready or has failed.
    pub start_max: Duration,
    /// Longest time it may take to end when told to.
    pub grace: Duration,
}

/// How a start went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Went {
    /// It became ready and stopped when told to.
    Ready,
    /// It failed before it was ready, for this reason.
    Failed(String),
}

/// One start that is under way.
struct Life<'a> {
    subject: &'a Subject,
    outside: Outside,
    bus: Bus,
    counters: Arc<Counters>,
    stop: tokio_util::sync::CancellationToken,
    run: JoinHandle<Result<(), ServiceError>>,
}

impl Subject {
    /// Tries it, or says what it does not keep.
    ///
    /// # Errors
    /// The first thing that is wrong, for people.
    pub async fn try_out(&self) -> Result<Went, String> {
        let first = self.live().await?;
        let tasks_before = settled(tasks, usize::MAX).await;
        let files_before = settled(open_files, usize::MAX).await;
        for start in 1..=RESTARTS {
            let went = self
                .live()
                .await
                .map_err(|why| format!("start {start}: {why}"))?;
            if went != first {
                return Err(format!(
                    "start {start} went {went:?}, the first one {first:?}"
                ));
            }
        }
        for (what, count, before) in [
            ("tasks", tasks as fn() -> usize, tasks_before),
            ("open files", open_files, files_before),
        ] {
            let after = settled(count, before).await;
            if after > before {
                return Err(format!(
                    "{after} {what} after {RESTARTS} restarts, {before} before"
                ));
            }
        }
        Ok(first)
    }

    /// Starts it, troubles it, and stops it.
    async fn live(&self) -> Result<Went, String> {
        let (mut cx, outside) = ServiceCx::alone(&self.name, &self.data_dir);
        cx.addresses = self.addresses.clone();
        let (bus, stop, counters) = (cx.bus.clone(), cx.stop.clone(), cx.counters.clone());
        let run = tokio::spawn((self.factory)().run(cx));
        let mut life = Life {
            subject: self,
            outside,
            bus,
            counters,
            stop,
            run,
        };
        // Nobody answers before it is ready, but it must bear the question.
        let _early = life.ask("reset");
        if let Some(failed) = life.until_ready().await? {
            return Ok(Went::Failed(failed));
        }
        life.feed_garbage().await?;
        life.flood().await?;
        life.reset().await?;
        life.until_stopped().await?;
        Ok(Went::Ready)
    }
}

impl Life<'_> {
    /// Sends a question; the answer comes when the service finds time for it.
    fn ask(&self, verb: &str) -> oneshot::Receiver<Result<Value, String>> {
        let (reply, answer) = oneshot::channel();
        let question = Request {
            verb: verb.to_owned(),
            args: Value::Null,
            reply,
        };
        // One that takes no questions drops them, or lets them wait.
        self.outside.inbox.try_send(question).ok();
        answer
    }

    /// Waits until it is ready; returns why it failed instead.
    async fn until_ready(&mut self) -> Result<Option<String>, String> {
        let ready = tokio::time::timeout(self.subject.start_max, async {
            tokio::select! {
                biased;
                end = &mut self.run => Some(end),
                Ok(_) = self.outside.ready.wait_for(|ready| *ready) => None,
            }
        });
        match ready.await {
            Err(_) => {
                self.run.abort();
                let limit = self.subject.start_max.as_secs_f64();
                Err(format!("neither ready nor failed within {limit} s"))
            }
            Ok(None) => Ok(None),
            Ok(Some(Ok(Ok(())))) => Err("it ended well before it was ready".to_owned()),
            Ok(Some(Ok(Err(error)))) => Ok(Some(error.chain())),
            Ok(Some(Err(error))) => Err(format!("it panicked: {error}")),
        }
    }

    /// Publishes what nobody can read; a monitor counts each message, and that it was bad.
    async fn feed_garbage(&self) -> Result<(), String> {
        let before = self.counters.snapshot();
        let mut frames = Vec::new();
        for tag in BINARY.into_iter().chain([tags::MSG]) {
            let bodies = GARBAGE.map(Bytes::from_static);
            frames.extend(bodies.map(|body| self.frame(tag, body)));
        }
        let Some(filter) = &self.subject.monitor else {
            self.bus.publish_batch(frames);
            return Ok(());
        };
        let wanted = frames.iter().filter(|event| filter.wants(event)).count() as u64;
        self.bus.publish_batch(frames);
        let all = || self.counters.snapshot().received >= before.received + wanted;
        self.until("every message to be counted", all).await?;
        // Reasons are counted behind the batch.
        if BINARY.iter().any(|tag| filter.wants_tag(*tag)) {
            let bad = || self.bad() > before.bad.values().sum();
            self.until("garbage to be counted as bad", bad).await?;
        }
        Ok(())
    }

    /// Publishes more than the queue holds, and asks for `reset` in the midst of it; what was dropped
    /// is counted.
    async fn flood(&self) -> Result<(), String> {
        let Some(filter) = &self.subject.monitor else {
            return Ok(());
        };
        let Some(tag) = BINARY.into_iter().find(|tag| filter.wants_tag(*tag)) else {
            return Ok(());
        };
        let before = self.counters.snapshot();
        let body = Bytes::from(vec![0; FLOOD_BYTES]);
        let frames = (0..FLOOD_FRAMES).map(|_| self.frame(tag, body.clone()));
        self.bus.publish_batch(frames.collect());
        let _answer = self.ask("reset");
        let sent = FLOOD_FRAMES as u64;
        let seen = || {
            let now = self.counters.snapshot();
            now.received + now.dropped >= before.received + before.dropped + sent
        };
        self.until("received and dropped to add up", seen).await?;
        match self.counters.snapshot().dropped > before.dropped {
            true => Ok(()),
            false => Err(format!(
                "{sent} frames of {FLOOD_BYTES} bytes were not dropped"
            )),
        }
    }

    /// Asks for `reset`; a monitor does it.
    async fn reset(&self) -> Result<(), String> {
        let answer = self.ask("reset");
        if self.subject.monitor.is_none() {
            return Ok(());
        }
        match tokio::time::timeout(self.subject.start_max, answer).await {
            Ok(Ok(Ok(_))) => Ok(()),
            other => Err(format!("`reset` was answered with {other:?}")),
        }
    }

    /// Tells it to stop, with a last `reset` on the way.
    async fn until_stopped(mut self) -> Result<(), String> {
        let _late = self.ask("reset");
        self.stop.cancel();
        match tokio::time::timeout(self.subject.grace, &mut self.run).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(format!("it failed when told to stop: {}", error.chain())),
            Ok(Err(error)) => Err(format!("it panicked: {error}")),
            Err(_) => {
                self.run.abort();
                let grace = self.subject.grace.as_secs_f64();
                Err(format!("it did not stop within its grace of {grace} s"))
            }
        }
    }

    fn frame(&self, tag: Tag, body: Bytes) -> Event {
        Event::Frame(Frame {
            source: "contract".into(),
            tag,
            received: crate::Clock::system().now(),
            body,
        })
    }

    fn bad(&self) -> u64 {
        self.counters.snapshot().bad.values().sum()
    }

    /// Waits for a condition, as long as a start may take.
    async fn until(&self, what: &str, holds: impl Fn() -> bool) -> Result<(), String> {
        let start = Instant::now();
        while !holds() {
            if self.run.is_finished() {
                return Err(format!("it ended while {what} was waited for"));
            }
            if start.elapsed() > self.subject.start_max {
                let counted = self.counters.snapshot();
                return Err(format!("{what} was waited for in vain, at {counted:?}"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Returns the open files, sockets and pipes of this process; 0 where that cannot be told.
fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Returns a count once it is not above a wanted one, or as it is when it does not change any more.
async fn settled(count: fn() -> usize, wanted: usize) -> usize {
    const STILL: u32 = 250;
    let (mut last, mut still) = (count(), 0);
    while last > wanted && still < STILL || still < 5 {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = count();
        still = if now == last { still + 1 } else { 0 };
        last = now;
    }
    last
}
