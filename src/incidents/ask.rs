//! Answers questions about reports, off the threads of actors.

use fathom_kernel::{Answer, ControlError, Reply};
use tokio::sync::oneshot;

use super::shelf::{Shelf, ShelfError};
use super::text;

/// Most reports listed at once.
const LISTED_MAX: usize = 1000;

type To = oneshot::Sender<Answer>;

/// Answers with the heads of the last reports, of one service or of all.
pub(crate) fn list(shelf: Shelf, (service, count): (Option<String>, usize), reply: To) {
    answer(reply, move || {
        let heads = shelf.list(service.as_deref(), count.min(LISTED_MAX));
        let value = serde_json::to_value(heads);
        value.map(Reply::Answer).map_err(unwritable)
    });
}

/// Answers with one report, as JSON or as lines for people.
pub(crate) fn show(shelf: Shelf, (id, as_text): (u64, bool), reply: To) {
    answer(reply, move || one(&shelf, id, as_text));
}

/// Answers by what a question about files gives.
fn answer(reply: To, question: impl FnOnce() -> Answer + Send + 'static) {
    tokio::task::spawn_blocking(move || {
        if reply.send(question()).is_err() {
            tracing::debug!("nobody waits for the answer any more");
        }
    });
}

fn one(shelf: &Shelf, id: u64, as_text: bool) -> Answer {
    let incident = shelf.read(id).map_err(|error| match error {
        ShelfError::NoSuch(id) => ControlError::NoIncident(id),
        error @ ShelfError::Unreadable { .. } => ControlError::Refused(error.to_string()),
    })?;
    if as_text {
        let lines = text::lines(&incident).into_iter();
        let plain = lines.map(|line| anstream::adapter::strip_str(&line).to_string());
        return Ok(Reply::Lines(plain.collect()));
    }
    let value = serde_json::to_value(incident);
    value.map(Reply::Answer).map_err(unwritable)
}

fn unwritable(error: serde_json::Error) -> ControlError {
    ControlError::Refused(error.to_string())
}
