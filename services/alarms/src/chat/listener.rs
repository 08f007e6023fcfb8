//! How a channel of Rocket.Chat is followed: by its websocket while that is open, and by questions.

use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::Counters;
use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;
use tokio::time::Instant;
use tracing::warn;

use super::line::{LineError, News};
use super::message::{Memory, Message};
use super::realtime::Realtime;
use super::rest::Rest;
use super::{ChatError, Hearing, Said};

/// Most questions about what was said since the last time; the oldest messages of more are not heard.
const QUESTIONS_MAX: usize = 20;
/// Time between two questions while the websocket is open: a server of several processes may forget
/// to tell of a message that another one took.
const SURE_EVERY: Duration = Duration::from_secs(60);

/// How a channel is to be followed.
#[derive(Debug, Clone)]
pub(crate) struct Listening {
    /// Time between two questions where the websocket is not open.
    pub(crate) poll: Duration,
    /// Whether the websocket is opened.
    pub(crate) realtime: bool,
    pub(crate) counters: Arc<Counters>,
}

/// Who follows a channel.
pub(super) struct Listener {
    poll: Duration,
    counters: Arc<Counters>,
    realtime: Option<Realtime>,
    memory: Memory,
    /// When the server was asked what was said. `None`: it must be asked before the websocket is
    /// listened to, for something may have been said that this did not tell.
    asked: Option<Instant>,
}

impl Listener {
    pub(super) fn new(listening: Listening) -> Self {
        let Listening {
            poll,
            realtime,
            counters,
        } = listening;
        Self {
            poll,
            realtime: realtime.then(|| Realtime::new(counters.clone())),
            counters,
            memory: Memory::default(),
            asked: None,
        }
    }

    /// Returns what was said since the last time, oldest first. After a failure nothing is lost: the
    /// server is asked again.
    pub(super) async fn hear(
        &mut self,
        rest: &mut Rest,
        since: Timestamp,
    ) -> Result<Vec<Said>, ChatError> {
        if let Some(realtime) = self.realtime.as_mut().filter(|realtime| realtime.is_due()) {
            realtime.open(rest.number().await?);
        }
        let told = self.told(rest);
        let said = self.memory.hear(told, since);
        if !said.is_empty() || self.asked.is_some_and(|at| at.elapsed() < self.pause()) {
            return Ok(said);
        }
        let answered = self.ask(rest, since).await?;
        self.asked = Some(Instant::now());
        Ok(self.memory.hear(answered, since))
    }

    pub(super) fn hearing(&self) -> Hearing {
        let realtime = self.realtime.as_ref();
        realtime.map_or_else(|| Hearing::by("polling"), Realtime::hearing)
    }

    fn pause(&self) -> Duration {
        match self.realtime.as_ref().is_some_and(Realtime::is_open) {
            true => self.poll.max(SURE_EVERY),
            false => self.poll,
        }
    }

    /// Returns what the websocket has told.
    fn told(&mut self, rest: &mut Rest) -> Vec<Message> {
        let mut told = Vec::new();
        let Some(realtime) = &mut self.realtime else {
            return told;
        };
        while self.asked.is_some()
            && let Some(news) = realtime.next()
        {
            match news {
                News::Said(message) => told.push(message),
                News::Opened => self.asked = None,
                News::Ended(error) => {
                    self.asked = None;
                    if matches!(error, LineError::LogIn(_)) {
                        rest.log_out();
                    }
                }
            }
        }
        told
    }

    /// Asks the server what was said, page by page, until it tells of something known.
    async fn ask(&self, rest: &mut Rest, since: Timestamp) -> Result<Vec<Message>, ChatError> {
        let oldest = self.memory.oldest(since);
        let mut messages = Vec::new();
        let mut offset = 0;
        for _ in 0..QUESTIONS_MAX {
            let page = rest.history(oldest, offset).await?;
            offset += page.len();
            let read = page.iter().filter_map(|message| self.read(message));
            let before = messages.len();
            messages.extend(read);
            let mut new = messages.iter().skip(before);
            if page.is_empty() || new.any(|message| self.memory.knows(message)) {
                return Ok(messages);
            }
        }
        self.counters.bad("too much said since the last time");
        warn!(heard = offset, "too much was said since the last time");
        Ok(messages)
    }

    fn read(&self, message: &Value) -> Option<Message> {
        let read = Message::deserialize(message);
        read.inspect_err(|_| self.counters.bad("message not read"))
            .ok()
    }
}
