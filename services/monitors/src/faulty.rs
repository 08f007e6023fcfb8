//! Keeps the last messages that could not be read, for a look at their bytes.

use std::collections::VecDeque;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use fathom_formats::km3net::PayloadError;
use fathom_kernel::{Frame, Outputs, Timestamp};
use serde_json::{Value, json};

/// Messages kept.
const KEPT: usize = 5;
/// Bytes kept of all of them.
const KEPT_BYTES: usize = 8 << 20;
/// Bytes kept of one that alone is longer than that.
const BEGINNING_BYTES: usize = 64 << 10;
/// Bytes of each that stand in the list.
const SHOWN_BYTES: usize = 512;

/// The last messages that could not be read.
#[derive(Debug)]
pub(crate) struct Faulty {
    kept: VecDeque<Message>,
    kept_bytes: usize,
    /// Number of the next one: a number goes on meaning the same message while others come.
    next: u64,
}

/// A message that could not be read.
#[derive(Debug)]
struct Message {
    number: u64,
    tag: String,
    source: String,
    received: Timestamp,
    reason: &'static str,
    error: String,
    /// Length of the whole message.
    bytes: usize,
    body: Box<[u8]>,
}

impl Default for Faulty {
    fn default() -> Self {
        Self {
            kept: VecDeque::new(),
            kept_bytes: 0,
            next: 1,
        }
    }
}

impl Faulty {
    /// Requests that every monitor with faulty messages answers.
    pub(crate) const QUESTIONS: &'static [&'static str] = &["bad"];

    /// Counts a message by its reason and keeps it.
    pub(crate) fn saw(&mut self, frame: &Frame, error: &PayloadError, out: &mut Outputs) {
        out.bad(error.reason());
        let bytes = frame.body.len();
        let kept = match bytes > KEPT_BYTES {
            true => BEGINNING_BYTES,
            false => bytes,
        };
        self.make_room(kept);
        self.kept_bytes += kept;
        self.kept.push_back(Message {
            number: self.next,
            tag: frame.tag.to_string(),
            source: frame.source.to_string(),
            received: frame.received,
            reason: error.reason(),
            error: error.to_string(),
            bytes,
            // A copy, because the body holds on to the whole buffer that it was read into.
            body: frame.body.get(..kept).unwrap_or(&frame.body).into(),
        });
        self.next += 1;
    }

    /// Lets the oldest ones go until so many bytes and one more message have room.
    fn make_room(&mut self, bytes: usize) {
        while self.kept.len() >= KEPT || self.kept_bytes + bytes > KEPT_BYTES {
            let Some(gone) = self.kept.pop_front() else {
                return;
            };
            self.kept_bytes -= gone.body.len();
        }
    }

    /// Answers the requests every monitor knows: `bad` lists the messages with their beginnings,
    /// `bad {"number": N}` gives one with all that is kept of it.
    pub(crate) fn answer(&self, verb: &str, args: &Value, others: &str) -> Result<Value, String> {
        match (verb, args.get("number")) {
            ("bad", None) => Ok(self.kept.iter().map(Message::head).collect()),
            ("bad", Some(number)) => {
                let mut kept = self.kept.iter();
                let message = kept.find(|message| number.as_u64() == Some(message.number));
                let message =
                    message.ok_or_else(|| format!("no faulty message {number} is kept"))?;
                let mut whole = message.head();
                whole["body_base64"] = json!(BASE64_STANDARD.encode(&message.body));
                Ok(whole)
            }
            _ => Err(format!(
                "unknown request {verb:?}, expected reset, bad{others}"
            )),
        }
    }

    /// Returns how much memory the messages take.
    pub(crate) const fn memory_bytes(&self) -> usize {
        self.kept_bytes
    }
}

impl Message {
    fn head(&self) -> Value {
        let shown = self.body.get(..SHOWN_BYTES).unwrap_or(&self.body);
        json!({
            "number": self.number,
            "tag": self.tag,
            "source": self.source,
            "received": self.received,
            "reason": self.reason,
            "error": self.error,
            "bytes": self.bytes,
            "kept_bytes": self.body.len(),
            "body_hex": hex(shown),
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            write!(text, "{byte:02x}").unwrap_or_default();
            text
        })
}

#[cfg(test)]
mod tests {
    use fathom_kernel::tags;

    use super::*;

    /// Takes a message that begins like this and has this length.
    fn saw(faulty: &mut Faulty, first: u8, bytes: usize) -> Outputs {
        let mut out = Outputs::default();
        let mut body = vec![0xab; bytes];
        body[0] = first;
        let frame = Frame {
            source: "t".into(),
            tag: tags::IO_EVT,
            received: Timestamp::UNIX_EPOCH,
            body: body.into(),
        };
        let error = PayloadError::UnknownVersion {
            expected: 4,
            got: 5,
        };
        faulty.saw(&frame, &error, &mut out);
        out
    }

    fn numbers(faulty: &Faulty) -> Vec<u64> {
        let list = faulty.answer("bad", &Value::Null, "").unwrap();
        let numbers = list.as_array().unwrap().iter();
        numbers
            .map(|head| head["number"].as_u64().unwrap())
            .collect()
    }

    #[test]
    fn only_the_last_five_are_kept_under_their_numbers() {
        let mut faulty = Faulty::default();
        for n in 0..7 {
            assert_eq!(saw(&mut faulty, n, 2).bad, ["unknown_version"]);
        }
        assert_eq!(numbers(&faulty), [3, 4, 5, 6, 7]);
        let list = faulty.answer("bad", &Value::Null, "").unwrap();
        assert_eq!(list[0]["body_hex"], "02ab");
        assert_eq!(list[0].get("body_base64"), None);
        let one = faulty.answer("bad", &json!({"number": 4}), "").unwrap();
        assert_eq!(one["body_base64"], BASE64_STANDARD.encode([3, 0xab]));
        for gone in [json!(2), json!(8), json!("4"), json!(-1)] {
            let args = json!({ "number": gone });
            assert!(faulty.answer("bad", &args, "").is_err(), "{gone}");
        }
        assert!(faulty.answer("dance", &Value::Null, "").is_err());
    }

    #[test]
    fn long_messages_are_kept_whole_while_all_have_room() {
        let mut faulty = Faulty::default();
        for _ in 0..3 {
            saw(&mut faulty, 1, 3 << 20);
        }
        assert_eq!(numbers(&faulty), [2, 3], "three of them are 9 MiB");
        assert_eq!(faulty.memory_bytes(), 6 << 20);
        saw(&mut faulty, 1, KEPT_BYTES);
        assert_eq!(numbers(&faulty), [4]);
        saw(&mut faulty, 9, KEPT_BYTES + 1);
        let list = faulty.answer("bad", &Value::Null, "").unwrap();
        assert_eq!(numbers(&faulty), [5]);
        assert_eq!(list[0]["bytes"], KEPT_BYTES + 1);
        assert_eq!(list[0]["kept_bytes"], BEGINNING_BYTES);
        assert_eq!(list[0]["body_hex"].as_str().unwrap().len(), 2 * SHOWN_BYTES);
    }
}
