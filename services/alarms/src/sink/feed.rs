//! Asks the engine for rows of the history that a sink missed.

use fathom_kernel::{Caller, Command, ControlHandle, Notice};
use serde::Deserialize;
use serde_json::json;

use crate::{ask, find_engine};

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
    let caller = || Caller::new(own, "service");
    let engine = find_engine(control, caller()).await?;
    let history = |after: u64| Command::Request {
        name: engine.clone(),
        verb: "history".to_owned(),
        args: json!({ "after": after }),
    };
    let mut rows: Rows = ask(control, caller(), history(after)).await?;
    if rows.last < after {
        // The engine lost its history and began anew.
        rows = ask(control, caller(), history(0)).await?;
    }
    Some(rows)
}
