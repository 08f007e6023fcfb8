//! The one trait: everything in the service tree is a [`Service`].

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    Addresses, Board, Bus, Checkpoint, Clock, ControlHandle, Counters, DetectorFeed, Filter,
    Limits, Output, Subscription, World,
};

/// A boxed future, as [`Service::run`] returns it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One start of a service. `run` returning `Ok` is a clean end, `Err` a failure with its reason; a
/// panic is caught by the supervisor. Only the life cycle decides what follows.
pub trait Service: Send + 'static {
    /// Works until done, or until `cx.stop` is cancelled.
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>>;
}

/// Why a service ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ServiceError(Box<dyn std::error::Error + Send + Sync>);

impl ServiceError {
    /// Wraps the error of a service.
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(error.into())
    }

    /// Returns the message with all its causes, joined by colons.
    pub fn chain(&self) -> String {
        chain(&*self.0)
    }
}

/// Returns the message of an error with all its causes, joined by colons.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Runs work that blocks, such as that of disks, off the async threads.
///
/// # Errors
/// When the work panicked, or the runtime ends.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(ServiceError::new)
}

/// How one incarnation of a service ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "exit", content = "detail", rename_all = "snake_case")]
pub enum Exit {
    /// A child exited with this code; an in-process service that ended cleanly has 0.
    Code(i32),
    /// A child was ended by this signal.
    Signal(i32),
    /// It could not be started.
    NotStarted(String),
    /// It returned an error.
    Failed(String),
    /// It panicked.
    Panicked(String),
    /// It was aborted after its grace.
    Aborted,
    /// It ended where nobody could see how: a child of an earlier supervisor.
    Unknown,
}

impl Exit {
    /// Returns the exit code that supervisord's users would see.
    pub fn code(&self) -> i32 {
        match self {
            Self::Code(code) => *code,
            Self::Signal(signal) => 128 + signal,
            Self::NotStarted(_) => 127,
            Self::Failed(_) => 1,
            Self::Panicked(_) => 101,
            Self::Aborted => 137,
            Self::Unknown => 255,
        }
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit:{code}"),
            Self::Signal(signal) => write!(f, "signal:{signal}"),
            Self::NotStarted(why) => write!(f, "spawn:{why}"),
            Self::Failed(why) => write!(f, "error: {why}"),
            Self::Panicked(text) => write!(f, "panic: {text}"),
            Self::Aborted => f.write_str("aborted"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// A question to a running service, such as `reset` or a fault to switch on.
#[derive(Debug)]
pub struct Request {
    /// What to do.
    pub verb: String,
    /// Details.
    pub args: serde_json::Value,
    /// Where the answer goes; an `Err` says why not.
    pub reply: oneshot::Sender<Result<serde_json::Value, String>>,
}

/// All that a service may touch.
pub struct ServiceCx {
    /// Full name: `group:service`, or `service` when both are equal.
    pub name: Arc<str>,
    /// The bus of the stack.
    pub bus: Bus,
    /// The latest outputs of everyone.
    pub board: Board,
    /// Cancelled when the service shall end.
    pub stop: CancellationToken,
    /// Questions to this service.
    pub inbox: mpsc::Receiver<Request>,
    /// Commands to the supervisor.
    pub control: ControlHandle,
    /// Messages in, out, lost, unreadable.
    pub counters: Arc<Counters>,
    /// The time.
    pub clock: Clock,
    /// State kept over restarts.
    pub checkpoint: Checkpoint,
    /// Where services listen.
    pub addresses: Addresses,
    /// The detector as it is described now.
    pub detector: DetectorFeed,
    /// Files and web addresses.
    pub world: World,
    /// Folder under which all files of the stack live.
    pub data_dir: PathBuf,
    /// Told by [`ServiceCx::ready`]; who watches over the service listens.
    pub ready: watch::Sender<bool>,
}

impl ServiceCx {
    /// Most questions waiting for one service; further ones are refused.
    pub const INBOX_MAX: usize = 16;

    /// Says that the service is useful now.
    pub fn ready(&self) {
        self.ready.send_replace(true);
    }

    /// Subscribes under the service's own name, with drops counted for it.
    pub fn subscribe(&self, filter: Filter, limits: Limits) -> Subscription {
        self.bus
            .subscribe_counted(&self.name, filter, limits, Some(self.counters.clone()))
    }

    /// Puts an output on the board, stamped with the losses until now. Returns `false`, and counts it,
    /// when the board refuses it.
    pub fn put(&self, mut output: Output) -> bool {
        let counters = self.counters.snapshot();
        output.losses.received = counters.received;
        output.losses.dropped = counters.dropped;
        output.losses.bad = counters.bad.values().sum();
        let now = self.clock.now();
        let is_up = self.board.put(&self.name, output, now);
        if is_up {
            self.counters.output(now);
        } else {
            self.counters.bad("output refused by the board");
        }
        is_up
    }
}

/// Where a stand-alone context talks to; tests and one-shot commands look at it.
pub struct Outside {
    /// Sends questions to the service.
    pub inbox: mpsc::Sender<Request>,
    /// Sees the service become ready.
    pub ready: watch::Receiver<bool>,
    /// Receives the service's commands.
    pub asks: mpsc::Receiver<crate::Ask>,
}

impl ServiceCx {
    /// Makes a context without a supervisor, for tests and one-shot commands.
    pub fn alone(name: &str, data_dir: impl Into<PathBuf>) -> (Self, Outside) {
        let bus = Bus::new();
        let (inbox_to, inbox) = mpsc::channel(Self::INBOX_MAX);
        let (ready, ready_seen) = watch::channel(false);
        let (control, asks) = ControlHandle::channel();
        let cx = Self {
            name: name.into(),
            board: Board::new(bus.clone()),
            bus,
            stop: CancellationToken::new(),
            inbox,
            control,
            counters: Arc::default(),
            clock: Clock::system(),
            checkpoint: Checkpoint::nothing(),
            addresses: Addresses::default(),
            detector: DetectorFeed::default(),
            world: World::nothing(),
            data_dir: data_dir.into(),
            ready,
        };
        (
            cx,
            Outside {
                inbox: inbox_to,
                ready: ready_seen,
                asks,
            },
        )
    }
}
