//! The detector's log for the log page: what the service `weblog` puts on the board, passed on row by row.

use std::sync::{Arc, Mutex, PoisonError};

use axum::response::sse::Event as Message;
use fathom_kernel::view::View;
use fathom_kernel::{Board, Counters, Output};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::hub::{Full, Hub};

/// Output with the newest messages; the first cell of each row is its number, which only grows.
pub(crate) const LINES: &str = "weblog";
/// Output with what stands out.
const HIGHLIGHTS: &str = "weblog_highlights";

/// Those who follow the log.
pub(crate) struct Messages {
    hub: Hub,
    /// Number of the newest row that was passed on.
    told: Mutex<u64>,
}

impl Messages {
    /// Makes a log without readers.
    pub(crate) fn new(counters: Arc<Counters>, clients_max: usize) -> Self {
        Self {
            hub: Hub::new(counters, clients_max),
            told: Mutex::default(),
        }
    }

    /// Adds a reader; its first message has the highlights and the rows that are there. Rows that come
    /// meanwhile may be told twice, and are known by their number.
    pub(crate) fn join(&self, board: &Board) -> Result<mpsc::Receiver<Message>, Full> {
        let table = |name: &str| board.entry(name).map(|entry| entry.output);
        let lines = table(LINES);
        let hello = json!({
            "available": lines.is_some(),
            "highlights": table(HIGHLIGHTS).map_or(Value::Null, |output| json!(rows(&output))),
            "rows": lines.map_or(json!([]), |output| json!(rows(&output))),
        });
        let hello = Message::default().event("hello").data(hello.to_string());
        self.hub.join(hello)
    }

    /// Passes on the rows that are new.
    pub(crate) fn tell(&self, output: &Output) {
        let rows = rows(output);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let number = |row: &Vec<Value>| row.first().and_then(Value::as_u64).unwrap_or(0);
        let from = rows.partition_point(|row| number(row) <= *told);
        let fresh = rows.get(from..).unwrap_or_default();
        let Some(newest) = fresh.last().map(number) else {
            return;
        };
        *told = newest;
        if self.hub.has_clients() {
            self.hub.send("lines", &json!({ "rows": fresh }));
        }
    }

    /// Ends all streams.
    pub(crate) fn close(&self) {
        self.hub.close();
    }
}

fn rows(output: &Output) -> &[Vec<Value>] {
    match &output.view {
        View::Table(table) => &table.rows,
        _ => &[],
    }
}
