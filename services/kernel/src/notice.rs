//! What the alarm engine says of a condition: that it counts now, is taken care of, or is over.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Severity;

/// Where an alarm stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Nothing is wrong.
    Ok,
    /// The condition holds, but not for long enough yet.
    Pending,
    /// A person should look.
    Firing,
    /// Somebody looks.
    Acknowledged,
    /// It holds, and nobody wants to hear of it until some time.
    Muted,
    /// The condition is over.
    Resolved,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 6] = [
        Self::Ok,
        Self::Pending,
        Self::Firing,
        Self::Acknowledged,
        Self::Muted,
        Self::Resolved,
    ];

    /// Returns the word for it, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Acknowledged => "acknowledged",
            Self::Muted => "muted",
            Self::Resolved => "resolved",
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

/// One change of an alarm, or its repetition, for whoever passes it on to people.
///
/// A notice is a row of the history of alarms: the `entry` numbers ascend without gaps, so that a
/// sink sees what it missed and asks the engine for it. A repetition has the number of the row that
/// it repeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// Number of the row in the history.
    pub entry: u64,
    /// Number of the alarm: a new one each time the condition begins to count.
    pub id: u64,
    /// When it changed.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Service that said the condition.
    pub service: String,
    /// Rule, such as `dom_inactive`.
    pub rule: String,
    /// What it is about, such as `DU 3 floor 7`.
    pub subject: String,
    /// How bad it is.
    pub severity: Severity,
    /// Where it stood before.
    pub from: Stage,
    /// Where it stands now.
    pub to: Stage,
    /// The condition in words.
    pub text: String,
    /// Since when the condition holds, as the service says it: data time.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// How often it was told before without a change; 0 is the first time.
    #[serde(default)]
    pub repeat: u32,
    /// Who acknowledged or muted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Until when it is muted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub until: Option<Timestamp>,
    /// Names of the services that shall pass it on; without any, all that want it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sinks: Vec<String>,
}

impl Notice {
    /// Returns the bytes of its texts.
    pub fn text_bytes(&self) -> usize {
        let by = self.by.as_ref().map_or(0, String::len);
        self.service.len() + self.rule.len() + self.subject.len() + self.text.len() + by
    }
}
