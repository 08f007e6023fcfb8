//! Logs, as they are or followed as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response};
use fathom_kernel::{ControlError, LogStream};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::Failure;
use super::extract::{Query, Target, Who};
use super::status::one;
use crate::control::console::Console;
use crate::control::wire::{
    LAGGED_EVENT, LIVE_EVENT, LOG_EVENT, Lagged, LogPart, LogQuery, Problem, Stream,
};
use crate::logs::{self, Past, Question, ReadError};
use crate::telemetry::{Follow, shown};

/// An empty message goes out this often, so that dead clients are found.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Most lines of one answer.
const LINES_MAX: usize = 100_000;

/// Lines of an answer, when neither their number nor a time is given.
const LINES_USUAL: usize = 100;

/// Returns the end of the supervisor's own log, or follows it.
#[utoipa::path(
    get,
    path = "/api/logs",
    params(LogQuery),
    responses((status = 200, body = Vec<String>))
)]
pub(super) async fn own_log(
    State(console): State<Console>,
    Query(query): Query<LogQuery>,
) -> Result<Response, Failure> {
    send_log(&console, String::new(), query).await
}

/// Returns the end of a service's log, or follows it (events `log` and `lagged`; `live` once, behind
/// what was there).
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
    let name = one(&console, name, caller).await?.name;
    send_log(&console, name, query).await
}

async fn send_log(console: &Console, name: String, query: LogQuery) -> Result<Response, Failure> {
    if let Some(offset) = query.offset {
        return bytes(console, name, offset, &query).await;
    }
    let question = question(&query);
    if query.follow {
        return follow(console, name, question).await;
    }
    let past = look_back(console, name, question).await?;
    Ok(match query.full {
        true => Json(LogPart {
            lines: past.lines,
            cut: past.cut,
        })
        .into_response(),
        false => Json(past.lines.iter().map(shown).collect::<Vec<_>>()).into_response(),
    })
}

fn question(query: &LogQuery) -> Question {
    let usual = match query.since {
        Some(_) => LINES_MAX,
        None => LINES_USUAL,
    };
    Question {
        since: query.since,
        lines: query.lines.unwrap_or(usual).min(LINES_MAX),
    }
}

/// Answers out of memory if that reaches back far enough, else out of the files.
async fn look_back(console: &Console, name: String, question: Question) -> Result<Past, Failure> {
    let records = console.parts().records.clone();
    if let Some(past) = records.recall(&name, question) {
        return Ok(past);
    }
    let past = tokio::task::spawn_blocking(move || records.look_back(&name, question)).await;
    past.map_err(|_| Failure::unexpected())?
        .map_err(|error| unreadable(&error))
}

/// Sends what was written, and goes on with what comes.
async fn follow(console: &Console, name: String, question: Question) -> Result<Response, Failure> {
    let place = place(console)?;
    let records = &console.parts().records;
    // First, so that what comes while files are read is not missed.
    let mut follow = records.follow(&name, question.lines);
    let kept = follow.past().lines;
    let past = match question.is_met_by(&kept) {
        true => question.among(&kept),
        false => look_back(console, name, question).await?.lines,
    };
    let past = past.iter().map(|line| message(LOG_EVENT, line));
    let mut first: Vec<_> = past.collect();
    first.push(Sse::default().event(LIVE_EVENT).data("{}"));
    let batches = stream::unfold((follow, place), next_batch).flat_map(stream::iter);
    Ok(sse(console, stream::iter(first).chain(batches)))
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "unreadable",
        error.to_string(),
    )
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
        Err(ReadError::Failed(error)) => Err(unreadable(&error)),
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

type Follower = (Follow, OwnedSemaphorePermit);

async fn next_batch((mut follow, place): Follower) -> Option<(Vec<Sse>, Follower)> {
    let batch = follow.next().await;
    let missed = batch.missed;
    let lagged = (missed > 0).then(|| message(LAGGED_EVENT, &Lagged { missed }));
    let lines = batch.lines.iter();
    let lines = lines.map(|line| message(LOG_EVENT, &**line));
    Some((lagged.into_iter().chain(lines).collect(), (follow, place)))
}

fn message(name: &str, data: &impl Serialize) -> Sse {
    // JSON has no line ends of its own, so it is one `data:` line.
    let data = serde_json::to_string(data).unwrap_or_default();
    Sse::default().event(name).data(data)
}
