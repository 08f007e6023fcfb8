//! `/api/ask`: questions to services that change nothing, for whoever may look at the page.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use fathom_kernel::{Caller, Command, ControlError, Reply};
use serde_json::{Map, Value, json};

use super::Fault;
use super::status::{ask_status, unexpected};
use crate::access::Identity;
use crate::app::App;

/// Most questions under way; further ones wait. Services take few at a time, and operators want to ask
/// as well.
pub(crate) const ASKED_MAX: usize = 6;

/// Longest wait until it is a question's turn; most are answered in milliseconds.
const TURN_WITHIN: Duration = Duration::from_secs(5);
/// The supervisor waits 10 s for a service and says which one did not answer; this is for a
/// supervisor that says nothing at all.
const ANSWER_WITHIN: Duration = Duration::from_secs(12);
/// Longest arguments, as text.
const ARGUMENTS_BYTES_MAX: usize = 4 << 10;
/// Longest name of a service or verb.
const NAME_BYTES_MAX: usize = 200;
/// Longest answer. A faulty message has at most 8 MiB, a third more as text.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Lists the services that answer questions.
pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Json<Value>, Fault> {
    let stack = ask_status(&app).await?;
    let services = stack.services.iter();
    let rows = services
        .filter(|service| !service.questions.is_empty())
        .map(|service| {
            json!({
                "service": service.name,
                "kind": service.kind,
                "state": service.state,
                "questions": service.questions,
            })
        });
    Ok(Json(json!({ "services": rows.collect::<Value>() })))
}

/// Asks a service.
pub(crate) async fn ask(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    Path((service, verb)): Path<(String, String)>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response, Fault> {
    let args = arguments(pairs).map_err(Fault::bad_request)?;
    let answer = put(&app, &identity, (service, verb), args)
        .await?
        .map_err(|why| Fault::new(StatusCode::UNPROCESSABLE_ENTITY, why))?;
    let body = app.shelf.make(move || json_of(&answer)).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Puts a question to a service; the inner error is what the service says against it.
pub(crate) async fn put(
    app: &App,
    identity: &Identity,
    (name, verb): (String, String),
    args: Value,
) -> Result<Result<Value, String>, Fault> {
    if name.len().max(verb.len()) > NAME_BYTES_MAX {
        return Err(Fault::bad_request("name of a service and a verb expected"));
    }
    let turn = tokio::time::timeout(TURN_WITHIN, app.questions.acquire());
    let Ok(Ok(_permit)) = turn.await else {
        let text = "too many questions at a time; try again";
        return Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, text));
    };
    let caller = Caller::new(identity.name(), &*app.service);
    let command = Command::Question { name, verb, args };
    match tokio::time::timeout(ANSWER_WITHIN, app.control.ask(command, caller)).await {
        Ok(Ok(Reply::Answer(answer))) => Ok(Ok(answer)),
        Ok(Ok(_)) => Err(unexpected()),
        Ok(Err(ControlError::Refused(why))) => Ok(Err(why)),
        Ok(Err(why)) => Err(why.into()),
        Err(_) => Err(Fault::new(
            StatusCode::GATEWAY_TIMEOUT,
            "the supervisor does not answer",
        )),
    }
}

/// Makes arguments of a query: those of `args` as JSON, or each by its name, as JSON where it is some
/// and as text otherwise.
fn arguments(pairs: Vec<(String, String)>) -> Result<Value, String> {
    let bytes: usize = pairs
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if bytes > ARGUMENTS_BYTES_MAX {
        return Err(format!(
            "arguments of {bytes} bytes exceed limit {ARGUMENTS_BYTES_MAX}"
        ));
    }
    match pairs.as_slice() {
        [] => return Ok(Value::Null),
        [(key, json)] if key == "args" => {
            return serde_json::from_str(json).map_err(|why| format!("args is no JSON: {why}"));
        }
        _ => {}
    }
    let mut args = Map::new();
    for (key, text) in pairs {
        if key == "args" {
            return Err("either args or single arguments expected".to_owned());
        }
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        if args.contains_key(&key) {
            return Err(format!("argument {key} is given twice"));
        }
        args.insert(key, value);
    }
    Ok(Value::Object(args))
}

fn json_of(answer: &Value) -> Result<Vec<u8>, Fault> {
    let body = serde_json::to_vec(answer)
        .map_err(|error| Fault::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    match body.len() {
        0..=ANSWER_BYTES_MAX => Ok(body),
        bytes => {
            let text = format!("answer of {bytes} bytes exceeds limit {ANSWER_BYTES_MAX}");
            Err(Fault::new(StatusCode::BAD_GATEWAY, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Value, String> {
        let owned = pairs
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()));
        arguments(owned.collect())
    }

    #[test]
    fn arguments_come_by_name_or_as_json() {
        assert_eq!(of(&[]), Ok(Value::Null));
        let by_name = of(&[("dom_id", "806451572"), ("level", "1min"), ("dus", "[1,2]")]);
        let json = r#"{"dom_id": 806451572, "level": "1min", "dus": [1, 2]}"#;
        assert_eq!(by_name, of(&[("args", json)]));
        assert_eq!(by_name.unwrap()["level"], "1min");
    }

    #[test]
    fn arguments_that_cannot_be_meant_are_refused() {
        for (pairs, why) in [
            (&[("args", "{")][..], "args is no JSON"),
            (&[("args", "{}"), ("du", "1")], "either args"),
            (&[("du", "1"), ("du", "2")], "du is given twice"),
        ] {
            assert!(of(pairs).unwrap_err().contains(why), "{pairs:?}");
        }
        let long = "x".repeat(ARGUMENTS_BYTES_MAX);
        assert!(
            of(&[("name", &long)])
                .unwrap_err()
                .contains("exceed limit 4096")
        );
    }

    #[test]
    fn an_answer_that_is_too_long_is_not_sent() {
        assert_eq!(json_of(&json!([1])), Ok(b"[1]".to_vec()));
        let long = "x".repeat(ANSWER_BYTES_MAX);
        assert!(
            json_of(&json!(long))
                .unwrap_err()
                .text()
                .contains("exceeds")
        );
    }
}
