//! The HTTP of the fake server.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fathom_kernel::Clock;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::state::{Call, State};

/// Most connections at a time; further ones wait.
const CONNECTIONS_MAX: usize = 64;
/// Longest call.
const BODY_BYTES_MAX: usize = 1 << 20;
/// A client must send its request head within this time.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Pause after a failed accept, such as when no file handles are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is dropped; connections end with it.
pub(super) async fn serve(listener: TcpListener, state: Arc<Mutex<State>>, clock: Clock) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, state.clone(), clock.clone()));
                }
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn connection(stream: TcpStream, state: Arc<Mutex<State>>, clock: Clock) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (state, clock) = (state.clone(), clock.clone());
        async move { Ok::<_, Infallible>(answer(request, &state, &clock).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        debug!(%error, "connection broke");
    }
}

async fn answer(
    request: Request<Incoming>,
    state: &Mutex<State>,
    clock: &Clock,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let call = Call {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: query(head.uri.query().unwrap_or_default()),
        log_in: log_in(&head.headers),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let (status, answer) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.answer(&call, clock.now())
    };
    let mut response = Response::new(Full::new(Bytes::from(answer.to_string())));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn log_in(headers: &HeaderMap) -> Option<(String, String)> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    Some((text("x-user-id")?, text("x-auth-token")?))
}

fn query(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let decoded = |text: &str| {
        let bytes = percent_encoding::percent_decode_str(text);
        bytes.decode_utf8_lossy().into_owned()
    };
    pairs
        .map(|(key, value)| (decoded(key), decoded(value)))
        .collect()
}
