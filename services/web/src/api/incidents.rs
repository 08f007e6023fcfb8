//! `/api/incidents/ID`: the report on a failure, as text for people.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use fathom_kernel::{Caller, Command, Reply};

use super::Fault;
use super::status::unexpected;
use crate::access::Identity;
use crate::app::App;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Returns a report on a failure.
pub(crate) async fn text(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<u64>,
) -> Result<String, Fault> {
    let command = Command::Incident { id, text: true };
    let caller = Caller::new(identity.name(), &*app.service);
    match tokio::time::timeout(ANSWER_WITHIN, app.control.ask(command, caller)).await {
        Ok(Ok(Reply::Lines(lines))) => Ok(lines.join("\n") + "\n"),
        Ok(Ok(_)) => Err(unexpected()),
        Ok(Err(why)) => Err(why.into()),
        Err(_) => Err(Fault::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the supervisor does not answer",
        )),
    }
}
