//! One flow rule: is the input silent, is the output, and for how long.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use fathom_kernel::{Health, RuleStatus, without_passwords};

use super::reading::{FlowReading, Trace};
use super::record::{Activity, Stage};
use crate::config::plan::FlowRule;

/// Ticks come a little early or late.
const JITTER: Duration = Duration::from_millis(50);

/// Most samples kept to measure a rate.
const SAMPLES_MAX: u32 = 60;

/// What is known of one flow rule.
#[derive(Debug, Clone, Default)]
pub(super) struct Flow {
    out: Trace,
    input: Trace,
    queued: Option<u64>,
    /// When the input came back after it had been silent, or came at first.
    fed: Option<Instant>,
    silent: bool,
    /// The incarnation that was last seen to produce something.
    seen_in: Option<u64>,
    /// Something could not be read in time.
    blind: bool,
    /// Its stalling was told.
    told: bool,
    /// Counter of `out` over the last `max_age`.
    samples: VecDeque<(Instant, u64)>,
}

/// What a rule is judged by beside its readings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bearings {
    /// When the service became ready.
    pub(super) ready: Instant,
    /// Silence from before this moment is forgotten.
    pub(super) base: Instant,
    /// Which start of it runs.
    pub(super) incarnation: u64,
    /// The moment of judgement.
    pub(super) now: Instant,
}

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Finding {
    pub(super) health: Health,
    /// Its patience is at an end.
    pub(super) due: bool,
}

impl Flow {
    /// Takes what was read, for whatever incarnation runs.
    pub(super) fn take(
        &mut self,
        rule: &FlowRule,
        reading: &FlowReading,
        incarnation: Option<u64>,
        now: Instant,
    ) {
        self.blind = reading.out.late || reading.input.is_some_and(|input| input.late);
        if self.out.take(&reading.out, now) && incarnation.is_some() {
            self.seen_in = incarnation;
        }
        self.queued = reading.queued;
        if let Some(count) = self.out.count() {
            self.sample(rule, count, now);
        }
        let Some(input) = &reading.input else {
            return;
        };
        let first = self.input.moved().is_none();
        self.input.take(input, now);
        if first && self.input.moved().is_some() {
            self.fed = Some(now);
        }
    }

    /// Takes what stands there now as known, without calling it news.
    pub(super) fn rebase(&mut self, reading: &FlowReading) {
        self.out.rebase(&reading.out);
        if let Some(input) = &reading.input {
            self.input.rebase(input);
        }
    }

    fn sample(&mut self, rule: &FlowRule, count: u64, now: Instant) {
        if rule.min_rate_hz.is_none() {
            return;
        }
        if self.samples.back().is_some_and(|(_, last)| *last > count) {
            self.samples.clear();
        }
        let step = rule.max_age / SAMPLES_MAX;
        let due = self
            .samples
            .back()
            .is_none_or(|(at, _)| now.saturating_duration_since(*at) >= step);
        if due {
            self.samples.push_back((now, count));
        }
        // The oldest kept is the last one that is at least `max_age` old.
        while self
            .samples
            .get(1)
            .is_some_and(|(at, _)| now.saturating_duration_since(*at) >= rule.max_age)
        {
            self.samples.pop_front();
        }
    }

    /// Returns the rate of `out` [Hz], once it was measured for `max_age`.
    fn rate_hz(&self, rule: &FlowRule, base: Instant, now: Instant) -> Option<f64> {
        let (at, count) = self.samples.front()?;
        let span = now.saturating_duration_since(*at);
        let measured = span + JITTER >= rule.max_age && *at >= base;
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let grown = self.out.count()?.saturating_sub(*count) as f64;
        measured.then(|| grown / span.as_secs_f64())
    }

    /// Judges. Silent input is right to be answered by silence; when it comes back, the output has
    /// all its time again.
    pub(super) fn judge(&mut self, rule: &FlowRule, at: Bearings) -> Finding {
        let now = at.now;
        let fine = |health| Finding { health, due: false };
        if self.blind {
            self.fed = Some(now);
            return fine(Health::Unknown);
        }
        let silent = rule.input.is_some() && self.input.age(at.base, now) + JITTER >= rule.max_age;
        if self.silent && !silent {
            self.fed = Some(now);
        }
        self.silent = silent;
        if now.saturating_duration_since(at.ready) + JITTER < rule.grace {
            return fine(match self.is_seen(at.incarnation) {
                true => Health::Ok,
                false => Health::Unknown,
            });
        }
        if silent {
            return fine(Health::Idle);
        }
        let base = self.fed.map_or(at.base, |fed| fed.max(at.base));
        let age = self.out.age(base, now) + JITTER;
        if age >= rule.max_age {
            return Finding {
                health: Health::Stalled,
                due: age >= rule.max_age + rule.patience,
            };
        }
        let crowded = rule
            .max_queue
            .zip(self.queued)
            .is_some_and(|(max, n)| n > max);
        let rate_hz = self.rate_hz(rule, base, now);
        let slow = rule
            .min_rate_hz
            .zip(rate_hz)
            .is_some_and(|(min, r)| r < min);
        fine(match crowded || slow {
            true => Health::Lagging,
            false => Health::Ok,
        })
    }

    /// Tells whether an incarnation was seen to produce something.
    pub(super) fn is_seen(&self, incarnation: u64) -> bool {
        self.seen_in == Some(incarnation)
    }

    /// Tells, once for each time that it stalls, that it does; and once that it does no more: this
    /// start of it produced something, or need not. A restart alone changes nothing.
    pub(super) fn news(&mut self, health: Health, activity: Activity) -> Option<bool> {
        let stalled = match health {
            _ if matches!(activity.stage, Stage::Down | Stage::Done) => false,
            Health::Stalled => true,
            Health::Ok | Health::Lagging => self.told && !self.is_seen(activity.incarnation),
            Health::Idle => false,
            Health::Unknown | Health::Failing => self.told,
        };
        (stalled != self.told).then(|| {
            self.told = stalled;
            stalled
        })
    }

    /// Tells whether it was told that it stalls, and not yet that it does no more.
    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// Shows the rule.
    pub(super) fn status(&self, rule: &FlowRule, health: Health, at: Bearings) -> RuleStatus {
        let age_s = |trace: &Trace| {
            let moved = trace.moved()?;
            Some(at.now.saturating_duration_since(moved).as_secs_f64())
        };
        RuleStatus {
            rule: name(rule),
            health,
            input_age_s: age_s(&self.input),
            output_age_s: age_s(&self.out),
            queued: self.queued,
            rate_hz: self.rate_hz(rule, at.base, at.now),
            ..RuleStatus::default()
        }
    }
}

/// Returns the name of a rule, as in the reason of a restart.
pub(super) fn name(rule: &FlowRule) -> String {
    without_passwords(&format!("stall:{}", rule.out)).into_owned()
}
