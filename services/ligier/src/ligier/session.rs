//! One connection of the broker: reads what the client sends, writes what it wants.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fathom_formats::controlhost::{Control, FrameError, FrameRange, tags};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument as _, debug, warn};

use super::control::ControlError;
use crate::relay::{Arrival, Client, Closing, Credit, Flight, Hub, Inlet, prepare, write_frames};

/// How long a client that has closed its side is still sent what waits for it.
const PARTING: Duration = Duration::from_secs(2);
/// How long the frame in progress may take when a connection is closed by us.
const LAST_FRAME: Duration = Duration::from_secs(1);

/// What all sessions share.
pub(crate) struct Broker {
    pub(crate) hub: Hub,
    pub(crate) rules: Rules,
    /// Cancelled when sessions shall end.
    pub(crate) stop: CancellationToken,
    /// Cancelled by a client that may stop the broker.
    pub(crate) quit: CancellationToken,
}

/// Options that hold for every session.
pub(crate) struct Rules {
    pub(crate) body_bytes_max: usize,
    pub(crate) replace: bool,
    pub(crate) remote_control: bool,
    pub(crate) drain: Duration,
}

/// Why the broker ends a session.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("connection failed")]
    Io(#[from] io::Error),
    #[error("stream cannot be read on")]
    Frame(#[from] FrameError),
    #[error("request refused")]
    Control(#[from] ControlError),
}

/// Why reading ended.
enum End {
    /// The client closed its side, or failed.
    Gone,
    /// The broker stops.
    Stopping,
    /// The client was told to leave.
    Leaving,
}

/// Serves a client until it leaves, or the broker stops.
pub(crate) async fn serve(broker: Arc<Broker>, stream: TcpStream, peer: SocketAddr) {
    if let Err(error) = prepare(&stream) {
        debug!(%peer, %error, "socket options not set");
    }
    let client = broker.hub.join(peer.to_string(), Credit::Messages(0));
    debug!(client = client.id, %peer, "client connected");
    let (mut from, to) = stream.into_split();
    let writer = write(broker.clone(), client.clone(), to);
    let writer = tokio::spawn(broker.hub.counters.timed(writer).in_current_span());
    let writer = AbortOnDropHandle::new(writer);
    let end = tokio::select! {
        biased;
        () = client.cut.cancelled() => End::Gone,
        () = client.leave.cancelled() => End::Leaving,
        () = broker.stop.cancelled() => End::Stopping,
        end = read(&broker, &client, &mut from) => {
            broker.note_end(&client, end);
            End::Gone
        }
    };
    broker.part(&client, end, writer).await;
    broker.hub.leave(&client);
    if let Some(name) = client.nickname() {
        broker.publish(tags::DIED, name.as_bytes());
    }
    debug!(client = client.id, %peer, "client gone");
}

/// Reads until the client closes its side; everything it sent before is delivered.
async fn read(
    broker: &Broker,
    client: &Arc<Client>,
    stream: &mut OwnedReadHalf,
) -> Result<(), SessionError> {
    let mut inlet = Inlet::new(broker.rules.body_bytes_max, broker.hub.pool.clone());
    loop {
        if inlet.read(stream).await? == 0 {
            if inlet.rest() > 0 {
                broker.hub.counters.bad("truncated");
            }
            return Ok(());
        }
        let arrival = inlet.split();
        broker.take_in(client, &arrival).await?;
        if let Some(error) = arrival.error {
            return Err(error.into());
        }
        // Lets the writers work before the next read, so that a fast producer fills no queues.
        tokio::task::yield_now().await;
    }
}

async fn write(broker: Arc<Broker>, client: Arc<Client>, stream: OwnedWriteHalf) {
    let mut flight = Flight::default();
    let written = tokio::select! {
        biased;
        () = client.cut.cancelled() => Ok(()),
        written = write_frames(&broker.hub, &client, &stream, &mut flight) => written,
    };
    let mut lost = client.abandon();
    flight.abandon(&mut lost);
    broker.hub.discarded(&lost);
    if let Err(error) = written {
        // The reader goes on: what the client sent before it failed is still to be delivered.
        debug!(client = client.id, peer = %client.peer, %error, "client takes no more");
    }
}

impl Broker {
    /// Delivers the data and obeys the requests of one read, in order.
    async fn take_in(&self, client: &Arc<Client>, arrival: &Arrival) -> Result<(), SessionError> {
        let mut frames = &arrival.frames[..];
        while let Some(first) = frames.first() {
            if let Some(control) = Control::of(first.tag) {
                let body = arrival.chunk.get(first.body()).unwrap_or_default();
                if matches!(control, Control::MyId | Control::UniqueId) {
                    // A name is announced to all clients.
                    client.pass_gate().await;
                }
                self.obey(client, control, body)?;
                frames = frames.get(1..).unwrap_or_default();
                continue;
            }
            let is_data = |frame: &FrameRange| Control::of(frame.tag).is_none();
            let data = frames.iter().take_while(|frame| is_data(frame)).count();
            let (data, rest) = frames.split_at(data);
            let bytes: usize = data.iter().map(|frame| frame.whole().len()).sum();
            client.received.add(data.len() as u64, bytes as u64);
            client.pass_gate().await;
            self.hub.deliver(arrival, data);
            frames = rest;
        }
        Ok(())
    }

    /// Says why reading ended, when it was not simply the end.
    fn note_end(&self, client: &Client, end: Result<(), SessionError>) {
        let (client_id, peer) = (client.id, &client.peer);
        match end {
            Ok(()) => {}
            Err(SessionError::Io(error)) => {
                debug!(client = client_id, %peer, %error, "connection failed");
            }
            Err(SessionError::Frame(error)) => {
                self.hub.counters.bad(error.reason());
                warn!(client = client_id, %peer, %error, "client dropped");
                if let FrameError::WrongHdr { .. } = &error {
                    self.publish(tags::WRONG_HDR, format!("{peer}: {error}").as_bytes());
                }
            }
            Err(SessionError::Control(error)) => {
                self.hub.counters.bad("request");
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                warn!(client = client_id, %peer, %error, cause, "client dropped");
            }
        }
    }

    /// Lets the writer finish as far as the kind of end allows.
    async fn part(&self, client: &Client, end: End, mut writer: AbortOnDropHandle<()>) {
        let patience = match end {
            End::Gone => PARTING,
            End::Stopping => self.rules.drain,
            End::Leaving => Duration::ZERO,
        };
        client.close(Closing::Drained);
        if timeout(patience, &mut writer).await.is_ok() {
            return;
        }
        self.hub.discarded(&client.close(Closing::AtFrame));
        if timeout(LAST_FRAME, &mut writer).await.is_err() {
            debug!(client = client.id, peer = %client.peer, "connection cut inside a frame");
        }
    }
}
