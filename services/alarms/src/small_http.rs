//! A small HTTP/1 server: whole calls in, a status and JSON out, and websockets where the host has them.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fathom_kernel::BoxFuture;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tracing::{debug, warn};

/// Most connections at a time; further ones wait.
const CONNECTIONS_MAX: usize = 64;
/// Longest body of a call.
const BODY_BYTES_MAX: usize = 1 << 20;
/// A client must send its request head within this time.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// A client must send the whole body within this time.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// Pause after a failed accept, such as when no file handles are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Status and JSON of an answer.
pub(crate) type Answer = (u16, Value);

/// A websocket on the side of the server.
pub(crate) type Websocket = WebSocketStream<TokioIo<Upgraded>>;

/// Who speaks on a websocket, until it returns.
pub(crate) type Speaker = Box<dyn FnOnce(Websocket) -> BoxFuture<'static, ()> + Send>;

/// Who answers.
pub(crate) trait Host: Send + Sync + 'static {
    /// Answers a call.
    fn answer(&self, head: &Parts, body: &[u8]) -> Answer;

    /// Returns who speaks on a websocket at a path; without one the call is answered as any other.
    fn speaker(&self, _path: &str) -> Option<Speaker> {
        None
    }
}

/// Serves until it is dropped; connections end with it.
pub(crate) async fn serve<H: Host>(listener: TcpListener, host: H) {
    let host = Arc::new(host);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, host.clone()));
                }
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn connection<H: Host>(stream: TcpStream, host: Arc<H>) {
    let upgrading: Arc<Mutex<Option<(OnUpgrade, Speaker)>>> = Arc::default();
    let upgrade = upgrading.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (host, upgrade) = (host.clone(), upgrade.clone());
        async move {
            if let Some((response, speaker)) = shake_hands(&*host, &request) {
                let on = hyper::upgrade::on(&mut request);
                *upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some((on, speaker));
                return Ok::<_, Infallible>(response);
            }
            let (head, body) = request.into_parts();
            let (status, value) = match whole(body).await {
                Ok(body) => host.answer(&head, &body),
                Err(status) => (
                    status,
                    json!({ "success": false, "error": "body too long or late" }),
                ),
            };
            Ok(response(status, &value))
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        debug!(%error, "connection broke");
    }
    let upgraded = upgrading
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some((on, speaker)) = upgraded
        && let Ok(raw) = on.await
    {
        let limits = WebSocketConfig::default()
            .max_message_size(Some(BODY_BYTES_MAX))
            .max_frame_size(Some(BODY_BYTES_MAX));
        let raw = TokioIo::new(raw);
        speaker(WebSocketStream::from_raw_socket(raw, Role::Server, Some(limits)).await).await;
    }
}

/// Agrees to a websocket, where a call asks for one and somebody speaks on it.
fn shake_hands<H: Host>(
    host: &H,
    request: &Request<Incoming>,
) -> Option<(Response<Full<Bytes>>, Speaker)> {
    let agreed = create_response_with_body(request, Full::default).ok()?;
    Some((agreed, host.speaker(request.uri().path())?))
}

/// Reads a body, or returns the status that says why not.
async fn whole(body: Incoming) -> Result<Bytes, u16> {
    let body = Limited::new(body, BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_WITHIN, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => Err(413),
        Err(_) => Err(408),
    }
}

fn response(status: u16, value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
