//! Logs, as they are or followed as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response};
use fathom_kernel::{Caller, Command, ControlError, LogStream, Reply, Timestamp};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::Failure;
use super::extract::{Query, Target, Who};
use super::status::one;
use crate::control::console::Console;
use crate::control::wire::{LAGGED_EVENT, LOG_EVENT, Lagged, LogQuery, Problem, Stream};
use crate::logs::{self, ReadError};
use crate::telemetry::{Follow, Records, shown};

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
    if let Some(offset) = query.offset {
        return bytes(console, name, offset, &query).await;
    }
    let usual = if query.since.is_some() {
        Records::LINES_MAX
    } else {
        100
    };
    let lines = query.lines.unwrap_or(usual).min(Records::LINES_MAX);
    let since = query.since.unwrap_or(Timestamp::MIN);
    if query.follow {
        let place = place(console)?;
        let follow = console.parts().records.follow(&name, lines);
        let follower = (follow, since, place);
        let batches = stream::unfold(follower, next_batch).flat_map(stream::iter);
        return Ok(sse(console, batches));
    }
    if query.since.is_some() {
        let kept = console.parts().records.tail(&name, lines);
        let kept = kept.unwrap_or_default().into_iter();
        let texts = kept
            .filter(|line| line.at >= since)
            .map(|line| shown(&line));
        return Ok(Json(texts.collect::<Vec<_>>()).into_response());
    }
    match console.ask(Command::Tail { name, lines }, caller).await? {
        Reply::Lines(lines) => Ok(Json(lines).into_response()),
        _ => Err(Failure::unexpected()),
    }
}

/// Sends a part of a log file as it is.
async fn bytes(
    console: &Console,
    name: String,
    offset: i64,
    query: &LogQuery,
) -> Result<Response, Failure> {
    let stream = match query.stream {
        Stream::Stdout => LogStream::Stdout,
        Stream::Stderr => LogStream::Stderr,
    };
    let logs = &console.parts().logs;
    let file = match name.as_str() {
        "" => logs.own().cloned(),
        name => logs.file(name, stream),
    };
    let no_file = || Failure::from(ControlError::NoLog(name.clone()));
    let file = file.ok_or_else(no_file)?;
    let length = query.length;
    let read = move || logs::read(file.path(), offset, length);
    let part = tokio::task::spawn_blocking(read).await;
    match part.map_err(|_| Failure::unexpected())? {
        Ok(part) => Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], part).into_response()),
        Err(ReadError::NoFile) => Err(no_file()),
        Err(error @ ReadError::Arguments { .. }) => Err(Failure::bad_request(error.to_string())),
        Err(ReadError::Failed(error)) => Err(Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "unreadable",
            error.to_string(),
        )),
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
pub(super) fn sse(
    console: &Console,
    events: impl futures_util::Stream<Item = Sse> + Send + 'static,
) -> Response {
    let events = events
        .take_until(console.closing().clone().cancelled_owned())
        .map(Ok::<_, Infallible>);
    axum::response::Sse::new(events)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

type Follower = (Follow, Timestamp, OwnedSemaphorePermit);

async fn next_batch((mut follow, since, place): Follower) -> Option<(Vec<Sse>, Follower)> {
    let batch = follow.next().await;
    let missed = batch.missed;
    let lagged = (missed > 0).then(|| message(LAGGED_EVENT, &Lagged { missed }));
    let lines = batch.lines.iter().filter(|line| line.at >= since);
    let lines = lines.map(|line| message(LOG_EVENT, &**line));
    Some((
        lagged.into_iter().chain(lines).collect(),
        (follow, since, place),
    ))
}

fn message(name: &str, data: &impl Serialize) -> Sse {
    // JSON has no line ends of its own, so it is one `data:` line.
    let data = serde_json::to_string(data).unwrap_or_default();
    Sse::default().event(name).data(data)
}
