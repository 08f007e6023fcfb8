//! Asks the engine for rows of the history that a sink missed.

use std::time::Duration;

use fathom_kernel::{Caller, Command, ControlHandle, Notice, Reply};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

/// Time that the engine has for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Rows of the history.
#[derive(Debug, Deserialize)]
pub(super) struct Rows {
    /// What was asked for, oldest first.
    pub(super) notices: Vec<Notice>,
    /// Number of the newest row.
    pub(super) last: u64,
}

/// Asks for the rows behind a number; `None` when nobody answers.
pub(super) async fn rows(control: &ControlHandle, own: &str, after: u64) -> Option<Rows> {
    let engine = crate::find_engine(control, Caller::new(own, "service")).await?;
    let history = |after: u64| Command::Request {
        name: engine.clone(),
        verb: "history".to_owned(),
        args: json!({ "after": after }),
    };
    let mut rows = ask(control, own, history(after)).await?;
    if rows.last < after {
        // The engine lost its history and began anew.
        rows = ask(control, own, history(0)).await?;
    }
    Some(rows)
}

async fn ask(control: &ControlHandle, own: &str, question: Command) -> Option<Rows> {
    let answer = control.ask(question, Caller::new(own, "service"));
    match timeout(ANSWER_MAX, answer).await {
        Ok(Ok(Reply::Answer(rows))) => serde_json::from_value(rows).ok(),
        Ok(Ok(_) | Err(_)) | Err(_) => None,
    }
}
