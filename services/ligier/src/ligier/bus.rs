//! Takes what others put on the bus of this process to the clients of the broker.

use std::collections::VecDeque;
use std::sync::Arc;

use fathom_kernel::{Event, Subscription};
use tracing::warn;

use super::session::Broker;
use crate::relay::WireBuffer;

/// Forwards frames from the bus until the broker stops.
pub(crate) async fn forward(broker: Arc<Broker>, mut events: Subscription) {
    let mut batch = VecDeque::new();
    loop {
        let more = tokio::select! {
            biased;
            () = broker.stop.cancelled() => return,
            more = events.recv_batch(&mut batch) => more,
        };
        if !more {
            return;
        }
        let mut wire = WireBuffer::default();
        for event in batch.drain(..) {
            let Event::Frame(frame) = &*event else {
                continue;
            };
            if broker.hub.subscribers(frame.tag) == 0 {
                continue;
            }
            if let Err(error) = wire.add(frame.tag, &frame.body) {
                broker.hub.counters.bad(error.reason());
                warn!(source = %frame.source, %error, "message of the bus not forwarded");
            }
            if wire.is_full() {
                flush(&broker, &mut wire).await;
            }
        }
        flush(&broker, &mut wire).await;
    }
}

async fn flush(broker: &Broker, wire: &mut WireBuffer) {
    if wire.is_empty() {
        return;
    }
    let pass = broker.hub.budget.gate.pass();
    tokio::select! {
        biased;
        () = broker.stop.cancelled() => return,
        () = pass => {}
    }
    broker.hub.deliver_to_clients(&wire.take());
    tokio::task::yield_now().await;
}
