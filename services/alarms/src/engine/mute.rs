//! What nobody wants to hear of for a while: which alarms, until when, by whom and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Key, Pattern};

/// A mute of some alarms, those that come included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mute {
    /// Its number.
    pub(crate) id: u64,
    /// Which rules.
    pub(crate) rule: Pattern,
    /// Which subjects.
    pub(crate) subject: Pattern,
    /// When it ends.
    pub(crate) until: Timestamp,
    /// Who.
    pub(crate) by: String,
    /// Why.
    pub(crate) reason: String,
}

impl Mute {
    /// Tells whether it is about an alarm.
    pub(crate) fn covers(&self, key: &Key) -> bool {
        self.rule.fits(&key.rule) && self.subject.fits(&key.subject)
    }
}
