//! What changes the stack: start, stop, restart, signal, requests to services, shutdown.

use axum::Json;
use axum::extract::State;
use fathom_kernel::{Caller, Command, Outcome, Reply};

use super::Failure;
use super::extract::{Body, Query, Target, Who};
use super::status::names;
use crate::control::console::Console;
use crate::control::wire::{
    ActQuery, HoldBody, Problem, RequestBody, RollQuery, ShutdownBody, SignalBody,
};

/// Starts services in dependency order.
#[utoipa::path(
    post,
    path = "/api/services/{name}/start",
    params(
        ("name" = String, Path, description = "`service`, `group:service`, `group:*` or `all`; several separated by commas"),
        ActQuery,
    ),
    responses(
        (status = 200, body = ref("#/components/schemas/Outcomes"), description = "what became of each service"),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn start(
    State(console): State<Console>,
    Who(caller): Who,
    Target(name): Target,
    Query(query): Query<ActQuery>,
) -> Result<Json<Vec<Outcome>>, Failure> {
    let command = Command::Start {
        targets: targets(&name)?,
        dependencies: query.dependencies,
        wait: query.wait,
    };
    outcomes(&console, command, caller).await
}

/// Stops services in reverse dependency order.
#[utoipa::path(
    post,
    path = "/api/services/{name}/stop",
    params(("name" = String, Path), ActQuery),
    responses(
        (status = 200, body = ref("#/components/schemas/Outcomes")),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn stop(
    State(console): State<Console>,
    Who(caller): Who,
    Target(name): Target,
    Query(query): Query<ActQuery>,
) -> Result<Json<Vec<Outcome>>, Failure> {
    let command = Command::Stop {
        targets: targets(&name)?,
        dependents: query.dependents,
        wait: query.wait,
    };
    outcomes(&console, command, caller).await
}

/// Stops services, then starts them.
#[utoipa::path(
    post,
    path = "/api/services/{name}/restart",
    params(("name" = String, Path), ActQuery),
    responses(
        (status = 200, body = ref("#/components/schemas/Outcomes")),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn restart(
    State(console): State<Console>,
    Who(caller): Who,
    Target(name): Target,
    Query(query): Query<ActQuery>,
) -> Result<Json<Vec<Outcome>>, Failure> {
    let command = Command::Restart {
        targets: targets(&name)?,
        wait: query.wait,
    };
    outcomes(&console, command, caller).await
}

/// Restarts services one after the other, each when the one before is ready.
#[utoipa::path(
    post,
    path = "/api/services/{name}/roll",
    params(("name" = String, Path), RollQuery),
    responses(
        (status = 200, body = ref("#/components/schemas/Outcomes")),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn roll(
    State(console): State<Console>,
    Who(caller): Who,
    Target(name): Target,
    Query(query): Query<RollQuery>,
) -> Result<Json<Vec<Outcome>>, Failure> {
    let command = Command::Roll {
        targets: targets(&name)?,
        by_level: query.by_level,
    };
    outcomes(&console, command, caller).await
}

/// Kills services at once; they stay down.
#[utoipa::path(
    post,
    path = "/api/services/{name}/kill",
    params(("name" = String, Path), ActQuery),
    responses(
        (status = 200, body = ref("#/components/schemas/Outcomes")),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn kill(
    State(console): State<Console>,
    Who(caller): Who,
    Target(name): Target,
    Query(query): Query<ActQuery>,
) -> Result<Json<Vec<Outcome>>, Failure> {
    let command = Command::Kill {
        targets: targets(&name)?,
        wait: query.wait,
    };
    outcomes(&console, command, caller).await
}

/// Sends a signal to child processes.
#[utoipa::path(
    post,
    path = "/api/services/{name}/signal",
    params(("name" = String, Path)),
    request_body = SignalBody,
    responses(
        (status = 200, body = ref("#/components/schemas/Outcomes")),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn signal(
    State(console): State<Console>,
    Who(caller): Who,
    Target(name): Target,
    Body(body): Body<SignalBody>,
) -> Result<Json<Vec<Outcome>>, Failure> {
    let command = Command::Signal {
        targets: targets(&name)?,
        signal: body.signal,
    };
    outcomes(&console, command, caller).await
}

/// Does nothing about the health of services for some time; it is still judged and shown.
#[utoipa::path(
    post,
    path = "/api/services/{name}/hold",
    params(("name" = String, Path)),
    request_body = HoldBody,
    responses(
        (status = 200, body = ref("#/components/schemas/Outcomes")),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn hold(
    State(console): State<Console>,
    Who(caller): Who,
    Target(name): Target,
    Body(body): Body<HoldBody>,
) -> Result<Json<Vec<Outcome>>, Failure> {
    let command = Command::Hold {
        targets: targets(&name)?,
        time: body.time,
    };
    outcomes(&console, command, caller).await
}

/// Lets the health of services count again.
#[utoipa::path(
    post,
    path = "/api/services/{name}/unhold",
    params(("name" = String, Path)),
    responses(
        (status = 200, body = ref("#/components/schemas/Outcomes")),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn unhold(
    State(console): State<Console>,
    Who(caller): Who,
    Target(name): Target,
) -> Result<Json<Vec<Outcome>>, Failure> {
    let targets = targets(&name)?;
    outcomes(&console, Command::Unhold { targets }, caller).await
}

/// Asks a running service itself; what it understands is its own affair.
#[utoipa::path(
    post,
    path = "/api/services/{name}/request",
    params(("name" = String, Path)),
    request_body = RequestBody,
    responses(
        (status = 200, body = Object, description = "the answer of the service, any JSON"),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "it is not running"),
        (status = 422, body = Problem, description = "it refused"),
    )
)]
pub(super) async fn request(
    State(console): State<Console>,
    Who(caller): Who,
    Target(name): Target,
    Body(body): Body<RequestBody>,
) -> Result<Json<serde_json::Value>, Failure> {
    let command = Command::Request {
        name,
        verb: body.verb,
        args: body.args,
    };
    match console.ask(command, caller).await? {
        Reply::Answer(value) => Ok(Json(value)),
        _ => Err(Failure::unexpected()),
    }
}

/// Ends the whole stack.
#[utoipa::path(
    post,
    path = "/api/shutdown",
    request_body = ShutdownBody,
    responses((status = 200, body = ref("#/components/schemas/Outcomes")))
)]
pub(super) async fn shutdown(
    State(console): State<Console>,
    Who(caller): Who,
    Body(body): Body<ShutdownBody>,
) -> Result<Json<Vec<Outcome>>, Failure> {
    outcomes(&console, Command::Shutdown { now: body.now }, caller).await
}

pub(super) fn targets(name: &str) -> Result<Vec<String>, Failure> {
    let targets = names(name);
    if targets.is_empty() {
        return Err(Failure::bad_request("no service is named"));
    }
    Ok(targets)
}

pub(super) async fn outcomes(
    console: &Console,
    command: Command,
    caller: Caller,
) -> Result<Json<Vec<Outcome>>, Failure> {
    match console.ask(command, caller).await? {
        Reply::Done(outcomes) => Ok(Json(outcomes)),
        _ => Err(Failure::unexpected()),
    }
}
