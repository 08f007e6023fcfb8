//! The door of the fake server: calls by HTTP, and conversations on websockets.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fathom_kernel::Clock;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::http::request::Parts;
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::interval;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::call::Call;
use super::ddp::{self, Session};
use super::state::State;
use crate::small_http::{Answer, Host, Speaker, Websocket};

/// Time between two questions whether a client is there, as Meteor asks.
const PING_EVERY: Duration = Duration::from_secs(15);

/// The server, for each connection.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) state: Arc<Mutex<State>>,
    /// Whether websockets are open.
    pub(super) realtime: watch::Receiver<bool>,
    pub(super) clock: Clock,
}

impl Host for Server {
    fn answer(&self, head: &Parts, body: &[u8]) -> Answer {
        self.state().answer(&Call::of(head, body), self.clock.now())
    }

    fn speaker(&self, path: &str) -> Option<Speaker> {
        let is_open = path == "/websocket" && *self.realtime.borrow();
        is_open.then(|| {
            let server = self.clone();
            let speaker: Speaker = Box::new(move |socket| Box::pin(server.speak(socket)));
            speaker
        })
    }
}

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Speaks with a client, until one of both has enough.
    async fn speak(mut self, mut socket: Websocket) {
        let mut news = self.state().follow();
        let mut session = Session::default();
        let mut pings = interval(PING_EVERY);
        let mut realtime = self.realtime.clone();
        loop {
            let words = tokio::select! {
                () = closed(&mut realtime) => return,
                _ = pings.tick() => vec![ddp::ping()],
                told = news.recv() => match told {
                    Ok(message) => session.tell(&message).into_iter().collect(),
                    Err(RecvError::Lagged(_) | RecvError::Closed) => return,
                },
                frame = socket.next() => match frame {
                    Some(Ok(Frame::Text(text))) => self.hear(&mut session, &text),
                    Some(Ok(_)) => continue,
                    Some(Err(_)) | None => return,
                },
            };
            for words in words {
                if socket.send(Frame::text(words.to_string())).await.is_err() {
                    return;
                }
            }
        }
    }

    fn hear(&mut self, session: &mut Session, text: &str) -> Vec<Value> {
        let frame = serde_json::from_str(text).unwrap_or_default();
        let now = self.clock.now();
        session.answer(&frame, &mut self.state(), now)
    }
}

/// Waits until websockets are no longer open.
async fn closed(realtime: &mut watch::Receiver<bool>) {
    // Whoever could open and close them has gone: then they are closed too.
    realtime.wait_for(|is_open| !is_open).await.ok();
}
