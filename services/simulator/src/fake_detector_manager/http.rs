//! One connection of the manager.

use std::convert::Infallible;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tracing::debug;

use super::{Shared, lock};

/// A client must send its request head within this time; also how long an idle connection is kept.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Most bytes of a request head: the paths of many DUs stand in it.
const HEAD_BYTES_MAX: usize = 512 << 10;

/// Serves a connection until its client goes.
pub(super) async fn serve(stream: TcpStream, shared: Shared) {
    let service = service_fn(move |request| answer(request, shared.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!(%error, "connection broke");
    }
}

async fn answer(
    request: Request<Incoming>,
    mut shared: Shared,
) -> Result<Response<String>, Infallible> {
    // A silent manager takes questions and answers when it is silent no more; an end of the service
    // ends the wait as well.
    shared.silent.wait_for(|silent| !silent).await.ok();
    let now = shared.clock.now();
    let uri = request.uri();
    let (status, body) = match *request.method() {
        Method::GET => {
            let at_s = now.as_duration().as_secs_f64();
            lock(&shared.desk).answer(uri.path(), uri.query().unwrap_or(""), at_s)
        }
        _ => (405, "expected GET".to_owned()),
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Ok(response)
}
