//! Kind `fake_detector_manager`: answers for the round-trip times of cables like a Detector Manager,
//! over HTTP, with faults by request.
//!
//! ```text
//! GET /monshortdef?name=N&paths=P,P,...   OK
//! GET /monshort/N                         [{"path": P, "value": 1.0}, ...]
//! ```
//! Requests: `shift` {"du": 3, "ps": 5000}, `forget` (all subscriptions, as after a restart), `silent`
//! (answers nothing), `clear` (ends shifts and silence), `subscriptions`.

mod cables;
mod desk;
mod http;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fathom_kernel::{
    BoxFuture, FromConfig, Output, Request, Service, ServiceCx, ServiceError, Setup, view::Table,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::interval;
use tracing::{info, warn};

use self::cables::Cables;
use self::desk::Desk;

/// Name of the table that shows what is asked.
const OUTPUT: &str = "detector_manager";
/// Time between two versions of it.
const OUTPUT_EVERY: Duration = Duration::from_secs(5);
/// Pause after a connection could not be accepted, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Most connections at a time; further ones wait.
const CONNECTIONS_MAX: usize = 64;

/// Options of the kind `fake_detector_manager`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FakeDetectorManagerOptions {
    /// Address to listen on, `HOST:PORT`; port 0 takes a free one, which `rttc` finds by
    /// `service:NAME`.
    pub listen: String,
    /// Seed of all random numbers.
    pub seed: u64,
    /// How far round-trip times drift within six hours.
    #[schemars(extend("unit" = "ps"))]
    pub drift: f64,
    /// Standard deviation of a single round-trip time.
    #[schemars(extend("unit" = "ps"))]
    pub noise: f64,
}

impl Default for FakeDetectorManagerOptions {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            seed: 1,
            drift: 150.0,
            noise: 60.0,
        }
    }
}

/// Why the service cannot work.
#[derive(Debug, thiserror::Error)]
enum ManagerError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {listen}")]
    Listen {
        /// The address.
        listen: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
}

/// The kind `fake_detector_manager`.
pub struct FakeDetectorManager {
    options: FakeDetectorManagerOptions,
    dus: Vec<u32>,
}

impl FromConfig<FakeDetectorManagerOptions> for FakeDetectorManager {
    fn check(options: &FakeDetectorManagerOptions, setup: &Setup) -> Result<(), String> {
        if setup.detector.is_none() {
            return Err("no detector, expected a [detector] with `file` or `geometry`".to_owned());
        }
        if !options.listen.contains(':') {
            return Err(format!(
                "listen is {:?}, expected HOST:PORT",
                options.listen
            ));
        }
        for (name, ps) in [("drift", options.drift), ("noise", options.noise)] {
            if !(0.0..=1e9).contains(&ps) {
                return Err(format!("{name} is {ps} ps, expected 0 to 1e9"));
            }
        }
        Ok(())
    }

    fn from_config(options: &FakeDetectorManagerOptions, setup: &Setup) -> Self {
        let dus = setup.detector.as_ref().map(|d| d.dus().to_vec());
        Self {
            options: options.clone(),
            dus: dus.unwrap_or_default(),
        }
    }
}

impl Service for FakeDetectorManager {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        Box::pin(async move {
            let listen = self.options.listen.clone();
            let failed = |cause| ManagerError::Listen {
                listen: listen.clone(),
                cause,
            };
            let listener = TcpListener::bind(&listen).await.map_err(failed);
            let listener = listener.map_err(ServiceError::new)?;
            let address = listener.local_addr().map_err(failed);
            cx.addresses
                .announce(&cx.name, address.map_err(ServiceError::new)?);
            let cables = Cables::new(&self.dus, &self.options);
            let (silent, _) = watch::channel(false);
            let counter = Counter {
                desk: Arc::new(Mutex::new(Desk::new(cables))),
                silent: Arc::new(silent),
                cx,
            };
            counter.work(listener).await;
            Ok(())
        })
    }
}

/// What the connections share.
#[derive(Clone)]
struct Shared {
    desk: Arc<Mutex<Desk>>,
    silent: watch::Receiver<bool>,
    clock: fathom_kernel::Clock,
}

struct Counter {
    desk: Arc<Mutex<Desk>>,
    silent: Arc<watch::Sender<bool>>,
    cx: ServiceCx,
}

impl Counter {
    async fn work(mut self, listener: TcpListener) {
        self.cx.ready();
        let stop = self.cx.stop.clone();
        let mut shows = interval(OUTPUT_EVERY);
        // Ended with the service.
        let mut connections = JoinSet::new();
        loop {
            let has_room = connections.len() < CONNECTIONS_MAX;
            // All branches are cancel-safe: they only wait.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(request) = self.cx.inbox.recv() => self.answer(request),
                Some(_) = connections.join_next() => {}
                accepted = listener.accept(), if has_room => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(http::serve(stream, self.shared()));
                    }
                    Err(error) => {
                        warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                _ = shows.tick() => self.show(),
            }
        }
        self.cx.addresses.withdraw(&self.cx.name);
    }

    fn shared(&self) -> Shared {
        Shared {
            desk: self.desk.clone(),
            silent: self.silent.subscribe(),
            clock: self.cx.clock.clone(),
        }
    }

    fn answer(&mut self, request: Request) {
        let answer = self.carry_out(&request.verb, &request.args);
        if request.reply.send(answer).is_err() {
            info!(verb = %request.verb, "nobody waits for the answer any more");
        }
    }

    fn carry_out(&mut self, verb: &str, args: &Value) -> Result<Value, String> {
        let mut desk = lock(&self.desk);
        match verb {
            "shift" => {
                let du = args.get("du").and_then(Value::as_u64);
                let ps = args.get("ps").and_then(Value::as_f64);
                let (Some(du), Some(ps)) = (du, ps.filter(|ps| ps.abs() <= 1e12)) else {
                    return Err("shift what? expected {\"du\": 3, \"ps\": 5000}".to_owned());
                };
                desk.cables.shift(du, ps)
            }
            "forget" => Ok(json!({ "forgotten": desk.forget() })),
            "silent" => {
                let silent = args.as_bool().unwrap_or(true);
                self.silent.send_replace(silent);
                Ok(json!({ "silent": silent }))
            }
            "clear" | "reset" => {
                self.silent.send_replace(false);
                Ok(json!({ "cleared": desk.cables.clear() }))
            }
            "subscriptions" => Ok(desk.subscriptions()),
            other => Err(format!(
                "unknown request {other:?}, expected shift, forget, silent, clear, subscriptions or \
                 reset"
            )),
        }
    }

    fn show(&self) {
        let desk = lock(&self.desk);
        let shifts = desk.cables.shifts();
        let shifts: Vec<_> = shifts.map(|(du, ps)| format!("DU {du}: {ps} ps")).collect();
        let rows = [
            ("questions", json!(desk.asked)),
            ("questions refused", json!(desk.refused)),
            ("subscriptions", json!(desk.subscribed())),
            ("shifts", json!(shifts.join(", "))),
            ("silent", json!(*self.silent.borrow())),
        ];
        let table = Table {
            columns: vec!["simulation".to_owned(), "value".to_owned()],
            rows: rows.map(|(name, value)| vec![json!(name), value]).into(),
        };
        let output = Output::new(OUTPUT, "Simulated Detector Manager", table)
            .at(Some(self.cx.clock.now()))
            .every(OUTPUT_EVERY.as_secs_f64());
        drop(desk);
        self.cx.put(output);
    }
}

/// A panic of another holder leaves nothing half done here.
fn lock(desk: &Mutex<Desk>) -> std::sync::MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}
