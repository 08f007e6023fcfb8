//! What outgoing webhooks of Mattermost, Slack and Rocket.Chat tell: each message that begins with a
//! word that they were told to look for, as a form or as JSON, with a secret token.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fathom_kernel::{Clock, Counters};
use hyper::Method;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::Said;
use crate::small_http::{self, Answer, Host};

/// Messages that wait to be heard; further ones are refused and counted.
const WAITING_MAX: usize = 100;
/// Bytes of a message that are heard.
const TEXT_BYTES_MAX: usize = 10_000;

/// Where a webhook is listened to, and what it must say.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) listen: SocketAddr,
    /// Secret of the webhook, made by the chat.
    pub(crate) token: String,
    /// Name of the channel, with or without `#`.
    pub(crate) channel: String,
}

/// An open ear; it closes when it is dropped.
pub(crate) struct Ears {
    heard: mpsc::Receiver<Said>,
    /// The server, which ends with the set.
    _serving: JoinSet<()>,
}

impl Ears {
    /// Listens, and returns where.
    ///
    /// # Errors
    /// When the address is taken or not of this machine.
    pub(crate) async fn open(
        hook: Hook,
        clock: Clock,
        counters: Arc<Counters>,
    ) -> Result<(Self, SocketAddr), std::io::Error> {
        let listener = TcpListener::bind(hook.listen).await?;
        let bound = listener.local_addr()?;
        let (tell, heard) = mpsc::channel(WAITING_MAX);
        let door = Door {
            hook,
            clock,
            counters,
            tell,
            count: AtomicU64::new(0),
        };
        let mut serving = JoinSet::new();
        serving.spawn(small_http::serve(listener, door).in_current_span());
        let ears = Self {
            heard,
            _serving: serving,
        };
        Ok((ears, bound))
    }

    /// Returns what was told since the last time, oldest first.
    pub(crate) fn take(&mut self) -> Vec<Said> {
        std::iter::from_fn(|| self.heard.try_recv().ok()).collect()
    }
}

/// Who looks at what comes.
struct Door {
    hook: Hook,
    clock: Clock,
    counters: Arc<Counters>,
    tell: mpsc::Sender<Said>,
    count: AtomicU64,
}

impl Host for Door {
    fn answer(&self, head: &Parts, body: &[u8]) -> Answer {
        if head.method != Method::POST {
            return (
                405,
                json!({ "error": "expected POST by an outgoing webhook" }),
            );
        }
        let Some(told) = Told::read(head, body) else {
            self.counters.bad("webhook cannot be read");
            let error = "expected a form or JSON with token, channel_name, user_name and text";
            return (400, json!({ "error": error }));
        };
        let token = told.text("token").as_bytes();
        if !bool::from(token.ct_eq(self.hook.token.as_bytes())) {
            self.counters.bad("webhook with a wrong token");
            return (403, json!({ "error": "wrong token" }));
        }
        // An empty answer says nothing in the channel; the bot answers by its own webhook.
        if told.is_of_a_bot() || !self.is_of_channel(told.text("channel_name")) {
            return (200, json!({}));
        }
        match self.tell.try_send(self.said(&told)) {
            Ok(()) => (200, json!({})),
            Err(_) => {
                self.counters.dropped(1, 0);
                (503, json!({ "error": "too much is said at a time" }))
            }
        }
    }
}

impl Door {
    fn is_of_channel(&self, name: &str) -> bool {
        name.trim_start_matches('#') == self.hook.channel.trim_start_matches('#')
    }

    fn said(&self, told: &Told) -> Said {
        let at = self.clock.now();
        let ids = ["post_id", "message_id"].map(|key| told.text(key));
        let id = ids.into_iter().find(|id| !id.is_empty());
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut text = told.text("text").to_owned();
        let id = id.map(str::to_owned).or_else(|| {
            // Slack has no number for a message, but a time to the microsecond, and escapes these.
            text = text
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&");
            let time = told.text("timestamp");
            (!time.is_empty()).then(|| format!("{time} {}", told.text("channel_id")))
        });
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        Said {
            id: id.unwrap_or_else(|| format!("{at} {count}")),
            user: told.text("user_name").to_owned(),
            text,
            at,
        }
    }
}

/// The fields of a call.
struct Told(Map<String, Value>);

impl Told {
    /// Reads a form or JSON; `None` when a field is missing that a bot cannot do without.
    fn read(head: &Parts, body: &[u8]) -> Option<Self> {
        let media_type = head.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let fields = match media_type.split(';').next()?.trim() {
            "application/x-www-form-urlencoded" => form_urlencoded::parse(body)
                .map(|(key, value)| (key.into_owned(), Value::from(value)))
                .collect(),
            "application/json" => serde_json::from_slice(body).ok()?,
            _ => return None,
        };
        let told = Self(fields);
        let needed = ["token", "channel_name", "user_name", "text"];
        let has = |key: &str| told.0.get(key).is_some_and(Value::is_string);
        needed.into_iter().all(has).then_some(told)
    }

    fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// Other bots, and this one, are not heeded. Rocket.Chat tells with `bot`, Slack with `bot_id`.
    fn is_of_a_bot(&self) -> bool {
        let is_told = |key: &str| match self.0.get(key) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::String(text)) => !text.is_empty() && text != "false",
            Some(_) => true,
        };
        is_told("bot") || is_told("bot_id")
    }
}
