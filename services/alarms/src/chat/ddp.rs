//! Messages of DDP, the protocol of Meteor, as Rocket.Chat speaks it on its websocket. Pure.
//!
//! ```text
//! -> connect                      <- connected, or failed with another version
//! -> method login {resume}        <- result
//! -> sub stream-room-messages     <- ready, or nosub
//!                                 <- changed, with each message of the channel
//!    both sides at any time: ping -> pong
//! ```

use serde::Deserialize;
use serde_json::{Value, json};

use super::message::Message;

/// Name of the stream with the messages of a channel.
const STREAM: &str = "stream-room-messages";
/// Number of the log-in.
const LOG_IN: &str = "log-in";
/// Number of the subscription.
const SUBSCRIPTION: &str = "messages";

/// What the server tells.
#[derive(Debug)]
pub(super) enum Told {
    Connected,
    /// It speaks other versions of the protocol.
    OtherVersion,
    LoggedIn,
    LogInRefused(String),
    Subscribed,
    /// It ends the subscription, or never began it.
    NotSubscribed(String),
    Said(Message),
    /// It wants the answer [`pong`].
    Ping(Option<String>),
    /// Nothing that matters here.
    Other,
}

/// A message of any kind.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Frame {
    msg: String,
    id: Option<String>,
    subs: Vec<String>,
    collection: String,
    fields: Value,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    reason: Option<String>,
    message: Option<String>,
}

pub(super) fn connect() -> Value {
    json!({ "msg": "connect", "version": "1", "support": ["1"] })
}

/// Logs in with the token that the REST interface gave.
pub(super) fn log_in(token: &str) -> Value {
    json!({ "msg": "method", "method": "login", "id": LOG_IN, "params": [{ "resume": token }] })
}

pub(super) fn subscribe(room: &str) -> Value {
    json!({ "msg": "sub", "id": SUBSCRIPTION, "name": STREAM, "params": [room, false] })
}

pub(super) fn ping() -> Value {
    json!({ "msg": "ping" })
}

pub(super) fn pong(id: Option<&str>) -> Value {
    match id {
        Some(id) => json!({ "msg": "pong", "id": id }),
        None => json!({ "msg": "pong" }),
    }
}

/// Reads what the server tells of a room.
///
/// # Errors
/// When it is no message of the protocol, or one with a message of the channel in no known form.
pub(super) fn read(text: &str, room: &str) -> Result<Told, serde_json::Error> {
    let frame: Frame = serde_json::from_str(text)?;
    let why = || frame.error.as_ref().map_or_else(String::new, Refusal::told);
    let is_about = |id: &str| frame.id.as_deref() == Some(id);
    Ok(match &*frame.msg {
        "connected" => Told::Connected,
        "failed" => Told::OtherVersion,
        "result" if is_about(LOG_IN) => match &frame.error {
            None => Told::LoggedIn,
            Some(refusal) => Told::LogInRefused(refusal.told()),
        },
        "ready" if frame.subs.iter().any(|id| id == SUBSCRIPTION) => Told::Subscribed,
        "nosub" if is_about(SUBSCRIPTION) => Told::NotSubscribed(why()),
        "changed" if frame.collection == STREAM && frame.fields["eventName"] == *room => {
            Told::Said(Message::deserialize(&frame.fields["args"][0])?)
        }
        "ping" => Told::Ping(frame.id),
        _ => Told::Other,
    })
}

impl Refusal {
    /// Characters of a refusal that are told.
    const CHARS_MAX: usize = 200;

    fn told(&self) -> String {
        let text = self.reason.as_ref().or(self.message.as_ref());
        text.map_or_else(String::new, |text| {
            text.chars().take(Self::CHARS_MAX).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(frame: Value) -> String {
        let told = read(&frame.to_string(), "r1");
        told.map_or_else(|_| "nothing".into(), |told| format!("{told:?}"))
    }

    #[test]
    fn what_the_server_tells_is_understood() {
        let refusal = json!({ "error": 403, "reason": "Expired", "errorType": "Meteor.Error" });
        let cases = [
            (json!({ "server_id": "0" }), "Other"),
            (json!({ "msg": "connected", "session": "x" }), "Connected"),
            (
                json!({ "msg": "failed", "version": "pre2" }),
                "OtherVersion",
            ),
            (
                json!({ "msg": "added", "collection": "users", "id": "x", "fields": {} }),
                "Other",
            ),
            (
                json!({ "msg": "result", "id": "log-in", "result": { "id": "u" } }),
                "LoggedIn",
            ),
            (
                json!({ "msg": "result", "id": "log-in", "error": refusal }),
                "LogInRefused(\"Expired\")",
            ),
            (
                json!({ "msg": "ready", "subs": ["messages"] }),
                "Subscribed",
            ),
            (
                json!({ "msg": "nosub", "id": "messages", "error": refusal }),
                "NotSubscribed(\"Expired\")",
            ),
            (
                json!({ "msg": "nosub", "id": "messages" }),
                "NotSubscribed(\"\")",
            ),
            (json!({ "msg": "ping", "id": "7" }), "Ping(Some(\"7\"))"),
            (json!({ "msg": "pong" }), "Other"),
            (json!({ "msg": "ping", "id": 7 }), "nothing"),
            (json!("msg"), "nothing"),
        ];
        for (frame, expected) in cases {
            assert_eq!(told(frame.clone()), expected, "{frame}");
        }
    }

    #[test]
    fn only_messages_of_the_channel_are_taken_from_the_stream() {
        let changed = |room: &str, args: Value| {
            let fields = json!({ "eventName": room, "args": args });
            told(json!({ "msg": "changed", "collection": STREAM, "id": "id", "fields": fields }))
        };
        let message = json!({
            "_id": "m", "msg": "hello", "ts": { "$date": 5 }, "u": { "username": "anna" },
        });
        assert!(changed("r1", json!([message])).starts_with("Said("));
        assert_eq!(changed("r2", json!([message])), "Other");
        for odd in [json!([]), json!([{ "_id": "m" }]), json!("m")] {
            assert_eq!(changed("r1", odd), "nothing");
        }
    }
}
