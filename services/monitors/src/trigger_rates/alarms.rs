//! Alarms on the overall trigger rate: zero, and far from its running median.

use fathom_hist::{Ring, median};
use fathom_kernel::{Outputs, Recalled, Severity};

use super::Config;
use crate::clock::timestamp;

const SUBJECT: &str = "Overall";
/// Fewest bins that make a median.
const MEDIAN_BINS_MIN: usize = 3;

/// One closed and completely observed interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closed {
    pub(super) end_ms: i64,
    pub(super) events: u64,
    pub(super) rate_hz: f64,
    pub(super) interval_s: f64,
}

/// What is firing.
#[derive(Debug)]
pub(super) struct RateAlarms {
    recent_hz: Ring<f64>,
    low_fraction: f64,
    high_fraction: f64,
    zero: bool,
    low: bool,
    high: bool,
}

impl RateAlarms {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            recent_hz: Ring::new(config.median_bins),
            low_fraction: config.low_fraction,
            high_fraction: config.high_fraction,
            zero: false,
            low: false,
            high: false,
        }
    }

    /// Takes the rate of an interval that was judged before a restart.
    pub(super) fn recall(&mut self, rate_hz: f64) {
        if rate_hz > 0.0 {
            self.recent_hz.push(rate_hz);
        }
    }

    /// Takes a condition that held before a restart.
    pub(super) fn remind(&mut self, rule: &str) -> Recalled {
        let (flag, is_on) = match rule {
            "trigger_rate_zero" => (&mut self.zero, true),
            "trigger_rate_low" => (&mut self.low, self.low_fraction > 0.0),
            "trigger_rate_high" => (&mut self.high, self.high_fraction > 0.0),
            _ => return Recalled::Unknown,
        };
        *flag = is_on;
        match is_on {
            true => Recalled::Holds,
            false => Recalled::Gone,
        }
    }

    /// Judges an interval; alarms are said when they change.
    pub(super) fn judge(&mut self, closed: Closed, out: &mut Outputs) {
        let Closed { rate_hz, .. } = closed;
        let zero = closed.events == 0;
        let at = timestamp(closed.end_ms);
        if zero != self.zero {
            self.zero = zero;
            let text = match zero {
                true => "Trigger rate is 0Hz!".to_owned(),
                false => format!("trigger rate is {rate_hz:.3} Hz again"),
            };
            out.alarm(
                ("trigger_rate_zero", SUBJECT),
                Severity::Alert,
                zero,
                text,
                at,
            );
        }
        let usual_hz = (self.recent_hz.len() >= MEDIAN_BINS_MIN)
            .then(|| median(self.recent_hz.iter().copied()))
            .flatten();
        self.recall(rate_hz);
        let Some(usual_hz) = usual_hz else { return };
        // Three standard deviations of the expected count, so that a low rate is not an alarm by chance.
        let slack_hz = 3.0 * (usual_hz / closed.interval_s).sqrt();
        let low = self.low_fraction > 0.0
            && rate_hz < self.low_fraction * usual_hz
            && usual_hz - rate_hz > slack_hz;
        let high = self.high_fraction > 0.0
            && rate_hz > self.high_fraction * usual_hz
            && rate_hz - usual_hz > slack_hz;
        let text = format!("trigger rate is {rate_hz:.3} Hz, the running median {usual_hz:.3} Hz");
        for (rule, is, was) in [
            ("trigger_rate_low", low, &mut self.low),
            ("trigger_rate_high", high, &mut self.high),
        ] {
            if is != *was {
                *was = is;
                out.alarm((rule, SUBJECT), Severity::Warning, is, &*text, at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(alarms: &mut RateAlarms, events: u32) -> Vec<(String, bool)> {
        let mut out = Outputs::default();
        let closed = Closed {
            end_ms: 0,
            events: u64::from(events),
            rate_hz: f64::from(events) / 10.0,
            interval_s: 10.0,
        };
        alarms.judge(closed, &mut out);
        out.alarms.into_iter().map(|a| (a.rule, a.firing)).collect()
    }

    #[test]
    fn a_drop_below_half_of_the_median_fires_once_and_clears() {
        let mut alarms = RateAlarms::new(&Config::default());
        for _ in 0..4 {
            assert_eq!(judge(&mut alarms, 100), []);
        }
        assert_eq!(judge(&mut alarms, 30), [("trigger_rate_low".into(), true)]);
        assert_eq!(judge(&mut alarms, 30), []);
        assert_eq!(judge(&mut alarms, 90), [("trigger_rate_low".into(), false)]);
        assert_eq!(
            judge(&mut alarms, 250),
            [("trigger_rate_high".into(), true)]
        );
    }

    #[test]
    fn no_event_at_all_is_an_alarm_even_at_the_start() {
        let mut alarms = RateAlarms::new(&Config::default());
        assert_eq!(judge(&mut alarms, 0), [("trigger_rate_zero".into(), true)]);
        assert_eq!(judge(&mut alarms, 1), [("trigger_rate_zero".into(), false)]);
    }

    #[test]
    fn four_events_after_eight_are_chance() {
        let mut alarms = RateAlarms::new(&Config::default());
        for _ in 0..4 {
            judge(&mut alarms, 8);
        }
        assert_eq!(judge(&mut alarms, 3), []);
    }

    #[test]
    fn a_low_rate_that_is_over_after_a_restart_is_taken_back() {
        let mut alarms = RateAlarms::new(&Config::default());
        assert_eq!(alarms.remind("trigger_rate_low"), Recalled::Holds);
        assert_eq!(alarms.remind("trigger_rate_zero"), Recalled::Holds);
        assert_eq!(alarms.remind("another"), Recalled::Unknown);
        (0..3).for_each(|_| alarms.recall(10.0));
        let over = ["trigger_rate_zero", "trigger_rate_low"].map(|rule| (rule.to_owned(), false));
        assert_eq!(judge(&mut alarms, 100), over);
    }
}
