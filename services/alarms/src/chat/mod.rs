//! Chats: one way to say something and to hear what is said, whatever the chat is.

mod console;
mod ddp;
mod ears;
mod line;
mod listener;
mod message;
mod realtime;
mod rest;
mod rocketchat;
mod webhook;

use fathom_kernel::BoxFuture;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use console::Console;
pub(crate) use ears::{Ears, Hook};
pub(crate) use listener::Listening;
pub(crate) use rest::Account;
pub(crate) use rocketchat::RocketChat;
pub(crate) use webhook::Webhook;

/// One channel of a chat.
pub(crate) trait Chat: Send + 'static {
    /// Says something.
    fn post<'a>(&'a mut self, text: &'a str) -> BoxFuture<'a, Result<(), ChatError>>;

    /// Returns what was said since the last time, oldest first; the first time, what was said since
    /// a moment.
    fn read(&mut self, since: Timestamp) -> BoxFuture<'_, Result<Vec<Said>, ChatError>>;

    /// Returns how it is heard at the moment.
    fn hearing(&self) -> Hearing;
}

/// How a chat is heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Hearing {
    /// `websocket`, `polling`, `webhook`, `requests`, or `nothing`.
    pub(crate) by: &'static str,
    /// Why not by a websocket, where it should be.
    pub(crate) trouble: Option<String>,
}

impl Hearing {
    /// Makes one that is as it should be.
    pub(crate) fn by(by: &'static str) -> Self {
        Self { by, trouble: None }
    }
}

/// With what a chat is heard.
#[derive(Default)]
pub(crate) struct Senses {
    /// How a channel of Rocket.Chat is followed.
    pub(crate) listening: Option<Listening>,
    /// Where an outgoing webhook is heard.
    pub(crate) ears: Option<Ears>,
}

/// Something that was said in a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// Number of the message, as the chat gives it.
    pub(crate) id: String,
    /// Exact user name.
    pub(crate) user: String,
    /// What was said.
    pub(crate) text: String,
    /// When.
    pub(crate) at: Timestamp,
}

/// Which chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// Rocket.Chat: spoken to by its REST interface, heard by its websocket as well.
    Rocketchat,
    /// Webhooks of Mattermost, Slack or Rocket.Chat: an incoming one to speak, an outgoing one to hear.
    Webhook,
    /// The log of the service; what is said comes by the request `say`.
    Console,
}

/// Why a chat was not reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChatError {
    /// No answer, or none that can be read.
    #[error("{0}")]
    Unreachable(String),
    /// The server answered with an error.
    #[error("answer {status}: {text}")]
    Answer {
        /// HTTP status.
        status: u16,
        /// What it said.
        text: String,
    },
    /// It does not know the account.
    #[error("log-in as {0} refused")]
    LogIn(String),
    /// It does not know the channel.
    #[error("no channel {0}, or the account is not in it")]
    NoChannel(String),
    /// The chat can only be spoken to: nobody listens to its channel or outgoing webhook.
    #[error("this chat cannot be heard")]
    Deaf,
}
