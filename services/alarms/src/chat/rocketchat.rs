//! A channel of Rocket.Chat: spoken to by REST, and heard where somebody listens.

use fathom_kernel::BoxFuture;
use jiff::Timestamp;
use reqwest::Client;

use super::listener::{Listener, Listening};
use super::rest::{Account, Rest};
use super::{Chat, ChatError, Hearing, Said};

/// A channel of a Rocket.Chat server.
pub(crate) struct RocketChat {
    rest: Rest,
    listener: Option<Listener>,
}

impl RocketChat {
    /// Makes a channel; nothing is asked before something is said or heard.
    pub(crate) fn new(client: Client, account: Account, listening: Option<Listening>) -> Self {
        Self {
            rest: Rest::new(client, account),
            listener: listening.map(Listener::new),
        }
    }
}

impl Chat for RocketChat {
    fn post<'a>(&'a mut self, text: &'a str) -> BoxFuture<'a, Result<(), ChatError>> {
        Box::pin(self.rest.say(text))
    }

    fn read(&mut self, since: Timestamp) -> BoxFuture<'_, Result<Vec<Said>, ChatError>> {
        Box::pin(async move {
            let listener = self.listener.as_mut().ok_or(ChatError::Deaf)?;
            listener.hear(&mut self.rest, since).await
        })
    }

    fn hearing(&self) -> Hearing {
        let listener = self.listener.as_ref();
        listener.map_or_else(|| Hearing::by("nothing"), Listener::hearing)
    }
}
