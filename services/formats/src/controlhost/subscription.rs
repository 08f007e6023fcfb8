//! The body of `_Subscri`: pairs of mode and tag, such as ` w IO_EVT a MSG`.

use bytes::BufMut;
use serde::{Deserialize, Serialize};

use super::tag::{TAG_BYTES, Tag, TagError};

/// Most tags in one subscription; a detector has about ten.
pub const SUBSCRIPTIONS_MAX: usize = 1024;

/// Longest subscription body; parsing takes time in proportion to its length times its tags.
pub const SUBSCRIPTION_BYTES_MAX: usize = 64 << 10;

/// What happens with messages for a client that is slow.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They may be skipped (`w`).
    #[default]
    Any,
    /// They are kept for it (`a`).
    All,
}

/// A tag that a client wants, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// The tag.
    pub tag: Tag,
    /// The mode.
    pub mode: Mode,
}

/// The complete list of a client; a new one replaces the one before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscriptions(Vec<Subscription>);

/// Why a subscription body is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionError {
    /// A letter that is no mode.
    #[error("mode letter {letter:#04x} in word {word}, expected w, a, s or m")]
    UnknownMode {
        /// Which word, from 0.
        word: usize,
        /// The letter.
        letter: u8,
    },
    /// A word that is no tag.
    #[error("malformed tag in word {word}")]
    MalformedTag {
        /// Which word, from 0.
        word: usize,
        /// What is wrong with it.
        #[source]
        cause: TagError,
    },
    /// The body is longer than anybody needs.
    #[error("body of {got} bytes exceeds limit {SUBSCRIPTION_BYTES_MAX}")]
    TooLong {
        /// Length of the body.
        got: usize,
    },
    /// More tags than anybody needs.
    #[error("more than {SUBSCRIPTIONS_MAX} tags")]
    TooMany,
}

impl Mode {
    fn parse(word: usize, letters: &[u8]) -> Result<Self, SubscriptionError> {
        let unknown = |letter: &&u8| !matches!(letter, b'w' | b'a' | b's' | b'm');
        if let Some(&letter) = letters.iter().find(unknown) {
            return Err(SubscriptionError::UnknownMode { word, letter });
        }
        // `s` (synchronous) and `m` (through shared memory) are hints without effect on TCP.
        Ok(if letters.contains(&b'a') {
            Self::All
        } else {
            Self::Any
        })
    }

    /// Returns the letter on the wire.
    pub fn letter(self) -> u8 {
        match self {
            Self::Any => b'w',
            Self::All => b'a',
        }
    }
}

impl Subscriptions {
    /// Parses the body of `_Subscri`.
    ///
    /// NUL is white space, only the first 8 characters of a tag count, a last word without partner
    /// is ignored, and a tag given twice has both modes, of which `a` wins.
    pub fn parse(body: &[u8]) -> Result<Self, SubscriptionError> {
        if body.len() > SUBSCRIPTION_BYTES_MAX {
            return Err(SubscriptionError::TooLong { got: body.len() });
        }
        let mut list = Self::default();
        let is_blank = |b: &u8| b.is_ascii_whitespace() || matches!(b, 0 | b'\x0b');
        let mut words = body
            .split(is_blank)
            .filter(|word| !word.is_empty())
            .enumerate();
        while let (Some((at, mode)), Some((tag_at, tag))) = (words.next(), words.next()) {
            let mode = Mode::parse(at, mode)?;
            let tag = parse_tag(tag).map_err(|cause| SubscriptionError::MalformedTag {
                word: tag_at,
                cause,
            })?;
            list.add(tag, mode);
            if list.0.len() > SUBSCRIPTIONS_MAX {
                return Err(SubscriptionError::TooMany);
            }
        }
        Ok(list)
    }

    /// Adds a tag; of two modes `a` wins.
    pub fn add(&mut self, tag: Tag, mode: Mode) {
        match self.0.iter_mut().find(|s| s.tag == tag) {
            Some(known) => known.mode = known.mode.max(mode),
            None => self.0.push(Subscription { tag, mode }),
        }
    }

    /// Adds all tags of another list, for brokers that do not replace.
    pub fn merge(&mut self, other: &Self) {
        other.iter().for_each(|s| self.add(s.tag, s.mode));
    }

    /// Returns the mode of a tag; `None` when it is not wanted.
    pub fn mode(&self, tag: Tag) -> Option<Mode> {
        self.0.iter().find(|s| s.tag == tag).map(|s| s.mode)
    }

    /// Iterates over the tags in the order in which they were first named.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Subscription> + '_ {
        self.0.iter().copied()
    }

    /// Returns the number of tags.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends the body of `_Subscri`.
    pub fn encode(&self, out: &mut impl BufMut) {
        for subscription in self.iter() {
            out.put_slice(&[b' ', subscription.mode.letter(), b' ']);
            out.put_slice(subscription.tag.as_str().as_bytes());
        }
    }
}

impl FromIterator<(Tag, Mode)> for Subscriptions {
    fn from_iter<I: IntoIterator<Item = (Tag, Mode)>>(pairs: I) -> Self {
        let mut list = Self::default();
        pairs
            .into_iter()
            .for_each(|(tag, mode)| list.add(tag, mode));
        list
    }
}

fn parse_tag(word: &[u8]) -> Result<Tag, TagError> {
    let mut field = [0; TAG_BYTES];
    field
        .iter_mut()
        .zip(word)
        .for_each(|(to, from)| *to = *from);
    Tag::from_wire(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controlhost::tags;

    fn parsed(body: &[u8]) -> Vec<(String, Mode)> {
        let list = Subscriptions::parse(body).unwrap();
        list.iter().map(|s| (s.tag.to_string(), s.mode)).collect()
    }

    #[test]
    fn a_last_word_without_partner_is_ignored() {
        assert_eq!(parsed(b" w A B"), [("A".to_owned(), Mode::Any)]);
    }

    #[test]
    fn the_same_tag_twice_has_both_modes() {
        assert_eq!(
            parsed(b"w MSG a MSG w MSG"),
            [("MSG".to_owned(), Mode::All)]
        );
        assert_eq!(parsed(b"as MSG"), [("MSG".to_owned(), Mode::All)]);
        assert_eq!(parsed(b"sm MSG"), [("MSG".to_owned(), Mode::Any)]);
    }

    #[test]
    fn only_eight_characters_of_a_tag_count() {
        assert_eq!(
            parsed(b"w ABCDEFGHIJ"),
            [("ABCDEFGH".to_owned(), Mode::Any)]
        );
    }

    #[test]
    fn an_unknown_mode_is_refused() {
        let error = SubscriptionError::UnknownMode {
            word: 2,
            letter: b'B',
        };
        assert_eq!(Subscriptions::parse(b"w A B C"), Err(error));
    }

    #[test]
    fn a_list_without_end_is_refused() {
        let body: String = (0..=SUBSCRIPTIONS_MAX)
            .map(|n| format!(" w T{n}"))
            .collect();
        assert_eq!(
            Subscriptions::parse(body.as_bytes()),
            Err(SubscriptionError::TooMany)
        );
        let got = SUBSCRIPTION_BYTES_MAX + 1;
        let blanks = vec![b' '; got];
        assert_eq!(
            Subscriptions::parse(&blanks),
            Err(SubscriptionError::TooLong { got })
        );
    }

    #[test]
    fn the_body_is_what_the_python_clients_send() {
        let list: Subscriptions = [(tags::IO_EVT, Mode::Any), (tags::MSG, Mode::All)]
            .into_iter()
            .collect();
        let mut out = Vec::new();
        list.encode(&mut out);
        assert_eq!(out, b" w IO_EVT a MSG");
    }
}
