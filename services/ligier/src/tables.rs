//! Tables that broker and mirror both show.

use std::collections::HashMap;

use fathom_kernel::view::Table;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::relay::{Hub, TagRow};

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

/// A row per tag, with the rate since the table before.
pub(crate) struct TagTable {
    at: Instant,
    received: HashMap<String, u64>,
}

impl TagTable {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            at: now,
            received: HashMap::new(),
        }
    }

    /// Makes the next table.
    pub(crate) fn table(&mut self, hub: &Hub, now: Instant) -> Table {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        let rows = hub.tags();
        let made = rows
            .iter()
            .map(|r| tag_row(hub, r, self.rate_hz(r, seconds)));
        let table = with_columns(made.collect());
        self.received = rows.into_iter().map(|r| (r.tag, r.received)).collect();
        table
    }

    /// Makes a table without rates.
    pub(crate) fn totals(hub: &Hub) -> Table {
        with_columns(hub.tags().iter().map(|r| tag_row(hub, r, None)).collect())
    }

    fn rate_hz(&self, row: &TagRow, seconds: f64) -> Option<f64> {
        let before = self.received.get(&row.tag).copied().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let messages = row.received.saturating_sub(before) as f64;
        (seconds > 0.0).then(|| messages / seconds)
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

fn with_columns(rows: Vec<Vec<Value>>) -> Table {
    Table {
        columns: TAG_COLUMNS.map(String::from).into(),
        rows,
    }
}

fn tag_row(hub: &Hub, row: &TagRow, rate_hz: Option<f64>) -> Vec<Value> {
    let subscribers = row.tag.parse().map(|tag| hub.subscribers(tag));
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
