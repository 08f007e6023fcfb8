//! Judges the health of all services together, and says which are to be restarted for it.
//!
//! There is no clock and no I/O in here. What a service depends on is judged first: nobody is
//! restarted for what another is to blame for, and after somebody was, the others have time to find
//! it again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fathom_kernel::{Health, Timestamp, WatchStatus};

use super::check::CheckResult;
use super::graph;
use super::heirs::Heirs;
use super::reading::FlowReading;
use super::record::{Activity, News, Record, Stage, Suspension};
use crate::config::plan::{CheckRule, FlowRule, HealthPlan};

/// Time between two judgements.
pub(crate) const TICK: Duration = Duration::from_secs(1);

/// When we are late by more, silence may be our own.
const LATE: Duration = Duration::from_secs(2);

/// A moment on both clocks; they part when the machine sleeps or somebody sets the time.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// By the clock that never jumps.
    pub mono: Instant,
    /// By the clock on the wall.
    pub wall: Timestamp,
}

/// One service as it is judged.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// Full name.
    pub name: &'a Arc<str>,
    /// Rules on its data flow.
    pub flow: &'a [FlowRule],
    /// Checks of it.
    pub check: &'a [CheckRule],
    /// Places in the list of those it depends on directly.
    pub upstream: Vec<usize>,
    /// Where it is in its life.
    pub activity: Activity,
    /// What was read for each flow rule.
    pub readings: Vec<FlowReading>,
    /// Messages received and dropped.
    pub counters: (u64, u64),
}

/// What is to be done about one service.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Its place in the list.
    pub index: usize,
    /// How well it does.
    pub health: Health,
    /// How well it did, and by what that changed, when it did.
    pub changed: Option<(Health, String)>,
    /// Restart it for this reason.
    pub restart: Option<String>,
    /// What became known.
    pub news: Vec<News>,
}

/// Judges the health of all services.
#[derive(Debug)]
pub struct Engine {
    settings: HealthPlan,
    records: HashMap<Arc<str>, Record>,
    last: Option<Moment>,
}

impl Engine {
    /// Makes an engine that knows nothing yet.
    pub fn new(settings: HealthPlan) -> Self {
        Self {
            settings,
            records: HashMap::new(),
            last: None,
        }
    }

    /// Changes how health is judged in the whole stack.
    pub fn set(&mut self, settings: HealthPlan) {
        self.settings = settings;
    }

    /// Keeps what is known of the services that live on in another plan, and of no others.
    pub fn follow(&mut self, heirs: &Heirs) {
        heirs.carry(&mut self.records);
    }

    /// Notes at once where a service is in its life; tells whether it is a new start of one with
    /// flow rules, so that what stands at its sources is to be taken by [`Engine::rebase`].
    pub fn note(
        &mut self,
        name: &Arc<str>,
        rules: (&[FlowRule], &[CheckRule]),
        activity: Activity,
        now: Instant,
    ) -> bool {
        let record = self.record(name, now);
        record.set_rules(rules.0, rules.1);
        let is_new = record.activity.incarnation != activity.incarnation;
        record.note(activity, now);
        is_new && record.has_flow_rules()
    }

    /// Takes what was left at the sources of a service by earlier starts of it.
    pub fn rebase(&mut self, name: &str, readings: &[FlowReading]) {
        if let Some(record) = self.records.get_mut(name) {
            record.rebase(readings);
        }
    }

    /// Takes the result of a check.
    pub fn checked(&mut self, result: &CheckResult, now: Instant) {
        if let Some(record) = self.records.get_mut(&result.service) {
            record.checked(result, now);
        }
    }

    /// Holds a service for some time, or until it is released: nothing is done about its health.
    pub fn hold(&mut self, name: &Arc<str>, by: String, time: Option<Duration>, at: Moment) {
        let record = self.record(name, at.mono);
        record.hold(by, time, (at.mono, at.wall));
    }

    /// Releases a service; `false` when it was not held.
    pub fn release(&mut self, name: &str) -> bool {
        let record = self.records.get_mut(name);
        record.is_some_and(|record| record.held.take().is_some())
    }

    /// Tells whether a service is ready and every flow rule of it is fulfilled.
    pub fn is_flowing(&self, name: &str) -> bool {
        self.records.get(name).is_some_and(Record::is_flowing)
    }

    /// Tells whether a service has nothing to do.
    pub fn is_idle(&self, name: &str) -> bool {
        self.records
            .get(name)
            .is_some_and(|record| record.health == Health::Idle)
    }

    /// Tells whether a flow rule saw the present start of a service produce something.
    pub fn is_seen(&self, name: &str) -> bool {
        self.records.get(name).is_some_and(Record::is_seen)
    }

    /// Returns the health of a service and how it is watched.
    pub fn status(&self, name: &str, now: Instant) -> (Health, WatchStatus) {
        let Some(record) = self.records.get(name) else {
            return (Health::Unknown, WatchStatus::default());
        };
        let rules = record.rules(now);
        let newest = |a: f64, b: f64| if a < b { a } else { b };
        let watch = WatchStatus {
            output_age_s: rules
                .iter()
                .filter(|rule| rule.rule.starts_with("stall:"))
                .filter_map(|rule| rule.output_age_s)
                .reduce(newest),
            rules,
            suspended: record.suspension.as_ref().map(|s| s.text().to_owned()),
            hold: record.held.as_ref().map(|held| held.shown.clone()),
        };
        (record.health, watch)
    }

    /// Judges everything. Services that are not in the list any more are forgotten.
    pub fn tick(&mut self, at: Moment, views: &[View<'_>]) -> Vec<Judgement> {
        let now = at.mono;
        let late = self.is_late(at);
        if self.records.len() > views.len() {
            let known = |name: &Arc<str>| views.iter().any(|view| view.name == name);
            self.records.retain(|name, _| known(name));
        }
        // Taken out of the table for the time of the judgement, to have them by their place.
        let mut records: Vec<Record> = views
            .iter()
            .map(|view| {
                let known = self.records.remove(view.name);
                known.unwrap_or_else(|| Record::new(now))
            })
            .collect();
        let mut due: Vec<Option<String>> = Vec::with_capacity(views.len());
        for (record, view) in records.iter_mut().zip(views) {
            record.set_rules(view.flow, view.check);
            record.note(view.activity, now);
            record.take(&view.readings, now);
            record.beat(view.counters.0, view.counters.1, now);
            if late {
                record.forget(now);
            }
            due.push(record.judge(now));
        }
        self.suspend(views, &mut records, &mut due, now);
        let restarts = self.choose(&mut records, due);
        let judgements = records.iter_mut().zip(restarts).enumerate();
        let judgements = judgements.map(|(index, (record, restart))| Judgement {
            index,
            health: record.health,
            changed: record.change(),
            restart,
            news: record.news(),
        });
        let judgements = judgements.collect();
        let names = views.iter().map(|view| view.name.clone());
        self.records.extend(names.zip(records));
        judgements
    }

    fn record(&mut self, name: &Arc<str>, now: Instant) -> &mut Record {
        self.records
            .entry(name.clone())
            .or_insert_with(|| Record::new(now))
    }

    /// Tells whether we are late ourselves: asleep, stopped, overloaded, or the clock was set.
    fn is_late(&mut self, at: Moment) -> bool {
        let Some(last) = self.last.replace(at) else {
            return false;
        };
        let by_mono = at.mono.saturating_duration_since(last.mono);
        let by_wall = at.wall.duration_since(last.wall).as_secs_f64();
        by_mono > TICK + LATE || (by_wall - by_mono.as_secs_f64()).abs() > LATE.as_secs_f64()
    }

    /// Finds out about whom nothing is done at present, and why.
    fn suspend(
        &self,
        views: &[View<'_>],
        records: &mut [Record],
        due: &mut [Option<String>],
        now: Instant,
    ) {
        let direct: Vec<&[usize]> = views.iter().map(|view| &*view.upstream).collect();
        let watched = views
            .iter()
            .any(|v| !v.flow.is_empty() || !v.check.is_empty());
        let above = if watched {
            graph::closure(&direct)
        } else {
            Vec::new()
        };
        let found: Vec<Option<Suspension>> = (0..records.len())
            .map(|at| {
                let above = above.get(at).map(Vec::as_slice).unwrap_or_default();
                self.suspension(at, above, views, records, now)
            })
            .collect();
        for ((record, due), found) in records.iter_mut().zip(due).zip(found) {
            record.expire_hold(now);
            let ended = record.suspension.is_some() && found.is_none();
            // While it is the fault of others, or after it was, silence is forgotten.
            if ended || matches!(found, Some(Suspension::Upstream(_))) {
                record.forget(now);
                record.unjudge();
            }
            if ended || found.is_some() {
                *due = None;
            }
            record.suspension = found;
        }
    }

    fn suspension(
        &self,
        at: usize,
        above: &[usize],
        views: &[View<'_>],
        records: &[Record],
        now: Instant,
    ) -> Option<Suspension> {
        let record = records.get(at)?;
        if let Some(held) = record.held.as_ref().filter(|held| !held.is_over(now)) {
            return Some(Suspension::Held(format!("held by {}", held.shown.by)));
        }
        let ready = record.ready?;
        let upstream = || {
            above
                .iter()
                .filter_map(|&up| Some((views.get(up)?, records.get(up)?)))
        };
        for (view, up) in upstream() {
            let name = view.name;
            match (up.activity.stage, up.ready) {
                (Stage::Up, Some(came)) => {
                    let settled = came + self.settings.hold.duration();
                    if came > ready && now < settled {
                        let text = format!("{name} has only just come back");
                        return Some(Suspension::Upstream(text));
                    }
                }
                (Stage::Done, _) => {}
                (Stage::Up | Stage::Down | Stage::Pending | Stage::Busy, _) => {
                    return Some(Suspension::Upstream(format!("{name} does not run")));
                }
            }
        }
        let (view, up) = upstream().find(|(_, up)| up.health.is_broken())?;
        let text = format!("{} is {}", view.name, up.health);
        Some(Suspension::Root(text))
    }

    /// Chooses whom to restart: those who are due, as many at a time as allowed.
    fn choose(&self, records: &mut [Record], mut due: Vec<Option<String>>) -> Vec<Option<String>> {
        let under_way = |record: &&Record| {
            record.restarting && matches!(record.activity.stage, Stage::Busy | Stage::Up)
        };
        let most = usize::try_from(self.settings.max_parallel_restarts.get()).unwrap_or(usize::MAX);
        let mut free = most.saturating_sub(records.iter().filter(under_way).count());
        for (record, due) in records.iter_mut().zip(&mut due) {
            match (due.is_some(), record.restarting) {
                // It was told, and has not begun.
                (true, true) => {}
                (true, false) if free > 0 => {
                    record.restarting = true;
                    free -= 1;
                }
                (true, false) => *due = None,
                (false, _) if record.activity.stage == Stage::Up => record.restarting = false,
                (false, _) => {}
            }
        }
        due
    }
}

#[cfg(test)]
mod tests;
