//! What a monitor says when a person should look.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Data or quality suffer.
    Warning,
    /// An operator must act.
    Alert,
}

/// A condition of one rule on one subject: raised while `firing`, cleared when it is not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alarm {
    /// Service that says it.
    pub service: String,
    /// Rule, such as `dom_inactive`.
    pub rule: String,
    /// What it is about, such as `DU 3 floor 7`.
    pub subject: String,
    /// How bad it is.
    pub severity: Severity,
    /// Whether the condition holds now.
    pub firing: bool,
    /// The condition in words, with its numbers.
    pub text: String,
    /// When the condition changed.
    #[schemars(with = "String")]
    pub at: Timestamp,
}
