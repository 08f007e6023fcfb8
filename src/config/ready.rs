//! When a started service counts as ready.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How readiness is found out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub enum Ready {
    /// It exists.
    Spawn,
    /// It lived for so long.
    Secs(Duration),
    /// It says so: a kind by its context, a program by `READY=1` on `NOTIFY_SOCKET`.
    Notify,
    /// It writes a newline to this descriptor.
    Fd(u32),
    /// Somebody accepts connections at `host:port`.
    Tcp(String),
    /// A GET of this URL answers 2xx.
    Http(String),
    /// This command exits with 0.
    Exec(Vec<String>),
    /// A line of its output contains a match of this regular expression.
    Log(String),
    /// This file was created or touched after the start; relative to where a program runs, for a kind to
    /// the data folder.
    File(PathBuf),
    /// Its first data item was seen on the `out` of a flow rule; a kind without such rules has sent
    /// its first message or output.
    Flow,
}

impl Ready {
    /// Returns how long it has to live to be ready; no time when that is found out otherwise.
    pub fn least_life(&self) -> Duration {
        match self {
            Self::Secs(time) => *time,
            Self::Spawn
            | Self::Notify
            | Self::Fd(_)
            | Self::Tcp(_)
            | Self::Http(_)
            | Self::Exec(_)
            | Self::Log(_)
            | Self::File(_)
            | Self::Flow => Duration::ZERO,
        }
    }
}

/// Why a text is no [`Ready`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadyError {
    /// None of the forms.
    #[error("unknown readiness `{0}`, expected {EXPECTED}")]
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
}

/// All forms, for messages.
const EXPECTED: &str = "`spawn`, `secs:N`, `notify`, `fd:N`, `tcp:HOST:PORT`, `http:URL`, \
                        `exec:COMMAND`, `log:REGEX`, `file:PATH` or `flow`";

/// What is right for a page.
const HTTP: &str = "`http:URL`, `http://…` or `https://…`";

impl FromStr for Ready {
    type Err = ReadyError;

    fn from_str(text: &str) -> Result<Self, ReadyError> {
        let (form, detail) = text.split_once(':').unwrap_or((text, ""));
        let wrong = |expected| ReadyError::Detail {
            text: text.to_owned(),
            expected,
        };
        let given = |expected| match detail.is_empty() {
            true => Err(wrong(expected)),
            false => Ok(detail.to_owned()),
        };
        match form {
            "spawn" if detail.is_empty() => Ok(Self::Spawn),
            "notify" if detail.is_empty() => Ok(Self::Notify),
            "flow" if detail.is_empty() => Ok(Self::Flow),
            "secs" => seconds(detail).map(Self::Secs).ok_or(wrong("`secs:N`")),
            "fd" => match detail.parse() {
                Ok(descriptor) if descriptor > 2 => Ok(Self::Fd(descriptor)),
                _ => Err(wrong("`fd:N` with N above 2")),
            },
            "tcp" if is_host_port(detail) => Ok(Self::Tcp(detail.to_owned())),
            "tcp" => Err(wrong("`tcp:HOST:PORT`")),
            "http" | "https" => url(text).map(Self::Http).ok_or(wrong(HTTP)),
            "exec" => match shlex::split(detail) {
                Some(argv) if !argv.is_empty() => Ok(Self::Exec(argv)),
                _ => Err(wrong("`exec:COMMAND`")),
            },
            "log" => {
                let pattern = given("`log:REGEX`")?;
                regex::Regex::new(&pattern).map_err(|error| ReadyError::Pattern {
                    why: reason(&error),
                    pattern: pattern.clone(),
                })?;
                Ok(Self::Log(pattern))
            }
            "file" => given("`file:PATH`").map(|path| Self::File(path.into())),
            _ => Err(ReadyError::Unknown(text.to_owned())),
        }
    }
}

/// Says what is wrong with a pattern: the last line of the error says why; the lines before draw
/// what the caret shows anyway.
pub(crate) fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default().trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    let time = Duration::try_from_secs_f64(seconds).ok()?;
    // No longer than any other length of time in the configuration, so that the clock reaches it.
    u64::try_from(time.as_nanos()).is_ok().then_some(time)
}

pub(crate) fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// Takes an address, also behind the word for its form: `http:https://…`.
pub(crate) fn url(text: &str) -> Option<String> {
    let address = match text.strip_prefix("http:") {
        Some(rest) if !rest.starts_with("//") => rest,
        _ => text,
    };
    is_web(address).then(|| address.to_owned())
}

/// Tells whether a text is a web address.
pub(crate) fn is_web(text: &str) -> bool {
    let host = ["http://", "https://"].map(|scheme| text.strip_prefix(scheme));
    host.into_iter().flatten().any(|host| !host.is_empty())
}

impl TryFrom<String> for Ready {
    type Error = ReadyError;

    fn try_from(text: String) -> Result<Self, ReadyError> {
        text.parse()
    }
}

impl Ready {
    /// Says why a form cannot be used with a kind (or a program), if so.
    pub(crate) fn refused(&self, is_kind: bool, has_flow_rules: bool) -> Option<&'static str> {
        match self {
            Self::Fd(_) | Self::Log(_) if is_kind => {
                Some("a kind has no output of its own to look at; it says itself when it is ready")
            }
            Self::Flow if !is_kind && !has_flow_rules => {
                Some("the data flow of a program is seen by its `flow` rules, and it has none")
            }
            _ => None,
        }
    }
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn => f.write_str("spawn"),
            Self::Secs(time) => write!(f, "secs:{}", time.as_secs_f64()),
            Self::Notify => f.write_str("notify"),
            Self::Fd(descriptor) => write!(f, "fd:{descriptor}"),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Http(url) => write!(f, "http:{url}"),
            Self::Exec(argv) => {
                let words: Vec<_> = argv.iter().map(|word| quoted(word)).collect();
                write!(f, "exec:{}", words.join(" "))
            }
            Self::Log(regex) => write!(f, "log:{regex}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Flow => f.write_str("flow"),
        }
    }
}

fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| format!("{word:?}"), |word| word.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back_as_shown() {
        for text in [
            "spawn",
            "secs:1",
            "secs:0.5",
            "notify",
            "fd:3",
            "tcp:127.0.0.1:80",
            "tcp:[::1]:80",
            "http:http://localhost:8081/",
            "http:https://localhost/",
            "exec:test -e 'a b'",
            "log:listening on .*",
            "file:plots/x.png",
            "flow",
        ] {
            assert_eq!(text.parse::<Ready>().unwrap().to_string(), text);
        }
        let plain: Ready = "http://localhost/".parse().unwrap();
        assert_eq!(plain, Ready::Http("http://localhost/".into()));
        let secret: Ready = "https://localhost/".parse().unwrap();
        assert_eq!(secret, Ready::Http("https://localhost/".into()));
    }

    #[test]
    fn incomplete_forms_say_what_was_expected() {
        for text in [
            "",
            "soon",
            "secs:",
            "secs:-1",
            "secs:1e19",
            "fd:1",
            "tcp:80",
            "tcp::80",
            "tcp:h:0",
            "http:x",
            "https:h",
            "https://",
            "exec:",
            "exec:'",
            "log:",
            "file:",
            "spawn:1",
        ] {
            let error = text.parse::<Ready>().unwrap_err().to_string();
            assert!(error.contains("expected"), "{text}: {error}");
        }
    }
}
