//! Builds a running stack from a plan and takes it down again.
//!
//! A stack owns one thread with an actix system; services run on that system's tokio pool. Dropping
//! the handle does not end the stack: ask for a shutdown, then wait.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use fathom_kernel::{
    Addresses, Ask, Board, Bus, Caller, Clock, Command, ControlHandle, DetectorFeed,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use tracing_appender::non_blocking::ErrorCounter;

use crate::actors::{Ended, Ping, Supervisor};
use crate::body::{Cgroups, Remains, Spawner, World, detector_text, orphans};
use crate::checkpoints::FileStore;
use crate::chronicle::{Chronicle, Kept, Lives};
use crate::config::plan::Plan;
use crate::config::{FileSet, InForce, Reread};
use crate::control::{
    Console, ConsoleParts, Doors, SOCKET_NAME, ServeError, Server, serve, serve_guests,
};
use crate::desk::pass_on;
use crate::detector;
use crate::door::{self, Guests};
use crate::files;
use crate::guard::Guard;
use crate::health::Heartbeats;
use crate::incidents::{Gauges, Shelf, Sources};
use crate::lock;
use crate::logs::{LogFile, Logs};
use crate::reach::{self, Reach};
use crate::signals::Signals;
use crate::telemetry::Records;

/// Name of the file in the data folder that lists where services listen.
pub const ADDRESSES_NAME: &str = "addresses.json";

/// Name of the folder in the data folder that holds the event log.
pub const EVENTS_NAME: &str = "events";

/// Name of the folder in the data folder that holds what services' lives heard, for replays.
pub const LIVES_NAME: &str = "lives";

/// Fewest threads of the pool: a service that blocks one must not silence the control socket.
const THREADS_MIN: usize = 4;

/// Time for answers on their way when the control API closes.
const CLOSE_WAIT: Duration = Duration::from_millis(500);

/// Time between two questions to the supervisor whether it is there.
const PING_EVERY: Duration = Duration::from_secs(5);

/// A supervisor that does not answer for so long is given up.
const PING_WAIT: Duration = Duration::from_secs(30);

/// A running stack.
pub struct Stack {
    /// Commands to the supervisor.
    pub control: ControlHandle,
    /// The bus.
    pub bus: Bus,
    /// The board.
    pub board: Board,
    /// Where services listen.
    pub addresses: Addresses,
    /// Folder of all its files.
    pub data_dir: PathBuf,
    ended: watch::Receiver<Option<Ended>>,
}

/// What a stack does beside what its plan says.
#[derive(Clone, Default)]
pub struct Options {
    /// End on SIGTERM and SIGINT; a second one kills.
    pub signals: bool,
    /// Records of our own that could not be written, for the metrics.
    pub log_drops: Vec<ErrorCounter>,
    /// The file of our own records, if they go into one.
    pub own_log: Option<Arc<LogFile>>,
    /// The program `fathom`, for services in children of the same binary; ours when not given.
    pub program: Option<PathBuf>,
    /// Where the plan comes from; without it the configuration cannot be changed at run time.
    pub source: Option<Source>,
    /// This process is the stack's alone: it is the parent of all orphans among its processes, and a
    /// guardian ends everything should it die without a word.
    pub guarded: bool,
}

/// Where the plan of a stack comes from.
#[derive(Clone)]
pub struct Source {
    /// Reads the configuration again.
    pub reread: Reread,
    /// The files from which the plan was made.
    pub files: Arc<FileSet>,
}

/// Why a stack cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// The data folder cannot be used.
    #[error("cannot use data folder {}", path.display())]
    DataDir {
        /// The folder, or a file in it.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// Another supervisor works on the same data folder.
    #[error("another fathom runs on {}{}", .0.display(), lock::holder(*.1))]
    Locked(PathBuf, Option<u32>),
    /// The control API cannot be served.
    #[error("cannot take commands")]
    Control(#[from] ServeError),
    /// No threads.
    #[error("cannot start threads")]
    Threads(#[source] std::io::Error),
    /// The thread of the stack ended before the stack ran.
    #[error("the stack ended while it was starting")]
    EndedEarly,
}

impl Stack {
    /// Starts a stack and returns once it takes commands. Services start meanwhile.
    pub fn start(plan: Plan, options: Options) -> Result<Self, StackError> {
        let data_dir = plan.setup.data_dir.clone();
        let lock = lock::take(&data_dir)?;
        reach::install_tls();
        let (control, asks) = ControlHandle::channel();
        let bus = Bus::new();
        let parts = Parts {
            board: Board::new(bus.clone()),
            bus,
            control,
            addresses: Addresses::default(),
            options,
        };
        let (tell_ended, ended) = watch::channel(None);
        let (tell_up, up) = std::sync::mpsc::sync_channel(1);
        let stack = Self {
            control: parts.control.clone(),
            bus: parts.bus.clone(),
            board: parts.board.clone(),
            addresses: parts.addresses.clone(),
            data_dir,
            ended,
        };
        let plan = Arc::new(plan);
        std::thread::Builder::new()
            .name("fathom".to_owned())
            .spawn(move || {
                let outcome = runtime().and_then(|runtime| {
                    let system = actix::System::with_tokio_rt(|| runtime);
                    system.block_on(async {
                        let world = parts.world(&plan)?;
                        let life = Life {
                            plan,
                            world,
                            options: parts.options.clone(),
                            ended: tell_ended,
                        };
                        life.run(asks, lock, tell_up.clone()).await;
                        Ok(())
                    })
                });
                if let Err(error) = outcome {
                    tell_up.send(Err(StackError::Threads(error))).ok();
                }
            })
            .map_err(StackError::Threads)?;
        up.recv().unwrap_or(Err(StackError::EndedEarly))?;
        Ok(stack)
    }

    /// Waits until the stack has ended.
    pub async fn wait(&mut self) -> Ended {
        match self.ended.wait_for(Option::is_some).await {
            Ok(ended) => ended.clone().unwrap_or(Ended::Ordered),
            // Its thread is gone without a word: it panicked.
            Err(_) => Ended::Deaf,
        }
    }

    /// Stops all services in order and waits until the stack has ended.
    pub async fn shutdown(&mut self) -> Ended {
        let command = Command::Shutdown { now: false };
        let asked = self
            .control
            .ask(command, Caller::new("fathom", "shutdown"))
            .await;
        if let Err(error) = asked {
            info!(%error, "the stack ends already");
        }
        self.wait().await
    }
}

/// What a stack is made of before its threads run.
struct Parts {
    bus: Bus,
    board: Board,
    control: ControlHandle,
    addresses: Addresses,
    options: Options,
}

impl Parts {
    /// Makes the logs of all services, with whom they tell and who writes into them.
    fn logs(&self, data_dir: &Path, (chronicle, records): (&Chronicle, &Records)) -> Logs {
        let logs = Logs::new(data_dir, self.options.own_log.clone());
        logs.tell(chronicle.clone());
        records.write_to(logs.clone());
        logs
    }

    /// Makes what all services share; runs on the stack's own threads.
    fn world(&self, plan: &Arc<Plan>) -> std::io::Result<World> {
        let data_dir = plan.setup.data_dir.clone();
        let program = self.options.program.clone();
        let program = program.unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
        let boot_id: Arc<str> = boot_id().into();
        let socket = std::path::absolute(data_dir.join(SOCKET_NAME))?;
        let server_url = format!("unix://{}", socket.display()).into();
        let (events, kept) = (data_dir.join(EVENTS_NAME), Kept::default());
        let chronicle = Chronicle::open(&events, Clock::system(), kept)?;
        let in_force = InForce {
            generation: 1,
            files: self.options.source.as_ref().map(|s| s.files.clone()),
        };
        chronicle.boot(&boot_id, in_force.sha256());
        let (ledger, adoptable) = orphans::take_over(plan, &boot_id, &chronicle)?;
        let records = Records::new(self.bus.clone());
        let logs = self.logs(&data_dir, (&chronicle, &records));
        let sources = Sources {
            records: records.clone(),
            chronicle: chronicle.clone(),
        };
        let guard = match self.options.guarded {
            true => Guard::start(program.clone(), boot_id.clone(), socket)?,
            false => Guard::default(),
        };
        Ok(World {
            bus: self.bus.clone(),
            board: self.board.clone(),
            control: self.control.clone(),
            clock: Clock::system(),
            checkpoints: Arc::new(FileStore::new(data_dir.join("checkpoints"))),
            addresses: self.addresses.clone(),
            reach: Reach::new(plan.setup.config_dir.clone()).into(),
            config_dir: plan.setup.config_dir.clone(),
            lives: Lives::open(&data_dir.join(LIVES_NAME), kept)?,
            incidents: Shelf::open(&data_dir.join("incidents"), sources)?,
            gauges: Gauges::default(),
            data_dir,
            chronicle,
            cgroups: Cgroups::new(boot_id.clone()),
            boot_id,
            feed: DetectorFeed::new(plan.setup.detector.clone()),
            detector: watch::Sender::new(detector_text(plan)),
            level: plan.log.level.as_str().into(),
            server_url,
            program,
            guests: Guests::default(),
            guard,
            spawner: Spawner::start()?,
            records,
            remains: Remains::start(self.options.guarded)?,
            ledger,
            adoptable,
            heartbeats: Heartbeats::default(),
            plans: watch::Sender::new(plan.clone()),
            read_plans: watch::Sender::new(plan.clone()),
            in_force: watch::Sender::new(in_force),
            ending: CancellationToken::new(),
            logs,
        })
    }
}

/// Returns a text that no other run of any stack has.
fn boot_id() -> String {
    format!("{:016x}", SmallRng::from_os_rng().random::<u64>())
}

/// Everything the thread of a stack works with.
struct Life {
    plan: Arc<Plan>,
    world: World,
    options: Options,
    ended: watch::Sender<Option<Ended>>,
}

impl Life {
    async fn run(
        self,
        asks: mpsc::Receiver<Ask>,
        lock: lock::Lock,
        up: std::sync::mpsc::SyncSender<Result<(), StackError>>,
    ) {
        // Before anybody can see that the stack is there.
        let signals = self.options.signals.then(Signals::listen).transpose();
        let signals = match signals {
            Ok(signals) => signals,
            Err(error) => {
                up.send(Err(StackError::Threads(error))).ok();
                return;
            }
        };
        let (server, door) = match self.open().await {
            Ok(doors) => doors,
            Err(error) => {
                up.send(Err(error.into())).ok();
                return;
            }
        };
        self.world.guard.opened();
        let (tell_ended, ended) = oneshot::channel();
        let reread = self.options.source.as_ref().map(|s| s.reread.clone());
        let (plan, world) = (self.plan.clone(), self.world.clone());
        let supervisor = Supervisor::launch(plan, world, reread, tell_ended);
        let addresses = self.world.data_dir.join(ADDRESSES_NAME);
        let chronicle = &self.world.chronicle;
        let helpers = [
            tokio::spawn(pass_on(asks, supervisor.clone(), chronicle.clone())),
            tokio::spawn(chronicle.take_alarms(&self.world.bus)),
            tokio::spawn(self.world.gauges.clone().look_on(self.world.bus.clone())),
            tokio::spawn(write_addresses(self.world.addresses.clone(), addresses)),
            tokio::spawn(detector::follow(self.world.clone())),
            tokio::spawn(watch(supervisor, self.ended.clone())),
        ];
        let signals = signals.map(|signals| {
            let (control, logs) = (self.world.control.clone(), self.world.logs.clone());
            tokio::spawn(signals.obey(control, logs))
        });
        up.send(Ok(())).ok();
        let how = ended.await.unwrap_or(Ended::Deaf);
        for helper in helpers.iter().chain(&signals) {
            helper.abort();
        }
        self.world.chronicle.notice("", "end", how.to_string());
        tokio::join!(server.close(CLOSE_WAIT), door.close(CLOSE_WAIT));
        self.world.guard.goodbye().await;
        self.world.remains.sweep().await;
        self.world.cgroups.remove();
        self.close_books().await;
        drop(lock);
        info!(?how, "the stack has ended");
        self.ended.send_replace(Some(how));
    }

    /// Waits until reports and events are on disk; what is not in time is lost, and told of.
    async fn close_books(&self) {
        let world = self.world.clone();
        tokio::task::spawn_blocking(move || world.close())
            .await
            .ok();
    }

    /// Opens the control API, and the door of foreign children.
    async fn open(&self) -> Result<(Server, Server), ServeError> {
        let server = serve(self.console(), self.doors()).await?;
        let path = self.world.data_dir.join(door::SOCKET_NAME);
        Ok((
            server,
            serve_guests(self.world.guests.clone(), &path).await?,
        ))
    }

    fn console(&self) -> Console {
        Console::new(ConsoleParts {
            control: self.world.control.clone(),
            bus: self.world.bus.clone(),
            chronicle: self.world.chronicle.clone(),
            addresses: self.world.addresses.clone(),
            records: self.world.records.clone(),
            logs: self.world.logs.clone(),
            log_drops: self.options.log_drops.clone(),
            data_dir: self.world.data_dir.clone(),
            plans: self.world.plans.subscribe(),
            read_plans: self.world.read_plans.subscribe(),
            in_force: self.world.in_force.subscribe(),
            ending: self.world.ending.clone(),
        })
    }

    fn doors(&self) -> Doors {
        Doors::of(&self.plan.control, &self.world.data_dir)
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(cores.max(THREADS_MIN))
        .thread_name("fathom-pool")
        .build()
}

/// Asks the supervisor now and then whether it is there, and ends the stack if it is not.
async fn watch(supervisor: Addr<Supervisor>, ended: watch::Sender<Option<Ended>>) {
    loop {
        tokio::time::sleep(PING_EVERY).await;
        match tokio::time::timeout(PING_WAIT, supervisor.send(Ping)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => {
                error!("the supervisor does not answer");
                ended.send_replace(Some(Ended::Deaf));
                return;
            }
        }
    }
}

/// Keeps the file of listening addresses equal to the list.
async fn write_addresses(addresses: Addresses, path: PathBuf) {
    let mut changes = addresses.watch();
    loop {
        let list = changes.borrow_and_update().clone();
        let to = path.clone();
        let written = tokio::task::spawn_blocking(move || {
            let mut text = serde_json::to_string_pretty(&list)?;
            text.push('\n');
            files::replace(&to, &[text.as_bytes()])
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, path = %path.display(), "addresses not written"),
            Err(_) => return,
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}
