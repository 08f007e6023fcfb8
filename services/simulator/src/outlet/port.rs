//! One way to send, whatever the target is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fathom_formats::controlhost::tags;
use fathom_kernel::{Addresses, Bus, Clock, Counters, Event, Frame, ServiceCx, Size, Span};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{Instrument as _, warn};

use crate::batch::Sealed;
use crate::generator::Disturbance;

use super::queue::{Parcel, Queue};
use super::target::Target;
use super::tcp::Link;

/// Time that a closing outlet has to write what still waits.
const FLUSH: Duration = Duration::from_secs(1);
/// The bus has no limit of its own; larger oversized frames are cut to this.
const OVERSIZED_ON_BUS_BYTES: usize = 128 << 20;

/// What an outlet needs to know.
pub struct OutletParts {
    /// Name under which frames come to the bus.
    pub name: Arc<str>,
    /// The bus, for [`Target::Bus`].
    pub bus: Bus,
    /// Where services listen, for [`Target::Service`].
    pub addresses: Addresses,
    /// Counts what was sent and dropped.
    pub counters: Arc<Counters>,
    /// Stamps frames on the bus.
    pub clock: Clock,
    /// Most bytes waiting for a connection.
    pub queue: Size,
    /// Longest pause between two attempts to connect.
    pub pause_max: Duration,
}

impl OutletParts {
    /// Returns the parts of a service's outlet.
    pub(crate) fn of(cx: &ServiceCx, queue: Size, pause_max: Span) -> Self {
        Self {
            name: cx.name.clone(),
            bus: cx.bus.clone(),
            addresses: cx.addresses.clone(),
            counters: cx.counters.clone(),
            clock: cx.clock.clone(),
            queue,
            pause_max: pause_max.duration(),
        }
    }
}

/// Sends messages.
pub enum Outlet {
    /// To the bus.
    Bus {
        /// Everything needed for it.
        parts: OutletParts,
    },
    /// To a ligier.
    Tcp(TcpOutlet),
}

/// The near end of a connection.
pub struct TcpOutlet {
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    link: JoinHandle<()>,
}

impl Outlet {
    /// Opens the way to a target; a connection is made in the background.
    pub fn open(target: Target, parts: OutletParts) -> Self {
        if target == Target::Bus {
            return Self::Bus { parts };
        }
        let queue = Arc::new(Queue::new(parts.queue.len()));
        let counters = parts.counters.clone();
        let link = Link {
            target,
            addresses: parts.addresses,
            queue: queue.clone(),
            counters: parts.counters,
            pause_max: parts.pause_max,
        };
        Self::Tcp(TcpOutlet {
            queue,
            link: tokio::spawn(counters.timed(link.run()).in_current_span()),
            counters,
        })
    }

    /// Sends without waiting; what finds no room is dropped, the oldest first, and counted.
    pub fn send(&self, chunks: Vec<Sealed>) {
        match self {
            Self::Bus { parts } => publish(parts, &chunks),
            Self::Tcp(tcp) => {
                for chunk in chunks {
                    tcp.push(Parcel::Messages(chunk));
                }
            }
        }
    }

    /// Sends once there is room.
    pub async fn send_when_room(&self, chunk: Sealed) {
        match self {
            Self::Bus { parts } => publish(parts, &[chunk]),
            Self::Tcp(tcp) => tcp.queue.push_when_room(Parcel::Messages(chunk)).await,
        }
    }

    /// Does something wrong on purpose.
    pub fn disturb(&self, disturbance: Disturbance) {
        match (self, disturbance) {
            (Self::Tcp(tcp), _) => tcp.push(Parcel::Disturb(disturbance)),
            (Self::Bus { parts }, Disturbance::Oversized(size)) => {
                let body = vec![0x5a; size.len().min(OVERSIZED_ON_BUS_BYTES)];
                parts.bus.publish(frame(parts, tags::IO_EVT, body.into()));
            }
            // There is no connection that could break.
            (Self::Bus { .. }, Disturbance::Reconnect) => {}
        }
    }

    /// Waits until everything was written to the ligier.
    pub async fn drained(&self) {
        if let Self::Tcp(tcp) = self {
            tcp.queue.drained().await;
        }
    }

    /// Writes what still waits, for a short time, and ends the connection.
    pub async fn close(self) {
        let Self::Tcp(mut tcp) = self else {
            return;
        };
        tcp.queue.close();
        if timeout(FLUSH, &mut tcp.link).await.is_err() {
            tcp.link.abort();
            let lost = tcp.queue.abandon();
            tcp.counters.dropped(lost.messages, lost.bytes);
            warn!(dropped = lost.messages, "ended before everything was sent");
        }
    }
}

impl TcpOutlet {
    fn push(&self, parcel: Parcel) {
        let lost = self.queue.push(parcel);
        if lost.messages > 0 {
            self.counters.dropped(lost.messages, lost.bytes);
        }
    }
}

impl Drop for TcpOutlet {
    fn drop(&mut self) {
        self.link.abort();
    }
}

fn publish(parts: &OutletParts, chunks: &[Sealed]) {
    let (mut events, mut bytes) = (Vec::new(), 0);
    for chunk in chunks {
        bytes += chunk.wire.len() as u64;
        let messages = chunk.messages();
        events.extend(messages.map(|(tag, body)| frame(parts, tag, body)));
    }
    parts.counters.sent(events.len() as u64, bytes);
    parts.bus.publish_batch(events);
}

fn frame(parts: &OutletParts, tag: fathom_formats::controlhost::Tag, body: Bytes) -> Event {
    Event::Frame(Frame {
        source: parts.name.clone(),
        tag,
        received: parts.clock.now(),
        body,
    })
}
