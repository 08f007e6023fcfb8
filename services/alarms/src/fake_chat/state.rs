//! What the fake server knows, and how it answers: from a call to a status and JSON.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::broadcast;

use super::call::Call;
use crate::small_http::Answer;

/// Messages kept.
const MESSAGES_MAX: usize = 1000;
/// Most channels of one answer.
const CHANNELS_LISTED: usize = 50;
/// Log-ins kept; the oldest are forgotten.
const LOG_INS_MAX: usize = 1000;
/// Messages that wait for a websocket; one that is slower is cut.
const NEWS_MAX: usize = 100;

/// The server.
#[derive(Debug)]
pub(super) struct State {
    users: BTreeMap<String, String>,
    channels: Vec<String>,
    /// User by token, oldest first.
    log_ins: VecDeque<(String, String)>,
    log_ins_ever: u64,
    messages: VecDeque<Message>,
    messages_ever: u64,
    /// Messages for websockets, as they are said or edited.
    news: broadcast::Sender<Message>,
}

#[derive(Debug, Clone)]
pub(super) struct Message {
    id: String,
    channel: String,
    user: String,
    text: String,
    at: Timestamp,
    edited_at: Option<Timestamp>,
}

fn refused(status: u16, error: &str) -> Answer {
    (status, json!({ "success": false, "error": error }))
}

/// Reads a number of the question.
fn number(query: &HashMap<String, String>, key: &str, default: usize) -> usize {
    let text = query.get(key);
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn room_of(channel: &str) -> String {
    format!("room-{channel}")
}

fn room(channel: &String) -> Value {
    json!({ "_id": room_of(channel), "name": channel, "t": "c" })
}

pub(super) fn user_id_of(user: &str) -> String {
    format!("id-{user}")
}

impl State {
    pub(super) fn new(users: BTreeMap<String, String>, channels: Vec<String>) -> Self {
        Self {
            users,
            channels,
            log_ins: VecDeque::new(),
            log_ins_ever: 0,
            messages: VecDeque::new(),
            messages_ever: 0,
            news: broadcast::Sender::new(NEWS_MAX),
        }
    }

    /// Returns what is said and edited from now on.
    pub(super) fn follow(&self) -> broadcast::Receiver<Message> {
        self.news.subscribe()
    }

    pub(super) fn forget_log_ins(&mut self) {
        self.log_ins.clear();
    }

    /// Returns everything that was said, oldest first.
    pub(super) fn said(&self) -> Value {
        let said = self.messages.iter().map(|message| {
            let Message {
                channel,
                user,
                text,
                ..
            } = message;
            json!({ "channel": channel, "user": user, "text": text })
        });
        said.collect()
    }

    /// Answers a call.
    pub(super) fn answer(&mut self, call: &Call, now: Timestamp) -> Answer {
        if let Some(channel) = call.path.strip_prefix("/hooks/") {
            return self.hook(channel, call, now);
        }
        let Some(name) = call.path.strip_prefix("/api/v1/") else {
            return refused(404, "no such page");
        };
        if (&*call.method, name) == ("POST", "login") {
            return self.log_in(&call.body, now);
        }
        let Some(user) = self.user(call) else {
            let message = "You must be logged in to do this.";
            return (401, json!({ "status": "error", "message": message }));
        };
        match (&*call.method, name) {
            ("GET", "me") => {
                let id = user_id_of(&user);
                (200, json!({ "_id": id, "username": user, "success": true }))
            }
            ("GET", "channels.list") => self.list(&call.query),
            ("GET", "channels.info") => self.info(&call.query),
            ("GET", "channels.history") => self.history(&call.query),
            ("POST", "chat.postMessage") => self.post(&user, &call.body, now),
            ("POST", "chat.update") => self.update(&user, &call.body, now),
            _ => refused(404, "no such method"),
        }
    }

    fn log_in(&mut self, body: &Value, now: Timestamp) -> Answer {
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        let user = text("user")
            .or_else(|| text("username"))
            .unwrap_or_default();
        let known = self.users.get(user).map(String::as_str);
        if known.is_none() || known != text("password") {
            return (401, json!({ "status": "error", "message": "Unauthorized" }));
        }
        let token = self.new_token(user, now);
        let data = json!({ "userId": user_id_of(user), "authToken": token });
        (200, json!({ "status": "success", "data": data }))
    }

    fn new_token(&mut self, user: &str, now: Timestamp) -> String {
        self.log_ins_ever += 1;
        let token = format!("token-{}-{}", self.log_ins_ever, now.as_microsecond());
        self.log_ins.push_back((token.clone(), user.to_owned()));
        if self.log_ins.len() > LOG_INS_MAX {
            self.log_ins.pop_front();
        }
        token
    }

    /// Logs in over a websocket, with a token or a name and the SHA-256 of the password; returns the
    /// name and the token.
    pub(super) fn log_in_live(&mut self, how: &Value, now: Timestamp) -> Option<(String, String)> {
        if let Some(token) = how["resume"].as_str() {
            return Some((self.user_of(token)?, token.to_owned()));
        }
        let user = how["user"]["username"].as_str()?;
        let digest = format!("{:x}", Sha256::digest(self.users.get(user)?));
        (how["password"]["digest"] == *digest).then(|| {
            let token = self.new_token(user, now);
            (user.to_owned(), token)
        })
    }

    fn user(&self, call: &Call) -> Option<String> {
        let (id, token) = call.log_in.as_ref()?;
        let user = self.user_of(token)?;
        (user_id_of(&user) == *id).then_some(user)
    }

    fn user_of(&self, token: &str) -> Option<String> {
        let mut log_ins = self.log_ins.iter();
        let (_, user) = log_ins.find(|(known, _)| known == token)?;
        Some(user.clone())
    }

    /// Returns all rooms.
    pub(super) fn rooms(&self) -> Value {
        self.channels.iter().map(room).collect()
    }

    /// Lists channels, as the real one does when it does not list all of them at once.
    fn list(&self, query: &HashMap<String, String>) -> Answer {
        let count = match number(query, "count", CHANNELS_LISTED) {
            0 => CHANNELS_LISTED,
            count => count.min(CHANNELS_LISTED),
        };
        let channels = self.channels.iter().skip(number(query, "offset", 0));
        let channels: Vec<Value> = channels.take(count).map(room).collect();
        let (count, total) = (channels.len(), self.channels.len());
        (
            200,
            json!({ "channels": channels, "count": count, "total": total, "success": true }),
        )
    }

    fn info(&self, query: &HashMap<String, String>) -> Answer {
        match self.channel(query.get("roomId"), query.get("roomName")) {
            Some(name) => (200, json!({ "channel": room(&name), "success": true })),
            None => refused(400, "error-room-not-found"),
        }
    }

    /// Returns the channel of a room, or of a name with or without `#`.
    fn channel(&self, room: Option<&String>, name: Option<&String>) -> Option<String> {
        let name = name.map(|name| name.trim_start_matches('#'));
        let mut channels = self.channels.iter();
        let meant = |channel: &&String| match room {
            Some(room) => room_of(channel) == *room,
            None => name == Some(channel.as_str()),
        };
        channels.find(meant).cloned()
    }

    /// The newest first, as the real one answers.
    fn history(&self, query: &HashMap<String, String>) -> Answer {
        let Some(channel) = self.channel(query.get("roomId"), None) else {
            return refused(400, "error-room-not-found");
        };
        let oldest: Option<Timestamp> = query.get("oldest").and_then(|text| text.parse().ok());
        let inclusive = query.get("inclusive").is_some_and(|text| text == "true");
        let is_wanted = |message: &&Message| {
            message.channel == channel
                && oldest.is_none_or(|at| message.at > at || (inclusive && message.at == at))
        };
        let messages = self.messages.iter().rev().filter(is_wanted);
        let messages = messages
            .skip(number(query, "offset", 0))
            .take(number(query, "count", 20));
        let messages: Vec<Value> = messages.map(|message| message.told(by_rest)).collect();
        (200, json!({ "messages": messages, "success": true }))
    }

    fn post(&mut self, user: &str, body: &Value, now: Timestamp) -> Answer {
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let channel = self.channel(text("roomId").as_ref(), text("channel").as_ref());
        let Some(channel) = channel else {
            return refused(400, "error-room-not-found");
        };
        let message = self.say(&channel, user, &text("text").unwrap_or_default(), now);
        (
            200,
            json!({ "channel": channel, "message": message, "success": true }),
        )
    }

    /// Says something as `sendMessage` of the websocket asks for it; `None` without such a room.
    pub(super) fn send(&mut self, user: &str, message: &Value, now: Timestamp) -> Option<Value> {
        let room = message["rid"].as_str()?.to_owned();
        let channel = self.channel(Some(&room), None)?;
        let text = message["msg"].as_str()?;
        Some(self.say(&channel, user, text, now))
    }

    /// Edits a message, of whoever it is.
    fn update(&mut self, user: &str, body: &Value, now: Timestamp) -> Answer {
        let mut messages = self.messages.iter_mut();
        let (Some(message), Some(text)) = (
            messages.find(|message| body["msgId"] == *message.id),
            body["text"].as_str(),
        ) else {
            return refused(400, "error-message-not-found");
        };
        message.text = text.to_owned();
        message.edited_at = Some(now);
        // Without a websocket nobody is told.
        self.news.send(message.clone()).unwrap_or_default();
        let mut message = message.told(by_rest);
        message["editedBy"] = json!({ "_id": user_id_of(user), "username": user });
        (200, json!({ "message": message, "success": true }))
    }

    fn hook(&mut self, channel: &str, call: &Call, now: Timestamp) -> Answer {
        let channel = self.channel(None, Some(&channel.to_owned()));
        let text = call.body.get("text").and_then(Value::as_str);
        match (&*call.method, channel, text) {
            ("POST", Some(channel), Some(text)) => {
                self.say(&channel, "webhook", text, now);
                (200, json!({ "success": true }))
            }
            ("POST", Some(_), None) => refused(400, "no text"),
            _ => refused(404, "no such hook"),
        }
    }

    fn say(&mut self, channel: &str, user: &str, text: &str, at: Timestamp) -> Value {
        self.messages_ever += 1;
        let message = Message {
            // Whoever remembers ids may outlive this server: it gives none twice.
            id: format!("message-{}-{}", at.as_microsecond(), self.messages_ever),
            channel: channel.to_owned(),
            user: user.to_owned(),
            text: text.to_owned(),
            at,
            edited_at: None,
        };
        let told = message.told(by_rest);
        // Without a websocket nobody is told.
        self.news.send(message.clone()).unwrap_or_default();
        self.messages.push_back(message);
        if self.messages.len() > MESSAGES_MAX {
            self.messages.pop_front();
        }
        told
    }
}

/// A moment as REST tells it.
fn by_rest(at: Timestamp) -> Value {
    json!(format!("{at:.3}"))
}

/// A moment as the websocket tells it.
fn live(at: Timestamp) -> Value {
    json!({ "$date": at.as_millisecond() })
}

impl Message {
    pub(super) fn room(&self) -> String {
        room_of(&self.channel)
    }

    pub(super) fn told_live(&self) -> Value {
        self.told(live)
    }

    fn told(&self, moment: fn(Timestamp) -> Value) -> Value {
        let mut told = json!({
            "_id": self.id,
            "rid": self.room(),
            "msg": self.text,
            "ts": moment(self.at),
            "u": { "_id": user_id_of(&self.user), "username": self.user },
        });
        if let Some(at) = self.edited_at {
            told["editedAt"] = moment(at);
        }
        told
    }
}
