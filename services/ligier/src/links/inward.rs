//! A link from a broker elsewhere: subscribes, reads, comes back after every end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use fathom_formats::controlhost::{
    Control, FrameError, FrameRange, Subscriptions, encode_frame, tags,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::endpoint::{Endpoint, NoAddress};
use super::loops::target_at;
use super::mirroring::{End, LinkStatus, Shared};
use crate::relay::{Arrival, Inlet, prepare};

/// Body that ends the mirror of the original package.
const STOP_BODY: &[u8] = b"stop";

/// Why a link does not stand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// No address.
    #[error(transparent)]
    NoAddress(#[from] NoAddress),
    /// Nobody answered in time.
    #[error("no answer within {0:?}")]
    NoAnswer(std::time::Duration),
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The stream cannot be read on.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The other side closed.
    #[error("the other side closed the connection")]
    Closed,
}

/// How a connection came to its end.
enum Outcome {
    Failed(LinkError),
    Finished(End),
}

/// Keeps a link to a source until the mirror has to end; the reason is returned.
pub(crate) async fn keep(shared: Arc<Shared>, source: Endpoint, status: Arc<LinkStatus>) -> End {
    let mut backoff = shared.plan.backoff(&source);
    loop {
        let begun = Instant::now();
        let outcome = one_connection(&shared, &source, &status).await;
        status.set_connected(None);
        let error = match outcome {
            Outcome::Finished(end) => return end,
            Outcome::Failed(error) => error,
        };
        if status.take_was_busy() {
            backoff.reset();
        }
        backoff.note_lasted(begun.elapsed());
        let wait = backoff.next();
        status.count_failure(&error);
        warn!(%source, %error, retry_s = wait.as_secs_f64(), "no link to the source");
        sleep(wait).await;
    }
}

async fn one_connection(shared: &Shared, source: &Endpoint, status: &LinkStatus) -> Outcome {
    let mut stream = match connect(shared, source).await {
        Ok(stream) => stream,
        Err(error) => return Outcome::Failed(error),
    };
    let peer = stream.peer_addr().ok();
    if let Some(end) = looped(shared, source, peer).await {
        return Outcome::Finished(end);
    }
    info!(%source, ?peer, "linked to the source");
    status.set_connected(peer);
    match read(shared, &mut stream, status).await {
        Ok(end) => Outcome::Finished(end),
        Err(error) => Outcome::Failed(error),
    }
}

async fn looped(shared: &Shared, source: &Endpoint, peer: Option<SocketAddr>) -> Option<End> {
    let target = target_at(peer?, &shared.plan.targets, &shared.addresses).await?;
    Some(End::Loop {
        source: source.clone(),
        target,
    })
}

/// Connects to the first address that answers.
pub(crate) async fn connect(shared: &Shared, to: &Endpoint) -> Result<TcpStream, LinkError> {
    let addresses = to.resolve(&shared.addresses).await?;
    let patience = shared.plan.connect_timeout;
    let stream = timeout(patience, TcpStream::connect(addresses.as_slice())).await;
    let stream = stream.map_err(|_| LinkError::NoAnswer(patience))??;
    prepare(&stream)?;
    Ok(stream)
}

async fn read(
    shared: &Shared,
    stream: &mut TcpStream,
    status: &LinkStatus,
) -> Result<End, LinkError> {
    stream.write_all(&greeting(&shared.plan.tags)?).await?;
    let mut inlet = Inlet::new(shared.plan.body_bytes_max, shared.hub.pool.clone());
    loop {
        if inlet.read(stream).await? == 0 {
            return Err(LinkError::Closed);
        }
        let arrival = inlet.split();
        let stop = shared.find_stop(&arrival);
        let frames = arrival.frames.get(..stop.unwrap_or(arrival.frames.len()));
        deliver(shared, &arrival, frames.unwrap_or_default(), status).await;
        if stop.is_some() {
            return Ok(End::Stop);
        }
        if let Some(error) = arrival.error {
            shared.hub.counters.bad(error.reason());
            return Err(error.into());
        }
        tokio::task::yield_now().await;
    }
}

/// Takes the data frames on; what the broker says about itself stays here.
async fn deliver(shared: &Shared, arrival: &Arrival, frames: &[FrameRange], status: &LinkStatus) {
    let is_data = |frame: &FrameRange| Control::of(frame.tag).is_none();
    for run in frames.chunk_by(|a, b| is_data(a) == is_data(b)) {
        if !run.first().is_some_and(is_data) {
            continue;
        }
        shared.hub.budget.gate.pass().await;
        shared.hub.deliver(arrival, run);
        let bytes: usize = run.iter().map(|frame| frame.whole().len()).sum();
        status.flow.add(run.len() as u64, bytes as u64);
    }
}

/// Makes the subscription, in one piece.
fn greeting(tags: &Subscriptions) -> Result<BytesMut, FrameError> {
    let (mut list, mut greeting) = (BytesMut::new(), BytesMut::new());
    tags.encode(&mut list);
    encode_frame(tags::SUBSCRIBE, &list, &mut greeting)?;
    encode_frame(tags::ALWAYS, &[], &mut greeting)?;
    Ok(greeting)
}

impl Shared {
    /// Returns where a message with the body `stop` is, if that shall end the mirror.
    fn find_stop(&self, arrival: &Arrival) -> Option<usize> {
        let is_stop = |frame: &FrameRange| {
            frame.body_len() == STOP_BODY.len()
                && arrival.chunk.get(frame.body()) == Some(STOP_BODY)
                && self.plan.tags.mode(frame.tag).is_some()
        };
        let at = arrival.frames.iter().position(is_stop)?;
        if self.plan.stop_on_stop {
            return Some(at);
        }
        info!("message with the body stop forwarded like any other");
        None
    }
}
