//! Numbers of services between two looks, and their texts.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use fathom_kernel::{ServiceStatus, StackStatus, State, Timestamp};

use crate::control::UsageReport;

/// What the supervisor said at one moment.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// Time since the program started, on the steady clock.
    pub(super) at: Duration,
    pub(super) status: StackStatus,
    pub(super) usage: UsageReport,
}

/// What a service does at present.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Figures {
    /// Messages in per second.
    pub(super) in_hz: f64,
    /// Messages out per second.
    pub(super) out_hz: f64,
    /// Share of one processor (%); `None` for a service that is not up.
    pub(super) cpu_percent: Option<f64>,
    /// Resident memory; of a monitor without a process of its own, that of its state [bytes].
    pub(super) memory_bytes: Option<u64>,
    /// Messages that wait for it.
    pub(super) queued: u64,
    /// Time from the arrival of the newest message a monitor took to when it had taken it (s).
    pub(super) lag_s: Option<f64>,
    /// Messages lost since it was started first.
    pub(super) dropped: u64,
    pub(super) restarts: u64,
}

impl Figures {
    /// Adds those of another service.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            in_hz: self.in_hz + other.in_hz,
            out_hz: self.out_hz + other.out_hz,
            cpu_percent: sum(self.cpu_percent, other.cpu_percent, |a, b| a + b),
            memory_bytes: sum(self.memory_bytes, other.memory_bytes, u64::saturating_add),
            queued: self.queued.saturating_add(other.queued),
            lag_s: sum(self.lag_s, other.lag_s, f64::max),
            dropped: self.dropped.saturating_add(other.dropped),
            restarts: self.restarts.saturating_add(other.restarts),
        }
    }
}

fn sum<T>(a: Option<T>, b: Option<T>, add: impl Fn(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(add(a, b)),
        (one, None) | (None, one) => one,
    }
}

/// Returns the figures of all services, and the processor share of the supervisor itself (%).
pub(super) fn figures(
    before: Option<&Sample>,
    now: &Sample,
) -> (HashMap<String, Figures>, Option<f64>) {
    let before = before.filter(|before| {
        // Counters of another supervisor begin anew.
        before.status.pid == now.status.pid && before.at < now.at
    });
    let span_s = before.map(|before| (now.at - before.at).as_secs_f64());
    let old: BTreeMap<&str, &ServiceStatus> = before
        .iter()
        .flat_map(|before| &before.status.services)
        .map(|service| (service.name.as_str(), service))
        .collect();
    let share = |then_s: f64, now_s: f64| {
        // A new process counts from zero.
        let used_s = if now_s < then_s {
            now_s
        } else {
            now_s - then_s
        };
        Some(used_s / span_s? * 100.0)
    };
    let figures = now.status.services.iter().map(|service| {
        let rate = |of: fn(&ServiceStatus) -> u64| {
            let then = old.get(service.name.as_str()).map(|old| of(old));
            then.zip(span_s).map_or(0.0, |(then, span_s)| {
                of(service).saturating_sub(then) as f64 / span_s
            })
        };
        let usage = now.usage.services.get(&service.name);
        let cpu_percent = || {
            let then_s = before?.usage.cpu_s(old.get(service.name.as_str())?)?;
            share(then_s, now.usage.cpu_s(service)?)
        };
        let figures = Figures {
            in_hz: rate(|service| service.counters.received),
            out_hz: rate(|service| service.counters.sent),
            cpu_percent: cpu_percent(),
            memory_bytes: usage
                .map(|usage| usage.rss_bytes)
                .or(service.counters.memory_bytes),
            lag_s: service.counters.lag_s,
            queued: service.queues.iter().map(|queue| queue.queued as u64).sum(),
            dropped: service.counters.dropped,
            restarts: service.restarts,
        };
        (service.name.clone(), figures)
    });
    let own =
        before.and_then(|before| share(before.usage.supervisor.cpu_s, now.usage.supervisor.cpu_s));
    (figures.collect(), own)
}

/// Writes a number in at most five characters.
pub(super) fn count(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        _ => rate(number as f64),
    }
}

/// Writes a rate in at most five characters.
pub(super) fn rate(rate_hz: f64) -> String {
    match rate_hz {
        r if r <= 0.0 => "0".to_owned(),
        r if r < 9.95 => format!("{r:.1}"),
        r if r < 9999.5 => format!("{r:.0}"),
        r if r < 999_500.0 => format!("{:.0}k", r / 1e3),
        r if r < 9.95e6 => format!("{:.1}M", r / 1e6),
        r if r < 999.5e6 => format!("{:.0}M", r / 1e6),
        r => format!("{:.0}G", r / 1e9),
    }
}

/// Writes a size in at most five characters: `812k`, `53M`, `1.2G`.
pub(super) fn size(bytes: u64) -> String {
    let kib = bytes as f64 / 1024.0;
    match kib {
        k if k < 999.5 => format!("{k:.0}k"),
        k if k < 999.5 * 1024.0 => format!("{:.0}M", k / 1024.0),
        k => format!("{:.1}G", k / 1024.0 / 1024.0),
    }
}

/// Writes a length of time in at most eight characters: `0:59`, `7:55:09`, `31d 7h`.
pub(super) fn span(seconds: i64) -> String {
    let s = seconds.max(0);
    match s {
        0..3600 => format!("{}:{:02}", s / 60, s % 60),
        3600..86_400 => format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60),
        _ => format!("{}d {}h", s / 86_400, s / 3600 % 24),
    }
}

/// Returns how long a service has been running (s); `None` when nothing runs.
pub(super) fn uptime_s(service: &ServiceStatus, now: Timestamp) -> Option<i64> {
    let runs = match service.state {
        State::Running | State::Stopping | State::Unknown => true,
        State::Starting => service.pid != 0,
        State::Stopped | State::Backoff | State::Exited | State::Fatal => false,
    };
    let since = service.started.unwrap_or(service.since);
    runs.then(|| now.duration_since(since).as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_short() {
        let rates = [
            0.0, 0.04, 9.94, 12.4, 9999.0, 10_000.0, 43_300.0, 1.25e6, 2.5e8, 3e9,
        ];
        let expected = [
            "0", "0.0", "9.9", "12", "9999", "10k", "43k", "1.2M", "250M", "3G",
        ];
        assert_eq!(rates.map(rate), expected);
        assert_eq!([1023, 54 << 20, 3 << 29].map(size), ["1k", "54M", "1.5G"]);
        assert_eq!(
            [-1, 59, 3599, 28_509, 114_909, 2_678_400].map(span),
            ["0:00", "0:59", "59:59", "7:55:09", "1d 7h", "31d 0h"]
        );
        assert_eq!([999, 43_300].map(count), ["999", "43k"]);
    }
}
