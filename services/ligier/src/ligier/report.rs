//! Tables of clients and tags, for the board and for requests.

use std::collections::HashMap;
use std::time::Duration;

use fathom_formats::controlhost::{Mode, Subscriptions};
use fathom_kernel::view::Table;
use fathom_kernel::{Output, ServiceCx};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::warn;

use super::session::Broker;
use crate::relay::{Client, Credit};
use crate::tables::TagTable;

const CLIENT_COLUMNS: [&str; 15] = [
    "client",
    "peer",
    "name",
    "since",
    "wants",
    "credit",
    "received",
    "received_bytes",
    "sent",
    "sent_bytes",
    "dropped",
    "queued",
    "queued_bytes",
    "lag_s",
    "stops_producers",
];
/// Reports clients and tags from time to time.
pub(crate) struct Reporter {
    interval: Duration,
    tags: TagTable,
    dropped: HashMap<u64, u64>,
}

impl Reporter {
    pub(crate) fn new(interval: Duration, now: Instant) -> Self {
        Self {
            interval,
            tags: TagTable::new(now),
            dropped: HashMap::new(),
        }
    }

    /// Puts both tables on the board, and logs which clients fell behind since the last time.
    pub(crate) fn report(&mut self, broker: &Broker, cx: &ServiceCx, now: Instant) {
        self.warn_of_losses(broker);
        let name = cx.name.replace(':', ".");
        let at = Some(cx.clock.now());
        let every = self.interval.as_secs_f64();
        let tags = self.tags.table(&broker.hub, now);
        let outputs = [
            Output::new(format!("{name}_tags"), format!("{} tags", cx.name), tags),
            Output::new(
                format!("{name}_clients"),
                format!("{} clients", cx.name),
                clients(broker, now),
            ),
        ];
        for output in outputs {
            cx.put(output.at(at).every(every));
        }
    }

    fn warn_of_losses(&mut self, broker: &Broker) {
        let clients = broker.hub.clients();
        let mut dropped = HashMap::new();
        for client in clients {
            let total = client.dropped.messages();
            let before = self.dropped.get(&client.id).copied().unwrap_or(0);
            if total > before {
                warn!(
                    client = client.id, peer = %client.peer, dropped = total - before,
                    "client fell behind"
                );
            }
            dropped.insert(client.id, total);
        }
        self.dropped = dropped;
    }
}

/// Returns a row per client.
pub(crate) fn clients(broker: &Broker, now: Instant) -> Table {
    let clients = broker.hub.clients();
    Table {
        columns: CLIENT_COLUMNS.map(String::from).into(),
        rows: clients.iter().map(|c| client_row(c, now)).collect(),
    }
}

fn client_row(client: &Client, now: Instant) -> Vec<Value> {
    let row = client.row(now);
    vec![
        json!(client.id),
        json!(client.peer),
        json!(row.nickname),
        json!(client.since.to_string()),
        json!(wants(&row.wanted)),
        match row.credit {
            Credit::Messages(count) => json!(count),
            Credit::Unlimited => json!("always"),
        },
        json!(client.received.messages()),
        json!(client.received.bytes()),
        json!(client.sent.messages()),
        json!(client.sent.bytes()),
        json!(client.dropped.messages()),
        json!(row.queued),
        json!(row.queued_bytes),
        json!(row.lag.as_secs_f64()),
        json!(row.holds_gate),
    ]
}

/// Writes a subscription as it stands on the wire: `w IO_EVT a MSG`.
fn wants(wanted: &Subscriptions) -> String {
    let mode = |mode| if mode == Mode::All { 'a' } else { 'w' };
    let words: Vec<String> = wanted
        .iter()
        .map(|s| format!("{} {}", mode(s.mode), s.tag))
        .collect();
    words.join(" ")
}
