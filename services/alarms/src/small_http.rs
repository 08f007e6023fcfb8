//! A small HTTP/1 server: whole calls in, a status and JSON out.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
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

/// Serves until it is dropped; connections end with it.
pub(crate) async fn serve<F>(listener: TcpListener, answer: F)
where
    F: Fn(&Parts, &[u8]) -> Answer + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, answer.clone()));
                }
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn connection<F>(stream: TcpStream, answer: Arc<F>)
where
    F: Fn(&Parts, &[u8]) -> Answer + Send + Sync + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer.clone();
        async move {
            let (head, body) = request.into_parts();
            let (status, value) = match whole(body).await {
                Ok(body) => answer(&head, &body),
                Err(status) => (
                    status,
                    json!({ "success": false, "error": "body too long or late" }),
                ),
            };
            Ok::<_, Infallible>(response(status, &value))
        }
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
