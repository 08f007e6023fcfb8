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
/// Longest text; longer ones are cut.
const TEXT_CHARS_MAX: usize = 1000;

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
                    reason: cut(reason, TEXT_CHARS_MAX),
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
                Phase::Pending | Phase::Acknowledged { .. } | Phase::Muted => is_close,
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

/// Cuts a text that comes from outside.
fn cut(mut text: String, chars_max: usize) -> String {
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
mod tests {
    use super::*;

    const T0: i64 = 1_790_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(T0 + second).unwrap()
    }

    fn house(rules: &str) -> House {
        House {
            policies: Policies::new(serde_json::from_str(rules).unwrap()),
            damping: Damping {
                calm: Duration::from_secs(10),
                flaps: 3,
                window: Duration::from_secs(300),
            },
            bounds: Bounds {
                alarms: 4,
                history: 6,
                resolved: Duration::from_secs(3600),
            },
        }
    }

    fn said(rule: &str, subject: &str, severity: Severity, firing: bool) -> Input {
        Input::Said(Alarm {
            service: "m".into(),
            rule: rule.into(),
            subject: subject.into(),
            severity,
            firing,
            text: format!("{rule} of {subject}"),
            at: at(0),
        })
    }

    fn raise(subject: &str) -> Input {
        said("r", subject, Severity::Warning, true)
    }

    fn clear(subject: &str) -> Input {
        said("r", subject, Severity::Warning, false)
    }

    fn mute(subject: &str, until: i64) -> Input {
        Input::Mute {
            rule: Pattern::any(),
            subject: Pattern::new(subject).unwrap(),
            until: at(until),
            by: "anna".into(),
            reason: "repair".into(),
        }
    }

    fn fitting(subject: &str) -> Pick {
        Pick::Fitting {
            rule: Pattern::any(),
            subject: Pattern::new(subject).unwrap(),
        }
    }

    fn acknowledge(subject: &str) -> Input {
        Input::Acknowledge {
            pick: fitting(subject),
            by: "ben".into(),
        }
    }

    /// Runs inputs, each at its second, and writes down what was told: `second from>to`.
    fn run(house: &House, book: &mut Book, inputs: Vec<(i64, Input)>) -> Vec<String> {
        let mut told = Vec::new();
        for (second, input) in inputs {
            let notices = book.apply(input, house, at(second)).unwrap_or_default();
            told.extend(notices.iter().map(|n| match n.repeat {
                0 => format!("{second} {}>{}", n.from, n.to),
                repeat => format!("{second} again {repeat}"),
            }));
        }
        told
    }

    #[test]
    fn the_life_of_an_alarm_by_cases() {
        use Input::Tick;
        let alert = |firing| said("r", "x", Severity::Alert, firing);
        let cases: Vec<(&str, &str, Vec<(i64, Input)>, &[&str])> = vec![
            (
                "it fires at once and is resolved after ten calm seconds",
                "[]",
                vec![(0, raise("x")), (5, clear("x")), (14, Tick), (15, Tick)],
                &["0 ok>firing", "15 firing>resolved"],
            ),
            (
                "it waits until the condition has held for long enough",
                r#"[{"for": "30s"}]"#,
                vec![(0, raise("x")), (29, Tick), (30, Tick)],
                &["30 ok>firing"],
            ),
            (
                "what ends while it waits is never told",
                r#"[{"for": "30s"}]"#,
                vec![(0, raise("x")), (20, clear("x")), (40, Tick), (60, Tick)],
                &[],
            ),
            (
                "a return within the calm time is the same alarm, still acknowledged",
                "[]",
                vec![
                    (0, raise("x")),
                    (1, acknowledge("x")),
                    (5, clear("x")),
                    (9, raise("x")),
                    (60, Tick),
                ],
                &["0 ok>firing", "1 firing>acknowledged"],
            ),
            (
                "it is told again until somebody looks",
                r#"[{"repeat": "1m"}]"#,
                vec![
                    (0, raise("x")),
                    (59, Tick),
                    (60, Tick),
                    (119, Tick),
                    (121, Tick),
                    (130, acknowledge("x")),
                    (300, Tick),
                ],
                &[
                    "0 ok>firing",
                    "60 again 1",
                    "121 again 2",
                    "130 firing>acknowledged",
                ],
            ),
            (
                "a muted one says nothing until the mute ends",
                "[]",
                vec![
                    (0, mute("x", 100)),
                    (1, raise("x")),
                    (99, Tick),
                    (100, Tick),
                ],
                &["1 ok>muted", "100 muted>firing"],
            ),
            (
                "one that fires is muted, and resolved from there",
                "[]",
                vec![
                    (0, raise("x")),
                    (1, mute("x", 900)),
                    (5, clear("x")),
                    (15, Tick),
                ],
                &["0 ok>firing", "1 firing>muted", "15 muted>resolved"],
            ),
            (
                "what somebody looks at fires again when it gets worse",
                "[]",
                vec![(0, raise("x")), (1, acknowledge("x")), (2, alert(true))],
                &[
                    "0 ok>firing",
                    "1 firing>acknowledged",
                    "2 acknowledged>firing",
                ],
            ),
            (
                "what happens once is told each time and stays no alarm",
                r#"[{"happening": true}]"#,
                vec![(0, raise("x")), (1, raise("x")), (60, Tick)],
                &["0 ok>firing", "1 ok>firing"],
            ),
            (
                "what is switched off is not heard",
                r#"[{"enabled": false}]"#,
                vec![(0, raise("x")), (60, Tick)],
                &[],
            ),
        ];
        for (name, rules, inputs, expected) in cases {
            let house = house(rules);
            assert_eq!(
                run(&house, &mut Book::default(), inputs),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn a_condition_that_comes_and_goes_becomes_one_long_alarm() {
        let (house, mut book) = (house("[]"), Book::default());
        let mut inputs = Vec::new();
        for round in 0..10 {
            let start = round * 20;
            inputs.push((start, raise("x")));
            inputs.push((start + 1, clear("x")));
            inputs.push((start + 12, Input::Tick));
        }
        let told = run(&house, &mut book, inputs);
        // Two whole rounds, then the third beginning stays.
        assert_eq!(told.len(), 5, "{told:?}");
        let last = book.history().last().unwrap();
        assert!(last.text.contains("comes and goes"), "{}", last.text);
        // It ends when it has been calm for the whole window.
        let told = run(
            &house,
            &mut book,
            vec![(180, Input::Tick), (481, Input::Tick)],
        );
        assert_eq!(told, ["481 firing>resolved"]);
    }

    #[test]
    fn the_number_of_alarms_is_bounded_and_the_oldest_resolved_goes_first() {
        let (house, mut book) = (house("[]"), Book::default());
        for subject in ["a", "b", "c", "d"] {
            book.apply(raise(subject), &house, at(0)).unwrap();
        }
        book.apply(raise("e"), &house, at(1)).unwrap();
        assert_eq!((book.cases().count(), book.refused()), (4, 1));
        book.apply(clear("b"), &house, at(2)).unwrap();
        book.apply(Input::Tick, &house, at(20)).unwrap();
        book.apply(raise("e"), &house, at(21)).unwrap();
        let subjects: Vec<_> = book.cases().map(|case| &*case.key.subject).collect();
        assert_eq!(subjects, ["a", "c", "d", "e"]);
    }

    #[test]
    fn rows_of_the_history_ascend_without_gaps_and_are_bounded() {
        let (house, mut book) = (house("[]"), Book::default());
        for round in 0..5 {
            let start = round * 1000;
            book.apply(raise("x"), &house, at(start)).unwrap();
            book.apply(clear("x"), &house, at(start + 1)).unwrap();
            book.apply(Input::Tick, &house, at(start + 500)).unwrap();
        }
        let entries: Vec<u64> = book.history().map(|row| row.entry).collect();
        assert_eq!(entries, [5, 6, 7, 8, 9, 10]);
        assert_eq!(book.last_entry(), 10);
    }

    #[test]
    fn an_order_about_nothing_is_refused() {
        let (house, mut book) = (house("[]"), Book::default());
        let refused = book.apply(acknowledge("x"), &house, at(0));
        assert_eq!(refused, Err(NothingMeant::Alarm));
        let pick = Pick::Id(7);
        let by = String::new();
        let refused = book.apply(Input::Unmute { pick, by }, &house, at(0));
        assert_eq!(refused, Err(NothingMeant::Mute));
    }

    #[test]
    fn an_alarm_is_closed_by_hand_and_a_mute_is_taken_back() {
        let (house, mut book) = (house("[]"), Book::default());
        let close = Input::Close {
            pick: Pick::Id(1),
            by: "anna".into(),
        };
        let unmute = Input::Unmute {
            pick: fitting("*"),
            by: "anna".into(),
        };
        let told = run(
            &house,
            &mut book,
            vec![
                (0, raise("x")),
                (1, mute("*", 900)),
                (2, unmute),
                (3, close),
            ],
        );
        let expected = [
            "0 ok>firing",
            "1 firing>muted",
            "2 muted>firing",
            "3 firing>resolved",
        ];
        assert_eq!(told, expected);
        assert_eq!(book.history().last().unwrap().by.as_deref(), Some("anna"));
    }

    #[test]
    fn a_restart_forgets_neither_an_acknowledgement_nor_tells_anything_again() {
        let (house, mut book) = (house(r#"[{"repeat": "1h"}]"#), Book::default());
        for (second, input) in [(0, raise("x")), (1, acknowledge("x")), (2, raise("y"))] {
            book.apply(input, &house, at(second)).unwrap();
        }
        let kept = serde_json::to_vec(&book).unwrap();
        let mut back: Book = serde_json::from_slice(&kept).unwrap();
        back.equip(&house);
        assert_eq!(back, book);
        // Monitors say again what holds.
        let told = run(
            &house,
            &mut back,
            vec![(9, raise("x")), (9, raise("y")), (60, Input::Tick)],
        );
        assert!(told.is_empty(), "{told:?}");
    }

    #[test]
    fn texts_without_end_are_cut() {
        let (house, mut book) = (house("[]"), Book::default());
        let subject = "ä".repeat(10_000);
        book.apply(raise(&subject), &house, at(0)).unwrap();
        let case = book.cases().next().unwrap();
        assert_eq!(case.key.subject.chars().count(), NAME_CHARS_MAX + 1);
        assert_eq!(case.text.chars().count(), TEXT_CHARS_MAX + 1);
    }
}
