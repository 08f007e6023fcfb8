//! What is known of the health of one service.

use std::time::{Duration, Instant};

use fathom_kernel::{Health, Hold, RuleStatus, Timestamp, without_passwords};

use super::check::{self, Check, CheckResult};
use super::flow::{self, Bearings, Flow};
use super::pulse::Pulse;
use super::reading::FlowReading;
use crate::config::plan::{CheckRule, FlowRule, HealthAction};

/// Where a service is in its life, as far as health cares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stage {
    /// Nothing runs.
    #[default]
    Down,
    /// Nothing runs because it did its work.
    Done,
    /// Nothing runs yet: it waits for something, or for its next attempt.
    Pending,
    /// It starts or ends.
    Busy,
    /// It runs and is ready.
    Up,
}

/// What a service is told apart by, from moment to moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activity {
    /// Where it is in its life.
    pub stage: Stage,
    /// Counts its starts.
    pub incarnation: u64,
}

/// That an operator holds a service.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    pub(super) shown: Hold,
    until: Option<Instant>,
}

/// Why nothing is done about the health of a service.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Suspension {
    /// An operator holds it.
    Held(String),
    /// What it depends on does not run, or only just came back.
    Upstream(String),
    /// What it depends on is to blame.
    Root(String),
}

impl Suspension {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Held(text) | Self::Upstream(text) | Self::Root(text) => text,
        }
    }
}

/// What is known of the health of one service.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) activity: Activity,
    /// When this incarnation became ready.
    pub(super) ready: Option<Instant>,
    /// Silence from before this moment is forgotten.
    pub(super) base: Instant,
    pub(super) health: Health,
    /// The health that was told last.
    told: Health,
    pub(super) suspension: Option<Suspension>,
    pub(super) held: Option<Held>,
    /// It was told to restart for its health, and did not come back yet.
    pub(super) restarting: bool,
    rules: (Vec<FlowRule>, Vec<CheckRule>),
    flows: Vec<Flow>,
    flow_health: Vec<Health>,
    checks: Vec<Check>,
    /// Names of rules that are no more, and of which it was told that it stalls.
    gone: Vec<String>,
    pulse: Pulse,
}

/// Something that became known of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The rule.
    pub rule: String,
    /// It stalls since now, or does so no more.
    pub stalled: bool,
    /// In words.
    pub text: String,
}

impl Held {
    /// Tells whether its time has passed.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|at| at <= now)
    }
}

impl Record {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            activity: Activity::default(),
            ready: None,
            base: now,
            health: Health::Unknown,
            told: Health::Unknown,
            suspension: None,
            held: None,
            restarting: false,
            rules: (Vec::new(), Vec::new()),
            flows: Vec::new(),
            flow_health: Vec::new(),
            checks: Vec::new(),
            gone: Vec::new(),
            pulse: Pulse::default(),
        }
    }

    /// Takes the rules; what is known by a rule stays known while the rule does not change.
    pub(super) fn set_rules(&mut self, flow: &[FlowRule], check: &[CheckRule]) {
        if self.rules.0 != flow {
            let old = std::mem::take(&mut self.flows);
            let old: Vec<_> = std::mem::take(&mut self.rules.0)
                .into_iter()
                .zip(old)
                .collect();
            let kept = |rule: &FlowRule| {
                let known = old.iter().find(|(before, _)| before == rule);
                known.map(|(_, flow)| flow.clone()).unwrap_or_default()
            };
            let told = old.iter().filter(|(_, flow)| flow.is_told());
            let gone = told.filter(|(rule, _)| !flow.contains(rule));
            self.gone.extend(gone.map(|(rule, _)| flow::name(rule)));
            self.flows = flow.iter().map(kept).collect();
            self.flow_health = vec![Health::Unknown; flow.len()];
            self.rules.0 = flow.to_vec();
        }
        if self.rules.1 != check {
            self.checks = vec![Check::default(); check.len()];
            self.rules.1 = check.to_vec();
        }
    }

    /// Notes where the service is now.
    pub(super) fn note(&mut self, activity: Activity, now: Instant) {
        if activity == self.activity {
            return;
        }
        let began = activity.stage == Stage::Up;
        if began && (self.ready.is_none() || activity.incarnation != self.activity.incarnation) {
            self.ready = Some(now);
            self.forget(now);
            self.checks = vec![Check::default(); self.rules.1.len()];
            self.restarting = false;
        }
        if activity.stage != Stage::Up {
            self.ready = None;
            self.health = Health::Unknown;
            self.flow_health.fill(Health::Unknown);
        }
        if matches!(activity.stage, Stage::Down | Stage::Done) {
            // Whatever comes next is not the restart for its health.
            self.restarting = false;
        }
        self.activity = activity;
    }

    /// Begins all ages anew.
    pub(super) fn forget(&mut self, now: Instant) {
        self.base = now;
        for check in &mut self.checks {
            check.forgive();
        }
    }

    /// Takes back what the rules say, since nothing can be said.
    pub(super) fn unjudge(&mut self) {
        if !self.flows.is_empty() || !self.checks.is_empty() {
            self.health = Health::Unknown;
            self.flow_health.fill(Health::Unknown);
        }
    }

    /// Takes what stands at all flow rules as known: a new incarnation begins.
    pub(super) fn rebase(&mut self, readings: &[FlowReading]) {
        for (flow, reading) in self.flows.iter_mut().zip(readings) {
            flow.rebase(reading);
        }
    }

    /// Takes readings of all flow rules.
    pub(super) fn take(&mut self, readings: &[FlowReading], now: Instant) {
        let runs = matches!(self.activity.stage, Stage::Busy | Stage::Up);
        let incarnation = runs.then_some(self.activity.incarnation);
        let rules = self.rules.0.iter().zip(readings);
        for (flow, (rule, reading)) in self.flows.iter_mut().zip(rules) {
            flow.take(rule, reading, incarnation, now);
        }
    }

    pub(super) fn beat(&mut self, received: u64, dropped: u64, now: Instant) {
        self.pulse.beat(received, dropped, now);
    }

    pub(super) fn checked(&mut self, result: &CheckResult, now: Instant) {
        let of_now = Activity {
            stage: Stage::Up,
            incarnation: result.incarnation,
        };
        let rule = self.rules.1.get(result.index);
        if let (Some(check), Some(rule)) = (self.checks.get_mut(result.index), rule)
            && self.activity == of_now
        {
            check.take(rule, &result.found, now);
        }
    }

    /// Judges the service by all its rules. Returns for which of them it is time to restart it.
    pub(super) fn judge(&mut self, now: Instant) -> Option<String> {
        let bearings = self.bearings(now)?;
        let mut due = None;
        let mut worst: Option<Health> = None;
        for (at, (flow, rule)) in self.flows.iter_mut().zip(&self.rules.0).enumerate() {
            let finding = flow.judge(rule, bearings);
            if let Some(shown) = self.flow_health.get_mut(at) {
                *shown = finding.health;
            }
            worst = Some(worse(worst, finding.health));
            if finding.due && rule.action == HealthAction::Restart {
                due = due.or_else(|| Some(flow::name(rule)));
            }
        }
        for (check, rule) in self.checks.iter().zip(&self.rules.1) {
            worst = Some(worse(worst, check.health()));
            if check.health() == Health::Failing && rule.action == HealthAction::Restart {
                due = due.or_else(|| Some(check::name(rule)));
            }
        }
        let pulse = self.pulse.health(now);
        self.health = match worst {
            None => pulse,
            Some(by_rules) if pulse == Health::Lagging => worse(Some(by_rules), pulse),
            Some(by_rules) => by_rules,
        };
        due
    }

    /// Returns the health before, and what changed it, when it has changed since the last time. A
    /// service without rules only has its counters, which say little; that is not told.
    pub(super) fn change(&mut self) -> Option<(Health, String)> {
        let before = std::mem::replace(&mut self.told, self.health);
        let ruled = !self.flows.is_empty() || !self.checks.is_empty();
        (ruled && before != self.health).then(|| (before, self.cause()))
    }

    /// Says by which rule its health is as it is.
    fn cause(&self) -> String {
        if let Some(suspension) = &self.suspension {
            return suspension.text().to_owned();
        }
        let flows = self.flow_health.iter().zip(&self.rules.0);
        let mut flows = flows.filter(|(health, _)| **health == self.health);
        let checks = self.checks.iter().zip(&self.rules.1);
        let mut checks = checks.filter(|(check, _)| check.health() == self.health);
        match (flows.next(), checks.next()) {
            (Some((_, rule)), _) => flow::name(rule),
            (None, Some((check, rule))) => match check.trouble() {
                Some(trouble) => format!("{}: {trouble}", check::name(rule)),
                None => check::name(rule),
            },
            (None, None) => "its state or its counters".to_owned(),
        }
    }

    /// Returns what stalls now and did not before, and what stalls no more.
    pub(super) fn news(&mut self) -> Vec<News> {
        let gone = self.gone.drain(..).map(|rule| News {
            rule,
            stalled: false,
            text: "the rule has changed".to_owned(),
        });
        let mut news: Vec<News> = gone.collect();
        let judged = self.flow_health.iter().zip(&self.rules.0);
        for (flow, (health, rule)) in self.flows.iter_mut().zip(judged) {
            if let Some(stalled) = flow.news(*health, self.activity) {
                let (out, max_age_s) = (rule.out.to_string(), rule.max_age.as_secs_f64());
                let out = without_passwords(&out);
                let text = match stalled {
                    true => format!("nothing new on {out} for {max_age_s} s"),
                    false => format!("{out} flows again, or need not"),
                };
                let rule = flow::name(rule);
                news.push(News {
                    rule,
                    stalled,
                    text,
                });
            }
        }
        news
    }

    /// Tells whether there are rules on its data flow.
    pub(super) fn has_flow_rules(&self) -> bool {
        !self.flows.is_empty()
    }

    /// Tells whether it is ready and every flow rule is fulfilled.
    pub(super) fn is_flowing(&self) -> bool {
        let (stage, incarnation) = (self.activity.stage, self.activity.incarnation);
        let mut rules = self.flows.iter().zip(&self.flow_health);
        stage == Stage::Up
            && rules.all(|(flow, health)| flow.is_seen(incarnation) && *health == Health::Ok)
    }

    /// Tells whether a flow rule saw this incarnation produce something.
    pub(super) fn is_seen(&self) -> bool {
        let incarnation = self.activity.incarnation;
        self.flows.iter().any(|flow| flow.is_seen(incarnation))
    }

    /// Returns all rules with what they read.
    pub(super) fn rules(&self, now: Instant) -> Vec<RuleStatus> {
        let bearings = self.bearings(now).unwrap_or(Bearings {
            ready: now,
            base: self.base,
            incarnation: self.activity.incarnation,
            now,
        });
        let judged = self.rules.0.iter().zip(&self.flow_health);
        let flows = self.flows.iter().zip(judged);
        let flows = flows.map(|(flow, (rule, health))| flow.status(rule, *health, bearings));
        let checks = self.checks.iter().zip(&self.rules.1);
        flows
            .chain(checks.map(|(check, rule)| check.status(rule, now)))
            .collect()
    }

    /// Holds it for some time, or until it is released.
    pub(super) fn hold(&mut self, by: String, time: Option<Duration>, at: (Instant, Timestamp)) {
        let until = time.map(|time| {
            let wall = at.1.checked_add(time);
            (at.0 + time, wall.unwrap_or(Timestamp::MAX))
        });
        self.held = Some(Held {
            until: until.map(|(moment, _)| moment),
            shown: Hold {
                by,
                until: until.map(|(_, wall)| wall),
            },
        });
    }

    /// Ends a hold that is over.
    pub(super) fn expire_hold(&mut self, now: Instant) {
        if self.held.as_ref().is_some_and(|held| held.is_over(now)) {
            self.held = None;
        }
    }

    fn bearings(&self, now: Instant) -> Option<Bearings> {
        Some(Bearings {
            ready: self.ready?,
            base: self.base,
            incarnation: self.activity.incarnation,
            now,
        })
    }
}

/// Returns the worse of two.
fn worse(a: Option<Health>, b: Health) -> Health {
    let rank = |health| match health {
        Health::Idle => 0,
        Health::Ok => 1,
        Health::Unknown => 2,
        Health::Lagging => 3,
        Health::Stalled => 4,
        Health::Failing => 5,
    };
    match a {
        Some(a) if rank(a) >= rank(b) => a,
        Some(_) | None => b,
    }
}
