//! What can be read: status, addresses, usage, health, metrics.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use fathom_kernel::{Caller, Command, Reply, ServiceStatus, StackStatus};

use super::Failure;
use super::extract::{Query, Target, Who};
use crate::control::console::Console;
use crate::control::metrics as exposition;
use crate::control::tree::Tree;
use crate::control::usage as processes;
use crate::control::wire::{AddressBook, Problem, Readiness, StatusQuery, UsageReport};

/// Returns the state of the stack, or of some services.
#[utoipa::path(
    get,
    path = "/api/status",
    params(StatusQuery),
    responses(
        (status = 200, body = ref("#/components/schemas/StackStatus")),
        (status = 404, body = Problem, description = "no service or group of a name"),
    )
)]
pub(super) async fn stack(
    State(console): State<Console>,
    Who(caller): Who,
    Query(query): Query<StatusQuery>,
) -> Result<Json<StackStatus>, Failure> {
    let targets = names(&query.target);
    let mut status = ask_status(&console, targets, caller).await?;
    status.config.differs = console.files_differ().await;
    Ok(Json(status))
}

/// Returns the state of one service.
#[utoipa::path(
    get,
    path = "/api/services/{name}",
    params(("name" = String, Path, description = "`service` or `group:service`")),
    responses(
        (status = 200, body = ref("#/components/schemas/ServiceStatus")),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn service(
    State(console): State<Console>,
    Who(caller): Who,
    Target(name): Target,
) -> Result<Json<ServiceStatus>, Failure> {
    Ok(Json(one(&console, name, caller).await?))
}

/// Returns the groups with their services, and the groups inside them.
#[utoipa::path(get, path = "/api/tree", responses((status = 200, body = Tree)))]
pub(super) async fn tree(
    State(console): State<Console>,
    Who(caller): Who,
) -> Result<Json<Tree>, Failure> {
    let status = ask_status(&console, Vec::new(), caller).await?;
    let plan = console.parts().plans.borrow().clone();
    let described = plan.groups.iter();
    let described = described.map(|group| (&*group.name, &*group.description));
    Ok(Json(Tree::of(&status, &described.collect())))
}

/// Finds the one service of a name.
pub(super) async fn one(
    console: &Console,
    name: String,
    caller: Caller,
) -> Result<ServiceStatus, Failure> {
    let mut services = ask_status(console, vec![name.clone()], caller)
        .await?
        .services;
    match services.pop() {
        Some(service) if services.is_empty() => Ok(service),
        _ => Err(Failure::bad_request(format!("{name} is not one service"))),
    }
}

/// Returns where services listen, with the ports that were chosen.
#[utoipa::path(get, path = "/api/addresses", responses((status = 200, body = AddressBook)))]
pub(super) async fn addresses(State(console): State<Console>) -> Json<AddressBook> {
    let watch = console.parts().addresses.watch();
    let list = watch.borrow();
    Json(AddressBook {
        addresses: list
            .iter()
            .map(|(name, address)| (name.clone(), address.to_string()))
            .collect(),
    })
}

/// Returns processor time and memory of the supervisor and of services with their own process.
#[utoipa::path(get, path = "/api/usage", responses((status = 200, body = UsageReport)))]
pub(super) async fn usage(
    State(console): State<Console>,
    Who(caller): Who,
) -> Result<Json<UsageReport>, Failure> {
    let status = ask_status(&console, Vec::new(), caller).await?;
    let report = tokio::task::spawn_blocking(move || processes::report(&status)).await;
    report.map(Json).map_err(|_| Failure::unexpected())
}

/// Answers while the loop of the supervisor turns.
#[utoipa::path(
    get,
    path = "/healthz",
    responses((status = 200, body = String), (status = 504, body = Problem))
)]
pub(super) async fn health(
    State(console): State<Console>,
    Who(caller): Who,
) -> Result<&'static str, Failure> {
    ask_status(&console, Vec::new(), caller).await?;
    Ok("ok\n")
}

/// Answers 200 when every service that starts with the stack is ready.
#[utoipa::path(
    get,
    path = "/readyz",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness))
)]
pub(super) async fn readiness(
    State(console): State<Console>,
    Who(caller): Who,
) -> Result<Response, Failure> {
    let readiness = Readiness::of(&ask_status(&console, Vec::new(), caller).await?);
    let code = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Ok((code, Json(readiness)).into_response())
}

/// Returns all counters in the text format of Prometheus (OpenMetrics).
#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, body = String, content_type = "application/openmetrics-text"))
)]
pub(super) async fn metrics(
    State(console): State<Console>,
    Who(caller): Who,
) -> Result<Response, Failure> {
    let status = ask_status(&console, Vec::new(), caller).await?;
    let text = tokio::task::spawn_blocking(move || exposition::text(&console, &status))
        .await
        .map_err(|_| Failure::unexpected())?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

pub(super) async fn ask_status(
    console: &Console,
    targets: Vec<String>,
    caller: Caller,
) -> Result<StackStatus, Failure> {
    match console.ask(Command::Status { targets }, caller).await? {
        Reply::Status(status) => Ok(status),
        _ => Err(Failure::unexpected()),
    }
}

/// Splits a list of targets at its commas.
pub(super) fn names(list: &str) -> Vec<String> {
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}
