//! Another configuration: what it would change, and putting it in force.

use axum::Json;
use axum::extract::State;
use fathom_kernel::{Available, Changes, Command, Expected, Outcome, Reply};

use super::Failure;
use super::commands::outcomes;
use super::extract::{Body, Target, Who};
use crate::control::console::Console;
use crate::control::wire::{Problem, ReloadBody, UpdateBody};

/// Reads the configuration anew and returns what it would change; changes nothing.
#[utoipa::path(
    get,
    path = "/api/diff",
    responses(
        (status = 200, body = ref("#/components/schemas/Changes")),
        (status = 422, body = Problem, description = "the configuration has errors"),
    )
)]
pub(super) async fn diff(
    State(console): State<Console>,
    Who(caller): Who,
) -> Result<Json<Changes>, Failure> {
    match console.ask(Command::Reread, caller).await? {
        Reply::Changes(changes) => Ok(Json(changes)),
        _ => Err(Failure::unexpected()),
    }
}

/// Reads the configuration anew and puts it in force; answers when what it starts is ready or has
/// failed. With errors in the configuration nothing is changed.
#[utoipa::path(
    post,
    path = "/api/update",
    request_body = UpdateBody,
    responses(
        (status = 200, body = ref("#/components/schemas/Outcomes")),
        (status = 404, body = Problem, description = "no service or group of a name"),
        (status = 409, body = Problem, description = "not the plan that was shown, or another change is under way"),
        (status = 422, body = Problem, description = "the configuration has errors"),
    )
)]
pub(super) async fn update(
    State(console): State<Console>,
    Who(caller): Who,
    Body(body): Body<UpdateBody>,
) -> Result<Json<Vec<Outcome>>, Failure> {
    let command = Command::Update {
        targets: body.targets,
        expected: Expected {
            generation: body.generation,
            sha256: body.sha256,
        },
    };
    outcomes(&console, command, caller).await
}

/// Stops everything in order, reads the configuration anew, and starts as at the beginning.
#[utoipa::path(
    post,
    path = "/api/reload",
    request_body = ReloadBody,
    responses(
        (status = 200, body = ref("#/components/schemas/Outcomes")),
        (status = 409, body = Problem, description = "another change is under way"),
        (status = 422, body = Problem, description = "the configuration has errors"),
    )
)]
pub(super) async fn reload(
    State(console): State<Console>,
    Who(caller): Who,
    Body(body): Body<ReloadBody>,
) -> Result<Json<Vec<Outcome>>, Failure> {
    outcomes(&console, Command::Reload { wait: body.wait }, caller).await
}

/// Returns all services of the configuration that was read last.
#[utoipa::path(
    get,
    path = "/api/available",
    responses((status = 200, body = ref("#/components/schemas/AvailableServices")))
)]
pub(super) async fn available(
    State(console): State<Console>,
    Who(caller): Who,
) -> Result<Json<Vec<Available>>, Failure> {
    match console.ask(Command::Available, caller).await? {
        Reply::Available(services) => Ok(Json(services)),
        _ => Err(Failure::unexpected()),
    }
}

/// Adds a group as it was read last, and starts its members that start with the stack.
#[utoipa::path(
    post,
    path = "/api/groups/{name}/add",
    params(("name" = String, Path)),
    responses(
        (status = 200, body = ref("#/components/schemas/Outcomes")),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "it is there already"),
    )
)]
pub(super) async fn add(
    State(console): State<Console>,
    Who(caller): Who,
    Target(group): Target,
) -> Result<Json<Vec<Outcome>>, Failure> {
    outcomes(&console, Command::Add { group }, caller).await
}

/// Drops a group of which nothing runs.
#[utoipa::path(
    post,
    path = "/api/groups/{name}/remove",
    params(("name" = String, Path)),
    responses(
        (status = 200, body = ref("#/components/schemas/Outcomes")),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "something of it still runs"),
    )
)]
pub(super) async fn remove(
    State(console): State<Console>,
    Who(caller): Who,
    Target(group): Target,
) -> Result<Json<Vec<Outcome>>, Failure> {
    outcomes(&console, Command::Remove { group }, caller).await
}
