//! `/api/logs/NAME`: the end of a service's log.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use fathom_kernel::{Caller, Command, Reply};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Fault;
use super::status::unexpected;
use crate::access::Identity;
use crate::app::App;

/// Name that stands for the supervisor's own log.
const SUPERVISOR: &str = "_";
const LINES_DEFAULT: usize = 200;
const LINES_MAX: usize = 2_000;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Query of [`tail`].
#[derive(Debug, Deserialize)]
pub(crate) struct Lines {
    lines: Option<usize>,
}

/// Returns the newest lines of a service's log.
pub(crate) async fn tail(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    Path(name): Path<String>,
    Query(query): Query<Lines>,
) -> Result<Json<Value>, Fault> {
    let command = Command::Tail {
        name: if name == SUPERVISOR {
            String::new()
        } else {
            name.clone()
        },
        lines: query.lines.unwrap_or(LINES_DEFAULT).clamp(1, LINES_MAX),
    };
    let caller = Caller::new(identity.name(), &*app.service);
    match tokio::time::timeout(ANSWER_WITHIN, app.control.ask(command, caller)).await {
        Ok(Ok(Reply::Lines(lines))) => Ok(Json(json!({ "name": name, "lines": lines }))),
        Ok(Ok(_)) => Err(unexpected()),
        Ok(Err(why)) => Err(why.into()),
        Err(_) => Err(Fault::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the supervisor does not answer",
        )),
    }
}
