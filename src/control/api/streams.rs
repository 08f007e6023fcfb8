//! Logs, as they are or followed as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response};
use fathom_kernel::{Caller, Command, Reply};
use futures_util::{Stream, StreamExt as _, stream};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::Failure;
use super::extract::{Query, Target, Who};
use super::status::one;
use crate::control::console::Console;
use crate::control::wire::{LAGGED_EVENT, LOG_EVENT, Lagged, LogQuery, Problem};
use crate::telemetry::{Follow, Records};

/// An empty message goes out this often, so that dead clients are found.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

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
        _ => Err(Failure::unexpected()),
    }
}

pub(super) fn place(console: &Console) -> Result<OwnedSemaphorePermit, Failure> {
    console.follower().ok_or_else(|| {
        Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_followers",
            format!("{} clients follow already", Console::FOLLOWERS_MAX),
        )
    })
}

/// Makes the response of a stream that ends with the server.
pub(super) fn sse(console: &Console, events: impl Stream<Item = Sse> + Send + 'static) -> Response {
    let events = events
        .take_until(console.closing().clone().cancelled_owned())
        .map(Ok::<_, Infallible>);
    axum::response::Sse::new(events)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
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
