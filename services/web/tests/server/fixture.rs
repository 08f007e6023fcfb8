//! A running web server with a board to write on and a supervisor that only answers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fathom_kernel::{
    Answer, Ask, Board, Bus, Command, ControlError, CountersSnapshot, FileEdit, FromConfig,
    Outcome, Output, Reply, Request, Service, ServiceCx, ServiceError, ServiceStatus, Setup,
    StackStatus, Timestamp, Verdict,
};
use fathom_web::WebServer;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// A server on a free port.
pub(crate) struct Server {
    pub(crate) board: Board,
    pub(crate) bus: Bus,
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    pub(crate) commands: Arc<Mutex<Vec<(Command, String)>>>,
    /// Folder of the stack, which need not be there.
    pub(crate) data_dir: PathBuf,
    inbox: mpsc::Sender<Request>,
    stop: CancellationToken,
    run: JoinHandle<Result<(), ServiceError>>,
    _supervisor: JoinHandle<()>,
}

impl Server {
    /// Starts a server with these options on a free port.
    pub(crate) async fn start(options: &str) -> Self {
        Self::start_at("127.0.0.1:0", options).await
    }

    /// Starts a server with these options, beside its address.
    pub(crate) async fn start_at(listen: &str, options: &str) -> Self {
        Self::start_among(&[], listen, options).await
    }

    /// Starts a server beside services of which these say that a condition holds.
    pub(crate) async fn start_among(
        holding: &'static [&'static str],
        listen: &str,
        options: &str,
    ) -> Self {
        let config = toml::from_str(&format!("listen = \"{listen}\"\n{options}")).unwrap();
        WebServer::check(&config, &Setup::default()).unwrap();
        let server = Box::new(WebServer::from_config(&config, &Setup::default()));
        let data_dir = data_dir();
        let (cx, mut outside) = ServiceCx::alone("webserver", &data_dir);
        let (board, bus, stop) = (cx.board.clone(), cx.bus.clone(), cx.stop.clone());
        let addresses = cx.addresses.clone();
        let run = tokio::spawn(server.run(cx).in_current_span());
        outside.ready.wait_for(|ready| *ready).await.unwrap();
        let commands = Arc::default();
        Self {
            board,
            bus,
            client: client(),
            address: addresses.of("webserver").unwrap(),
            commands: Arc::clone(&commands),
            data_dir,
            inbox: outside.inbox,
            stop,
            run,
            _supervisor: tokio::spawn(supervise(outside.asks, commands, holding)),
        }
    }

    /// Puts up an output.
    pub(crate) fn put(&self, output: Output) -> u64 {
        assert!(
            self.board
                .put(&"monitoring:x".into(), output, Timestamp::now())
        );
        self.board.version()
    }

    /// Returns the address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Asks for a path.
    pub(crate) async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    /// Asks for a path and reads the JSON.
    pub(crate) async fn json(&self, path: &str) -> serde_json::Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    /// Asks the service itself, as other services do.
    pub(crate) async fn request(
        &self,
        verb: &str,
        args: serde_json::Value,
    ) -> Result<serde_json::Value, String> {
        let (reply, answer) = oneshot::channel();
        let verb = verb.to_owned();
        self.inbox
            .send(Request { verb, args, reply })
            .await
            .unwrap();
        answer.await.unwrap()
    }

    /// Writes a file below the folder of files.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let edit = FileEdit::Write {
            path: path.into(),
            bytes: bytes.to_vec(),
        };
        edit.apply(&self.data_dir.join("files")).unwrap();
    }

    /// Stops the server and returns how it ended.
    pub(crate) async fn stop(mut self) -> Result<(), ServiceError> {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(4), &mut self.run).await;
        ended.expect("the server ends in time").unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.data_dir).ok();
    }
}

/// Returns a folder of its own for each server.
fn data_dir() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("fathom-web-{}-{count}", std::process::id()))
}

async fn supervise(
    mut asks: mpsc::Receiver<Ask>,
    seen: Arc<Mutex<Vec<(Command, String)>>>,
    holding: &[&str],
) {
    while let Some(ask) = asks.recv().await {
        let answer = match &ask.command {
            Command::Status { .. } => Ok(Reply::Status(stack())),
            Command::Tail { name, .. } if name.is_empty() => Ok(Reply::Lines(vec!["up".into()])),
            Command::Tail { name, .. } => Err(ControlError::NoLog(name.clone())),
            Command::Incident { id: 7, text: true } => {
                Ok(Reply::Lines(vec!["incident 7".into(), "exit:3".into()]))
            }
            Command::Incident { id, .. } => Err(ControlError::NoIncident(*id)),
            Command::Request { name, verb, .. } if verb == "conditions" => {
                conditions(name, holding)
            }
            Command::Request { args, .. } => Ok(Reply::Answer(args.clone())),
            Command::Question { name, verb, args } => question(name, verb, args),
            Command::Restart { targets, .. } => Ok(Reply::Done(vec![Outcome {
                name: targets[0].clone(),
                result: Verdict::Started,
                message: String::new(),
            }])),
            _ => Err(ControlError::NoSuchName("x".into())),
        };
        if !is_asked_at_start(&ask.command) {
            let caller = ask.caller.to_string();
            seen.lock().unwrap().push((ask.command, caller));
        }
        ask.reply.send(answer).ok();
    }
}

/// Tells whether a server asks this by itself.
fn is_asked_at_start(command: &Command) -> bool {
    match command {
        Command::Status { .. } => true,
        Command::Request { verb, .. } => ["list", "conditions"].contains(&verb.as_str()),
        _ => false,
    }
}

/// Answers like a monitor with one condition; the others know of none.
fn conditions(name: &str, holding: &[&str]) -> Answer {
    if !holding.contains(&name) {
        return Err(ControlError::Refused("unknown request".into()));
    }
    Ok(Reply::Answer(json!([{
        "service": name, "rule": "dom_inactive", "subject": "DU 3 floor 7", "severity": "alert",
        "firing": true, "text": "silent for 600 s", "at": "2026-01-01T00:00:00Z",
    }])))
}

/// Answers like a stack of one monitor, which echoes, and services with one fault each.
fn question(name: &str, verb: &str, args: &Value) -> Answer {
    match (name, verb) {
        ("monitoring:x", "history") => Ok(Reply::Answer(args.clone())),
        ("monitoring:x", "bad") => match args.get("number") {
            None => Ok(Reply::Answer(json!([{ "number": 3, "tag": "IO_EVT" }]))),
            Some(number) if *number == 3 => Ok(Reply::Answer(json!({
                "number": 3, "tag": "IO_EVT", "reason": "too short", "bytes": 3, "kept_bytes": 3,
                "body_base64": "AAH/",
            }))),
            Some(_) => Err(ControlError::Refused("no faulty message is kept".into())),
        },
        ("monitoring:x", _) => Err(ControlError::NoSuchQuestion {
            name: name.to_owned(),
            verb: verb.to_owned(),
            known: QUESTIONS.map(str::to_owned).to_vec(),
        }),
        ("refuses", _) => Err(ControlError::Refused("no such DOM".into())),
        ("silent", _) => Err(ControlError::NoAnswer(name.to_owned())),
        ("down", _) => Err(ControlError::NotRunning(name.to_owned())),
        _ => Err(ControlError::NoSuchName(name.to_owned())),
    }
}

/// What the monitor of the stack answers.
const QUESTIONS: [&str; 2] = ["bad", "history"];

fn services() -> Vec<ServiceStatus> {
    let service = |name: &str, questions: &[&str]| {
        json!({
            "name": name, "group": "monitoring", "kind": "dom_rates", "run": "actor",
            "state": "RUNNING", "description": "", "want": "up", "health": "ok", "pid": 0,
            "incarnation": 1, "restarts": 0, "since": "2026-01-01T00:00:00Z", "last_exit": null,
            "after": [], "counters": CountersSnapshot::default(), "queues": [],
            "questions": questions,
        })
    };
    let mut engine = service("alerts:alarms", &[]);
    engine["kind"] = json!("alarms");
    let list = json!([
        service("monitoring:x", &QUESTIONS),
        service("monitoring:y", &[]),
        engine,
    ]);
    serde_json::from_value(list).unwrap()
}

fn stack() -> StackStatus {
    StackStatus {
        version: "0.1.0".into(),
        pid: 1,
        started: Timestamp::UNIX_EPOCH,
        stack: "orca".into(),
        events: 7,
        config: Default::default(),
        budget: None,
        groups: Vec::new(),
        services: services(),
    }
}

/// Makes a small output.
pub(crate) fn scalar(name: &str, value: f64) -> Output {
    let view = fathom_kernel::view::Scalar {
        value,
        unit: "Hz".into(),
    };
    Output::new(name, "Rate of <b>things</b>", view).at(Some(Timestamp::now()))
}

fn client() -> Client {
    // Every client is made able to speak TLS, although these do not.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    Client::new()
}
