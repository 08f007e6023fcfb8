//! What is done with logs, and the standard input of programs.

use axum::Json;
use axum::extract::State;
use fathom_kernel::{Command, Outcome};

use super::Failure;
use super::commands::{outcomes, targets};
use super::extract::{Body, Target, Who};
use crate::control::console::Console;
use crate::control::wire::{InputBody, Problem};

/// Empties the logs of services; their rotated files stay.
#[utoipa::path(
    post,
    path = "/api/logs/{name}/clear",
    params(("name" = String, Path)),
    responses(
        (status = 200, body = ref("#/components/schemas/Outcomes")),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn clear(
    State(console): State<Console>,
    Who(caller): Who,
    Target(name): Target,
) -> Result<Json<Vec<Outcome>>, Failure> {
    let targets = targets(&name)?;
    outcomes(&console, Command::Clear { targets }, caller).await
}

/// Rotates the logs of services now.
#[utoipa::path(
    post,
    path = "/api/logs/{name}/rotate",
    params(("name" = String, Path)),
    responses(
        (status = 200, body = ref("#/components/schemas/Outcomes")),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn rotate(
    State(console): State<Console>,
    Who(caller): Who,
    Target(name): Target,
) -> Result<Json<Vec<Outcome>>, Failure> {
    let targets = targets(&name)?;
    outcomes(&console, Command::Rotate { targets }, caller).await
}

/// Writes to the standard input of a program.
#[utoipa::path(
    post,
    path = "/api/services/{name}/input",
    params(("name" = String, Path)),
    request_body = InputBody,
    responses(
        (status = 200, body = ref("#/components/schemas/Outcomes"), description = "nothing to tell"),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "it is not running"),
        (status = 422, body = Problem, description = "it does not read"),
    )
)]
pub(super) async fn input(
    State(console): State<Console>,
    Who(caller): Who,
    Target(name): Target,
    Body(body): Body<InputBody>,
) -> Result<Json<Vec<Outcome>>, Failure> {
    let text = body.text;
    outcomes(&console, Command::Input { name, text }, caller).await
}
