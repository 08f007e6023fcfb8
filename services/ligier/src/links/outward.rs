//! A link to a broker elsewhere: sends what its queue gets, comes back after every end.

use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::endpoint::Endpoint;
use super::inward::{LinkError, connect};
use super::mirroring::{LinkStatus, Shared};
use crate::relay::{Client, Flight, write_frames};

/// Keeps a link to a target until its queue is closed and empty. Messages wait in the queue, within
/// its limits, while there is no connection.
pub(crate) async fn keep(
    shared: Arc<Shared>,
    target: Endpoint,
    client: Arc<Client>,
    status: Arc<LinkStatus>,
) {
    let mut backoff = shared.plan.backoff(&target);
    let mut flight = Flight::default();
    loop {
        let begun = Instant::now();
        let sent_before = client.sent.messages();
        let outcome = one_connection(&shared, &target, &client, &status, &mut flight).await;
        status.set_connected(None);
        let Err(error) = outcome else {
            return;
        };
        // The frame that was being sent did not arrive whole; those before it did, as far as the
        // protocol can tell.
        flight.rewind();
        if client.sent.messages() > sent_before {
            backoff.reset();
        }
        backoff.note_lasted(begun.elapsed());
        let wait = backoff.next();
        status.count_failure(&error);
        warn!(%target, %error, retry_s = wait.as_secs_f64(), "no link to the target");
        sleep(wait).await;
    }
}

async fn one_connection(
    shared: &Shared,
    target: &Endpoint,
    client: &Client,
    status: &LinkStatus,
    flight: &mut Flight,
) -> Result<(), LinkError> {
    let stream = connect(shared, target).await?;
    let peer = stream.peer_addr().ok();
    info!(%target, ?peer, "linked to the target");
    status.set_connected(peer);
    let (from, to) = stream.into_split();
    tokio::select! {
        written = write_frames(&shared.hub, client, &to, flight) => Ok(written?),
        error = until_closed(from) => Err(error),
    }
}

/// Reads and forgets what the target says; a producer is told nothing that matters.
async fn until_closed(mut stream: OwnedReadHalf) -> LinkError {
    let mut ignored = [0; 4096];
    loop {
        match stream.read(&mut ignored).await {
            Ok(0) => return LinkError::Closed,
            Ok(_) => {}
            Err(error) => return error.into(),
        }
    }
}
