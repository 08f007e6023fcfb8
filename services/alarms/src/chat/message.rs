//! Messages of Rocket.Chat, as both its interfaces tell them, and which of them were heard. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::Said;

/// Messages whose numbers are remembered, so that none is heard twice.
const KNOWN_MAX: usize = 1000;
/// How far behind the newest message another one may lie and still be new: what came at the same
/// moment, or by another process of the server. Older ones are repeated when somebody reacts to them.
const OVERLAP: Duration = Duration::from_secs(10);

/// A message.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Message {
    #[serde(rename = "_id")]
    id: String,
    #[serde(default)]
    msg: String,
    #[serde(deserialize_with = "moment")]
    ts: Timestamp,
    u: User,
    /// Kind of a message of the system, such as somebody joining.
    t: Option<IgnoredAny>,
    /// Somebody, not always who said it, has changed it since.
    #[serde(rename = "editedAt")]
    edited_at: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Deserialize)]
struct User {
    username: String,
}

/// Reads a moment: text by REST, milliseconds by the websocket.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Moment {
        Text(Timestamp),
        Date {
            #[serde(rename = "$date")]
            date: i64,
        },
    }
    match Moment::deserialize(deserializer)? {
        Moment::Text(at) => Ok(at),
        Moment::Date { date } => Timestamp::from_millisecond(date).map_err(D::Error::custom),
    }
}

impl Message {
    /// Tells whether somebody says it. What was edited is not: the words may be those of another.
    fn is_said(&self) -> bool {
        self.t.is_none() && self.edited_at.is_none()
    }
}

/// Which messages were heard.
#[derive(Debug, Default)]
pub(super) struct Memory {
    newest: Option<Timestamp>,
    /// Numbers of messages, oldest first.
    known: VecDeque<String>,
}

impl Memory {
    /// Returns from when on a message can be a new one; nothing before `since` is.
    pub(super) fn oldest(&self, since: Timestamp) -> Timestamp {
        let overlapping = self.newest.map(|newest| newest - OVERLAP);
        overlapping.map_or(since, |oldest| oldest.max(since))
    }

    /// Tells whether a message was heard.
    pub(super) fn knows(&self, message: &Message) -> bool {
        self.known.contains(&message.id)
    }

    /// Hears messages, and returns what was said in those that are new, oldest first.
    pub(super) fn hear(&mut self, mut messages: Vec<Message>, since: Timestamp) -> Vec<Said> {
        messages.sort_by_key(|message| message.ts);
        let oldest = self.oldest(since);
        let mut said = Vec::new();
        for message in messages {
            if message.ts < oldest || self.knows(&message) {
                continue;
            }
            self.newest = self.newest.max(Some(message.ts));
            self.known.push_back(message.id.clone());
            if message.is_said() {
                said.push(Said {
                    id: message.id,
                    user: message.u.username,
                    text: message.msg,
                    at: message.ts,
                });
            }
        }
        let forgotten = self.known.len().saturating_sub(KNOWN_MAX);
        self.known.drain(..forgotten);
        said
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn message(id: &str, second: i64) -> Value {
        json!({
            "_id": id, "rid": "r", "msg": "@bot status", "ts": { "$date": second * 1000 },
            "u": { "_id": "u1", "username": "anna" }, "mentions": [],
        })
    }

    fn heard(memory: &mut Memory, messages: &[Value]) -> Vec<String> {
        let read = |value: &Value| Message::deserialize(value).unwrap();
        let said = memory.hear(messages.iter().map(read).collect(), at(100));
        said.into_iter().map(|said| said.id).collect()
    }

    #[test]
    fn both_interfaces_tell_the_same_message() {
        let live = Message::deserialize(message("a", 1_790_000_000)).unwrap();
        let mut asked = message("a", 0);
        asked["ts"] = json!("2026-09-21T14:13:20.000Z");
        let asked = Message::deserialize(asked).unwrap();
        assert_eq!(live.ts, asked.ts);
        let mut memory = Memory::default();
        assert_eq!(memory.hear(vec![live, asked], at(100)).len(), 1);
    }

    #[test]
    fn a_message_is_heard_once_and_never_from_before_the_start() {
        let mut memory = Memory::default();
        let messages = [message("b", 102), message("a", 101), message("old", 99)];
        assert_eq!(heard(&mut memory, &messages), ["a", "b"]);
        let again = [message("b", 102), message("c", 102)];
        assert_eq!(heard(&mut memory, &again), ["c"]);
    }

    #[test]
    fn edited_messages_and_those_of_the_system_are_no_orders() {
        let mut memory = Memory::default();
        assert_eq!(heard(&mut memory, &[message("a", 101)]), ["a"]);
        let mut edited = [message("a", 101), message("b", 102)];
        for message in &mut edited {
            message["editedAt"] = json!({ "$date": 103_000 });
        }
        assert!(heard(&mut memory, &edited).is_empty());
        let mut joined = message("c", 104);
        joined["t"] = json!("uj");
        assert!(heard(&mut memory, &[joined]).is_empty());
    }

    #[test]
    fn an_order_of_long_ago_was_carried_out_again_when_somebody_reacted_to_it() {
        let mut memory = Memory::default();
        assert_eq!(heard(&mut memory, &[message("first", 101)]), ["first"]);
        for number in 0..2 * i64::try_from(KNOWN_MAX).unwrap() {
            heard(&mut memory, &[message(&number.to_string(), 200 + number)]);
        }
        assert_eq!(memory.known.len(), KNOWN_MAX);
        let mut liked = message("first", 101);
        liked["reactions"] = json!({ ":+1:": { "usernames": ["ben"] } });
        assert!(heard(&mut memory, &[liked]).is_empty());
    }
}
