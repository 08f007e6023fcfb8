//! The REST interface of Rocket.Chat: `login`, `channels.list`, `chat.postMessage`,
//! `channels.history`.

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ChatError;
use super::line::Number;
use crate::web;

/// Messages asked for at a time; the server has its own limit, usually 100.
const MESSAGES_MAX: usize = 100;
/// Characters of an answer that are told.
const TOLD_CHARS: usize = 200;

/// Who speaks, and where.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// Address of the server, without `/api`.
    pub(crate) url: String,
    pub(crate) user: String,
    pub(crate) password: String,
    /// Name of the channel, with or without `#`.
    pub(crate) channel: String,
}

/// A channel of a Rocket.Chat server, as its REST interface has it.
pub(super) struct Rest {
    client: Client,
    account: Account,
    /// The log-in and the channel, once they are known.
    session: Option<Session>,
}

#[derive(Debug, Clone)]
struct Session {
    user_id: String,
    token: String,
    room: String,
}

#[derive(Deserialize)]
struct LogIn {
    data: LogInData,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogInData {
    user_id: String,
    auth_token: String,
}

#[derive(Deserialize)]
struct Channels {
    channels: Vec<Channel>,
}

#[derive(Deserialize)]
struct Info {
    channel: Channel,
}

#[derive(Deserialize)]
struct Channel {
    #[serde(rename = "_id")]
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct History {
    /// Newest first.
    messages: Vec<Value>,
}

impl Rest {
    /// Makes a channel; nothing is asked before something is said or heard.
    pub(super) fn new(client: Client, account: Account) -> Self {
        Self {
            client,
            account,
            session: None,
        }
    }

    fn address(&self, method: &str) -> String {
        format!("{}/api/v1/{method}", self.account.url.trim_end_matches('/'))
    }

    /// Returns where the websocket of the channel is, and the log-in for it.
    pub(super) async fn number(&mut self) -> Result<Number, ChatError> {
        let Session { token, room, .. } = self.session().await?;
        Ok(Number {
            client: self.client.clone(),
            url: format!("{}/websocket", self.account.url.trim_end_matches('/')),
            token,
            room,
        })
    }

    /// Forgets the log-in; the next call makes another one.
    pub(super) fn log_out(&mut self) {
        self.session = None;
    }

    async fn session(&mut self) -> Result<Session, ChatError> {
        if let Some(session) = &self.session {
            return Ok(session.clone());
        }
        let Account { user, password, .. } = &self.account;
        let login = json!({ "user": user, "password": password });
        let request = self.client.post(self.address("login")).json(&login);
        let answer = ask(request).await.map_err(|error| match error {
            ChatError::Answer { status: 401, .. } => ChatError::LogIn(user.clone()),
            other => other,
        })?;
        let LogIn { data } = read(&answer)?;
        let mut session = Session {
            user_id: data.user_id,
            token: data.auth_token,
            room: String::new(),
        };
        session.room = self.room(&session).await?;
        self.session = Some(session.clone());
        Ok(session)
    }

    /// Returns the number of the channel. A server may refuse to list all channels at once; then it
    /// is asked for this one.
    async fn room(&self, session: &Session) -> Result<String, ChatError> {
        let name = self.account.channel.trim_start_matches('#');
        // `count=0` is all of them.
        let list = self.client.get(self.address("channels.list?count=0"));
        let Channels { channels } = read(&ask(known(list, session)).await?)?;
        if let Some(channel) = channels.into_iter().find(|channel| channel.name == name) {
            return Ok(channel.id);
        }
        let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC);
        let info = self.address(&format!("channels.info?roomName={encoded}"));
        let info = ask(known(self.client.get(info), session)).await;
        let Info { channel } = match info {
            Err(ChatError::Answer { status: 400, .. }) => {
                return Err(ChatError::NoChannel(name.to_owned()));
            }
            info => read(&info?)?,
        };
        Ok(channel.id)
    }

    /// Asks within a session; one that the server has forgotten is made anew, once.
    async fn within(
        &mut self,
        make: impl Fn(&Self, &Session) -> RequestBuilder,
    ) -> Result<Value, ChatError> {
        let had_one = self.session.is_some();
        let session = self.session().await?;
        let answer = ask(known(make(self, &session), &session)).await;
        if !had_one || !matches!(answer, Err(ChatError::Answer { status: 401, .. })) {
            return answer;
        }
        self.session = None;
        let session = self.session().await?;
        ask(known(make(self, &session), &session)).await
    }

    /// Says something in the channel.
    pub(super) async fn say(&mut self, text: &str) -> Result<(), ChatError> {
        let post = |chat: &Self, session: &Session| {
            let message = json!({ "roomId": session.room, "text": text });
            chat.client
                .post(chat.address("chat.postMessage"))
                .json(&message)
        };
        self.within(post).await.map(|_| ())
    }

    /// Returns messages of the channel from a moment on, newest first, without the newest `offset`; as
    /// many as the server gives at a time.
    pub(super) async fn history(
        &mut self,
        oldest: Timestamp,
        offset: usize,
    ) -> Result<Vec<Value>, ChatError> {
        let history = |chat: &Self, session: &Session| {
            let room = &session.room;
            let question = format!(
                "channels.history?roomId={room}&oldest={oldest:.3}&inclusive=true\
                 &count={MESSAGES_MAX}&offset={offset}"
            );
            chat.client.get(chat.address(&question))
        };
        let History { messages } = read(&self.within(history).await?)?;
        Ok(messages)
    }
}

fn known(request: RequestBuilder, session: &Session) -> RequestBuilder {
    request
        .header("X-Auth-Token", &session.token)
        .header("X-User-Id", &session.user_id)
}

/// Asks, and reads the JSON of the answer.
async fn ask(request: RequestBuilder) -> Result<Value, ChatError> {
    let unreachable = |error| ChatError::Unreachable(web::failed(error));
    let answer = request.send().await.map_err(unreachable)?;
    let status = answer.status();
    let body = web::body(answer).await.map_err(ChatError::Unreachable)?;
    let value: Option<Value> = serde_json::from_slice(&body).ok();
    let is_refused = |value: &Value| value.get("success") == Some(&json!(false));
    match value {
        Some(value) if status == StatusCode::OK && !is_refused(&value) => Ok(value),
        _ => Err(ChatError::Answer {
            status: status.as_u16(),
            text: String::from_utf8_lossy(&body)
                .chars()
                .take(TOLD_CHARS)
                .collect(),
        }),
    }
}

fn read<T: for<'a> Deserialize<'a>>(value: &Value) -> Result<T, ChatError> {
    let read = T::deserialize(value);
    read.map_err(|error| ChatError::Unreachable(format!("answer cannot be read: {error}")))
}
