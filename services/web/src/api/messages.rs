//! `/api/messages`: the detector's log, searched in its files and followed live.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::{Extension, Json};
use fathom_kernel::{Caller, Command, Reply};
use futures_util::Stream;
use futures_util::stream::poll_fn;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Fault;
use super::status::unexpected;
use crate::access::Identity;
use crate::app::App;

/// Output of the service that writes the log to files and searches them.
const WRITTEN: &str = "messages";
/// A comment goes out after so much silence, so that a dead connection is noticed.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// A search reads at most half a gigabyte.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Most messages of an answer.
const LIMIT_MAX: usize = 1000;

/// Query of [`search`]; levels and classes are separated by commas, times are as in
/// `2026-01-31T12:00:00Z`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    text: String,
    regex: String,
    level: String,
    class: String,
    from: String,
    to: String,
    limit: Option<usize>,
}

impl Wanted {
    /// Returns what to ask the service for.
    fn args(&self) -> Value {
        let list = |text: &str| -> Vec<String> {
            let parts = text.split(',').filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        };
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        json!({
            "text": self.text,
            "regex": given(&self.regex),
            "level": list(&self.level),
            "class": list(&self.class),
            "from": given(&self.from),
            "to": given(&self.to),
            "limit": self.limit.map(|limit| limit.clamp(1, LIMIT_MAX)),
        })
    }
}

/// Searches the files of the log, today's included.
pub(crate) async fn search(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Fault> {
    let Some(writer) = app.board.entry(WRITTEN) else {
        let text = "no service writes the detector's log to files";
        return Err(Fault::new(StatusCode::NOT_FOUND, text));
    };
    let command = Command::Request {
        name: writer.service.to_string(),
        verb: "search".into(),
        args: wanted.args(),
    };
    let caller = Caller::new(identity.name(), &*app.service);
    match tokio::time::timeout(ANSWER_WITHIN, app.control.ask(command, caller)).await {
        Ok(Ok(Reply::Answer(found))) => Ok(Json(found)),
        Ok(Ok(_)) => Err(unexpected()),
        Ok(Err(why)) => Err(why.into()),
        Err(_) => Err(Fault::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the log was not searched within 30 s",
        )),
    }
}

/// Streams the log: `hello` with the newest messages, then `lines`.
pub(crate) async fn follow(
    State(app): State<Arc<App>>,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, Fault> {
    let mut messages = app.messages.join(&app.board)?;
    let stream = poll_fn(move |cx| messages.poll_recv(cx).map(|message| message.map(Ok)));
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE_EVERY)))
}
