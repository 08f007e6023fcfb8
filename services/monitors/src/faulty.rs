//! Keeps the last messages that could not be read, for a look at their bytes.

use fathom_formats::km3net::PayloadError;
use fathom_hist::Ring;
use fathom_kernel::{Frame, Outputs};
use serde_json::{Value, json};

/// Messages kept.
const KEPT: usize = 5;
/// Bytes kept of each.
const KEPT_BYTES: usize = 64 << 10;

/// The last messages that could not be read.
#[derive(Debug)]
pub(crate) struct Faulty {
    kept: Ring<Value>,
}

impl Default for Faulty {
    fn default() -> Self {
        Self {
            kept: Ring::new(KEPT),
        }
    }
}

impl Faulty {
    /// Counts a message by its reason and keeps it.
    pub(crate) fn saw(&mut self, frame: &Frame, error: &PayloadError, out: &mut Outputs) {
        out.bad(error.reason());
        let shown = frame.body.get(..KEPT_BYTES).unwrap_or(&frame.body);
        self.kept.push(json!({
            "tag": frame.tag,
            "source": &*frame.source,
            "received": frame.received,
            "reason": error.reason(),
            "error": error.to_string(),
            "bytes": frame.body.len(),
            "body_hex": hex(shown),
        }));
    }

    /// Answers the requests every monitor knows: `bad`.
    pub(crate) fn answer(&self, verb: &str, others: &str) -> Result<Value, String> {
        match verb {
            "bad" => Ok(self.kept.iter().cloned().collect()),
            _ => Err(format!(
                "unknown request {verb:?}, expected reset, bad{others}"
            )),
        }
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
    use fathom_kernel::{Timestamp, tags};

    use super::*;

    #[test]
    fn only_the_last_five_are_kept() {
        let mut faulty = Faulty::default();
        let mut out = Outputs::default();
        for n in 0..7_u8 {
            let frame = Frame {
                source: "t".into(),
                tag: tags::IO_EVT,
                received: Timestamp::UNIX_EPOCH,
                body: vec![n, 0xab].into(),
            };
            let error = PayloadError::UnknownVersion {
                expected: 4,
                got: 5,
            };
            faulty.saw(&frame, &error, &mut out);
        }
        let kept = faulty.answer("bad", "").unwrap();
        assert_eq!(kept.as_array().unwrap().len(), 5);
        assert_eq!(kept[0]["body_hex"], "02ab");
        assert_eq!(out.bad, ["unknown_version"; 7]);
        assert!(faulty.answer("dance", "").is_err());
    }
}
