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
use crate::relay::{Client, Credit, TagRow};

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
const TAG_COLUMNS: [&str; 11] = [
    "tag",
    "subscribers",
    "rate_hz",
    "received",
    "received_bytes",
    "sent",
    "sent_bytes",
    "dropped",
    "discarded",
    "empty",
    "last",
];

/// Reports clients and tags from time to time.
pub(crate) struct Reporter {
    interval: Duration,
    at: Instant,
    received: HashMap<String, u64>,
    dropped: HashMap<u64, u64>,
}

impl Reporter {
    pub(crate) fn new(interval: Duration, now: Instant) -> Self {
        Self {
            interval,
            at: now,
            received: HashMap::new(),
            dropped: HashMap::new(),
        }
    }

    /// Puts both tables on the board, and logs which clients fell behind since the last time.
    pub(crate) fn report(&mut self, broker: &Broker, cx: &ServiceCx, now: Instant) {
        self.warn_of_losses(broker);
        let name = cx.name.replace(':', ".");
        let at = Some(cx.clock.now());
        let every = self.interval.as_secs_f64();
        let tags = self.tags(broker, now);
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

    fn tags(&mut self, broker: &Broker, now: Instant) -> Table {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        let rows = broker.hub.tags();
        let table = Table {
            columns: TAG_COLUMNS.map(String::from).into(),
            rows: rows
                .iter()
                .map(|row| tag_row(broker, row, self.rate_hz(row, seconds)))
                .collect(),
        };
        self.received = rows.into_iter().map(|r| (r.tag, r.received)).collect();
        table
    }

    fn rate_hz(&self, row: &TagRow, seconds: f64) -> Option<f64> {
        let before = self.received.get(&row.tag).copied().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let messages = row.received.saturating_sub(before) as f64;
        (seconds > 0.0).then(|| messages / seconds)
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

/// Returns a row per tag, without rates.
pub(crate) fn tags(broker: &Broker) -> Table {
    let rows = broker.hub.tags();
    Table {
        columns: TAG_COLUMNS.map(String::from).into(),
        rows: rows.iter().map(|row| tag_row(broker, row, None)).collect(),
    }
}

/// Turns a table into a list of objects, for requests.
pub(crate) fn as_objects(table: &Table) -> Value {
    let object = |row: &Vec<Value>| -> Value {
        let pairs = table.columns.iter().cloned().zip(row.iter().cloned());
        Value::Object(pairs.collect())
    };
    table.rows.iter().map(object).collect()
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

fn tag_row(broker: &Broker, row: &TagRow, rate_hz: Option<f64>) -> Vec<Value> {
    let subscribers = row.tag.parse().map(|tag| broker.hub.subscribers(tag));
    vec![
        json!(row.tag),
        json!(subscribers.unwrap_or(0)),
        json!(rate_hz),
        json!(row.received),
        json!(row.received_bytes),
        json!(row.sent),
        json!(row.sent_bytes),
        json!(row.dropped),
        json!(row.discarded),
        json!(row.empty),
        json!(row.last.map(|at| at.to_string())),
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
