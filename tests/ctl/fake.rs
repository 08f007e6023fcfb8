//! A supervisor that pretends: a table of services, changed by commands as a real one would.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fathom::body::Spent;
use fathom::chronicle::{Chronicle, Entry, Notice, What};
use fathom::config::plan::Plan;
use fathom::config::{InForce, Origin, load};
use fathom::control::{
    Client, Console, ConsoleParts, Doors, EventRange, Place, Server, TcpDoor, serve,
};
use fathom::incidents::{Dependency, HealthStep, Incident, Line, Peaks};
use fathom::logs::Logs;
use fathom::telemetry::Records;
use fathom_kernel::{
    Addresses, Answer, Ask, BudgetStatus, Bus, Changes, Clock, Command, ControlError,
    ControlHandle, Event, GroupStatus, Health, LifeChange, LogLine, LogStream, Outcome, Reply,
    ServiceStatus, StackStatus, State, Timestamp, Verdict, Want,
};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::plan;

/// A running fake with its control API.
pub(crate) struct Fake {
    pub(crate) bus: Bus,
    pub(crate) chronicle: Chronicle,
    pub(crate) records: Records,
    pub(crate) logs: Logs,
    pub(crate) addresses: Addresses,
    pub(crate) socket: PathBuf,
    pub(crate) server: Option<Server>,
    /// Commands as they arrived, with the caller.
    pub(crate) heard: Arc<Mutex<Vec<(Command, String)>>>,
    /// What a new configuration would change.
    pub(crate) plan: Arc<Mutex<Result<Changes, ControlError>>>,
    services: Arc<Mutex<Vec<ServiceStatus>>>,
    _folder: tempfile::TempDir,
}

/// What a run of the program gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n{}", self.code, self.out)?;
        if !self.err.is_empty() {
            write!(f, "--- stderr\n{}", self.err)?;
        }
        Ok(())
    }
}

pub(crate) fn service(name: &str, state: State, description: &str) -> ServiceStatus {
    let group = name.split(':').next().unwrap_or(name);
    let pid = description
        .strip_prefix("pid ")
        .and_then(|rest| rest.split(',').next())
        .and_then(|pid| pid.parse().ok());
    ServiceStatus {
        name: name.to_owned(),
        group: group.to_owned(),
        kind: Some("dom_rates".to_owned()),
        run: "actor".to_owned(),
        state,
        description: description.to_owned(),
        want: Want::Up,
        autostart: true,
        finished: false,
        health: Health::Ok,
        pid: pid.unwrap_or(0),
        incarnation: 1,
        restarts: 0,
        since: Timestamp::UNIX_EPOCH,
        started: None,
        ended: None,
        last_exit: None,
        trouble: None,
        last_incident: None,
        last_incident_reason: None,
        questions: Vec::new(),
        after: Vec::new(),
        bind: Vec::new(),
        counters: Default::default(),
        queues: Vec::new(),
        watch: fathom_kernel::WatchStatus::default(),
    }
}

/// The stack of supervision.md's example of `status`.
pub(crate) fn example() -> Vec<ServiceStatus> {
    use State::{Backoff, Running, Stopped};
    let mut services = vec![
        service("webserver", Stopped, "Nov 21 12:19 AM"),
        service(
            "monitoring_process:ztplot",
            Backoff,
            "Exited too quickly (process log may have details)",
        ),
        service(
            "monitoring_process:rttc",
            Running,
            "pid 4194305, uptime 10:55:53",
        ),
        service(
            "monitoring_process:triggermap",
            Running,
            "actor, uptime 0:03:12",
        ),
        service(
            "ligiers:ligiermirror",
            Running,
            "pid 4194304, uptime 1 day, 7:55:09",
        ),
    ];
    services[2].after = vec!["ligiers:ligiermirror".to_owned()];
    services
}

/// Makes a client of other people's: one that knows nothing of our TLS.
pub(crate) fn stranger() -> reqwest::Client {
    // Every client is made able to speak TLS, although this one does not.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    reqwest::Client::new()
}

/// What an alarm engine tells.
fn alarms() -> serde_json::Value {
    let alarm = |id: u64, rule: &str, subject: &str, severity: &str, stage: &str| {
        json!({
            "id": id, "key": { "service": "m", "rule": rule, "subject": subject },
            "severity": severity, "stage": stage, "text": "DOM 7 is inactive",
            "since": "2026-11-21T11:00:00Z",
        })
    };
    let mut zero = alarm(2, "trigger_rate_zero", "Overall", "alert", "firing");
    zero["text"] = json!("Trigger rate is 0Hz!");
    zero["since"] = json!("2026-11-21T12:00:00Z");
    let alarms = [
        alarm(1, "dom_inactive", "DU 3 floor 7", "warning", "muted"),
        zero,
        alarm(3, "dom_inactive", "DU 3 floor 8", "warning", "resolved"),
    ];
    let mute = json!({
        "id": 4, "rule": "dom_*", "subject": "DU 3 *", "until": "2026-11-21T14:00:00Z",
        "by": "anna", "reason": "repair",
    });
    json!({ "alarms": alarms, "mutes": [mute] })
}

impl Fake {
    pub(crate) async fn start(services: Vec<ServiceStatus>) -> Self {
        Self::start_with(services, None).await
    }

    pub(crate) async fn start_with(services: Vec<ServiceStatus>, tcp: Option<TcpDoor>) -> Self {
        // For the clients that tests make themselves.
        fathom::reach::install_tls();
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("fathom.sock");
        let bus = Bus::new();
        let records = Records::new(bus.clone());
        let logs = Logs::new(folder.path(), None);
        let addresses = Addresses::default();
        let (control, asks) = ControlHandle::channel();
        let chronicle = Chronicle::in_memory(Clock::system());
        tokio::spawn(chronicle.take_alarms(&bus));
        let console = Console::new(ConsoleParts {
            control,
            bus: bus.clone(),
            chronicle: chronicle.clone(),
            addresses: addresses.clone(),
            records: records.clone(),
            logs: logs.clone(),
            log_drops: Vec::new(),
            data_dir: folder.path().to_owned(),
            plans: no_services(folder.path()),
            read_plans: no_services(folder.path()),
            in_force: watch::Sender::new(InForce::default()).subscribe(),
            ending: CancellationToken::new(),
        });
        let doors = Doors {
            socket: socket.clone(),
            mode: 0o660,
            group: None,
            tcp,
        };
        let server = serve(console, doors).await.expect("it serves");
        let fake = Self {
            bus,
            chronicle,
            records,
            logs,
            addresses,
            socket,
            server: Some(server),
            heard: Arc::default(),
            plan: Arc::new(Mutex::new(Ok(Changes::default()))),
            services: Arc::new(Mutex::new(services)),
            _folder: folder,
        };
        tokio::spawn(fake.mind().answer(asks));
        fake
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(Place::Socket(self.socket.clone()), None).expect("a client")
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.socket.with_file_name("control.token")
    }

    /// Runs `fathom ctl -s SOCKET` with these arguments.
    pub(crate) async fn ctl(&self, args: &[&str]) -> Ran {
        let socket = self.socket.display().to_string();
        let mut all = vec!["ctl", "-s", &socket];
        all.extend(args);
        let ran = fathom(&all).await;
        Ran {
            out: ran.out.replace(&socket, "SOCKET"),
            err: ran.err.replace(&socket, "SOCKET"),
            ..ran
        }
    }

    /// Changes the state of a service and tells the bus.
    pub(crate) fn change(&self, name: &str, to: State) {
        self.mind().change(name, to);
    }

    /// Writes a line into a service's log.
    pub(crate) fn write(&self, service: &str, line: &str) {
        self.write_at(service, line, 0);
    }

    /// Writes a line into a service's log, in this second since 1970.
    pub(crate) fn write_at(&self, service: &str, line: &str, second: i64) {
        self.records.push(LogLine {
            service: service.to_owned(),
            incarnation: 1,
            stream: LogStream::Stdout,
            line: line.to_owned(),
            at: Timestamp::from_second(second).expect("a time"),
        });
    }

    pub(crate) fn tcp_address(&self) -> SocketAddr {
        let server = self.server.as_ref().expect("it serves");
        server.tcp_address().expect("on TCP")
    }

    /// Ends the control API in order.
    pub(crate) async fn close(&mut self) {
        let server = self.server.take().expect("it serves");
        server.close(Duration::from_secs(5)).await;
    }

    /// Starts the program and leaves it running.
    pub(crate) fn spawn(&self, args: &[&str]) -> Running {
        let mut child = command(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        Running { child, out }
    }

    /// Waits until the event log has taken so many events.
    pub(crate) async fn wait_for_events(&self, count: usize) {
        until(async || {
            let mut events = self
                .client()
                .events_of("life,alarm", &EventRange::Last(count), false)
                .await
                .expect("a stream");
            let mut seen = 0;
            while events.next().await.is_some() {
                seen += 1;
            }
            seen == count
        })
        .await;
    }

    /// Waits until somebody follows events.
    pub(crate) async fn wait_for_follower(&self) {
        until(async || self.chronicle.followers() > 0).await;
    }

    /// Waits until a command arrived.
    pub(crate) async fn wait_to_hear(&self) {
        until(async || !self.heard.lock().expect("unpoisoned").is_empty()).await;
    }

    pub(crate) fn last_heard(&self) -> (Command, String) {
        let heard = self.heard.lock().expect("unpoisoned");
        heard.last().expect("something was asked").clone()
    }

    fn mind(&self) -> Mind {
        Mind {
            bus: self.bus.clone(),
            chronicle: self.chronicle.clone(),
            records: self.records.clone(),
            heard: self.heard.clone(),
            plan: self.plan.clone(),
            services: self.services.clone(),
        }
    }
}

/// Makes what a control API works on, with a supervisor that is not listened to.
pub(crate) fn console(data_dir: &Path) -> (Console, mpsc::Receiver<Ask>) {
    let (control, asks) = ControlHandle::channel();
    let bus = Bus::new();
    let console = Console::new(ConsoleParts {
        control,
        chronicle: Chronicle::in_memory(Clock::system()),
        records: Records::new(bus.clone()),
        bus,
        addresses: Addresses::default(),
        logs: Logs::new(data_dir, None),
        log_drops: Vec::new(),
        data_dir: data_dir.to_owned(),
        plans: no_services(data_dir),
        read_plans: no_services(data_dir),
        in_force: watch::Sender::new(InForce::default()).subscribe(),
        ending: CancellationToken::new(),
    });
    (console, asks)
}

/// A plan without services.
fn no_services(folder: &Path) -> watch::Receiver<Arc<Plan>> {
    let origin = Origin {
        file: folder.join("supervisor.toml"),
        text: Some("[stack]\n".to_owned()),
        ..Origin::default()
    };
    let loaded = load(&origin).expect("a plan");
    watch::channel(Arc::new(loaded.plan)).1
}

/// A program left running; killed when dropped.
pub(crate) struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Running {
    /// Waits for the next line of its output, with the line end; empty at the end.
    pub(crate) async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.out.read_line(&mut line);
        tokio::time::timeout(PATIENCE, read)
            .await
            .expect("in time")
            .expect("text");
        line
    }

    /// Waits for its end.
    pub(crate) async fn code(&mut self) -> i32 {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = ended.expect("in time").expect("waited");
        status.code().expect("an exit code")
    }
}

/// Longest wait for anything; only a broken test needs it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for a condition.
async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("in time");
}

/// The program, in an environment without colours or own settings.
fn command(args: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(assert_cmd::cargo::cargo_bin!("fathom"));
    command
        .args(args)
        .env_remove("FATHOM_SOCKET")
        .env_remove("FATHOM_TOKEN_FILE")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs the program with these arguments.
pub(crate) async fn fathom(args: &[&str]) -> Ran {
    run(command(args)).await
}

/// Runs the program as if it wrote to a terminal with colours.
pub(crate) async fn fathom_in_colour(args: &[&str]) -> Ran {
    let mut command = command(args);
    command.env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1");
    run(command).await
}

async fn run(mut command: tokio::process::Command) -> Ran {
    let output = command.output();
    let output = tokio::time::timeout(PATIENCE, output)
        .await
        .expect("in time")
        .expect("it runs");
    Ran {
        code: output.status.code().expect("an exit code"),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}

/// The part of the fake that answers.
struct Mind {
    bus: Bus,
    chronicle: Chronicle,
    records: Records,
    heard: Arc<Mutex<Vec<(Command, String)>>>,
    services: Arc<Mutex<Vec<ServiceStatus>>>,
    plan: Arc<Mutex<Result<Changes, ControlError>>>,
}

impl Mind {
    async fn answer(self, mut asks: mpsc::Receiver<Ask>) {
        while let Some(ask) = asks.recv().await {
            let heard = (ask.command.clone(), ask.caller.to_string());
            self.heard.lock().expect("unpoisoned").push(heard);
            ask.reply.send(self.obey(ask.command)).ok();
        }
    }

    /// One group per name that services have; those without a name of their own are lone.
    fn groups(&self) -> Vec<GroupStatus> {
        let services = self.services.lock().expect("unpoisoned");
        let names: std::collections::BTreeSet<_> = services.iter().map(|s| &s.group).collect();
        let groups = names.into_iter().map(|name| GroupStatus {
            name: name.clone(),
            parent: name.rsplit_once('.').map(|(outer, _)| outer.to_owned()),
            lone: services.iter().any(|s| s.name == *name),
            description: String::new(),
            strategy: match name.contains('.') {
                true => "rest_for_one".to_owned(),
                false => "one_for_one".to_owned(),
            },
            budget: name.contains('.').then_some(BudgetStatus {
                restarts: 20,
                period_s: 300.0,
                used: 3,
            }),
            state: State::Running,
        });
        groups.collect()
    }

    #[expect(
        clippy::too_many_lines,
        reason = "a table with a few lines for each command"
    )]
    fn obey(&self, command: Command) -> Answer {
        match command {
            Command::Status { targets } => Ok(Reply::Status(StackStatus {
                version: "0.0.0".to_owned(),
                pid: 4_194_303,
                started: Timestamp::UNIX_EPOCH,
                stack: "demo".to_owned(),
                events: 12,
                config: Default::default(),
                budget: None,
                groups: self.groups(),
                services: self.select(&targets)?,
            })),
            Command::Start { targets, .. } => self.turn(&targets, State::Running),
            Command::Stop { targets, .. } => self.turn(&targets, State::Stopped),
            Command::Restart { targets, .. } => {
                self.turn(&targets, State::Stopped)?;
                self.turn(&targets, State::Running)
            }
            Command::Roll { targets, .. } => {
                self.turn(&targets, State::Stopped)?;
                self.turn(&targets, State::Running)
            }
            Command::Kill { targets, .. } => self.turn(&targets, State::Stopped),
            Command::Signal { targets, signal } => {
                let services = self.select(&targets)?;
                Ok(Reply::Done(
                    services.iter().map(|s| signal_one(s, &signal)).collect(),
                ))
            }
            Command::Hold { targets, .. } => self.each(&targets, Verdict::Held),
            Command::Unhold { targets } => self.each(&targets, Verdict::Released),
            Command::Tail { name, lines } => {
                let tail = self.records.tail(&name, lines).unwrap_or_default();
                let lines = tail.iter().map(|line| fathom::telemetry::shown(line));
                Ok(Reply::Lines(lines.collect()))
            }
            Command::Clear { targets } => self.tend(&targets, Verdict::Cleared),
            Command::Rotate { targets } => self.tend(&targets, Verdict::Rotated),
            Command::Input { name, text } => {
                self.select(std::slice::from_ref(&name))?;
                match text.as_str() {
                    "refuse" => Err(ControlError::Refused("it does not read".to_owned())),
                    _ => Ok(Reply::Done(Vec::new())),
                }
            }
            Command::Request { name, verb, args } => match verb.as_str() {
                "echo" => Ok(Reply::Answer(json!({ "name": name, "args": args }))),
                "sleep" => Err(ControlError::NotRunning(name)),
                "list" => Ok(Reply::Answer(alarms())),
                "acknowledge" | "mute" | "unmute" => {
                    Ok(Reply::Answer(json!({ "alarms": [2], "asked": args })))
                }
                _ => Err(ControlError::Refused(format!(
                    "{name} does not understand {verb}"
                ))),
            },
            // Only pages ask.
            Command::Question { name, verb, .. } => Err(ControlError::NoSuchQuestion {
                name,
                verb,
                known: Vec::new(),
            }),
            Command::Incidents { name, count } => {
                let heads = (1..=2_u64).rev().map(crash).map(|crash| {
                    json!({
                        "id": crash.id, "service": crash.service,
                        "incarnation": crash.incarnation, "ended": crash.ended,
                        "uptime_s": crash.uptime_s, "reason": crash.reason, "next": crash.next,
                    })
                });
                if name == "nosuch" {
                    return Err(ControlError::NoSuchName(name));
                }
                let own = heads.filter(|head| name.is_empty() || head["service"] == *name);
                Ok(Reply::Answer(own.take(count).collect()))
            }
            Command::Incident {
                id: 1..=2,
                text: true,
            } => Ok(Reply::Lines(vec![
                "a report".to_owned(),
                "for people".to_owned(),
            ])),
            Command::Incident { id, .. } if id <= 2 => Ok(Reply::Answer(
                serde_json::to_value(crash(id)).expect("JSON"),
            )),
            Command::Incident { id, .. } => Err(ControlError::NoIncident(id)),
            Command::Reread => self.shown().map(Reply::Changes),
            Command::Update { .. } => Ok(Reply::Done(plan::outcomes(&self.shown()?))),
            Command::Add { group } => match self.select(std::slice::from_ref(&group)) {
                Ok(_) => Err(ControlError::AlreadyAdded(group)),
                Err(error) if group == "nosuch" => Err(error),
                Err(_) => Ok(Reply::Done(vec![plan::outcome(&group, Verdict::Added)])),
            },
            Command::Remove { group } => {
                let members = self.select(std::slice::from_ref(&group))?;
                if members.iter().any(|member| member.state != State::Stopped) {
                    return Err(ControlError::StillRunning(group));
                }
                let gone = members.iter();
                let gone = gone.map(|member| plan::outcome(&member.name, Verdict::Removed));
                Ok(Reply::Done(gone.collect()))
            }
            Command::Available => Ok(Reply::Available(plan::available())),
            Command::Reload { .. } => self.turn(&["all".to_owned()], State::Running),
            Command::Shutdown { .. } => Ok(Reply::Done(Vec::new())),
        }
    }

    fn shown(&self) -> Result<Changes, ControlError> {
        self.plan.lock().expect("unpoisoned").clone()
    }

    fn tend(&self, targets: &[String], result: Verdict) -> Answer {
        let names: Vec<String> = match targets {
            [] => vec![String::new()],
            targets => self.select(targets)?.into_iter().map(|s| s.name).collect(),
        };
        let outcomes = names.into_iter().map(|name| Outcome {
            name,
            result,
            message: String::new(),
        });
        Ok(Reply::Done(outcomes.collect()))
    }

    fn select(&self, targets: &[String]) -> Result<Vec<ServiceStatus>, ControlError> {
        let services = self.services.lock().expect("unpoisoned").clone();
        if targets.is_empty() || targets.iter().any(|t| t == "all") {
            return Ok(services);
        }
        let mut selected = BTreeMap::new();
        for target in targets {
            let group = target.strip_suffix(":*").unwrap_or(target);
            let found = services.iter().filter(|s| {
                s.name == *target || s.group == group || s.name.ends_with(&format!(":{target}"))
            });
            let before = selected.len();
            selected.extend(found.map(|s| (s.name.clone(), s.clone())));
            if selected.len() == before {
                return Err(ControlError::NoSuchName(target.clone()));
            }
        }
        Ok(selected.into_values().collect())
    }

    fn each(&self, targets: &[String], result: Verdict) -> Answer {
        let outcomes = self.select(targets)?.into_iter().map(|service| Outcome {
            name: service.name,
            result,
            message: String::new(),
        });
        Ok(Reply::Done(outcomes.collect()))
    }

    fn turn(&self, targets: &[String], to: State) -> Answer {
        let outcomes = self.select(targets)?.into_iter().map(|service| {
            let result = match (to, service.state) {
                (State::Running, State::Running) => Verdict::AlreadyStarted,
                (State::Running, _) if service.name.ends_with("missing") => Verdict::SpawnError,
                (State::Stopped, State::Stopped) => Verdict::NotRunning,
                (State::Running, _) => {
                    self.change(&service.name, State::Starting);
                    self.change(&service.name, to);
                    Verdict::Started
                }
                _ => {
                    self.change(&service.name, to);
                    Verdict::Stopped
                }
            };
            let message = match result {
                Verdict::SpawnError => "no such file: dom_rates.py",
                _ => "",
            };
            Outcome {
                name: service.name,
                result,
                message: message.to_owned(),
            }
        });
        Ok(Reply::Done(outcomes.collect()))
    }

    fn change(&self, name: &str, to: State) {
        let mut services = self.services.lock().expect("unpoisoned");
        let service = services
            .iter_mut()
            .find(|s| s.name == name)
            .expect("a known service");
        let from = std::mem::replace(&mut service.state, to);
        let life = self.chronicle.life(|sequence| LifeChange {
            sequence,
            service: name.to_owned(),
            incarnation: 1,
            from,
            to,
            reason: "asked for".to_owned(),
            at: Timestamp::UNIX_EPOCH,
        });
        self.bus.publish(Event::Life(life));
    }
}

/// A report with something in every part.
fn crash(id: u64) -> Incident {
    let at = Timestamp::from_millisecond(90_500).expect("a time");
    let line = |text: &str| Line {
        at,
        line: text.to_owned(),
    };
    Incident {
        id,
        service: if id == 1 { "m:rttc" } else { "web" }.to_owned(),
        incarnation: 3,
        generation: 1,
        sha256: String::new(),
        started: Some(Timestamp::UNIX_EPOCH),
        ended: at,
        uptime_s: Some(90.5),
        reason: "signal:SEGV core".to_owned(),
        detail: Some("two\nlines".to_owned()),
        backtrace: Some("0: main\n1: start".to_owned()),
        streak: 2,
        next: "next attempt in 0.25 s (attempt 3)".to_owned(),
        spent: Some(Spent {
            max_rss_bytes: Some(10 << 20),
            user_s: 1.5,
            system_s: 0.25,
            minor_faults: 100,
            ..Spent::default()
        }),
        peaks: Peaks {
            looks: 6,
            rss_bytes: 9 << 20,
            threads: 4,
            open_files: 12,
            queued: Some(7),
            queued_bytes: Some(700),
        },
        stdout: vec![line("listening"), line("last words")],
        stderr: vec![line("oh no")],
        records: Vec::new(),
        health: vec![HealthStep {
            at,
            health: Health::Stalled,
            reason: "stall:stdout".to_owned(),
        }],
        dependencies: vec![Dependency {
            name: "ligiers:ligiermirror".to_owned(),
            state: Some(State::Running),
            health: Health::Ok,
        }],
        events: vec![Arc::new(Entry {
            sequence: 5,
            what: What::Notice(Notice {
                at,
                service: "web".to_owned(),
                what: "test".to_owned(),
                text: "something else".to_owned(),
            }),
        })],
    }
}

fn signal_one(service: &ServiceStatus, signal: &str) -> Outcome {
    let result = match signal {
        _ if service.pid == 0 => Verdict::NotRunning,
        "HUP" | "SIGHUP" => Verdict::Signalled,
        _ => Verdict::BadSignal,
    };
    Outcome {
        name: service.name.clone(),
        result,
        message: String::new(),
    }
}
