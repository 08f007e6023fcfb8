//! What the control API works on: the handle of the supervisor and the things it may look at.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::{Addresses, Answer, Bus, Caller, Command, ControlError, ControlHandle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tracing_appender::non_blocking::ErrorCounter;

use crate::chronicle::Chronicle;
use crate::config::InForce;
use crate::config::plan::Plan;
use crate::logs::Logs;
use crate::telemetry::Records;

/// State shared by all requests. Clones share it.
#[derive(Clone)]
pub struct Console {
    parts: Arc<ConsoleParts>,
    /// Cancelled when the server ends; streams end with it.
    closing: CancellationToken,
    followers: Arc<Semaphore>,
}

/// What a stack gives to its control API.
pub struct ConsoleParts {
    /// Commands to the supervisor.
    pub control: ControlHandle,
    /// The bus of the stack.
    pub bus: Bus,
    /// The event log.
    pub chronicle: Chronicle,
    /// Where services listen.
    pub addresses: Addresses,
    /// Last log lines of every service.
    pub records: Records,
    /// Log files of every service.
    pub logs: Logs,
    /// Records that could not be written.
    pub log_drops: Vec<ErrorCounter>,
    /// Folder under which all files of the stack live.
    pub data_dir: PathBuf,
    /// The plan that is in force.
    pub plans: watch::Receiver<Arc<Plan>>,
    /// The plan that was read last, in force or not.
    pub read_plans: watch::Receiver<Arc<Plan>>,
    /// Which configuration is in force.
    pub in_force: watch::Receiver<InForce>,
    /// Cancelled when the stack begins to end.
    pub ending: CancellationToken,
}

impl Console {
    /// Most streams (events, followed logs) at once; further ones are refused.
    pub const FOLLOWERS_MAX: usize = 64;
    /// Time the supervisor has for an answer that needs no waiting.
    const ANSWER_MAX: Duration = Duration::from_secs(10);
    /// Time to look at the files of the configuration.
    const LOOK_MAX: Duration = Duration::from_secs(2);
    /// Time to read a configuration.
    const READ_MAX: Duration = Duration::from_secs(60);
    /// Time for commands that wait for services to start or stop; each service has its own, shorter,
    /// limit, so this one only ends what would never end.
    const WAIT_MAX: Duration = Duration::from_secs(30 * 60);

    /// Makes the state.
    pub fn new(parts: ConsoleParts) -> Self {
        Self {
            parts: Arc::new(parts),
            closing: CancellationToken::new(),
            followers: Arc::new(Semaphore::new(Self::FOLLOWERS_MAX)),
        }
    }

    pub(super) fn parts(&self) -> &ConsoleParts {
        &self.parts
    }

    pub(super) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Takes one of the places for followers; it is free again when the value is dropped.
    pub(super) fn follower(&self) -> Option<OwnedSemaphorePermit> {
        self.followers.clone().try_acquire_owned().ok()
    }

    pub(super) fn followers(&self) -> usize {
        Self::FOLLOWERS_MAX - self.followers.available_permits()
    }

    /// Tells whether the files of the configuration in force say something else by now; `None` when
    /// there are none, or they cannot be looked at in time.
    pub(super) async fn files_differ(&self) -> Option<bool> {
        let files = self.parts.in_force.borrow().files.clone()?;
        let look = tokio::task::spawn_blocking(move || files.differs());
        tokio::time::timeout(Self::LOOK_MAX, look).await.ok()?.ok()
    }

    /// Asks the supervisor.
    pub(super) async fn ask(&self, command: Command, caller: Caller) -> Answer {
        let limit = match &command {
            Command::Status { .. }
            | Command::Signal { .. }
            | Command::Hold { .. }
            | Command::Unhold { .. }
            | Command::Tail { .. }
            | Command::Clear { .. }
            | Command::Rotate { .. }
            | Command::Input { .. }
            | Command::Incidents { .. }
            | Command::Incident { .. }
            | Command::Add { .. }
            | Command::Remove { .. }
            | Command::Available => Self::ANSWER_MAX,
            Command::Reread => Self::READ_MAX,
            Command::Start { .. }
            | Command::Stop { .. }
            | Command::Restart { .. }
            | Command::Roll { .. }
            | Command::Kill { .. }
            | Command::Request { .. }
            | Command::Question { .. }
            | Command::Update { .. }
            | Command::Reload { .. }
            | Command::Shutdown { .. } => Self::WAIT_MAX,
        };
        let answer = self.parts.control.ask(command, caller);
        tokio::time::timeout(limit, answer)
            .await
            .unwrap_or(Err(ControlError::Deaf))
    }
}
