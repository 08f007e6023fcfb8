//! State of the services, conditions that hold, recent state changes.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fathom_kernel::{Caller, Command, Reply, StackStatus};
use serde_json::{Value, json};

use super::Fault;
use crate::app::App;

/// The supervisor answers in microseconds; when it does not, the page must say so.
const STATUS_WITHIN: Duration = Duration::from_secs(5);

/// Returns the state of all services.
pub(crate) async fn show(State(app): State<Arc<App>>) -> Result<Json<StackStatus>, Fault> {
    ask_status(&app).await.map(Json)
}

/// Returns the conditions that hold now.
pub(crate) async fn alarms(State(app): State<Arc<App>>) -> Json<Value> {
    let (firing, truncated) = app.hub.firing();
    let now_ms = app.clock.now().as_millisecond();
    Json(json!({ "now_ms": now_ms, "firing": firing, "truncated": truncated }))
}

/// Returns the newest state changes.
pub(crate) async fn life(State(app): State<Arc<App>>) -> Json<Value> {
    let now_ms = app.clock.now().as_millisecond();
    Json(json!({ "now_ms": now_ms, "changes": app.hub.changes() }))
}

/// Asks the supervisor for the state of everything.
pub(crate) async fn ask_status(app: &App) -> Result<StackStatus, Fault> {
    let command = Command::Status {
        targets: Vec::new(),
    };
    let caller = Caller::new("page", &*app.service);
    let answer = tokio::time::timeout(STATUS_WITHIN, app.control.ask(command, caller)).await;
    match answer {
        Ok(Ok(Reply::Status(status))) => Ok(status),
        Ok(Ok(_)) => Err(unexpected()),
        Ok(Err(why)) => Err(why.into()),
        Err(_) => Err(Fault::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the supervisor does not answer",
        )),
    }
}

/// The supervisor answered a question that was not asked.
pub(crate) fn unexpected() -> Fault {
    Fault::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the supervisor gave an answer of another kind",
    )
}
