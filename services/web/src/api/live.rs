//! `/api/live`: what happens, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::poll_fn;
use serde_json::json;

use super::Fault;
use crate::app::App;

/// A comment goes out after so much silence, so that a dead connection is noticed.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// A browser whose stream ended comes back after this time.
const COME_BACK_AFTER: Duration = Duration::from_secs(2);

/// Streams changes of outputs, states of services and alarms.
pub(crate) async fn stream(
    State(app): State<Arc<App>>,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, Fault> {
    let hello = json!({
        "boot": app.boot,
        "version": app.board.version(),
        "now_ms": app.clock.now().as_millisecond(),
        "service": &*app.service,
    });
    let hello = Message::default()
        .event("hello")
        .retry(COME_BACK_AFTER)
        .data(hello.to_string());
    let mut messages = app.hub.join(hello)?;
    let stream = poll_fn(move |cx| messages.poll_recv(cx).map(|message| message.map(Ok)));
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE_EVERY)))
}
