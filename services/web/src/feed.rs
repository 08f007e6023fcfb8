//! What keeps the hub fed: the bus, coalesced, and the state of the services.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::{Entry, Event, Filter, Limits, Subscription, Topic};
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::api::Head;
use crate::api::status::ask_status;
use crate::app::App;
use crate::messages;

/// Changes of outputs are gathered for this long, so that a client hears at most four times a second.
const GATHER: Duration = Duration::from_millis(250);
/// How often clients hear the state of the services.
const STATUS_EVERY: Duration = Duration::from_secs(2);
/// Shortest time between two states when services change quickly.
const STATUS_GAP: Duration = Duration::from_millis(300);
/// Events share their payloads with the board, so that waiting ones pin little.
const QUEUE: Limits = Limits {
    messages: 32_768,
    bytes: 1 << 30,
};

/// Returns what the hub wants from the bus.
pub(crate) fn filter() -> Filter {
    Filter::none()
        .and(Topic::Output)
        .and(Topic::Life)
        .and(Topic::Alarm)
}

/// Returns the bounds of the queue on the bus. Its drops do no harm beyond a late message: after a
/// drop the whole board is looked through.
pub(crate) fn limits() -> Limits {
    QUEUE
}

/// Passes events on until told to stop.
pub(crate) async fn feed(app: Arc<App>, mut events: Subscription, stop: CancellationToken) {
    let mut batch = VecDeque::new();
    let mut changed = BTreeSet::new();
    let mut lost = 0;
    let mut seen = app.board.version();
    let mut due = None;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                due = None;
                seen = tell(&app, std::mem::take(&mut changed), seen);
            }
            open = events.recv_batch(&mut batch) => {
                if !open {
                    return;
                }
                for event in batch.drain(..) {
                    sort(&app, &event, &mut changed);
                }
            }
        }
        let lost_now = events.lost().messages;
        if lost_now > lost {
            lost = lost_now;
            let newer = app
                .board
                .entries()
                .into_iter()
                .filter(|entry| entry.version > seen);
            changed.extend(newer.map(|entry| entry.output.name.clone()));
        }
        if !changed.is_empty() && due.is_none() {
            due = Some(Instant::now() + GATHER);
        }
    }
}

fn sort(app: &App, event: &Event, changed: &mut BTreeSet<String>) {
    match event {
        Event::Output(change) => {
            if change.output.name == messages::LINES {
                app.messages.tell(&change.output);
            }
            if !changed.contains(&change.output.name) {
                changed.insert(change.output.name.clone());
            }
        }
        Event::Life(change) => app.hub.life(change),
        Event::Alarm(alarm) => app.hub.alarm(alarm),
        Event::Frame(_) | Event::Notice(_) | Event::Log(_) => {}
    }
}

#[derive(Serialize)]
struct News<'a> {
    now_ms: i64,
    version: u64,
    outputs: Vec<Head<'a>>,
}

/// Sends the heads of changed outputs and returns the newest version among them.
fn tell(app: &App, changed: BTreeSet<String>, seen: u64) -> u64 {
    let entries: Vec<Entry> = changed
        .iter()
        .filter_map(|name| app.board.entry(name))
        .collect();
    let newest = entries.iter().map(|entry| entry.version).max();
    let version = newest.unwrap_or(seen).max(seen);
    if app.hub.has_clients() && !entries.is_empty() {
        let news = News {
            now_ms: app.clock.now().as_millisecond(),
            version,
            outputs: entries.iter().map(Head::of).collect(),
        };
        app.hub.send("outputs", &news);
    }
    version
}

/// Sends the state of the services, regularly and when something changed, while anybody listens.
pub(crate) async fn feed_status(app: Arc<App>, stop: CancellationToken) {
    let mut ticks = interval(STATUS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
            () = app.hub.status_wanted.notified() => {}
        }
        if !app.hub.has_clients() {
            continue;
        }
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            answer = ask_status(&app) => answer,
        };
        match answer {
            Ok(status) => app.hub.send("status", &status),
            Err(fault) => app.hub.send("nostatus", &json!({ "error": fault.text() })),
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(STATUS_GAP) => {}
        }
    }
}
