//! Writes to a ligier over TCP; connects again, with growing pauses, for as long as it takes.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use fathom_formats::controlhost::{PREFIX_BYTES, Prefix, tags};
use fathom_kernel::{Addresses, Counters, Size};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::generator::Disturbance;

use super::queue::{Parcel, Queue};
use super::target::Target;

/// First pause between two attempts to connect.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// How much of an oversized frame is written, behind the prefix that announces all of it.
const OVERSIZED_WRITTEN_BYTES: usize = 1 << 16;

/// A connection to a ligier.
pub(super) struct Link {
    pub(super) target: Target,
    pub(super) addresses: Addresses,
    pub(super) queue: Arc<Queue>,
    pub(super) counters: Arc<Counters>,
    pub(super) pause_max: Duration,
}

/// Why a connection is over.
enum End {
    /// The queue was closed and is empty.
    Done,
    /// It broke, or was broken on purpose.
    Broken,
}

impl Link {
    /// Writes what is in the queue until it is closed and empty.
    pub(super) async fn run(self) {
        loop {
            let stream = self.connect().await;
            if let End::Done = self.serve(stream).await {
                return;
            }
            self.counters.bad("connection lost");
        }
    }

    async fn connect(&self) -> TcpStream {
        let mut pause = PAUSE_MIN;
        loop {
            let address = self.address().await;
            match TcpStream::connect(&address).await {
                Ok(stream) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        warn!(%error, "cannot switch off the delay of small packets");
                    }
                    info!(%address, "connected to ligier");
                    return stream;
                }
                Err(error) if pause == PAUSE_MIN => {
                    warn!(%address, %error, "cannot connect to ligier, trying again");
                }
                Err(_) => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(self.pause_max.max(PAUSE_MIN));
        }
    }

    /// Returns where the ligier listens now; waits for one of this stack to announce it.
    async fn address(&self) -> String {
        let name = match &self.target {
            Target::Address(address) => return address.clone(),
            Target::Service(name) => name.as_str(),
            Target::Bus => "bus",
        };
        let mut list = self.addresses.watch();
        loop {
            if let Some(address) = list.borrow_and_update().get(name) {
                return address.to_string();
            }
            if list.changed().await.is_err() {
                // Nobody announces anything any more: the stack is ending.
                std::future::pending::<()>().await;
            }
        }
    }

    async fn serve(&self, stream: TcpStream) -> End {
        let (mut reader, mut writer) = stream.into_split();
        let closed = until_closed(&mut reader);
        tokio::pin!(closed);
        loop {
            let parcel = tokio::select! {
                parcel = self.queue.take() => parcel,
                () = &mut closed => {
                    warn!("ligier closed the connection");
                    return End::Broken;
                }
            };
            let Some(parcel) = parcel else {
                // The ligier has everything; telling it so can only fail when it is gone.
                return match writer.shutdown().await {
                    Ok(()) | Err(_) => End::Done,
                };
            };
            if let Err(error) = write(&mut writer, &parcel).await {
                let lost = parcel.lost();
                self.counters.dropped(lost.messages, lost.bytes);
                warn!(%error, dropped = lost.messages, "connection to ligier broke");
                return End::Broken;
            }
            let sent = parcel.lost();
            self.counters.sent(sent.messages, sent.bytes);
        }
    }
}

/// Reads and forgets whatever the ligier says, until it closes the connection.
async fn until_closed(reader: &mut OwnedReadHalf) {
    let mut said = [0; 1024];
    while let Ok(1..) = reader.read(&mut said).await {}
}

async fn write(writer: &mut OwnedWriteHalf, parcel: &Parcel) -> std::io::Result<()> {
    match parcel {
        Parcel::Messages(sealed) => writer.write_all(&sealed.wire).await,
        Parcel::Disturb(Disturbance::Oversized(size)) => {
            writer.write_all(&announcement(*size)).await
        }
        Parcel::Disturb(Disturbance::Reconnect) => {
            // Half a message, and then nothing: the ligier has to notice by itself.
            writer
                .write_all(&announcement(Size::from_bytes(1 << 20)))
                .await?;
            writer.shutdown().await?;
            Err(std::io::Error::other("closed in mid-frame on purpose"))
        }
    }
}

/// The prefix of a long message with the first bytes of its body.
fn announcement(size: Size) -> BytesMut {
    let length = size.len().min(i32::MAX as usize);
    let written = length.min(OVERSIZED_WRITTEN_BYTES);
    let mut wire = BytesMut::with_capacity(PREFIX_BYTES + written);
    if let Ok(prefix) = Prefix::new(tags::IO_EVT, length) {
        wire.put_slice(&prefix.wire());
        wire.put_bytes(0x5a, written);
    }
    wire
}
