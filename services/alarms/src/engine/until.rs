//! When a mute ends, as people say it: `18:00 UTC`, `2026-11-21 18:00`, `2026-11-21T18:00:00Z`.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer};

/// Longest text that is read.
const BYTES_MAX: usize = 64;

/// A time to come. Without an offset it is UTC, whether that is said or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    At(Timestamp),
    /// The next time that it is this late.
    Next(Time),
}

impl Until {
    /// Returns the time itself; `None` beyond the end of all dates.
    pub(crate) fn after(self, now: Timestamp) -> Option<Timestamp> {
        let time = match self {
            Self::At(at) => return Some(at),
            Self::Next(time) => time,
        };
        let today = TimeZone::UTC.to_datetime(now).date();
        let on = |date: jiff::civil::Date| TimeZone::UTC.to_timestamp(date.to_datetime(time)).ok();
        match on(today)? {
            at if at > now => Some(at),
            _ => on(today.tomorrow().ok()?),
        }
    }
}

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let said = text.trim();
        let read = (said.len() <= BYTES_MAX).then(|| read(said)).flatten();
        read.ok_or_else(|| {
            let said: String = said.chars().take(BYTES_MAX).collect();
            format!(
                "{said:?} is no time; expected such as \"18:00 UTC\", the next time that it is, \
                 \"2026-11-21 18:00 UTC\" or \"2026-11-21T18:00:00Z\""
            )
        })
    }
}

fn read(text: &str) -> Option<Until> {
    if let Ok(at) = text.parse() {
        return Some(Until::At(at));
    }
    let plain = ["UTC", "utc", "Z", "z"];
    let plain = plain.iter().find_map(|zone| text.strip_suffix(zone));
    let plain = plain.unwrap_or(text).trim_end().replacen('T', " ", 1);
    let next = ["%H:%M", "%H:%M:%S"].iter();
    let next = next.filter_map(|form| Time::strptime(form, &plain).ok());
    let mut next = next.map(Until::Next);
    let day = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"].iter();
    let day = day.filter_map(|form| DateTime::strptime(form, &plain).ok());
    let mut day = day.filter_map(|at| TimeZone::UTC.to_timestamp(at).ok());
    next.next().or_else(|| day.next().map(Until::At))
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => at.fmt(f),
            Self::Next(time) => write!(f, "{} UTC", time.strftime("%H:%M:%S")),
        }
    }
}

impl<'de> Deserialize<'de> for Until {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str, now: &str) -> String {
        let until: Until = text.parse().unwrap();
        // As it is written it is read again.
        assert_eq!(until.to_string().parse(), Ok(until));
        until.after(now.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn a_time_of_the_day_is_the_next_one_in_utc() {
        let now = "2026-11-21T17:30:00Z";
        for text in ["18:00", "18:00 UTC", "18:00utc", "18:00Z", " 18:00:00 "] {
            assert_eq!(after(text, now), "2026-11-21T18:00:00Z", "{text}");
        }
        assert_eq!(after("17:30", now), "2026-11-22T17:30:00Z");
        assert_eq!(
            after("9:05", "2026-12-31T10:00:00Z"),
            "2027-01-01T09:05:00Z"
        );
    }

    #[test]
    fn a_date_may_be_written_as_people_and_as_programs_do() {
        for text in [
            "2026-11-21 18:00",
            "2026-11-21 18:00 UTC",
            "2026-11-21T18:00",
            "2026-11-21T18:00:00Z",
            "2026-11-21T19:00:00+01:00",
        ] {
            assert_eq!(after(text, "2026-01-01T00:00:00Z"), "2026-11-21T18:00:00Z");
        }
    }

    #[test]
    fn what_is_no_time_is_not_guessed() {
        let long = "1".repeat(1000);
        for text in [
            "",
            "18",
            "24:00",
            "6pm",
            "2026-11-21",
            "18:00 CET",
            "tomorrow",
            &long,
        ] {
            let why = text.parse::<Until>().unwrap_err();
            assert!(
                why.contains("expected such as \"18:00 UTC\"") && why.len() < 300,
                "{why}"
            );
        }
    }

    #[test]
    fn there_is_no_day_after_the_last_one() {
        let until: Until = "00:00".parse().unwrap();
        assert_eq!(until.after(Timestamp::MAX), None);
    }
}
