//! Tables of links and tags, the message rate, and answers to questions.

use std::time::Duration;

use fathom_kernel::view::Table;
use fathom_kernel::{Output, Request, ServiceCx};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{info, warn};

use super::mirroring::LinkStatus;
use crate::relay::Hub;
use crate::tables::{TagTable, as_objects};

const LINK_COLUMNS: [&str; 11] = [
    "link",
    "to",
    "linked",
    "failures",
    "last_error",
    "messages",
    "bytes",
    "dropped",
    "queued",
    "queued_bytes",
    "lag_s",
];

/// Reports the links of a mirror from time to time.
pub(crate) struct Reporter {
    interval: Duration,
    tags: TagTable,
    at: Instant,
    received: u64,
    dropped: u64,
}

impl Reporter {
    pub(crate) fn new(interval: Duration, now: Instant) -> Self {
        Self {
            interval,
            tags: TagTable::new(now),
            at: now,
            received: 0,
            dropped: 0,
        }
    }

    /// Puts both tables on the board and logs the message rate.
    pub(crate) fn report(
        &mut self,
        hub: &Hub,
        links: &[std::sync::Arc<LinkStatus>],
        cx: &ServiceCx,
        now: Instant,
    ) {
        self.log(hub, now);
        let name = cx.name.replace(':', ".");
        let at = Some(cx.clock.now());
        let outputs = [
            Output::new(
                format!("{name}_tags"),
                format!("{} tags", cx.name),
                self.tags.table(hub, now),
            ),
            Output::new(
                format!("{name}_links"),
                format!("{} links", cx.name),
                table(links, now),
            ),
        ];
        for output in outputs {
            cx.put(output.at(at).every(self.interval.as_secs_f64()));
        }
    }

    fn log(&mut self, hub: &Hub, now: Instant) {
        let counters = hub.counters.snapshot();
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        let messages = counters.received.saturating_sub(self.received);
        let dropped = counters.dropped.saturating_sub(self.dropped);
        (self.at, self.received, self.dropped) = (now, counters.received, counters.dropped);
        if seconds > 0.0 {
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let rate_hz = messages as f64 / seconds;
            info!(rate_hz, messages, "message rate");
        }
        if dropped > 0 {
            warn!(dropped, "a target fell behind");
        }
    }

    /// Answers `links` and `tags`.
    pub(crate) fn answer(&self, hub: &Hub, links: &[std::sync::Arc<LinkStatus>], request: Request) {
        let answer = match request.verb.as_str() {
            "links" => Ok(as_objects(&table(links, Instant::now()))),
            "tags" => Ok(as_objects(&TagTable::totals(hub))),
            "reset" => Ok(json!({})),
            other => Err(format!("no request {other}, expected links or tags")),
        };
        // Who asked may have stopped waiting.
        let _unheard = request.reply.send(answer);
    }
}

fn table(links: &[std::sync::Arc<LinkStatus>], now: Instant) -> Table {
    Table {
        columns: LINK_COLUMNS.map(String::from).into(),
        rows: links.iter().map(|link| row(link, now)).collect(),
    }
}

fn row(link: &LinkStatus, now: Instant) -> Vec<Value> {
    let (peer, last_error) = link.state();
    let client = link.client.as_ref().map(|client| (client, client.row(now)));
    let flow = client
        .as_ref()
        .map_or(&link.flow, |(client, _)| &client.sent);
    let row = client.as_ref().map(|(_, row)| row);
    vec![
        json!(link.end.to_string()),
        json!(if link.client.is_some() {
            "target"
        } else {
            "source"
        }),
        json!(peer.map(|peer| peer.to_string())),
        json!(link.failures()),
        json!(last_error),
        json!(flow.messages()),
        json!(flow.bytes()),
        json!(link.client.as_ref().map(|client| client.dropped.messages())),
        json!(row.map(|row| row.queued)),
        json!(row.map(|row| row.queued_bytes)),
        json!(row.map(|row| row.lag.as_secs_f64())),
    ]
}
