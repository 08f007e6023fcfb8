//! One entry per message: when it came, its level and class, and where it stands in the text file.
//!
//! ```text
//! 0 offset u64 | 8 received i64 [ms] | 16 length u32 | 20 level u8 | 21 class u8 | 22 zero u16
//! ```
//! Little-endian, 24 bytes, in the order of arrival; `MSG.idx` stands beside `MSG.log`.

use fathom_formats::km3net::{LogMessage, LogSource};
use serde::{Deserialize, Serialize};

/// Bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = 24;

/// How urgent a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Level {
    Alert,
    Error,
    Warning,
    Status,
    /// Another word where the level stands.
    Other,
    /// The message does not follow the convention of the DAQ programs.
    None,
}

impl Level {
    pub(crate) const ALL: [Self; 6] = [
        Self::Alert,
        Self::Error,
        Self::Warning,
        Self::Status,
        Self::Other,
        Self::None,
    ];

    /// Reads the level of a message. Alarms of monitoring programs begin with theirs.
    pub(crate) fn of(message: &LogMessage<'_>) -> Self {
        let first = message.text().split([' ', ':']).next();
        let word = message.fields().map(|fields| fields.level).or(first);
        match (word, message.fields()) {
            (Some("ALERT"), _) => Self::Alert,
            (Some("ERROR"), _) => Self::Error,
            (Some("WARNING"), _) => Self::Warning,
            (Some("STATUS"), _) => Self::Status,
            (_, Some(_)) => Self::Other,
            (_, None) => Self::None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "ALERT",
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Status => "STATUS",
            Self::Other => "OTHER",
            Self::None => "NONE",
        }
    }
}

/// All classes, in the order of their numbers.
pub(crate) const CLASSES: [LogSource; 5] = [
    LogSource::Other,
    LogSource::AcousticDataFilter,
    LogSource::DataFilter,
    LogSource::DataQueue,
    LogSource::DataWriter,
];

/// Where a message stands and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Start of its text in the file, and its length without the final newline.
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) received_ms: i64,
    pub(crate) level: Level,
    pub(crate) class: LogSource,
}

impl Entry {
    /// Writes the entry.
    pub(crate) fn bytes(&self) -> [u8; ENTRY_BYTES] {
        let number = |at: Option<usize>| u8::try_from(at.unwrap_or(0)).unwrap_or(0);
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.received_ms.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.length.to_le_bytes());
        bytes[20] = number(Level::ALL.iter().position(|&level| level == self.level));
        bytes[21] = number(CLASSES.iter().position(|&class| class == self.class));
        bytes
    }

    /// Returns where the next text begins: behind the newline of this one.
    pub(crate) fn end(&self) -> u64 {
        self.offset
            .saturating_add(u64::from(self.length))
            .saturating_add(1)
    }

    /// Reads an entry.
    pub(crate) fn read(bytes: &[u8; ENTRY_BYTES]) -> Option<Self> {
        let (offset, rest) = bytes.split_first_chunk::<8>()?;
        let (received, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let &[level, class, ..] = rest else {
            return None;
        };
        Some(Self {
            offset: u64::from_le_bytes(*offset),
            received_ms: i64::from_le_bytes(*received),
            length: u32::from_le_bytes(*length),
            level: *Level::ALL.get(usize::from(level))?,
            class: *CLASSES.get(usize::from(class))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back() {
        for level in Level::ALL {
            for class in CLASSES {
                let entry = Entry {
                    offset: 1 << 40,
                    length: 77,
                    received_ms: -5,
                    level,
                    class,
                };
                assert_eq!(Entry::read(&entry.bytes()), Some(entry));
            }
        }
        assert_eq!(Entry::read(&[0xff; ENTRY_BYTES]), None);
    }

    #[test]
    fn levels_are_read_where_they_stand() {
        for (text, level) in [
            (
                "2021-05-05 10:00 10.0.0.7 host1/F012 ERROR too many",
                Level::Error,
            ),
            (
                "Tue May 4 192.168.0.3 F012 WARNING HRV high",
                Level::Warning,
            ),
            ("x 10.0.0.7 F012 DEBUG y", Level::Other),
            ("ALERT (MONITORING) Mon Jan 1: invalid", Level::Alert),
            ("hello", Level::None),
        ] {
            assert_eq!(
                Level::of(&LogMessage::decode(text.as_bytes())),
                level,
                "{text}"
            );
        }
    }
}
