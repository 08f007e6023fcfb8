//! Options that all sinks have.

use std::time::Duration;

use fathom_kernel::{Notice, Severity, Span, Stage};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::engine::Pattern;

/// Which alarms a sink passes on; `*` stands for any characters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Only {
    /// Rules that are not passed on, even when they stand in `rules`.
    pub(crate) not_rules: Vec<Pattern>,
    /// Rules that are passed on.
    pub(crate) rules: Vec<Pattern>,
    /// Subjects that are passed on.
    pub(crate) subjects: Vec<Pattern>,
}

impl Default for Only {
    fn default() -> Self {
        Self {
            not_rules: Vec::new(),
            rules: vec![Pattern::any()],
            subjects: vec![Pattern::any()],
        }
    }
}

/// How a sink bears outages of what it sends to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct QueueOptions {
    /// When nothing could be sent for so long, it is an alarm (`sink_failing`) for the other sinks;
    /// `0s` is never.
    pub(crate) failing_after: Span,
    /// Notices are gathered for so long, so that those that come together are one message.
    pub(crate) gather: Span,
    /// Notices that could not be sent for so long are dropped and counted.
    pub(crate) keep: Span,
    /// Most notices waiting; then the oldest are dropped and counted.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) notices: usize,
    /// Wait after the first failure; it doubles with each further one.
    pub(crate) retry_first: Span,
    /// Longest wait between two attempts.
    pub(crate) retry_most: Span,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            failing_after: Span::from_secs(60),
            gather: Span::from_secs(2),
            keep: Span::from_secs(86_400),
            notices: 10_000,
            retry_first: Span::from_secs(1),
            retry_most: Span::from_secs(300),
        }
    }
}

impl QueueOptions {
    /// Says what is wrong with them, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        if !(1..=100_000).contains(&self.notices) {
            let notices = self.notices;
            return Some(format!("queue.notices is {notices}, expected 1 to 100000"));
        }
        if self.retry_first.is_zero() || self.retry_first > self.retry_most {
            return Some("queue.retry_first: expected some time up to queue.retry_most".to_owned());
        }
        None
    }
}

/// What a sink wants to hear, and how often.
#[derive(Debug, Clone)]
pub(crate) struct Taste {
    pub(crate) least: Severity,
    pub(crate) only: Only,
    /// Changes to these are passed on.
    pub(crate) stages: Vec<Stage>,
    /// An alarm is told again after this at the soonest; none is never.
    pub(crate) repeat: Duration,
    /// Messages in an hour; 0 is any number. What is over waits and becomes one message.
    pub(crate) per_hour: usize,
    pub(crate) queue: QueueOptions,
}

/// Rule of sinks that cannot send; their subject is the name of the service.
pub(crate) const SINK_FAILING: &str = "sink_failing";
/// Rule of sinks that keep notices back because of the hourly limit; their subject is the name of the
/// service. It is for who looks: no sink passes it on, which would only add to what is kept back.
pub(crate) const SINK_HOLDING: &str = "sink_holding";

impl Taste {
    /// Tells whether alarms like this are passed on by the sink of a name. That it cannot send is for
    /// the others to tell.
    pub(crate) fn wants(&self, notice: &Notice, name: &str) -> bool {
        let fits = |patterns: &[Pattern], text: &str| patterns.iter().any(|p| p.fits(text));
        let is_named = notice.sinks.is_empty() || notice.sinks.iter().any(|sink| sink == name);
        let is_own_trouble =
            notice.rule == SINK_FAILING && notice.subject == name || notice.rule == SINK_HOLDING;
        is_named
            && !is_own_trouble
            && notice.severity >= self.least
            && fits(&self.only.rules, &notice.rule)
            && fits(&self.only.subjects, &notice.subject)
            && !fits(&self.only.not_rules, &notice.rule)
    }
}
