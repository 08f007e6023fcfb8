//! A stack that is not there: a bus, a supervisor that only answers, and services of this crate.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fathom_kernel::{
    Addresses, Alarm, Answer, Ask, Board, Bus, Caller, Checkpoint, CheckpointError,
    CheckpointStore, Clock, Command, ControlError, ControlHandle, Counters, Event, Filter, Limits,
    Notice, Outcome, Reply, Request, Saved, ServiceCx, ServiceError, Setup, Severity, StackStatus,
    Subscription, Timestamp, Topic, Verdict,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Options of sinks that gather nothing and try again soon, so that tests need not wait.
pub(crate) const QUICK: &str = "queue = { gather = \"0s\", retry_first = \"20ms\", retry_most = \"50ms\", failing_after = \"50ms\" }\n";

/// What the supervisor knows.
#[derive(Default)]
struct Known {
    /// Status entries beside those of running services.
    services: Vec<Value>,
    inboxes: BTreeMap<String, (String, mpsc::Sender<Request>)>,
    /// Answers to requests to services that are not there.
    answers: BTreeMap<(String, String), Value>,
    /// Commands that change something, with the caller.
    commands: Vec<(Command, Caller)>,
}

/// The stack.
pub(crate) struct Stack {
    pub(crate) bus: Bus,
    pub(crate) board: Board,
    pub(crate) clock: Clock,
    pub(crate) control: ControlHandle,
    pub(crate) addresses: Addresses,
    pub(crate) folder: tempfile::TempDir,
    store: Arc<Memory>,
    known: Arc<Mutex<Known>>,
    _supervisor: JoinHandle<()>,
}

/// A service that runs.
pub(crate) struct Running {
    pub(crate) name: String,
    pub(crate) counters: Arc<Counters>,
    stop: CancellationToken,
    run: JoinHandle<Result<(), ServiceError>>,
    known: Arc<Mutex<Known>>,
}

/// Checkpoints in memory.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, Saved>>);

impl CheckpointStore for Memory {
    fn load(&self, service: &str) -> Result<Saved, CheckpointError> {
        Ok(self
            .0
            .lock()
            .unwrap()
            .get(service)
            .cloned()
            .unwrap_or_default())
    }

    fn save(&self, service: &str, snapshot: &[u8]) -> Result<(), CheckpointError> {
        let saved = Saved {
            snapshot: Some(snapshot.to_vec()),
            records: Vec::new(),
        };
        self.0.lock().unwrap().insert(service.to_owned(), saved);
        Ok(())
    }

    fn append(&self, service: &str, record: &[u8]) -> Result<(), CheckpointError> {
        let mut kept = self.0.lock().unwrap();
        kept.entry(service.to_owned())
            .or_default()
            .records
            .push(record.to_vec());
        Ok(())
    }
}

impl Stack {
    /// Makes a stack whose clock stands still.
    pub(crate) fn new() -> Self {
        Self::with_clock(Clock::manual(at(0)))
    }

    /// Makes a stack with the clock of the machine.
    pub(crate) fn live() -> Self {
        Self::with_clock(Clock::system())
    }

    fn with_clock(clock: Clock) -> Self {
        let (control, asks) = ControlHandle::channel();
        let known: Arc<Mutex<Known>> = Arc::default();
        let bus = Bus::new();
        Self {
            board: Board::new(bus.clone()),
            bus,
            clock,
            control,
            addresses: Addresses::default(),
            folder: tempfile::tempdir().unwrap(),
            store: Arc::default(),
            _supervisor: tokio::spawn(supervise(asks, known.clone())),
            known,
        }
    }

    /// Starts a service and waits until it is ready.
    pub(crate) async fn start(&self, name: &str, kind: &str, options: &str) -> Running {
        let kinds = fathom_alarms::KINDS;
        let known = kinds.iter().find(|known| known.name == kind).unwrap();
        // The disk of the machine that tests run on is nobody's alarm, unless a test says so.
        let no_disk = "disk_warning = 1.0\ndisk_alert = 1.0\n";
        let options = match kind {
            "alarms" if !options.contains("disk_") => format!("{no_disk}{options}"),
            _ => options.to_owned(),
        };
        // Options live as long as the program.
        let options: &'static str = Box::leak(options.into_boxed_str());
        let options = toml::de::DeTable::parse(options).unwrap();
        let factory = (known.parse)(options, &Setup::default());
        let factory = factory.unwrap_or_else(|error| panic!("{error}"));
        let (mut cx, mut outside) = ServiceCx::alone(name, self.folder.path());
        cx.bus = self.bus.clone();
        cx.board = self.board.clone();
        cx.clock = self.clock.clone();
        cx.control = self.control.clone();
        cx.addresses = self.addresses.clone();
        cx.checkpoint = Checkpoint::new(name.into(), self.store.clone());
        let (stop, counters) = (cx.stop.clone(), cx.counters.clone());
        let inbox = (kind.to_owned(), outside.inbox.clone());
        self.known().inboxes.insert(name.to_owned(), inbox);
        let run = tokio::spawn(factory().run(cx));
        outside.ready.wait_for(|ready| *ready).await.unwrap();
        Running {
            name: name.to_owned(),
            counters,
            stop,
            run,
            known: self.known.clone(),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    /// Says what the status tells of services that are not of this crate.
    pub(crate) fn others(&self, services: &[Value]) {
        self.known().services = services.to_vec();
    }

    /// Says what a service that is not of this crate answers.
    pub(crate) fn answers(&self, service: &str, verb: &str, answer: Value) {
        let key = (service.to_owned(), verb.to_owned());
        self.known().answers.insert(key, answer);
    }

    /// Returns the commands that were given until now.
    pub(crate) fn commands(&self) -> Vec<(Command, Caller)> {
        self.known().commands.clone()
    }

    /// Follows a topic of the bus.
    pub(crate) fn follow(&self, topic: Topic) -> Subscription {
        let filter = Filter::none().and(topic);
        self.bus.subscribe("test", filter, Limits::default())
    }

    /// Asks a service.
    pub(crate) async fn ask(&self, name: &str, verb: &str, args: Value) -> Result<Value, String> {
        let command = Command::Request {
            name: name.to_owned(),
            verb: verb.to_owned(),
            args,
        };
        match self.control.ask(command, Caller::new("test", "test")).await {
            Ok(Reply::Answer(value)) => Ok(value),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Says a condition, as a monitor would.
    pub(crate) fn say(&self, rule: &str, subject: &str, severity: Severity, firing: bool) {
        self.bus
            .publish(Event::Alarm(condition(rule, subject, severity, firing)));
    }
}

impl Running {
    /// Stops the service and waits for its end.
    pub(crate) async fn stop(self) {
        self.known.lock().unwrap().inboxes.remove(&self.name);
        self.stop.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.run).await;
        ended.expect("it ends").unwrap().unwrap();
    }
}

/// Makes a condition of the service `m`.
pub(crate) fn condition(rule: &str, subject: &str, severity: Severity, firing: bool) -> Alarm {
    Alarm {
        service: "m".to_owned(),
        rule: rule.to_owned(),
        subject: subject.to_owned(),
        severity,
        firing,
        text: format!("{rule} of {subject}"),
        at: at(0),
    }
}

/// A moment after the start of the test's time (s).
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

/// A line of the status.
pub(crate) fn service(name: &str, state: &str, incarnation: u64) -> Value {
    json!({
        "name": name, "group": "g", "kind": "dom_rates", "run": "actor", "state": state,
        "description": "", "want": "up", "health": "ok", "pid": 0, "incarnation": incarnation,
        "restarts": 0, "since": at(0).to_string(), "started": at(-100).to_string(),
        "last_exit": null, "after": [], "counters": {}, "queues": [],
    })
}

/// Waits for the next notices: rule, subject, stage.
pub(crate) async fn notices(from: &mut Subscription, count: usize) -> Vec<Notice> {
    let mut found = Vec::new();
    let mut batch = VecDeque::new();
    while found.len() < count {
        let open = tokio::time::timeout(PATIENCE, from.recv_batch(&mut batch)).await;
        assert!(open.unwrap_or_else(|_| panic!("only {found:?}")));
        for event in batch.drain(..) {
            if let Event::Notice(notice) = &*event {
                found.push(notice.clone());
            }
        }
    }
    found
}

/// Waits until something is true.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let done = tokio::time::timeout(PATIENCE, waiting).await;
    done.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn supervise(mut asks: mpsc::Receiver<Ask>, known: Arc<Mutex<Known>>) {
    while let Some(Ask {
        command,
        caller,
        reply,
    }) = asks.recv().await
    {
        if command.changes() {
            known
                .lock()
                .unwrap()
                .commands
                .push((command.clone(), caller));
        }
        let answer = match command {
            Command::Status { .. } => Ok(Reply::Status(status(&known))),
            Command::Request { name, verb, args } => {
                let known = known.clone();
                tokio::spawn(async move {
                    let answer = request(&known, (name, verb, args)).await;
                    reply.send(answer).ok();
                });
                continue;
            }
            Command::Start { targets, .. }
            | Command::Stop { targets, .. }
            | Command::Restart { targets, .. } => done(&targets),
            other => panic!("unexpected {other:?}"),
        };
        reply.send(answer).ok();
    }
}

fn done(targets: &[String]) -> Answer {
    if let Some(name) = targets.iter().find(|name| name.starts_with("no_such")) {
        return Err(ControlError::NoSuchName(name.clone()));
    }
    let outcome = |name: &String| Outcome {
        name: name.clone(),
        result: Verdict::Started,
        message: String::new(),
    };
    Ok(Reply::Done(targets.iter().map(outcome).collect()))
}

fn status(known: &Mutex<Known>) -> StackStatus {
    let known = known.lock().unwrap();
    let mut services = known.services.clone();
    for (name, (kind, _)) in &known.inboxes {
        let mut running = service(name, "RUNNING", 1);
        running["kind"] = json!(kind);
        services.push(running);
    }
    serde_json::from_value(json!({
        "version": "0", "pid": 1, "started": at(0).to_string(), "stack": "test", "events": 0,
        "services": services,
    }))
    .unwrap()
}

async fn request(known: &Mutex<Known>, (name, verb, args): (String, String, Value)) -> Answer {
    let inbox = {
        let known = known.lock().unwrap();
        if let Some(answer) = known.answers.get(&(name.clone(), verb.clone())) {
            return Ok(Reply::Answer(answer.clone()));
        }
        known.inboxes.get(&name).map(|(_, inbox)| inbox.clone())
    };
    let Some(inbox) = inbox else {
        return Err(ControlError::NotRunning(name));
    };
    let (reply, answer) = oneshot::channel();
    let request = Request { verb, args, reply };
    if inbox.send(request).await.is_err() {
        return Err(ControlError::NotRunning(name));
    }
    match answer.await {
        Ok(Ok(value)) => Ok(Reply::Answer(value)),
        Ok(Err(refusal)) => Err(ControlError::Refused(refusal)),
        Err(_) => Err(ControlError::NotRunning(name)),
    }
}
