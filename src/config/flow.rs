//! What a rule on the data flow looks at.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use fathom_kernel::{Tag, Topic};

/// A place where data can be seen to flow.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(try_from = "String")]
pub enum FlowSource {
    /// Messages with this tag at the brokers of the stack.
    Tag(Tag),
    /// Events of this topic on the bus: from the service when it is what goes out.
    Bus(Topic),
    /// Messages that this service handled.
    Actor(Arc<str>),
    /// Messages put into the queues of the service, or taken out of them.
    Queue,
    /// A file or the entries of a folder change; relative to the data folder.
    File(PathBuf),
    /// Any line of output.
    Stdout,
    /// A line of output that contains a match of this regular expression.
    Log(String),
    /// A counter of the service, or a value that it puts on the board.
    Metric(String),
    /// `WATCHDOG=1` on `NOTIFY_SOCKET`.
    Notify,
    /// A number in a JSON document that must change.
    Http {
        /// Where the document is.
        url: String,
        /// Where the number stands in it, as a JSON pointer; the whole document when empty.
        pointer: String,
    },
}

/// Why a text is no [`FlowSource`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlowSourceError {
    /// None of the forms.
    #[error("unknown source `{0}`, expected {EXPECTED}")]
    Unknown(String),
    /// A form whose part after the colon is wrong.
    #[error("`{text}` cannot be used, expected {expected}")]
    Detail {
        /// What was written.
        text: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// A pattern that is no regular expression.
    #[error("`{pattern}` is no regular expression: {why}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// A form that needs what this version does not have.
    #[error("`{0}` needs Kafka, which this version does not speak")]
    Kafka(String),
}

/// All forms, for messages.
const EXPECTED: &str = "`tag:TAG`, `bus:TOPIC`, `actor:NAME`, `queue`, `file:PATH`, `stdout`, \
                        `log:REGEX`, `metric:NAME`, `notify` or `http:URL#POINTER`";

impl FromStr for FlowSource {
    type Err = FlowSourceError;

    fn from_str(text: &str) -> Result<Self, FlowSourceError> {
        let (form, detail) = text.split_once(':').unwrap_or((text, ""));
        let wrong = |expected| FlowSourceError::Detail {
            text: text.to_owned(),
            expected,
        };
        let given = |expected| match detail.is_empty() {
            true => Err(wrong(expected)),
            false => Ok(detail),
        };
        match form {
            "queue" if detail.is_empty() => Ok(Self::Queue),
            "stdout" if detail.is_empty() => Ok(Self::Stdout),
            "notify" if detail.is_empty() => Ok(Self::Notify),
            "tag" => {
                let tag = given("`tag:TAG`")?.parse();
                tag.map(Self::Tag)
                    .map_err(|_| wrong("`tag:TAG` with a tag of at most 8 letters"))
            }
            "bus" => topic(detail).map(Self::Bus).ok_or(wrong(
                "`bus:frame`, `bus:output`, `bus:alarm`, `bus:life` or `bus:log`",
            )),
            "actor" => Ok(Self::Actor(given("`actor:NAME`")?.into())),
            "file" => Ok(Self::File(given("`file:PATH`")?.into())),
            "log" => pattern(given("`log:REGEX`")?).map(Self::Log),
            "metric" => Ok(Self::Metric(given("`metric:NAME`")?.to_owned())),
            "http" | "https" => http(text).ok_or(wrong("`http:URL#POINTER`")),
            "kafka" => Err(FlowSourceError::Kafka(text.to_owned())),
            _ => Err(FlowSourceError::Unknown(text.to_owned())),
        }
    }
}

fn topic(word: &str) -> Option<Topic> {
    Topic::ALL
        .into_iter()
        .find(|topic| topic_word(*topic) == word)
}

fn topic_word(topic: Topic) -> &'static str {
    match topic {
        Topic::Frame => "frame",
        Topic::Output => "output",
        Topic::Alarm => "alarm",
        Topic::Life => "life",
        Topic::Log => "log",
        Topic::Notice => "notice",
    }
}

fn pattern(text: &str) -> Result<String, FlowSourceError> {
    regex::Regex::new(text).map_err(|error| FlowSourceError::Pattern {
        pattern: text.to_owned(),
        why: super::ready::reason(&error),
    })?;
    Ok(text.to_owned())
}

/// Reads an address with, after `#`, where to look: `/a/0/b`, or shorter `a.0.b`.
fn http(text: &str) -> Option<FlowSource> {
    let address = super::ready::url(text)?;
    let (url, place) = address.split_once('#').unwrap_or((&address, ""));
    let pointer = match place {
        "" => String::new(),
        place if place.starts_with('/') => place.to_owned(),
        place => format!("/{}", place.replace('.', "/")),
    };
    let url = url.to_owned();
    Some(FlowSource::Http { url, pointer })
}

impl TryFrom<String> for FlowSource {
    type Error = FlowSourceError;

    fn try_from(text: String) -> Result<Self, FlowSourceError> {
        text.parse()
    }
}

impl FlowSource {
    /// Says why this cannot be seen of a kind, if so.
    pub(crate) fn refused(&self, is_kind: bool) -> Option<&'static str> {
        match self {
            Self::Stdout | Self::Log(_) | Self::Notify if is_kind => Some(
                "a kind has no output of its own to look at; see `bus:output`, `queue` and \
                 `metric:NAME`",
            ),
            _ => None,
        }
    }

    /// Tells whether it counts, so that it has a rate.
    pub(crate) fn counts(&self) -> bool {
        !matches!(self, Self::File(_) | Self::Http { .. })
    }
}

impl fmt::Display for FlowSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "tag:{tag}"),
            Self::Bus(topic) => write!(f, "bus:{}", topic_word(*topic)),
            Self::Actor(name) => write!(f, "actor:{name}"),
            Self::Queue => f.write_str("queue"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Stdout => f.write_str("stdout"),
            Self::Log(regex) => write!(f, "log:{regex}"),
            Self::Metric(name) => write!(f, "metric:{name}"),
            Self::Notify => f.write_str("notify"),
            Self::Http { url, pointer } if pointer.is_empty() => write!(f, "http:{url}"),
            Self::Http { url, pointer } => write!(f, "http:{url}#{pointer}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back_as_shown() {
        for text in [
            "tag:IO_SUM",
            "bus:output",
            "actor:ligiers:ligier",
            "queue",
            "file:plots/x.png",
            "stdout",
            "log:wrote [0-9]+ hits",
            "metric:sent",
            "notify",
            "http:http://localhost:8081/status",
            "http:http://localhost:8081/status#/events/0",
        ] {
            assert_eq!(text.parse::<FlowSource>().unwrap().to_string(), text);
        }
        let dotted: FlowSource = "http://localhost/s#events.0".parse().unwrap();
        assert_eq!(dotted.to_string(), "http:http://localhost/s#/events/0");
    }

    #[test]
    fn incomplete_forms_say_what_was_expected() {
        for text in [
            "",
            "tag:",
            "tag:MUCHTOOLONG",
            "bus:frames",
            "actor:",
            "file:",
            "log:",
            "metric:",
            "http:x",
            "queue:1",
            "somewhere",
        ] {
            let error = text.parse::<FlowSource>().unwrap_err().to_string();
            assert!(error.contains("expected"), "{text}: {error}");
        }
        let error = "kafka:hits".parse::<FlowSource>().unwrap_err().to_string();
        assert!(error.contains("needs Kafka"), "{error}");
        assert!("log:[".parse::<FlowSource>().is_err());
    }
}
