//! The client of the control API: what `ctl`, the health check and the tests use.

mod logs;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use eventsource_stream::Eventsource as _;
use fathom_kernel::{Available, Changes, Outcome, Span, StackStatus};
use futures_util::{Stream, StreamExt as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::wire::{
    AddressBook, HoldBody, LogPart, Problem, Readiness, ReloadBody, RequestBody, ShutdownBody,
    SignalBody, UpdateBody, UsageReport,
};
use crate::incidents::{Incident, Summary};
use crate::reach;

/// Where a supervisor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Its Unix socket.
    Socket(PathBuf),
    /// Its address on TCP: `http://127.0.0.1:9001`.
    Url(String),
}

impl Place {
    /// Reads a place as given on a command line.
    pub fn of(text: &str) -> Self {
        match text.strip_prefix("unix://") {
            Some(path) => Self::Socket(path.into()),
            None if text.contains("://") => Self::Url(text.trim_end_matches('/').to_owned()),
            None => Self::Socket(text.into()),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Url(url) => f.write_str(url),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The socket does not exist.
    #[error("no socket {0}: is fathom running?")]
    NoSocket(Place),
    /// Nobody listens.
    #[error("{0} refused the connection: is fathom running?")]
    Refused(Place),
    /// The socket may not be used, or a token is missing or wrong.
    #[error("no permission for {place}: {why}")]
    Permission {
        /// Where.
        place: Place,
        /// What is missing.
        why: String,
    },
    /// The supervisor says why it did not do it.
    #[error("{}", .0.message)]
    Problem(Problem),
    /// It took too long.
    #[error("no answer from {0} in time")]
    Late(Place),
    /// The connection broke.
    #[error("lost the connection to {place}")]
    Lost {
        /// Where.
        place: Place,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The answer is not one of this API.
    #[error("cannot read the answer of {0}: is it fathom?")]
    Garbled(Place),
}

/// Talks to one supervisor.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    place: Place,
    token: Option<String>,
}

/// A server-sent event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// `life`, `alarm`, `output`, `log`, `lagged`, …
    pub name: String,
    /// Its number, for events of the event log; empty for others.
    pub id: String,
    /// Its JSON.
    pub data: String,
}

/// Which events of the past are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventRange {
    /// So many of the last ones in memory.
    Last(usize),
    /// Those behind a number, or from a time on.
    Since(String),
}

/// Server-sent events as they come; ends with the supervisor.
pub struct Signals {
    stream: std::pin::Pin<Box<dyn Stream<Item = Option<Signal>> + Send>>,
}

/// Characters of a target that stay as they are in a path; the rest is percent-encoded.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b',');

/// Time to connect.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Time for an answer that needs no waiting; longer than the server allows the supervisor.
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// Time to read a configuration; longer than the server allows itself.
const READ_MAX: Duration = Duration::from_secs(70);

impl Client {
    /// Makes a client; connects with the first request.
    pub fn new(place: Place, token: Option<String>) -> Result<Self, ClientError> {
        // Reading whom to trust takes longer than most commands.
        let tls = match &place {
            Place::Url(url) if url.starts_with("https:") => reach::tls_config(),
            Place::Url(_) | Place::Socket(_) => reach::no_tls_config(),
        };
        let builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_MAX)
            .tls_backend_preconfigured(tls)
            .no_proxy();
        let (builder, base) = match &place {
            Place::Socket(path) => (builder.unix_socket(path.clone()), "http://fathom".into()),
            Place::Url(url) => (builder, url.clone()),
        };
        let http = builder.build().map_err(|source| ClientError::Lost {
            place: place.clone(),
            source,
        })?;
        Ok(Self {
            http,
            base,
            place,
            token,
        })
    }

    /// Returns the state of services; of all without targets.
    pub async fn status(&self, targets: &[String]) -> Result<StackStatus, ClientError> {
        let path = if targets.is_empty() {
            "/api/status".to_owned()
        } else {
            format!("/api/status?target={}", encoded(targets))
        };
        self.get(&path).await
    }

    /// Starts services.
    pub async fn start(
        &self,
        targets: &[String],
        wait: bool,
        dependencies: bool,
    ) -> Result<Vec<Outcome>, ClientError> {
        let path = format!(
            "/api/services/{}/start?wait={wait}&dependencies={dependencies}",
            encoded(targets)
        );
        self.post(&path, &serde_json::json!({}), None).await
    }

    /// Stops services, and what depends on them when `dependents` is set.
    pub async fn stop(
        &self,
        targets: &[String],
        wait: bool,
        dependents: bool,
    ) -> Result<Vec<Outcome>, ClientError> {
        let path = format!(
            "/api/services/{}/stop?wait={wait}&dependents={dependents}",
            encoded(targets)
        );
        self.post(&path, &serde_json::json!({}), None).await
    }

    /// Kills services at once.
    pub async fn kill(&self, targets: &[String], wait: bool) -> Result<Vec<Outcome>, ClientError> {
        let path = format!("/api/services/{}/kill?wait={wait}", encoded(targets));
        self.post(&path, &serde_json::json!({}), None).await
    }

    /// Restarts services one after the other, or one level after the other.
    pub async fn roll(
        &self,
        targets: &[String],
        by_level: bool,
    ) -> Result<Vec<Outcome>, ClientError> {
        let path = format!(
            "/api/services/{}/roll?by_level={by_level}",
            encoded(targets)
        );
        self.post(&path, &serde_json::json!({}), None).await
    }

    /// Stops services, then starts them.
    pub async fn restart(
        &self,
        targets: &[String],
        wait: bool,
    ) -> Result<Vec<Outcome>, ClientError> {
        let path = format!("/api/services/{}/restart?wait={wait}", encoded(targets));
        self.post(&path, &serde_json::json!({}), None).await
    }

    /// Sends a signal to child processes.
    pub async fn signal(
        &self,
        targets: &[String],
        signal: &str,
    ) -> Result<Vec<Outcome>, ClientError> {
        let path = format!("/api/services/{}/signal", encoded(targets));
        let signal = signal.to_owned();
        self.post(&path, &SignalBody { signal }, Some(ANSWER_MAX))
            .await
    }

    /// Does nothing about the health of services for some time, or until they are released.
    pub async fn hold(
        &self,
        targets: &[String],
        time: Option<Span>,
    ) -> Result<Vec<Outcome>, ClientError> {
        let path = format!("/api/services/{}/hold", encoded(targets));
        self.post(&path, &HoldBody { time }, Some(ANSWER_MAX)).await
    }

    /// Lets the health of services count again.
    pub async fn unhold(&self, targets: &[String]) -> Result<Vec<Outcome>, ClientError> {
        let path = format!("/api/services/{}/unhold", encoded(targets));
        self.post(&path, &serde_json::json!({}), Some(ANSWER_MAX))
            .await
    }

    /// Asks a running service.
    pub async fn request(&self, name: &str, verb: &str, args: Value) -> Result<Value, ClientError> {
        let path = format!("/api/services/{}/request", encoded(&[name.to_owned()]));
        let verb = verb.to_owned();
        self.post(&path, &RequestBody { verb, args }, None).await
    }

    /// Reads the configuration anew and returns what it would change.
    pub async fn diff(&self) -> Result<Changes, ClientError> {
        let request = self.build(Method::GET, "/api/diff").timeout(READ_MAX);
        let response = self.send(request).await?;
        self.read(response).await
    }

    /// Puts the configuration in force.
    pub async fn update(&self, body: &UpdateBody) -> Result<Vec<Outcome>, ClientError> {
        self.post("/api/update", body, None).await
    }

    /// Stops everything, and starts with the configuration as it is now.
    pub async fn reload(&self, wait: bool) -> Result<Vec<Outcome>, ClientError> {
        self.post("/api/reload", &ReloadBody { wait }, None).await
    }

    /// Returns all services of the configuration that was read last.
    pub async fn available(&self) -> Result<Vec<Available>, ClientError> {
        self.get("/api/available").await
    }

    /// Adds a group of the configuration that was read last.
    pub async fn add_group(&self, group: &str) -> Result<Vec<Outcome>, ClientError> {
        let path = format!("/api/groups/{}/add", encoded(&[group.to_owned()]));
        self.post(&path, &serde_json::json!({}), None).await
    }

    /// Drops a group of which nothing runs.
    pub async fn remove_group(&self, group: &str) -> Result<Vec<Outcome>, ClientError> {
        let path = format!("/api/groups/{}/remove", encoded(&[group.to_owned()]));
        self.post(&path, &serde_json::json!({}), None).await
    }

    /// Ends the stack.
    pub async fn shutdown(&self, now: bool) -> Result<Vec<Outcome>, ClientError> {
        self.post("/api/shutdown", &ShutdownBody { now }, None)
            .await
    }

    /// Follows events; `topics` as in the API, the usual ones when it is empty.
    pub async fn events(&self, topics: &str) -> Result<Signals, ClientError> {
        self.events_of(topics, &EventRange::Last(0), true).await
    }

    /// Returns events of the past, and further ones when `follow` is set.
    pub async fn events_of(
        &self,
        topics: &str,
        range: &EventRange,
        follow: bool,
    ) -> Result<Signals, ClientError> {
        let topics = utf8_percent_encode(topics, KEPT);
        let range = match range {
            EventRange::Last(last) => format!("last={last}"),
            EventRange::Since(since) => {
                format!("since={}", utf8_percent_encode(since, NON_ALPHANUMERIC))
            }
        };
        self.signals(&format!(
            "/api/events?topics={topics}&{range}&follow={follow}"
        ))
        .await
    }

    /// Returns the heads of the last reports on failures, newest first; of all services for the empty
    /// name.
    pub async fn incidents(&self, name: &str, count: usize) -> Result<Vec<Summary>, ClientError> {
        let name = utf8_percent_encode(name, KEPT);
        self.get(&format!("/api/incidents?service={name}&count={count}"))
            .await
    }

    /// Returns a report on a failure.
    pub async fn incident(&self, id: u64) -> Result<Incident, ClientError> {
        self.get(&format!("/api/incidents/{id}")).await
    }

    /// Returns where services listen.
    pub async fn addresses(&self) -> Result<AddressBook, ClientError> {
        self.get("/api/addresses").await
    }

    /// Returns what the processes use.
    pub async fn usage(&self) -> Result<UsageReport, ClientError> {
        self.get("/api/usage").await
    }

    /// Returns whether the stack is ready.
    pub async fn readiness(&self) -> Result<Readiness, ClientError> {
        let request = self.build(Method::GET, "/readyz").timeout(ANSWER_MAX);
        let response = request.send().await.map_err(|e| self.failed(e))?;
        // Not being ready is an answer, with its own code.
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            return self.read(response).await;
        }
        self.read(self.checked(response).await?).await
    }

    /// Returns a text, such as the metrics.
    pub async fn text(&self, path: &str) -> Result<String, ClientError> {
        let request = self.build(Method::GET, path).timeout(ANSWER_MAX);
        let response = self.send(request).await?;
        response.text().await.map_err(|error| self.failed(error))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let request = self.build(Method::GET, path).timeout(ANSWER_MAX);
        let response = self.send(request).await?;
        self.read(response).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        limit: Option<Duration>,
    ) -> Result<T, ClientError> {
        let mut request = self.build(Method::POST, path).json(body);
        if let Some(limit) = limit {
            request = request.timeout(limit);
        }
        let response = self.send(request).await?;
        self.read(response).await
    }

    async fn signals(&self, path: &str) -> Result<Signals, ClientError> {
        let response = self.send(self.build(Method::GET, path)).await?;
        let stream = response.bytes_stream().eventsource().map(|event| {
            // A broken connection ends the stream like an orderly end: both mean the supervisor is
            // gone, or going.
            let event = event.ok()?;
            Some(Signal {
                name: event.event,
                id: event.id,
                data: event.data,
            })
        });
        Ok(Signals {
            stream: Box::pin(stream),
        })
    }

    fn build(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.failed(error))?;
        self.checked(response).await
    }

    async fn checked(&self, response: Response) -> Result<Response, ClientError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let problem: Problem = self.read(response).await?;
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(ClientError::Permission {
                place: self.place.clone(),
                why: problem.message,
            });
        }
        Err(ClientError::Problem(problem))
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, ClientError> {
        let bytes = response.bytes().await.map_err(|error| self.failed(error))?;
        serde_json::from_slice(&bytes).map_err(|_| ClientError::Garbled(self.place.clone()))
    }

    fn failed(&self, error: reqwest::Error) -> ClientError {
        let place = self.place.clone();
        match io_kind(&error) {
            Some(io::ErrorKind::NotFound) => ClientError::NoSocket(place),
            Some(io::ErrorKind::ConnectionRefused) => ClientError::Refused(place),
            Some(io::ErrorKind::PermissionDenied) => ClientError::Permission {
                place,
                why: "the socket's owner and group may use it".to_owned(),
            },
            _ if error.is_timeout() => ClientError::Late(place),
            _ => ClientError::Lost {
                place,
                source: error,
            },
        }
    }
}

impl Signals {
    /// Waits for the next event; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Signal> {
        self.stream.next().await.flatten()
    }
}

fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}

fn encoded(targets: &[String]) -> String {
    utf8_percent_encode(&targets.join(","), KEPT).to_string()
}

#[cfg(test)]
mod tests;
