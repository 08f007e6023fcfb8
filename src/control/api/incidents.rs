//! Reports on failures.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use fathom_kernel::{Command, Reply};
use serde_json::Value;

use super::Failure;
use super::extract::{Query, Target, Who};
use crate::control::console::Console;
use crate::control::wire::{IncidentQuery, IncidentsQuery, Problem};

/// Returns the heads of the last reports on failures, newest first.
#[utoipa::path(
    get,
    path = "/api/incidents",
    params(IncidentsQuery),
    responses(
        (status = 200, body = ref("#/components/schemas/Summaries")),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn list(
    State(console): State<Console>,
    Who(caller): Who,
    Query(query): Query<IncidentsQuery>,
) -> Result<Json<Value>, Failure> {
    let command = Command::Incidents {
        name: query.service,
        count: query.count,
    };
    match console.ask(command, caller).await? {
        Reply::Answer(value) => Ok(Json(value)),
        _ => Err(Failure::unexpected()),
    }
}

/// Returns a report on a failure.
#[utoipa::path(
    get,
    path = "/api/incidents/{id}",
    params(("id" = u64, Path, description = "its number"), IncidentQuery),
    responses(
        (status = 200, body = ref("#/components/schemas/Incident"), description = "JSON, or text for people"),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn one(
    State(console): State<Console>,
    Who(caller): Who,
    Target(id): Target,
    Query(query): Query<IncidentQuery>,
) -> Result<Response, Failure> {
    let number = id.parse().map_err(|_| {
        let text = format!("an incident has a number, not {id:?}");
        Failure::bad_request(text)
    })?;
    let text = query.text;
    match console
        .ask(Command::Incident { id: number, text }, caller)
        .await?
    {
        Reply::Answer(value) => Ok(Json(value).into_response()),
        Reply::Lines(lines) => Ok((lines.join("\n") + "\n").into_response()),
        _ => Err(Failure::unexpected()),
    }
}
