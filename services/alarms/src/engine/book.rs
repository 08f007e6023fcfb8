//! All alarms, what is muted, and the history: the state of the engine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use fathom_kernel::{Alarm, Notice, Severity, Stage};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::case::{Step, Told, between};
use super::{Case, Damping, Key, Mute, Pattern, Phase, Policies};

/// Most mutes at a time; further ones are refused.
const MUTES_MAX: usize = 1000;

/// Longest rule, subject, name of a person; longer ones are cut.
const NAME_CHARS_MAX: usize = 200;
/// Longest text; longer ones are cut. That of lost time synchronisation lists twice 200 DOMs.
const TEXT_CHARS_MAX: usize = 5000;
/// Longest reason of a mute; longer ones are cut.
const REASON_CHARS_MAX: usize = 1000;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Most alarms, resolved ones included.
    pub(crate) alarms: usize,
    /// Most rows of the history.
    pub(crate) history: usize,
    /// How long a resolved alarm is shown.
    pub(crate) resolved: Duration,
}

/// Which alarms an order is about.
#[derive(Debug, Clone)]
pub(crate) enum Pick {
    /// The one of this number.
    Id(u64),
    /// All whose names fit.
    Fitting { rule: Pattern, subject: Pattern },
}

/// What happens to the engine.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// A service says that a condition holds, or does not any more.
    Said(Alarm),
    /// Somebody looks at alarms.
    Acknowledge { pick: Pick, by: String },
    /// Somebody says that alarms are over.
    Close { pick: Pick, by: String },
    /// Somebody does not want to hear of alarms for a while.
    Mute {
        rule: Pattern,
        subject: Pattern,
        until: Timestamp,
        by: String,
        reason: String,
    },
    /// Somebody wants to hear of alarms again.
    Unmute { pick: Pick, by: String },
    /// Time has passed.
    Tick,
}

/// Why an order was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NothingMeant {
    #[error("no alarm that fires is meant")]
    Alarm,
    #[error("no mute is meant")]
    Mute,
    #[error("there are {MUTES_MAX} mutes already")]
    TooMany,
}

/// The state of the engine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Book {
    #[serde(with = "listed")]
    cases: BTreeMap<Key, Case>,
    mutes: Vec<Mute>,
    history: VecDeque<Notice>,
    last_id: u64,
    last_entry: u64,
    last_mute: u64,
    /// Conditions that found no room.
    refused: u64,
}

/// Rules and limits that do not change while the engine runs.
#[derive(Debug, Clone)]
pub(crate) struct House {
    pub(crate) policies: Policies,
    pub(crate) damping: Damping,
    pub(crate) bounds: Bounds,
}

impl Book {
    /// Takes one input and returns what is to be told, in this order.
    pub(crate) fn apply(
        &mut self,
        input: Input,
        house: &House,
        now: Timestamp,
    ) -> Result<Vec<Notice>, NothingMeant> {
        let mut told = Vec::new();
        match input {
            Input::Said(alarm) => self.say(alarm, house, now, &mut told),
            Input::Acknowledge { pick, by } => {
                self.order(
                    &pick,
                    Step::Acknowledge { by: &by },
                    &by,
                    (house, now),
                    &mut told,
                )?;
            }
            Input::Close { pick, by } => {
                self.order(&pick, Step::Close, &by, (house, now), &mut told)?;
            }
            Input::Mute {
                rule,
                subject,
                until,
                by,
                reason,
            } => {
                // A later one for the same takes its place, be it longer or shorter.
                let is_same = |mute: &Mute| mute.rule == rule && mute.subject == subject;
                self.mutes.retain(|mute| !is_same(mute));
                if self.mutes.len() >= MUTES_MAX {
                    return Err(NothingMeant::TooMany);
                }
                self.last_mute += 1;
                self.mutes.push(Mute {
                    id: self.last_mute,
                    rule,
                    subject,
                    until,
                    by: cut(by, NAME_CHARS_MAX),
                    reason: cut(reason, REASON_CHARS_MAX),
                });
                self.mutes_changed((house, now), None, &mut told);
            }
            Input::Unmute { pick, by } => {
                let before = self.mutes.len();
                self.mutes.retain(|mute| !pick.means_mute(mute));
                if self.mutes.len() == before {
                    return Err(NothingMeant::Mute);
                }
                self.mutes_changed((house, now), Some(&by), &mut told);
            }
            Input::Tick => self.tick(house, now, &mut told),
        }
        Ok(told)
    }

    /// Gives restored alarms the rules of the configuration as it is now.
    pub(crate) fn equip(&mut self, house: &House) {
        for case in self.cases.values_mut() {
            let key = &case.key;
            let names = (&*key.service, &*key.rule, &*key.subject);
            case.policy = house.policies.of(names, case.severity);
        }
        self.bound_history(house.bounds);
    }

    fn say(&mut self, alarm: Alarm, house: &House, now: Timestamp, told: &mut Vec<Notice>) {
        let key = Key {
            service: cut(alarm.service, NAME_CHARS_MAX),
            rule: cut(alarm.rule, NAME_CHARS_MAX),
            subject: cut(alarm.subject, NAME_CHARS_MAX),
        };
        let text = cut(alarm.text, TEXT_CHARS_MAX);
        let is_known = self.cases.get(&key).is_some_and(|case| !case.is_resolved());
        if !alarm.firing {
            if is_known {
                self.step(&key, Step::Clear { text: &text }, None, (house, now), told);
            }
            return;
        }
        if !is_known && !self.begin(&key, (alarm.severity, alarm.at), house, now) {
            return;
        }
        let (severity, at) = (alarm.severity, alarm.at);
        if let Some(case) = self.cases.get_mut(&key)
            && case.severity != severity
        {
            let names = (&*key.service, &*key.rule, &*key.subject);
            case.policy = house.policies.of(names, severity);
        }
        let raise = Step::Raise {
            severity,
            text: &text,
            at,
        };
        self.step(&key, raise, None, (house, now), told);
        if let Some(case) = self.cases.get_mut(&key)
            && case.policy.is_happening
        {
            // It was told, or muted; nothing remains to be resolved.
            (case.holds, case.phase) = (false, Phase::Resolved);
        }
    }

    /// Makes room for an alarm and begins it; `false` when it does not count or there is no room.
    fn begin(
        &mut self,
        key: &Key,
        (severity, at): (Severity, Timestamp),
        house: &House,
        now: Timestamp,
    ) -> bool {
        let names = (&*key.service, &*key.rule, &*key.subject);
        let policy = house.policies.of(names, severity);
        if policy.is_ignored {
            return false;
        }
        let former = self.cases.remove(key);
        if self.cases.len() >= house.bounds.alarms && !self.forget_oldest_resolved() {
            self.refused += 1;
            return false;
        }
        self.last_id += 1;
        let mut case = Case::begin(self.last_id, key.clone(), policy, now);
        case.since = at;
        case.onsets = former.map(|former| former.onsets).unwrap_or_default();
        case.mute = self.mutes.iter().find(|m| m.covers(key)).map(|m| m.id);
        self.cases.insert(key.clone(), case);
        true
    }

    fn forget_oldest_resolved(&mut self) -> bool {
        let resolved = self.cases.values().filter(|case| case.is_resolved());
        let oldest = resolved.min_by_key(|case| case.entered);
        let key = oldest.map(|case| case.key.clone());
        key.is_some_and(|key| self.cases.remove(&key).is_some())
    }

    /// Carries out an order on all alarms that are meant and not over.
    fn order(
        &mut self,
        pick: &Pick,
        step: Step<'_>,
        by: &str,
        at: (&House, Timestamp),
        told: &mut Vec<Notice>,
    ) -> Result<(), NothingMeant> {
        let is_close = matches!(step, Step::Close);
        let keys: Vec<Key> = self
            .cases
            .values()
            .filter(|case| pick.means(case))
            .filter(|case| match case.phase {
                Phase::Firing { .. } => true,
                Phase::Pending | Phase::Acknowledged { .. } | Phase::Muted { .. } => is_close,
                Phase::Resolved => false,
            })
            .map(|case| case.key.clone())
            .collect();
        if keys.is_empty() {
            return Err(NothingMeant::Alarm);
        }
        for key in keys {
            self.step(&key, step, Some(by), at, told);
        }
        Ok(())
    }

    fn tick(&mut self, house: &House, now: Timestamp, told: &mut Vec<Notice>) {
        let before = self.mutes.len();
        self.mutes.retain(|mute| mute.until > now);
        if self.mutes.len() != before {
            self.mutes_changed((house, now), None, told);
        }
        let keys: Vec<Key> = self
            .cases
            .values()
            .filter(|case| !case.is_resolved())
            .map(|case| case.key.clone())
            .collect();
        for key in keys {
            self.step(&key, Step::Look, None, (house, now), told);
        }
        let kept = house.bounds.resolved;
        self.cases
            .retain(|_, case| !case.is_resolved() || between(case.entered, now) <= kept);
    }

    /// Finds out anew which alarms are muted.
    fn mutes_changed(&mut self, at: (&House, Timestamp), by: Option<&str>, told: &mut Vec<Notice>) {
        let mut changed = Vec::new();
        for case in self.cases.values_mut() {
            let mute = self.mutes.iter().find(|mute| mute.covers(&case.key));
            let mute = mute.map(|mute| mute.id);
            if mute != case.mute {
                case.mute = mute;
                changed.push(case.key.clone());
            }
        }
        for key in changed {
            self.step(&key, Step::Look, by, at, told);
        }
    }

    fn step(
        &mut self,
        key: &Key,
        step: Step<'_>,
        by: Option<&str>,
        (house, now): (&House, Timestamp),
        told: &mut Vec<Notice>,
    ) {
        let Some(case) = self.cases.get_mut(key) else {
            return;
        };
        let Some(said) = case.step(step, house.damping, now) else {
            if case.is_resolved() && case.onsets.is_empty() {
                // It never counted.
                self.cases.remove(key);
            }
            return;
        };
        let mute = self.mutes.iter().find(|mute| Some(mute.id) == case.mute);
        let mut notice = notice(case, said, house.damping, now);
        notice.by = by.map(str::to_owned).map(|by| cut(by, NAME_CHARS_MAX));
        if let Some(mute) = mute.filter(|_| notice.to == Stage::Muted) {
            notice.by = Some(mute.by.clone());
            notice.until = Some(mute.until);
            if !mute.reason.is_empty() {
                notice.text = format!("{} (muted: {})", notice.text, mute.reason);
            }
        }
        notice.entry = self.last_entry;
        if let Told::Change { .. } = said {
            self.last_entry += 1;
            notice.entry = self.last_entry;
            self.history.push_back(notice.clone());
            self.bound_history(house.bounds);
        }
        told.push(notice);
    }

    fn bound_history(&mut self, bounds: Bounds) {
        let surplus = self.history.len().saturating_sub(bounds.history);
        self.history.drain(..surplus);
    }

    /// Returns all alarms by service, rule and subject.
    pub(crate) fn cases(&self) -> impl Iterator<Item = &Case> {
        self.cases.values()
    }

    /// Returns the mutes in force, oldest first.
    pub(crate) fn mutes(&self) -> &[Mute] {
        &self.mutes
    }

    /// Returns the mute of a number.
    pub(crate) fn mute(&self, id: u64) -> Option<&Mute> {
        self.mutes.iter().find(|mute| mute.id == id)
    }

    /// Returns the history, oldest first.
    pub(crate) fn history(&self) -> impl DoubleEndedIterator<Item = &Notice> + ExactSizeIterator {
        self.history.iter()
    }

    /// Returns the number of the newest row of the history.
    pub(crate) fn last_entry(&self) -> u64 {
        self.last_entry
    }

    /// Returns how many conditions found no room.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Returns how bad a condition is that holds; `None` when it does not, or does not count.
    pub(crate) fn holding(&self, key: &Key) -> Option<Severity> {
        let case = self.cases.get(key).filter(|case| case.holds)?;
        Some(case.severity)
    }

    /// Returns the rules and subjects of a service whose condition holds, as far as is known.
    pub(crate) fn held_by(&self, service: &str) -> BTreeSet<(String, String)> {
        let held = self.cases.values().filter(|case| case.holds);
        held.filter(|case| case.key.service == service)
            .map(|case| (case.key.rule.clone(), case.key.subject.clone()))
            .collect()
    }
}

impl Pick {
    fn means(&self, case: &Case) -> bool {
        match self {
            Self::Id(id) => case.id == *id,
            Self::Fitting { rule, subject } => {
                rule.fits(&case.key.rule) && subject.fits(&case.key.subject)
            }
        }
    }

    fn means_mute(&self, mute: &Mute) -> bool {
        match self {
            Self::Id(id) => mute.id == *id,
            // Patterns are compared as they were written: `*` takes everything.
            Self::Fitting { rule, subject } => {
                rule.fits(mute.rule.as_str()) && subject.fits(mute.subject.as_str())
            }
        }
    }
}

/// Makes the notice of a step, without its number and its author.
fn notice(case: &Case, said: Told, damping: Damping, now: Timestamp) -> Notice {
    let (from, to, repeat) = match said {
        Told::Change { from, to } => (from, to, 0),
        Told::Repeat(repeat) => (Stage::Firing, Stage::Firing, repeat),
    };
    // A first beginning comes from nowhere, whether or not it had to wait.
    let from = if from == Stage::Pending {
        Stage::Ok
    } else {
        from
    };
    let mut text = case.text.clone();
    if to == Stage::Firing && repeat == 0 && case.is_flapping(damping, now) {
        let times = case.onsets.len();
        text = format!("{text} (comes and goes, {times} times until now)");
    }
    Notice {
        entry: 0,
        id: case.id,
        at: now,
        service: case.key.service.clone(),
        rule: case.key.rule.clone(),
        subject: case.key.subject.clone(),
        severity: case.severity,
        from,
        to,
        text,
        since: case.since,
        repeat,
        by: None,
        until: None,
        sinks: case.policy.sinks.clone(),
    }
}

/// Cuts a text that comes from outside, or is too long for where it goes.
pub(crate) fn cut(mut text: String, chars_max: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(chars_max) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Alarms as a list: their keys are no texts, as JSON wants them.
mod listed {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Case, Key};

    pub(super) fn serialize<S: Serializer>(
        cases: &BTreeMap<Key, Case>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(cases.values())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Key, Case>, D::Error> {
        let cases = Vec::<Case>::deserialize(deserializer)?;
        let keyed = cases.into_iter().map(|case| (case.key.clone(), case));
        Ok(keyed.collect())
    }
}

#[cfg(test)]
mod tests;
