//! Webhooks of Mattermost, Slack and Rocket.Chat: `{"text": ...}` to the secret address of an incoming
//! one, and what an outgoing one tells.

use fathom_kernel::BoxFuture;
use jiff::Timestamp;
use reqwest::Client;
use serde_json::json;

use super::{Chat, ChatError, Ears, Hearing, Said};
use crate::web;

/// Characters of an answer that are told.
const TOLD_CHARS: usize = 200;

/// A webhook.
pub(crate) struct Webhook {
    client: Client,
    url: String,
    ears: Option<Ears>,
}

impl Webhook {
    /// Makes a webhook at an address, which is heard where ears are given.
    pub(crate) fn new(client: Client, url: String, ears: Option<Ears>) -> Self {
        Self { client, url, ears }
    }

    async fn say(&self, text: &str) -> Result<(), ChatError> {
        let message = json!({ "text": text });
        let sent = self.client.post(&self.url).json(&message).send().await;
        let answer = sent.map_err(|error| ChatError::Unreachable(web::failed(error)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let body = web::body(answer).await.map_err(ChatError::Unreachable)?;
        Err(ChatError::Answer {
            status: status.as_u16(),
            text: String::from_utf8_lossy(&body)
                .chars()
                .take(TOLD_CHARS)
                .collect(),
        })
    }
}

impl Chat for Webhook {
    fn post<'a>(&'a mut self, text: &'a str) -> BoxFuture<'a, Result<(), ChatError>> {
        Box::pin(self.say(text))
    }

    fn read(&mut self, _since: Timestamp) -> BoxFuture<'_, Result<Vec<Said>, ChatError>> {
        let heard = self.ears.as_mut().map(Ears::take);
        Box::pin(std::future::ready(heard.ok_or(ChatError::Deaf)))
    }

    fn hearing(&self) -> Hearing {
        Hearing::by(self.ears.as_ref().map_or("nothing", |_| "webhook"))
    }
}
