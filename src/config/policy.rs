//! What happens when a service ends: restart, delay, budget.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fathom_kernel::{QuantityError, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// When a service is started again after it ended by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// However it ended.
    #[default]
    Always,
    /// Unless its exit code is in `exit_ok`.
    OnFailure,
    /// Not at all.
    Never,
}

/// Delays between restarts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Backoff {
    /// Delay before the first restart of a streak of failures.
    pub first: Span,
    /// Delay before the second.
    pub base: Span,
    /// Each further delay is longer by this factor.
    pub factor: f64,
    /// Longest delay.
    pub max: Span,
    /// Delays vary at random by this fraction either way.
    pub jitter: f64,
    /// A service that ran well for so long starts a new streak.
    pub reset_after: Span,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Span::ZERO,
            base: Span::from_millis(250),
            factor: 2.0,
            max: Span::from_secs(30),
            jitter: 0.1,
            reset_after: Span::from_secs(60),
        }
    }
}

/// Most failures within a sliding window; one more and the service is FATAL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Failures allowed; 0 means never FATAL.
    pub restarts: u32,
    /// Length of the window.
    #[serde(deserialize_with = "some_time")]
    pub period: Span,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            restarts: 10,
            period: Span::from_secs(300),
        }
    }
}

/// Reads a length of time that is not none.
fn some_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    let span = Span::deserialize(deserializer)?;
    match span.is_zero() {
        true => Err(serde::de::Error::custom("expected a time of more than 0s")),
        false => Ok(span),
    }
}

/// What the failure of a member means for the others of its group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Nothing.
    #[default]
    OneForOne,
    /// Those that depend on it are restarted with it; members without `after` count as depending on
    /// those declared before them.
    RestForOne,
    /// All are restarted.
    OneForAll,
}

impl Strategy {
    /// Returns the word for it, as in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneForOne => "one_for_one",
            Self::RestForOne => "rest_for_one",
            Self::OneForAll => "one_for_all",
        }
    }
}

/// What to do when the budget is used up: `keep`, `retry:5m` or `shutdown`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum OnFatal {
    /// Wait for an operator.
    #[default]
    Keep,
    /// Try again after this time with a fresh budget.
    Retry(Duration),
    /// End the whole stack in order with exit code 1.
    Shutdown,
}

/// Why a text is no [`OnFatal`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OnFatalError {
    /// None of the words.
    #[error("unknown action `{0}`, expected `keep`, `retry:5m` or `shutdown`")]
    Unknown(String),
    /// The time after `retry:` cannot be read.
    #[error("in `retry:`: {0}")]
    Time(QuantityError),
    /// The time after `retry:` is too short to be one.
    #[error("`{0}` would try again and again; the least is `retry:1s`")]
    TooSoon(String),
}

impl FromStr for OnFatal {
    type Err = OnFatalError;

    fn from_str(text: &str) -> Result<Self, OnFatalError> {
        match (text, text.strip_prefix("retry:")) {
            (_, Some(time)) => {
                let after: Span = time.parse().map_err(OnFatalError::Time)?;
                match after < Span::from_secs(1) {
                    true => Err(OnFatalError::TooSoon(text.to_owned())),
                    false => Ok(Self::Retry(after.duration())),
                }
            }
            ("keep", _) => Ok(Self::Keep),
            ("shutdown", _) => Ok(Self::Shutdown),
            _ => Err(OnFatalError::Unknown(text.to_owned())),
        }
    }
}

impl TryFrom<String> for OnFatal {
    type Error = OnFatalError;

    fn try_from(text: String) -> Result<Self, OnFatalError> {
        text.parse()
    }
}

impl From<OnFatal> for String {
    fn from(action: OnFatal) -> Self {
        action.to_string()
    }
}

impl fmt::Display for OnFatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep => f.write_str("keep"),
            Self::Retry(after) => write!(f, "retry:{}", Span::from(*after)),
            Self::Shutdown => f.write_str("shutdown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_read_back_as_shown() {
        for text in ["keep", "retry:5m", "shutdown"] {
            assert_eq!(text.parse::<OnFatal>().unwrap().to_string(), text);
        }
        let error = "retry:5".parse::<OnFatal>().unwrap_err().to_string();
        assert!(error.contains("`5` has no unit"), "{error}");
        assert!("explode".parse::<OnFatal>().is_err());
        assert!("retry:999ms".parse::<OnFatal>().is_err());
    }
}
