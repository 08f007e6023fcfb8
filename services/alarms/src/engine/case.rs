//! One alarm: its state machine.
//!
//! ```text
//! ok -> pending -> firing -> acknowledged -> resolved
//!                    |  ^---- worse ---'
//!                    v  ^
//!                   muted -> resolved
//! ```
//! When a mute ends, who looked before looks on, unless it got worse meanwhile.
//!
//! A condition that ends has to stay away for a while (`calm`) before the alarm is resolved; one that
//! comes and goes often has to stay away for longer, and so becomes one alarm instead of many.

use std::collections::VecDeque;
use std::time::Duration;

use fathom_kernel::{Severity, Stage};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::policy::Policy;

/// Most beginnings remembered of one alarm.
const ONSETS_MAX: usize = 20;

/// What an alarm is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Key {
    /// Service that says the condition.
    pub(crate) service: String,
    /// Rule.
    pub(crate) rule: String,
    /// What it is about.
    pub(crate) subject: String,
}

/// One alarm, from the moment its condition was first said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) id: u64,
    pub(crate) key: Key,
    pub(crate) severity: Severity,
    pub(crate) text: String,
    /// What was said when the condition ended, while it has yet to stay away for a while.
    #[serde(default)]
    farewell: Option<String>,
    /// Since when the condition holds, by the clock of its data.
    pub(crate) since: Timestamp,
    /// When the service last said it.
    pub(crate) said: Timestamp,
    /// Whether the condition holds now.
    pub(crate) holds: bool,
    /// When that changed last.
    pub(crate) turned: Timestamp,
    pub(crate) phase: Phase,
    /// When the phase was entered.
    pub(crate) entered: Timestamp,
    /// When it began to fire, oldest first; kept over its ends.
    pub(crate) onsets: VecDeque<Timestamp>,
    /// Number of the mute that covers it; kept up by the book.
    pub(crate) mute: Option<u64>,
    /// What the configuration says of it; made anew at each start.
    #[serde(skip)]
    pub(crate) policy: Policy,
}

/// Where it stands, with what belongs to that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Holds, but not for long enough yet.
    Pending,
    /// A person should look.
    Firing {
        /// When it was told last.
        told: Timestamp,
        /// How often it was told again.
        repeats: u32,
    },
    /// Somebody looks.
    Acknowledged {
        /// Who.
        by: String,
    },
    /// Nobody wants to hear of it.
    Muted {
        /// Who looked before, and does when it is heard again.
        #[serde(default)]
        by: Option<String>,
    },
    /// Over.
    Resolved,
}

/// What happens to an alarm.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    /// The condition holds, with what is said of it.
    Raise {
        severity: Severity,
        text: &'a str,
        at: Timestamp,
    },
    /// The condition is over.
    Clear { text: &'a str },
    /// Somebody looks.
    Acknowledge { by: &'a str },
    /// Somebody says that it is over, whatever the service says.
    Close,
    /// Time has passed, or what mutes it has changed.
    Look,
}

/// What is to be told of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It changed.
    Change { from: Stage, to: Stage },
    /// It fires still; so often it was told again.
    Repeat(u32),
}

/// When an alarm counts as over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Damping {
    /// The condition has to stay away for so long.
    pub(crate) calm: Duration,
    /// After so many beginnings within `window`, it has to stay away for a whole `window`.
    pub(crate) flaps: usize,
    pub(crate) window: Duration,
}

/// Returns the time from one moment to another; none when they are the wrong way round.
pub(super) fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

impl Phase {
    /// Returns the stage without its details.
    pub(crate) const fn stage(&self) -> Stage {
        match self {
            Self::Pending => Stage::Pending,
            Self::Firing { .. } => Stage::Firing,
            Self::Acknowledged { .. } => Stage::Acknowledged,
            Self::Muted { .. } => Stage::Muted,
            Self::Resolved => Stage::Resolved,
        }
    }
}

impl Case {
    /// Begins an alarm whose condition holds since now.
    pub(super) fn begin(id: u64, key: Key, policy: Policy, now: Timestamp) -> Self {
        Self {
            id,
            key,
            severity: Severity::Info,
            text: String::new(),
            farewell: None,
            since: now,
            said: now,
            holds: true,
            turned: now,
            phase: Phase::Pending,
            entered: now,
            onsets: VecDeque::new(),
            mute: None,
            policy,
        }
    }

    /// Tells whether it is over.
    pub(crate) fn is_resolved(&self) -> bool {
        self.phase == Phase::Resolved
    }

    /// Tells whether it came and went so often lately that its end has to be waited for.
    pub(crate) fn is_flapping(&self, damping: Damping, now: Timestamp) -> bool {
        let recent = self.onsets.iter().rev();
        let recent = recent.take_while(|at| between(**at, now) <= damping.window);
        damping.flaps > 0 && recent.count() >= damping.flaps
    }

    /// Takes one step; at most one thing is to be told of it.
    pub(super) fn step(
        &mut self,
        step: Step<'_>,
        damping: Damping,
        now: Timestamp,
    ) -> Option<Told> {
        let is_worse = self.learn(step, now);
        let from = self.phase.stage();
        let next = self.next(step, is_worse, damping, now)?;
        if let Phase::Firing { repeats, .. } = next
            && repeats > 0
        {
            self.phase = next;
            return Some(Told::Repeat(repeats));
        }
        let to = next.stage();
        if to == Stage::Resolved
            && let Some(text) = self.farewell.take()
        {
            self.text = text;
        }
        if to == Stage::Firing && matches!(from, Stage::Pending | Stage::Muted) {
            self.onsets.push_back(now);
            self.onsets
                .drain(..self.onsets.len().saturating_sub(ONSETS_MAX));
        }
        self.phase = next;
        self.entered = now;
        // Whoever heard nothing of its beginning need not hear that it was nothing.
        let was_silent = from == Stage::Pending && to == Stage::Resolved;
        (!was_silent).then_some(Told::Change { from, to })
    }

    /// Takes in what a step says of the condition; tells whether it got worse.
    fn learn(&mut self, step: Step<'_>, now: Timestamp) -> bool {
        match step {
            Step::Raise { severity, text, at } => {
                let severity = self.policy.severity.unwrap_or(severity);
                let is_worse = severity > self.severity;
                if !self.holds {
                    self.turned = now;
                    self.since = at;
                }
                (self.holds, self.said, self.severity) = (true, now, severity);
                text.clone_into(&mut self.text);
                self.farewell = None;
                if let Phase::Muted { by } = &mut self.phase
                    && is_worse
                {
                    *by = None;
                }
                is_worse
            }
            Step::Clear { text } => {
                if self.holds {
                    self.turned = now;
                }
                (self.holds, self.said) = (false, now);
                // Until it is over it says what it is about.
                self.farewell = Some(text.to_owned());
                false
            }
            Step::Acknowledge { .. } | Step::Close | Step::Look => false,
        }
    }

    /// Returns the phase that follows, when it is another or tells again.
    fn next(
        &self,
        step: Step<'_>,
        is_worse: bool,
        damping: Damping,
        now: Timestamp,
    ) -> Option<Phase> {
        let fresh = Phase::Firing {
            told: now,
            repeats: 0,
        };
        let is_over = matches!(step, Step::Close) || self.is_over(damping, now);
        match &self.phase {
            Phase::Resolved => None,
            Phase::Pending if matches!(step, Step::Close) || !self.holds => Some(Phase::Resolved),
            Phase::Pending => {
                let is_due = between(self.turned, now) >= self.policy.pending;
                is_due.then(|| self.mute.map_or(fresh, |_| Phase::Muted { by: None }))
            }
            _ if is_over => Some(Phase::Resolved),
            Phase::Muted { by } => (self.mute.is_none() && self.holds)
                .then(|| by.clone().map_or(fresh, |by| Phase::Acknowledged { by })),
            Phase::Firing { .. } if self.mute.is_some() => Some(Phase::Muted { by: None }),
            Phase::Acknowledged { by } if self.mute.is_some() => Some(Phase::Muted {
                by: Some(by.clone()),
            }),
            Phase::Acknowledged { .. } => is_worse.then_some(fresh),
            Phase::Firing { told, repeats } => match step {
                Step::Acknowledge { by } => Some(Phase::Acknowledged { by: by.to_owned() }),
                _ if is_worse => Some(fresh),
                _ => {
                    let repeat = self.policy.repeat.filter(|_| self.holds)?;
                    (between(*told, now) >= repeat).then(|| Phase::Firing {
                        told: now,
                        repeats: repeats.saturating_add(1),
                    })
                }
            },
        }
    }

    /// Tells whether the condition has stayed away for long enough.
    fn is_over(&self, damping: Damping, now: Timestamp) -> bool {
        let calm = match self.is_flapping(damping, self.turned) {
            true => damping.window.max(damping.calm),
            false => damping.calm,
        };
        !self.holds && between(self.turned, now) >= calm
    }
}
