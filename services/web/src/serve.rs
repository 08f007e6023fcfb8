//! Accepts connections and serves each, within limits, until told to stop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use fathom_kernel::Counters;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::Instrument as _;

use crate::access::Peer;
use crate::stall::Stall;

/// A client must send its request head within this time; also how long an idle connection is kept.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// A client that reads nothing for so long is cut off.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// Request heads: most fields and most bytes.
const HEADERS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 32 << 10;
/// Open answers get so long to finish when the server stops.
const FINISH_WITHIN: Duration = Duration::from_secs(1);
/// Pause after a failed accept, such as when no file handles are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves a listener until `stop`, then lets open answers finish for a moment.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    connections_max: usize,
    counters: Arc<Counters>,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(connections_max));
    let mut connections = JoinSet::new();
    while let Some((stream, peer, place)) =
        accept(&listener, &places, &stop, &mut connections).await
    {
        let served = connection(stream, peer, routes.clone(), place, stop.clone());
        connections.spawn(counters.timed(served).in_current_span());
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(FINISH_WITHIN, all).await.is_err() {
        tracing::debug!(open = connections.len(), "connections cut off");
        connections.shutdown().await;
    }
}

/// Waits for a free place, then for a client; `None` when told to stop.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    stop: &CancellationToken,
    connections: &mut JoinSet<()>,
) -> Option<(TcpStream, Peer, OwnedSemaphorePermit)> {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            Some(_) = connections.join_next() => {}
            accepted = with_place(listener, places) => match accepted {
                Ok((stream, peer, place)) => return Some((stream, peer, place)),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn with_place(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await;
    let place = place.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, Peer(address), place))
}

async fn connection(
    stream: TcpStream,
    peer: Peer,
    routes: Router,
    place: OwnedSemaphorePermit,
    stop: CancellationToken,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        routes.clone().oneshot(request)
    });
    let io = TokioIo::new(Stall::new(stream, WRITE_WITHIN));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(io, service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %peer.0, %error, "connection broke");
    }
    drop(place);
}
