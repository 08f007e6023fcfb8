//! The counts of the last day by minute and of many days, and what is too much.

use std::collections::{BTreeMap, BTreeSet};

use fathom_formats::km3net::LogSource;
use fathom_kernel::{Alarm, Saved, Severity, Timestamp};
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::Config;
use super::counts::Counts;
use super::files::{Before, Counted, Wanted};
use crate::archive::day_of;
use crate::index::{CLASSES, Level};

/// Minutes kept.
pub(super) const MINUTES_MAX: i64 = 1440;
pub(super) const MINUTE_MS: i64 = 60_000;
/// Days that make the usual number of errors.
const USUAL_DAYS: i64 = 7;

/// What is known of one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Day {
    pub(super) counts: Counts,
    /// Counted from the archived file, which is complete.
    pub(super) from_file: bool,
    /// Unless the file cannot be read to its end.
    #[serde(default)]
    pub(super) is_damaged: bool,
}

/// All counts.
#[derive(Debug)]
pub(super) struct Stats {
    pub(super) errors_per_minute: u64,
    pub(super) days_shown: usize,
    days_kept: usize,
    /// By minute since 1970, those without any message included while the service ran.
    pub(super) minutes: BTreeMap<i64, Counts>,
    pub(super) days: BTreeMap<Date, Day>,
    /// Minute up to which minutes are there, and the newest one that was judged.
    covered: i64,
    judged: i64,
    bursting: BTreeSet<LogSource>,
    pub(super) newest: Option<Timestamp>,
    changed: bool,
}

/// What is kept over a restart.
#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    minutes: Vec<(i64, Counts)>,
    days: Vec<(Date, Day)>,
}

const KEPT_VERSION: u32 = 1;

impl Stats {
    pub(super) fn new(config: &Config, now: Timestamp) -> Self {
        let minute = minute_of(now);
        Self {
            errors_per_minute: config.errors_per_minute,
            days_shown: config.days_shown,
            days_kept: config.days_kept,
            minutes: BTreeMap::new(),
            days: BTreeMap::new(),
            covered: minute,
            judged: minute - 1,
            bursting: BTreeSet::new(),
            newest: None,
            changed: true,
        }
    }

    /// Forgets all counts; those of archived files are read again.
    pub(super) fn reset(&mut self, now: Timestamp) {
        let config = Config {
            errors_per_minute: self.errors_per_minute,
            days_shown: self.days_shown,
            days_kept: self.days_kept,
            ..Config::default()
        };
        *self = Self::new(&config, now);
    }

    /// Returns roughly how much memory the counts take.
    pub(super) fn memory_bytes(&self) -> usize {
        self.minutes.len() * size_of::<(i64, Counts)>() + self.days.len() * size_of::<(Date, Day)>()
    }

    /// Counts a message.
    pub(super) fn saw(&mut self, received: Timestamp, about: (LogSource, Level)) {
        self.minutes
            .entry(minute_of(received))
            .or_default()
            .add(about);
        let day = self.days.entry(day_of(received)).or_default();
        day.counts.add(about);
        self.newest = self.newest.max(Some(received));
    }

    /// Takes the messages of today that came before the start; the file knows them all.
    pub(super) fn take_today(&mut self, today: Date, before: &Before) {
        if before.dated.is_empty() && before.undated == Counts::default() {
            return;
        }
        self.days.remove(&today);
        self.minutes
            .retain(|minute, _| day_of_minute(*minute) != Some(today));
        for (received, about) in &before.dated {
            self.saw(*received, *about);
        }
        let day = self.days.entry(today).or_default();
        day.counts.merge(&before.undated);
    }

    /// Takes days that were counted from their files.
    pub(super) fn take_days(&mut self, days: BTreeMap<Date, Counted>) {
        self.changed |= !days.is_empty();
        for (day, (counts, damage)) in days {
            let day_of_file = Day {
                counts,
                from_file: true,
                is_damaged: damage.is_some(),
            };
            self.days.insert(day, day_of_file);
        }
        while self.days.len() > self.days_kept {
            self.days.pop_first();
        }
    }

    /// Returns which days are still to be counted from their files.
    pub(super) fn wanted(&self) -> Wanted {
        let known = self.days.iter().filter(|(_, day)| day.from_file);
        let is_full = self.days.len() >= self.days_kept;
        let oldest = self.days.first_key_value().filter(|_| is_full);
        Wanted {
            known: known.map(|(date, _)| *date).collect(),
            days_max: self.days_kept,
            oldest: oldest.map(|(date, _)| *date),
        }
    }

    /// Time has passed: says which classes begin or end to write too many errors.
    pub(super) fn tick(&mut self, now: Timestamp) -> Vec<Alarm> {
        let minute = minute_of(now);
        // After a leap of the clock the minutes between say nothing.
        for silent in (self.covered + 1).max(minute - MINUTES_MAX)..=minute {
            self.minutes.entry(silent).or_default();
            self.changed = true;
        }
        self.covered = minute;
        let oldest = minute - MINUTES_MAX;
        self.minutes = self.minutes.split_off(&oldest);
        let mut alarms = Vec::new();
        // What is too much already in the minute that goes on is said at once.
        for judged in (self.judged + 1).max(oldest)..=minute {
            let is_complete = judged < minute;
            self.judge(judged, is_complete, now, &mut alarms);
        }
        self.judged = minute - 1;
        alarms
    }

    fn judge(&mut self, minute: i64, is_complete: bool, now: Timestamp, alarms: &mut Vec<Alarm>) {
        let Some(counts) = self
            .minutes
            .get(&minute)
            .filter(|_| self.errors_per_minute > 0)
        else {
            return;
        };
        for class in CLASSES {
            let errors = counts.of(class, Level::Error);
            let is_burst = errors > self.errors_per_minute;
            let was = self.bursting.contains(&class);
            if is_burst == was || !(is_burst || is_complete) {
                continue;
            }
            match is_burst {
                true => self.bursting.insert(class),
                false => self.bursting.remove(&class),
            };
            alarms.push(Alarm {
                service: String::new(),
                rule: "log_error_burst".into(),
                subject: class.as_str().into(),
                severity: Severity::Warning,
                firing: is_burst,
                text: format!("{class} wrote {errors} errors in a minute"),
                at: now,
            });
        }
    }

    /// Tells whether something is to be shown anew; asked once.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Returns the mean of a class and level over the last seven days before a day, of those that are
    /// known.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub(super) fn usual(&self, today: Date, class: LogSource, level: Level) -> Option<f64> {
        let first = today.checked_sub(USUAL_DAYS.days()).ok()?;
        let counts = self
            .days
            .range(first..today)
            .map(|(_, day)| day.counts.of(class, level));
        let (sum, number) = counts.fold((0, 0_u32), |(sum, n), count| (sum + count, n + 1));
        (number > 0).then(|| sum as f64 / f64::from(number))
    }

    /// Returns what is to be kept.
    pub(super) fn kept(&self) -> Vec<u8> {
        let kept = Kept {
            version: KEPT_VERSION,
            minutes: self
                .minutes
                .iter()
                .map(|(minute, counts)| (*minute, *counts))
                .collect(),
            days: self.days.iter().map(|(date, day)| (*date, *day)).collect(),
        };
        serde_json::to_vec(&kept).expect("numbers and dates become JSON")
    }

    /// Takes back what was kept.
    pub(super) fn restore(&mut self, saved: &Saved) -> Result<(), String> {
        let Some(snapshot) = &saved.snapshot else {
            return Ok(());
        };
        let kept: Kept = serde_json::from_slice(snapshot).map_err(|e| e.to_string())?;
        if kept.version != KEPT_VERSION {
            return Err(format!("version {}, expected {KEPT_VERSION}", kept.version));
        }
        self.minutes.extend(kept.minutes);
        self.days.extend(kept.days);
        Ok(())
    }
}

fn minute_of(at: Timestamp) -> i64 {
    at.as_millisecond().div_euclid(MINUTE_MS)
}

fn day_of_minute(minute: i64) -> Option<Date> {
    let at = Timestamp::from_millisecond(minute.checked_mul(MINUTE_MS)?).ok()?;
    Some(day_of(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERROR: (LogSource, Level) = (LogSource::DataFilter, Level::Error);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn said(alarms: &[Alarm]) -> Vec<(&str, bool)> {
        alarms.iter().map(|a| (&*a.subject, a.firing)).collect()
    }

    #[test]
    fn eleven_errors_in_a_minute_are_a_burst_until_a_minute_has_fewer() {
        let start = at("2026-01-31T12:00:10Z");
        let mut stats = Stats::new(&Config::default(), start);
        assert!(stats.tick(start).is_empty());
        (0..10).for_each(|_| stats.saw(start, ERROR));
        assert!(stats.tick(start).is_empty());
        stats.saw(start, ERROR);
        assert_eq!(said(&stats.tick(start)), [("DataFilter", true)]);
        assert!(stats.tick(at("2026-01-31T12:00:59Z")).is_empty());
        assert!(stats.tick(at("2026-01-31T12:01:59Z")).is_empty());
        let ended = stats.tick(at("2026-01-31T12:02:00Z"));
        assert_eq!(said(&ended), [("DataFilter", false)]);
        assert_eq!(stats.minutes.len(), 3);
    }

    #[test]
    fn the_usual_number_is_the_mean_of_the_seven_days_before() {
        let mut stats = Stats::new(&Config::default(), at("2026-01-31T12:00:00Z"));
        let mut days = BTreeMap::new();
        for (day, errors) in [(23, 1000), (24, 2), (25, 4), (30, 6), (31, 50)] {
            let mut counts = Counts::default();
            (0..errors).for_each(|_| counts.add(ERROR));
            days.insert(Date::constant(2026, 1, day), (counts, None));
        }
        stats.take_days(days);
        let today = Date::constant(2026, 1, 31);
        assert_eq!(stats.usual(today, ERROR.0, ERROR.1), Some(4.0));
        let first = Date::constant(2026, 1, 10);
        assert_eq!(stats.usual(first, ERROR.0, ERROR.1), None);
    }

    #[test]
    fn days_beyond_those_kept_are_not_counted_with_every_look() {
        let config = Config {
            days_kept: 3,
            ..Config::default()
        };
        let now = at("2026-01-31T12:00:00Z");
        let mut stats = Stats::new(&config, now);
        stats.saw(now, ERROR);
        let listed = || (20..=30).map(|day| Date::constant(2026, 1, day)).collect();
        let mut looks = Vec::new();
        for _ in 0..3 {
            let days: Vec<Date> = stats.wanted().of(listed()).collect();
            stats.take_days(
                days.iter()
                    .map(|day| (*day, (Counts::default(), None)))
                    .collect(),
            );
            looks.push(days.len());
        }
        assert_eq!(looks, [3, 0, 0]);
        let kept: Vec<_> = stats.days.keys().map(|day| day.day()).collect();
        assert_eq!(kept, [29, 30, 31]);
    }

    #[test]
    fn counts_survive_a_restart_and_the_file_of_today_counts_for_the_time_before() {
        let start = at("2026-01-31T12:00:00Z");
        let mut stats = Stats::new(&Config::default(), start);
        (0..3).for_each(|_| stats.saw(start, ERROR));
        let saved = Saved {
            snapshot: Some(stats.kept()),
            records: Vec::new(),
        };
        let mut next = Stats::new(&Config::default(), at("2026-01-31T13:00:00Z"));
        next.restore(&saved).unwrap();
        assert_eq!((&next.minutes, &next.days), (&stats.minutes, &stats.days));
        // Two more were written while the service did not run.
        let later = at("2026-01-31T12:30:00Z");
        let all = [start, start, start, later, later].map(|at| (at, ERROR));
        let before = Before {
            dated: all.into(),
            ..Before::default()
        };
        next.take_today(day_of(later), &before);
        let today = next.days[&Date::constant(2026, 1, 31)];
        assert_eq!(today.counts.of(ERROR.0, ERROR.1), 5);
    }

    #[test]
    fn messages_of_today_whose_time_nobody_knows_count_for_the_day_and_for_no_minute() {
        let start = at("2026-01-31T12:00:00Z");
        let mut stats = Stats::new(&Config::default(), start);
        let mut undated = Counts::default();
        (0..4).for_each(|_| undated.add(ERROR));
        let before = Before {
            dated: [(start, ERROR)].into(),
            undated,
        };
        stats.take_today(day_of(start), &before);
        let today = stats.days[&Date::constant(2026, 1, 31)];
        assert_eq!(today.counts.of(ERROR.0, ERROR.1), 5);
        let of_minutes = stats.minutes.values();
        let of_minutes: u64 = of_minutes.map(|counts| counts.of(ERROR.0, ERROR.1)).sum();
        assert_eq!(of_minutes, 1);
    }

    #[test]
    fn a_leap_of_the_clock_makes_a_bounded_number_of_minutes() {
        let mut stats = Stats::new(&Config::default(), at("2020-01-01T00:00:00Z"));
        stats.tick(at("2026-01-31T12:00:00Z"));
        // A whole day, and the minute that goes on.
        let first = stats.minutes.keys().next().copied();
        assert_eq!(first, Some(minute_of(at("2026-01-30T12:00:00Z"))));
        assert_eq!(stats.minutes.len(), 1441);
    }
}
