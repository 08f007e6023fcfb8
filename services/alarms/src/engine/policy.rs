//! What is done about which condition: the entries of the configuration over built-in defaults.

use std::time::Duration;

use fathom_kernel::{Severity, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Pattern;

/// Alarms that an operator must act on are told again after this, as long as nobody does.
const REPEAT_ALERT: Duration = Duration::from_secs(15 * 60);

/// Rules that tell of something that happened, not of a state that lasts.
const HAPPENINGS: [&str; 2] = ["top10_event", "test"];

/// What is said of some conditions. For each key, the first entry decides that fits and says it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RuleEntry {
    /// Rules it is about; `*` stands for any characters.
    pub(crate) rule: Pattern,
    /// Subjects it is about.
    pub(crate) subject: Pattern,
    /// Services whose conditions it is about.
    pub(crate) service: Pattern,
    /// Whether such conditions count at all.
    pub(crate) enabled: Option<bool>,
    /// A condition counts when it has held for so long.
    pub(crate) r#for: Option<Span>,
    /// Told again after this while it fires and nobody acknowledges it; `0s` is never.
    pub(crate) repeat: Option<Span>,
    /// How bad it is, whatever the service says.
    pub(crate) severity: Option<Severity>,
    /// It happened and is over at once: each time is told, nothing resolves.
    pub(crate) happening: Option<bool>,
    /// Full names of the services that pass it on; without any, all that want it.
    pub(crate) sinks: Option<Vec<String>>,
}

/// What is done about one condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) is_ignored: bool,
    /// How long it must hold before it counts.
    pub(crate) pending: Duration,
    /// Time between two repetitions; `None` is never.
    pub(crate) repeat: Option<Duration>,
    pub(crate) severity: Option<Severity>,
    pub(crate) is_happening: bool,
    pub(crate) sinks: Vec<String>,
}

/// All entries of the configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policies(Vec<RuleEntry>);

impl Policies {
    /// Takes the entries of the configuration, in their order.
    pub(crate) fn new(entries: Vec<RuleEntry>) -> Self {
        Self(entries)
    }

    /// Returns what is done about a condition of a severity.
    pub(crate) fn of(
        &self,
        (service, rule, subject): (&str, &str, &str),
        severity: Severity,
    ) -> Policy {
        let fitting: Vec<&RuleEntry> = self
            .0
            .iter()
            .filter(|entry| {
                entry.rule.fits(rule) && entry.subject.fits(subject) && entry.service.fits(service)
            })
            .collect();
        let severity_set = fitting.iter().find_map(|entry| entry.severity);
        let repeat = match fitting.iter().find_map(|entry| entry.repeat) {
            Some(span) => Some(span.duration()).filter(|time| !time.is_zero()),
            None if severity_set.unwrap_or(severity) == Severity::Alert => Some(REPEAT_ALERT),
            None => None,
        };
        Policy {
            is_ignored: fitting.iter().find_map(|entry| entry.enabled) == Some(false),
            pending: fitting
                .iter()
                .find_map(|entry| entry.r#for)
                .map_or(Duration::ZERO, Span::duration),
            repeat,
            severity: severity_set,
            is_happening: fitting
                .iter()
                .find_map(|entry| entry.happening)
                .unwrap_or_else(|| HAPPENINGS.contains(&rule)),
            sinks: fitting
                .iter()
                .find_map(|entry| entry.sinks.clone())
                .unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies(text: &str) -> Policies {
        #[derive(Deserialize)]
        struct File {
            rules: Vec<RuleEntry>,
        }
        let file: File = serde_json::from_str(text).unwrap();
        Policies::new(file.rules)
    }

    #[test]
    fn the_first_entry_that_fits_and_says_something_decides_each_key() {
        let policies = policies(
            r#"{"rules": [
                {"rule": "dom_*", "subject": "DU 3 *", "enabled": false},
                {"rule": "dom_*", "for": "10s", "severity": "alert"},
                {"for": "1m", "repeat": "1h", "sinks": ["mail"]}
            ]}"#,
        );
        let dom = |subject| policies.of(("m", "dom_inactive", subject), Severity::Warning);
        assert!(dom("DU 3 floor 1").is_ignored);
        let other = dom("DU 4 floor 1");
        assert!(!other.is_ignored);
        assert_eq!(other.pending, Duration::from_secs(10));
        assert_eq!(other.repeat, Some(Duration::from_secs(3600)));
        assert_eq!(other.severity, Some(Severity::Alert));
        assert_eq!(other.sinks, ["mail"]);
        let rate = policies.of(("m", "trigger_rate_zero", "Overall"), Severity::Alert);
        assert_eq!(rate.pending, Duration::from_secs(60));
    }

    #[test]
    fn without_configuration_only_what_needs_an_operator_is_repeated() {
        let policies = Policies::default();
        let repeat = |severity| policies.of(("m", "r", "s"), severity).repeat;
        assert_eq!(repeat(Severity::Alert), Some(Duration::from_secs(900)));
        assert_eq!(repeat(Severity::Warning), None);
        assert!(
            policies
                .of(("m", "top10_event", "x"), Severity::Info)
                .is_happening
        );
        assert!(!policies.of(("m", "r", "x"), Severity::Info).is_happening);
    }

    #[test]
    fn no_repetition_is_said_by_no_time() {
        let policies = policies(r#"{"rules": [{"repeat": "0s"}]}"#);
        assert_eq!(policies.of(("m", "r", "s"), Severity::Alert).repeat, None);
    }
}
