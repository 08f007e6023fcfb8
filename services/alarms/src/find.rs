//! Finds services of the stack by their kind, such as the alarm engine, and asks them.

use std::time::Duration;

use fathom_kernel::{Caller, Command, ControlHandle, Reply};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// Time that the supervisor, and whoever is asked, has for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Kind of the engine.
const ENGINE: &str = "alarms";

/// Returns the full name of the engine; `None` when there is none, or nobody answers.
pub(crate) async fn find_engine(control: &ControlHandle, caller: Caller) -> Option<String> {
    find(control, caller, ENGINE).await
}

/// Returns the full name of the first service of a kind; `None` when there is none, or nobody
/// answers.
pub(crate) async fn find(control: &ControlHandle, caller: Caller, kind: &str) -> Option<String> {
    let status = Command::Status {
        targets: Vec::new(),
    };
    let answer = timeout(ANSWER_MAX, control.ask(status, caller)).await;
    let Ok(Ok(Reply::Status(status))) = answer else {
        return None;
    };
    let mut services = status.services.into_iter();
    let of_kind = services.find(|service| service.kind.as_deref() == Some(kind))?;
    Some(of_kind.name)
}

/// Asks a service; `None` when it does not answer, or something else.
pub(crate) async fn ask<T: DeserializeOwned>(
    control: &ControlHandle,
    caller: Caller,
    question: Command,
) -> Option<T> {
    match timeout(ANSWER_MAX, control.ask(question, caller)).await {
        Ok(Ok(Reply::Answer(answer))) => serde_json::from_value(answer).ok(),
        Ok(Ok(_) | Err(_)) | Err(_) => None,
    }
}
