//! `/api/services/NAME/VERB`: commands of operators.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use fathom_kernel::{Caller, Command, Reply};
use serde_json::{Value, json};

use super::Fault;
use super::status::unexpected;
use crate::access::{Identity, Peer};
use crate::app::App;
use crate::options::Role;

/// How long an answer waits for the services; the work goes on after it.
const DONE_WITHIN: Duration = Duration::from_secs(60);
/// Longest name of a target.
const NAME_MAX: usize = 200;

/// Starts, stops or restarts services.
pub(crate) async fn command(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    peer: Option<Extension<Peer>>,
    Path((name, verb)): Path<(String, String)>,
) -> Result<Json<Value>, Fault> {
    if identity.role < Role::Operator {
        let text = if app.access.is_open() {
            "commands need an account with the role operator; none is configured".to_owned()
        } else {
            format!("{} is not an operator", identity.name())
        };
        return Err(Fault::new(StatusCode::FORBIDDEN, text));
    }
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(Fault::new(
            StatusCode::BAD_REQUEST,
            "name of a service expected",
        ));
    }
    let from = peer.map_or_else(String::new, |Extension(Peer(address))| {
        format!(" {}", address.ip())
    });
    let caller = Caller::new(identity.name(), format!("{}{from}", app.service));
    tracing::info!(target = name, verb, caller = %caller, "command from the page");
    let command = parse(&verb, name)
        .ok_or_else(|| Fault::new(StatusCode::NOT_FOUND, "start, stop or restart expected"))?;
    match tokio::time::timeout(DONE_WITHIN, app.control.ask(command, caller)).await {
        Ok(Ok(Reply::Done(outcomes))) => Ok(Json(json!({ "outcomes": outcomes }))),
        Ok(Ok(_)) => Err(unexpected()),
        Ok(Err(why)) => Err(why.into()),
        Err(_) => Err(Fault::new(
            StatusCode::GATEWAY_TIMEOUT,
            "not done within 60 s; it goes on",
        )),
    }
}

fn parse(verb: &str, name: String) -> Option<Command> {
    let targets = vec![name];
    let wait = true;
    match verb {
        "start" => Some(Command::Start {
            targets,
            dependencies: false,
            wait,
        }),
        "stop" => Some(Command::Stop {
            targets,
            dependents: false,
            wait,
        }),
        "restart" => Some(Command::Restart { targets, wait }),
        _ => None,
    }
}
