//! A conversation with a client of the websocket: what it says, and what it is told. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::state::{Message, State, user_id_of};

/// Most subscriptions of one client.
const SUBSCRIPTIONS_MAX: usize = 100;
/// Name of the stream with the messages of a room.
const STREAM: &str = "stream-room-messages";

/// What is known of a client.
#[derive(Debug, Default)]
pub(super) struct Session {
    user: Option<String>,
    /// Numbers of subscriptions, with their rooms.
    rooms: BTreeMap<String, String>,
}

pub(super) fn ping() -> Value {
    json!({ "msg": "ping" })
}

fn refusal(error: u16, reason: &str) -> Value {
    let message = format!("{reason} [{error}]");
    json!({ "error": error, "reason": reason, "message": message, "errorType": "Meteor.Error" })
}

impl Session {
    /// Answers what a client says.
    pub(super) fn answer(
        &mut self,
        frame: &Value,
        state: &mut State,
        now: Timestamp,
    ) -> Vec<Value> {
        let id = &frame["id"];
        match frame["msg"].as_str() {
            Some("connect") if frame["version"] == "1" => {
                vec![json!({ "msg": "connected", "session": format!("{}", now.as_microsecond()) })]
            }
            Some("connect") => vec![json!({ "msg": "failed", "version": "1" })],
            Some("ping") => vec![json!({ "msg": "pong", "id": id })],
            Some("pong") => Vec::new(),
            Some("method") => {
                let mut result = match self.call(frame, state, now) {
                    Ok(result) => json!({ "msg": "result", "result": result }),
                    Err(error) => json!({ "msg": "result", "error": error }),
                };
                result["id"] = id.clone();
                vec![result, json!({ "msg": "updated", "methods": [id] })]
            }
            Some("sub") => vec![match self.subscribe(frame) {
                Ok(()) => json!({ "msg": "ready", "subs": [id] }),
                Err(error) => json!({ "msg": "nosub", "id": id, "error": error }),
            }],
            Some("unsub") => {
                self.rooms.remove(id.as_str().unwrap_or_default());
                vec![json!({ "msg": "nosub", "id": id })]
            }
            _ => {
                vec![json!({ "msg": "error", "reason": "Bad request", "offendingMessage": frame })]
            }
        }
    }

    fn call(&mut self, frame: &Value, state: &mut State, now: Timestamp) -> Result<Value, Value> {
        let first = &frame["params"][0];
        let method = frame["method"].as_str().unwrap_or_default();
        if method == "login" {
            let known = state.log_in_live(first, now);
            let (user, token) = known.ok_or_else(|| refusal(403, "User not found"))?;
            let id = user_id_of(&user);
            self.user = Some(user);
            return Ok(json!({ "id": id, "token": token, "type": "resume" }));
        }
        let user = self
            .user
            .as_ref()
            .ok_or_else(|| refusal(401, "not-authorized"))?;
        match method {
            "rooms/get" => Ok(state.rooms()),
            "sendMessage" => {
                let sent = state.send(user, first, now);
                sent.ok_or_else(|| refusal(400, "error-not-allowed"))
            }
            method => Err(refusal(404, &format!("Method '{method}' not found"))),
        }
    }

    fn subscribe(&mut self, frame: &Value) -> Result<(), Value> {
        let (Some(id), Some(room)) = (frame["id"].as_str(), frame["params"][0].as_str()) else {
            return Err(refusal(400, "Match failed"));
        };
        if frame["name"] != STREAM || self.rooms.len() >= SUBSCRIPTIONS_MAX {
            return Err(refusal(404, "Subscription not found"));
        }
        if self.user.is_none() {
            return Err(refusal(401, "not-allowed"));
        }
        self.rooms.insert(id.to_owned(), room.to_owned());
        Ok(())
    }

    /// Returns how a client is told of a message, where it wants to hear it.
    pub(super) fn tell(&self, message: &Message) -> Option<Value> {
        let room = message.room();
        let is_wanted = self.rooms.values().any(|wanted| *wanted == room);
        is_wanted.then(|| {
            let fields = json!({ "eventName": room, "args": [message.told_live()] });
            json!({ "msg": "changed", "collection": STREAM, "id": "id", "fields": fields })
        })
    }
}
