//! Launches a child: program, environment, limits, user, pipes, readiness.

use std::ffi::CString;
use std::io::{self, PipeReader};
use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use fathom_kernel::{Counters, Exit, LogStream, Request};
use nix::unistd::{Pid, Uid, User, getgrouplist};
use regex::Regex;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};

use super::birth::Program;
use super::capture::{Capture, Source};
use super::cgroup::Cgroup;
use super::errand::Surroundings;
use super::executable::{self, Unrunnable};
use super::fifo;
use super::ledger::Entry;
use super::limits::limits;
use super::notices::Notices;
use super::prepare::{Identity, Inherited, Preparation};
use super::probe::Probe;
use super::process::Process;
use super::registration::Registration;
use super::stdin;
use super::strays::MARKER;
use super::world::World;
use crate::config::plan::{Body, CommandBody, KindBody, OnDaemonDeath, Ready, ServicePlan};
use crate::door::{self, Pass};
use crate::files;
use crate::host::{Bridge, Hello, attach};
use crate::logs::Outlet;
use crate::telemetry::Voice;

/// Environment variable that names the socket for notifications.
pub(super) const NOTIFY: &str = "NOTIFY_SOCKET";

/// A child that was just made.
pub(super) struct Launched {
    pub(super) process: Process,
    /// Where it is written down as long as something of it lives.
    pub(super) registration: Registration,
    pub(super) probe: Probe,
    /// What it says on its socket is heard as long as this lives.
    pub(super) notices: Option<Notices>,
    /// Its control group, if it has one.
    pub(super) cgroup: Option<Cgroup>,
    /// What a stop command needs to run.
    pub(super) surroundings: Arc<Surroundings>,
    /// Each closes when one of its pipes is read to the end.
    pub(super) outputs: Vec<watch::Receiver<()>>,
    /// Lets it speak at the door until it has ended.
    pub(super) pass: Option<Pass>,
    /// How it ended in its own words, when it can say so.
    pub(super) exit: Arc<Mutex<Option<Exit>>>,
}

/// What is launched.
pub(super) struct Launch<'a> {
    pub(super) plan: &'a ServicePlan,
    pub(super) world: &'a World,
    pub(super) counters: &'a Arc<Counters>,
    pub(super) incarnation: u64,
}

impl Launch<'_> {
    /// Launches a program.
    pub(super) async fn program(
        &self,
        body: &CommandBody,
        texts: mpsc::Receiver<Vec<u8>>,
    ) -> io::Result<Launched> {
        let folder = executable::folder(body, &self.world.config_dir).map_err(unrunnable)?;
        let path = executable::find(body, folder.as_deref()).map_err(unrunnable)?;
        let mut program = Program::new(path);
        if !body.argv.is_empty() {
            program.argv(&body.argv);
        }
        for (name, value) in &body.env {
            program.env(name, value);
        }
        program.stdin(stdin::fill(texts)?);
        if let Some(folder) = &folder {
            program.folder(folder);
        }
        let (cx, line) = self.world.context(&self.plan.name, self.counters);
        let pass = self.world.guests.admit(cx, self.incarnation)?;
        let socket = std::path::absolute(self.world.data_dir.join(door::SOCKET_NAME))?;
        program
            .env(door::SOCKET_VARIABLE, socket)
            .env(door::TOKEN_VARIABLE, &pass.token);
        let preparation = Preparation {
            identity: body.user.as_deref().map(identity).transpose()?,
            ..Preparation::default()
        };
        let mut launched = self.launch(program, preparation).await?;
        if matches!(self.plan.ready, Ready::Notify) {
            launched.probe = Probe::Either(Box::new(launched.probe), line.ready);
        }
        launched.pass = Some(pass);
        Ok(launched)
    }

    /// Launches a kind in a child of our own binary.
    pub(super) async fn host(
        &self,
        body: &KindBody,
        inbox: mpsc::Receiver<Request>,
    ) -> io::Result<Launched> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let ours = UnixStream::from_std(ours)?;
        let mut program = Program::new(&*self.world.program);
        let name = self.world.program.as_os_str();
        program.argv([name, "host".as_ref(), (*self.plan.name).as_ref()]);
        program.stdin(OwnedFd::from(theirs));
        let mut launched = self.launch(program, Preparation::default()).await?;
        let (ready, said) = watch::channel(false);
        if matches!(self.plan.ready, Ready::Notify) {
            launched.probe = Probe::Told(said);
        }
        let bridge = Bridge {
            world: self.world.clone(),
            name: self.plan.name.clone(),
            counters: self.counters.clone(),
            hello: self.hello(body),
            reads_board: body.kind.reads_board,
            ready,
            inbox,
            exit: launched.exit.clone(),
        };
        let (open, done) = watch::channel(());
        tokio::spawn(async move {
            attach(ours, bridge).await;
            drop(open);
        });
        launched.outputs.push(done);
        Ok(launched)
    }

    /// Takes over a program that an earlier supervisor launched.
    pub(super) fn adopt(&self, entry: Entry) -> io::Result<Launched> {
        let process = Process::adopted(Pid::from_raw(entry.pid))?;
        // Only now its number cannot come to mean another one any more.
        if !entry.lives() {
            let text = "it ended before it was taken over";
            return Err(io::Error::other(text));
        }
        let logs = self.world.logs.keep(&self.plan.name, &self.plan.log);
        let err = logs.err.unwrap_or_else(|| logs.out.clone());
        let streams = [(LogStream::Stdout, logs.out), (LogStream::Stderr, err)];
        let mut outputs = Vec::new();
        for (path, (stream, log)) in entry.pipes.iter().zip(streams) {
            let reader = fifo::open(path).and_then(|pipe| self.captured(pipe, stream, log, None));
            match reader {
                Ok(done) => outputs.push(done),
                Err(error) => {
                    tracing::warn!(service = %self.plan.name, %error, "its output is lost");
                }
            }
        }
        Ok(Launched {
            surroundings: Arc::new(self.surroundings()?),
            cgroup: None,
            process,
            registration: Registration::adopted(self.world, entry),
            // It had its time to become ready.
            probe: Probe::Told(watch::channel(true).1),
            // The socket that it knows is gone with the supervisor that made it.
            notices: None,
            outputs,
            // Its token was given by the supervisor before.
            pass: None,
            exit: Arc::default(),
        })
    }

    fn hello(&self, body: &KindBody) -> Hello {
        Hello {
            name: self.plan.name.to_string(),
            kind: body.kind.name.to_owned(),
            options: body.options.clone(),
            data_dir: self.world.data_dir.clone(),
            config_dir: self.world.config_dir.clone(),
            detector: self.world.detector.borrow().clone(),
            level: self.world.level.to_string(),
        }
    }

    async fn launch(
        &self,
        mut program: Program,
        mut preparation: Preparation,
    ) -> io::Result<Launched> {
        let name = &*self.plan.name;
        let mut registration = Registration::new(self.world, self.plan, self.incarnation);
        program
            .env_remove(NOTIFY)
            .env(MARKER, registration.marker());
        for (name, value) in names(self.world, self.plan) {
            program.env(name, value);
        }
        let process = &self.plan.process;
        preparation.session = process.session;
        preparation.dies_with_us = process.on_daemon_death == OnDaemonDeath::Kill;
        preparation.limits = limits(&self.plan.limits);
        preparation.nice = process.nice;
        preparation.oom_score_adj = process.oom_score_adj.map(|score| score.to_string());
        preparation.umask = process.umask;
        let cgroups = &self.world.cgroups;
        let cgroup = cgroups.make(name, self.incarnation, &self.plan.limits);
        let (cgroup, door) = cgroup.unzip();
        preparation.cgroup = door;
        let (told, telling) = self.pattern()?;
        let user = preparation.identity.as_ref().map(|identity| identity.user);
        let notices = self.notices(&mut program, user)?;
        let probe = self.probe(told, notices.as_ref(), &mut preparation)?;
        program.prepare(preparation);
        let surroundings = Arc::new(self.surroundings()?);
        let made = match self.pipes(&mut program, telling, registration.pipes()) {
            Ok(outputs) => self
                .world
                .spawner
                .spawn(program)
                .await
                .map(|p| (p, outputs)),
            Err(error) => Err(error),
        };
        // Nothing stays of what was made for it.
        let (process, outputs) = made.inspect_err(|_| registration.went())?;
        registration.came(process.pid());
        Ok(Launched {
            surroundings,
            process,
            registration,
            probe,
            notices,
            cgroup,
            outputs,
            pass: None,
            exit: Arc::default(),
        })
    }

    /// Returns what programs beside it need to run.
    fn surroundings(&self) -> io::Result<Surroundings> {
        Surroundings::of(self.plan, self.world, self.incarnation)
    }

    /// Makes the pattern of `ready = "log:…"`, with both ends of its news.
    #[expect(clippy::type_complexity, reason = "two halves of one thing, used once")]
    fn pattern(
        &self,
    ) -> io::Result<(
        Option<watch::Receiver<bool>>,
        Option<(Regex, watch::Sender<bool>)>,
    )> {
        let Ready::Log(pattern) = &self.plan.ready else {
            return Ok((None, None));
        };
        let pattern = Regex::new(pattern).map_err(io::Error::other)?;
        let (tell, told) = watch::channel(false);
        Ok((Some(told), Some((pattern, tell))))
    }

    fn probe(
        &self,
        told: Option<watch::Receiver<bool>>,
        notices: Option<&Notices>,
        preparation: &mut Preparation,
    ) -> io::Result<Probe> {
        Ok(match &self.plan.ready {
            Ready::Spawn | Ready::Secs(_) => Probe::None,
            Ready::Log(_) => told.map_or(Probe::None, Probe::Told),
            // A kind says so by its context.
            Ready::Notify if matches!(self.plan.body, Body::Kind(_)) => Probe::None,
            Ready::Notify => notices.map_or(Probe::None, |notices| Probe::Told(notices.ready())),
            Ready::Fd(number) => {
                let (reader, writer) = io::pipe()?;
                let number = RawFd::try_from(*number).map_err(io::Error::other)?;
                preparation.inherit = Some(Inherited::new(writer.into(), number)?);
                Probe::Pipe(reader)
            }
            Ready::Tcp(address) => Probe::Tcp(address.clone()),
            Ready::Http(url) => Probe::Http(url.clone()),
            Ready::Exec(argv) => Probe::Exec(argv.clone(), self.surroundings()?),
            Ready::File(path) => Probe::file(self.folder_of_files().join(path)),
            // The supervisor sees it by the rules.
            Ready::Flow if !self.plan.flow.is_empty() => Probe::None,
            Ready::Flow => Probe::flow(self.counters),
        })
    }

    /// Returns where a relative path is meant from: a program touches its files where it runs.
    fn folder_of_files(&self) -> &Path {
        match &self.plan.body {
            Body::Command(body) => body.cwd.as_deref().unwrap_or(&self.world.config_dir),
            Body::Kind(_) => &self.world.data_dir,
        }
    }

    /// Listens to what a program says, when its plan asks for that.
    fn notices(&self, program: &mut Program, user: Option<Uid>) -> io::Result<Option<Notices>> {
        if !self.plan.is_listened_to() {
            return Ok(None);
        }
        let path = self.notify_path()?;
        program.env(NOTIFY, &path);
        let heartbeat = self.world.heartbeats.of(&self.plan.name);
        Notices::listen(path, user, heartbeat).map(Some)
    }

    fn notify_path(&self) -> io::Result<PathBuf> {
        let folder = self.world.data_dir.join("run");
        std::fs::create_dir_all(&folder)?;
        let name = format!("{}.{}", files::name_of(&self.plan.name), self.incarnation);
        let path = std::path::absolute(folder.join(name))?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(path),
        }
    }

    /// Connects standard output and error to the logs.
    fn pipes(
        &self,
        program: &mut Program,
        ready: Option<(Regex, watch::Sender<bool>)>,
        named: &[PathBuf],
    ) -> io::Result<Vec<watch::Receiver<()>>> {
        let pipe = |at: usize| named.get(at).map_or_else(io::pipe, |path| fifo::make(path));
        let logs = self.world.logs.keep(&self.plan.name, &self.plan.log);
        let (reader, out) = pipe(0)?;
        let mut outputs = vec![self.captured(reader, LogStream::Stdout, logs.out, ready)?];
        match logs.err {
            None => program.stderr(out.try_clone()?),
            Some(log) => {
                let (reader, err) = pipe(1)?;
                program.stderr(err);
                outputs.push(self.captured(reader, LogStream::Stderr, log, None)?);
            }
        }
        program.stdout(out);
        Ok(outputs)
    }

    /// Reads a pipe into the log file of its stream.
    fn captured(
        &self,
        reader: PipeReader,
        stream: LogStream,
        log: Arc<Outlet>,
        ready: Option<(Regex, watch::Sender<bool>)>,
    ) -> io::Result<watch::Receiver<()>> {
        let source = Source {
            service: &self.plan.name,
            voice: Voice {
                incarnation: self.incarnation,
                stream,
            },
            plan: &self.plan.log,
            records: &self.world.records,
            clock: &self.world.clock,
        };
        Capture::new(&source, log, ready).start(reader)
    }
}

/// Returns the variables by which a program knows its service, as supervisord calls them.
pub(super) fn names(world: &World, plan: &ServicePlan) -> [(&'static str, String); 4] {
    let name = plan.name.rsplit(':').next().unwrap_or(&plan.name);
    [
        ("SUPERVISOR_ENABLED", "1".to_owned()),
        ("SUPERVISOR_SERVER_URL", world.server_url.to_string()),
        ("SUPERVISOR_GROUP_NAME", plan.group.to_string()),
        ("SUPERVISOR_PROCESS_NAME", name.to_owned()),
    ]
}

/// Keeps the words for people; the kind of the error tells its number.
pub(super) fn unrunnable(why: Unrunnable) -> io::Error {
    io::Error::new(io::Error::from(why.errno()).kind(), why)
}

/// Looks up a user: everything that asks the system must be done before the fork.
pub(super) fn identity(name: &str) -> io::Result<Identity> {
    let user = User::from_name(name)?
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no user '{name}'")))?;
    let login = CString::new(name).map_err(io::Error::other)?;
    Ok(Identity {
        user: user.uid,
        group: user.gid,
        groups: getgrouplist(&login, user.gid)?,
    })
}
