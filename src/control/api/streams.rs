//! What goes on: events and logs, as they are or followed as server-sent events.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response};
use fathom_kernel::{Caller, Command, Event, Filter, Limits, Reply, Subscription, Topic};
use futures_util::{Stream, StreamExt as _, stream};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::Failure;
use super::extract::{Query, Target, Who};
use super::status::one;
use crate::control::console::Console;
use crate::control::wire::{
    Announcement, EventQuery, LAGGED_EVENT, LOG_EVENT, Lagged, LogQuery, Problem,
};
use crate::telemetry::{Follow, Records};

/// Bounds of one follower's queue; the oldest events are dropped, and the follower is told.
const EVENTS: Limits = Limits {
    messages: 1024,
    bytes: 4 << 20,
};

/// An empty message goes out this often, so that dead clients are found.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Sends what happens as server-sent events: `life`, `alarm`, `output`, `log`. A follower that reads
/// too slowly loses the oldest ones and gets a `lagged` event with their number.
#[utoipa::path(
    get,
    path = "/api/events",
    params(EventQuery),
    responses(
        (status = 200, body = String, content_type = "text/event-stream"),
        (status = 503, body = Problem, description = "too many followers"),
    )
)]
pub(super) async fn events(
    State(console): State<Console>,
    Query(query): Query<EventQuery>,
) -> Result<Response, Failure> {
    let filter = filter(&query.topics)?;
    let place = place(&console)?;
    // Listen first and look back then, so that nothing falls in between; what comes both ways is the
    // same allocation, and is sent once.
    let events = console
        .parts()
        .bus
        .subscribe("control/events", filter.clone(), EVENTS);
    let past = console.diary().last(query.last, &filter);
    if !query.follow {
        let past = past.iter().filter_map(|event| announce(event));
        return Ok(sse(&console, stream::iter(past.collect::<Vec<_>>())));
    }
    let follower = Follower {
        events,
        batch: past.iter().cloned().collect(),
        past: past
            .into_iter()
            .map(|event| (address(&event), event))
            .collect(),
        missed: 0,
        _place: place,
    };
    Ok(sse(&console, stream::unfold(follower, Follower::next)))
}

/// Returns the end of the supervisor's own log, or follows it.
#[utoipa::path(
    get,
    path = "/api/logs",
    params(LogQuery),
    responses((status = 200, body = Vec<String>))
)]
pub(super) async fn own_log(
    State(console): State<Console>,
    Who(caller): Who,
    Query(query): Query<LogQuery>,
) -> Result<Response, Failure> {
    send_log(&console, String::new(), query, caller).await
}

/// Returns the end of a service's log, or follows it (events `log` and `lagged`).
#[utoipa::path(
    get,
    path = "/api/logs/{name}",
    params(("name" = String, Path), LogQuery),
    responses((status = 200, body = Vec<String>), (status = 404, body = Problem))
)]
pub(super) async fn log(
    State(console): State<Console>,
    Who(caller): Who,
    Target(name): Target,
    Query(query): Query<LogQuery>,
) -> Result<Response, Failure> {
    let name = one(&console, name, caller.clone()).await?.name;
    send_log(&console, name, query, caller).await
}

async fn send_log(
    console: &Console,
    name: String,
    query: LogQuery,
    caller: Caller,
) -> Result<Response, Failure> {
    let lines = query.lines.min(Records::LINES_MAX);
    if query.follow {
        let place = place(console)?;
        let follow = console.parts().records.follow(&name, lines);
        let batches = stream::unfold((follow, place), next_batch).flat_map(stream::iter);
        return Ok(sse(console, batches));
    }
    match console.ask(Command::Tail { name, lines }, caller).await? {
        Reply::Lines(lines) => Ok(Json(lines).into_response()),
        Reply::Status(_) | Reply::Done(_) | Reply::Answer(_) => Err(Failure::unexpected()),
    }
}

fn place(console: &Console) -> Result<OwnedSemaphorePermit, Failure> {
    console.follower().ok_or_else(|| {
        Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_followers",
            format!("{} clients follow already", Console::FOLLOWERS_MAX),
        )
    })
}

/// Reads the topics a follower wants.
fn filter(topics: &str) -> Result<Filter, Failure> {
    if topics.is_empty() {
        let usual = [Topic::Life, Topic::Alarm, Topic::Output];
        return Ok(usual.into_iter().fold(Filter::none(), Filter::and));
    }
    topics.split(',').try_fold(Filter::none(), |filter, topic| {
        let topic = match topic.trim() {
            "life" => Topic::Life,
            "alarm" => Topic::Alarm,
            "output" => Topic::Output,
            "log" => Topic::Log,
            other => {
                return Err(Failure::bad_request(format!(
                    "no topic {other:?}; there are life, alarm, output, log"
                )));
            }
        };
        Ok(filter.and(topic))
    })
}

/// Makes the response of a stream that ends with the server.
fn sse(console: &Console, events: impl Stream<Item = Sse> + Send + 'static) -> Response {
    let events = events
        .take_until(console.closing().clone().cancelled_owned())
        .map(Ok::<_, Infallible>);
    axum::response::Sse::new(events)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

/// One client of `/api/events`.
struct Follower {
    events: Subscription,
    batch: VecDeque<Arc<Event>>,
    /// Past events that were sent already and may still come from the bus, by address.
    past: HashMap<usize, Arc<Event>>,
    /// Losses already told of.
    missed: u64,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    async fn next(mut self) -> Option<(Sse, Self)> {
        loop {
            if let Some(event) = self.batch.pop_front() {
                if let Some(event) = announce(&event) {
                    return Some((event, self));
                }
                continue;
            }
            if !self.events.recv_batch(&mut self.batch).await {
                return None;
            }
            let past = &mut self.past;
            self.batch
                .retain(|event| past.remove(&address(event)).is_none());
            // What was lost is older than all that was received.
            let lost = self.events.lost().messages;
            let missed = lost - std::mem::replace(&mut self.missed, lost);
            if missed > 0 {
                return Some((message(LAGGED_EVENT, &Lagged { missed }), self));
            }
        }
    }
}

/// Names an event as long as somebody holds it.
fn address(event: &Arc<Event>) -> usize {
    Arc::as_ptr(event).addr()
}

fn announce(event: &Event) -> Option<Sse> {
    match event {
        Event::Life(life) => {
            let id = life.sequence.to_string();
            Some(message("life", life).id(id))
        }
        Event::Alarm(alarm) => Some(message("alarm", alarm)),
        Event::Output(change) => Some(message("output", &Announcement::from(change))),
        Event::Log(line) => Some(message(LOG_EVENT, line)),
        // Never asked for: frames are for subscribers of the ligier.
        Event::Frame(_) => None,
    }
}

async fn next_batch(
    (mut follow, place): (Follow, OwnedSemaphorePermit),
) -> Option<(Vec<Sse>, (Follow, OwnedSemaphorePermit))> {
    let batch = follow.next().await;
    let missed = batch.missed;
    let lagged = (missed > 0).then(|| message(LAGGED_EVENT, &Lagged { missed }));
    let lines = batch.lines.iter().map(|line| message(LOG_EVENT, &**line));
    Some((lagged.into_iter().chain(lines).collect(), (follow, place)))
}

fn message(name: &str, data: &impl Serialize) -> Sse {
    // JSON has no line ends of its own, so it is one `data:` line.
    let data = serde_json::to_string(data).unwrap_or_default();
    Sse::default().event(name).data(data)
}
