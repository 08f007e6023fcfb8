//! `MSG`: text lines of the DAQ programs.
//!
//! ```text
//! <date and time> <a.b.c.d> <process or host/process> <LEVEL> <text>
//! ```

use std::borrow::Cow;
use std::fmt;

use bytes::BufMut;
use serde::{Deserialize, Serialize};

/// A log message, decoded lossily: bytes that are no UTF-8 become U+FFFD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogMessage<'a> {
    text: Cow<'a, str>,
}

/// Which DAQ program a message comes from, as a substring tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LogSource {
    /// ` A0`
    AcousticDataFilter,
    /// ` F0`
    DataFilter,
    /// ` Q0`
    DataQueue,
    /// ` W0`
    DataWriter,
    /// None of them.
    Other,
}

/// The fields of a message that follows the convention of the DAQ programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LogFields<'a> {
    /// Everything before the address: date and time in any form.
    pub date: &'a str,
    /// IPv4 address of the sender.
    pub address: &'a str,
    /// Process, or host and process with a slash between.
    pub process: &'a str,
    /// Level such as `ERROR` or `WARNING`.
    pub level: &'a str,
    /// The rest.
    pub text: &'a str,
}

impl<'a> LogMessage<'a> {
    /// Decodes the body of a `MSG` message; never fails. Trailing NULs and newlines are dropped.
    pub fn decode(body: &'a [u8]) -> Self {
        let padding = body
            .iter()
            .rev()
            .take_while(|&&b| matches!(b, 0 | b'\n' | b'\r'))
            .count();
        let kept = body.get(..body.len() - padding).unwrap_or_default();
        Self {
            text: String::from_utf8_lossy(kept),
        }
    }

    /// Returns the whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Iterates over the lines; usually there is one.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }

    /// Returns the program that the text points to.
    pub fn source(&self) -> LogSource {
        LogSource::of(&self.text)
    }

    /// Returns the fields of the first line; `None` when it does not follow the convention.
    pub fn fields(&self) -> Option<LogFields<'_>> {
        LogFields::parse(self.lines().next()?)
    }
}

impl LogSource {
    /// Classifies a text by substring; of several, the last in the order A, F, Q, W wins.
    pub fn of(text: &str) -> Self {
        [
            (" W0", Self::DataWriter),
            (" Q0", Self::DataQueue),
            (" F0", Self::DataFilter),
            (" A0", Self::AcousticDataFilter),
        ]
        .into_iter()
        .find(|(mark, _)| text.contains(mark))
        .map_or(Self::Other, |(_, source)| source)
    }

    /// Returns the name as it stands in log files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AcousticDataFilter => "AcousticDataFilter",
            Self::DataFilter => "DataFilter",
            Self::DataQueue => "DataQueue",
            Self::DataWriter => "DataWriter",
            Self::Other => "Other",
        }
    }
}

impl fmt::Display for LogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<'a> LogFields<'a> {
    /// Finds the last address that a process, a level and a text follow.
    pub fn parse(line: &'a str) -> Option<Self> {
        line.rmatch_indices(' ').find_map(|(blank, _)| {
            let (date, rest) = (line.get(..blank)?, line.get(blank + 1..)?);
            let mut words = rest.splitn(4, ' ');
            let (address, process) = (words.next()?, words.next()?);
            let (level, text) = (words.next()?, words.next()?);
            let fits = is_address(address) && is_process(process) && is_word(level);
            fits.then_some(Self {
                date,
                address,
                process,
                level,
                text,
            })
        })
    }
}

/// Returns whether a word is four groups of one to three digits.
fn is_address(word: &str) -> bool {
    let group = |g: &str| (1..=3).contains(&g.len()) && g.bytes().all(|b| b.is_ascii_digit());
    word.split('.').count() == 4 && word.split('.').all(group)
}

fn is_process(word: &str) -> bool {
    !word.is_empty() && word.split('/').all(is_word)
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Appends the body of a `MSG` message.
pub fn encode_message(text: &str, out: &mut impl BufMut) {
    out.put_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_convention_is_taken_apart() {
        let body = b"2021-05-05 10:00:00.123 10.0.0.7 host1/F012 ERROR too many packets\n";
        let message = LogMessage::decode(body);
        assert_eq!(
            message.fields(),
            Some(LogFields {
                date: "2021-05-05 10:00:00.123",
                address: "10.0.0.7",
                process: "host1/F012",
                level: "ERROR",
                text: "too many packets",
            })
        );
        assert_eq!(message.source(), LogSource::Other);
        assert!(LogFields::parse("ALERT (MONITORING) Mon Jan 1: invalid time sync").is_none());
        for no_address in ["10.0.7", "10.0.0.7.1", "a.b.c.d", "10.0.0.", "10.0.0.7777"] {
            let line = format!("Mon Jan 1 {no_address} F012 ERROR x");
            assert!(LogFields::parse(&line).is_none(), "{line}");
        }
    }

    #[test]
    fn the_last_class_in_the_list_wins() {
        let of = |text: &str| LogSource::of(text).as_str();
        assert_eq!(
            of("Tue May  4 2021 192.168.0.3 F012 WARNING HRV high"),
            "DataFilter"
        );
        assert_eq!(of("run control Q01 ERROR x"), "DataQueue");
        assert_eq!(of("text W01 with F01 both"), "DataWriter");
        assert_eq!(of("A01 at line start"), "Other");
        assert_eq!(of(" A07 Q02 mixed"), "DataQueue");
    }

    #[test]
    fn bytes_that_are_no_text_become_replacement_characters() {
        assert_eq!(
            LogMessage::decode(b"caf\xe9 au lait\0\0").text(),
            "caf\u{fffd} au lait"
        );
        assert_eq!(LogMessage::decode(b"").text(), "");
    }
}
