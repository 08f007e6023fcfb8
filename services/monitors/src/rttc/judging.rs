//! What round-trip times are judged by: how far off a DU may be, and how long it may be silent.

use fathom_kernel::{Outputs, Severity};

use super::Rttc;
use crate::clock::{ms_of, timestamp};

/// Fewest samples of a baseline that values are judged by.
const SAMPLES_MIN: usize = 10;
/// Standard deviations that a value may be off.
const SIGMAS: f64 = 5.0;
/// Subject of the alarm that nothing comes.
pub(super) const MANAGER: &str = "Detector Manager";
/// When an answer came last if the monitor before this one already missed them: long ago.
pub(super) const NOT_HEARD_MS: i64 = i64::MIN / 2;

impl Rttc {
    /// Says when a DU is off what is normal, and when it is not any more.
    pub(super) fn judge(&mut self, n: usize, value_ps: f64, at_ms: i64, out: &mut Outputs) {
        let limit_ps = self.limit_ps(n);
        let Some(limit_ps) = limit_ps else {
            self.clear(n, "nothing to compare with any more", at_ms, out);
            return;
        };
        let median_ps = self.dus[n].baseline.map_or(f64::NAN, |b| b.median_ps);
        let off_ps = value_ps - median_ps;
        let shifted = off_ps.abs() > limit_ps;
        if shifted == self.dus[n].shifted {
            return;
        }
        self.dus[n].shifted = shifted;
        let text = format!(
            "RTTC of DU {} is {value_ps:.1} ps, {off_ps:+.1} ps from its median {median_ps:.1} ps \
             (limit {limit_ps:.1} ps)",
            self.numbers[n]
        );
        self.say(n, shifted, text, at_ms, out);
    }

    fn clear(&mut self, n: usize, why: &str, at_ms: i64, out: &mut Outputs) {
        if std::mem::take(&mut self.dus[n].shifted) {
            let text = format!("RTTC of DU {}: {why}", self.numbers[n]);
            self.say(n, false, text, at_ms, out);
        }
    }

    fn say(&self, n: usize, shifted: bool, text: String, at_ms: i64, out: &mut Outputs) {
        let about = ("rttc_shift", format!("DU {}", self.numbers[n]));
        out.alarm(about, Severity::Alert, shifted, text, timestamp(at_ms));
    }

    /// Returns how far a DU may be off, if that can be told (ps).
    pub(super) fn limit_ps(&self, n: usize) -> Option<f64> {
        let baseline = self.dus[n].baseline?;
        let known = baseline
            .samples
            .is_none_or(|samples| samples >= SAMPLES_MIN);
        known.then(|| (SIGMAS * baseline.sigma_ps).max(self.config.limit))
    }

    /// Says when no values come, of all DUs or of some, and when they come again.
    pub(super) fn judge_silence(&mut self, out: &mut Outputs) {
        // Before the description of the detector has come nobody is asked.
        if self.numbers.is_empty() {
            return;
        }
        let limit_ms = ms_of(self.config.silent_after);
        let since_ms = self.heard_ms.unwrap_or(self.now_ms);
        let silent = self.now_ms - since_ms > limit_ms;
        if !silent {
            self.judge_missing(limit_ms, out);
        }
        if silent == self.silent {
            return;
        }
        self.silent = silent;
        self.changed = true;
        let text = match silent {
            true => format!(
                "no round-trip times for {} s: {}",
                limit_ms / 1000,
                self.why_silent(limit_ms)
            ),
            false => "round-trip times come again".to_owned(),
        };
        let about = ("rttc_unavailable", MANAGER);
        let at = timestamp(self.now_ms);
        out.alarm(about, Severity::Warning, silent, text, at);
    }

    fn why_silent(&self, limit_ms: i64) -> &str {
        let is_fresh = |at_ms: i64| self.now_ms - at_ms <= limit_ms;
        match self.manager.fault() {
            Some(fault) => fault,
            None if self.answered_ms.is_some_and(is_fresh) => "the answers have no values",
            None => "no answer",
        }
    }

    /// Says which DUs have no values although others have, and when they have some again.
    fn judge_missing(&mut self, limit_ms: i64, out: &mut Outputs) {
        let now_ms = self.now_ms;
        for (du, number) in self.dus.iter_mut().zip(&self.numbers) {
            // One that had none before a restart has none until it has.
            let unseen_ms = if du.missing {
                Some(NOT_HEARD_MS)
            } else {
                self.began_ms
            };
            let since_ms = du.latest.map(|(_, at_ms)| at_ms).or(unseen_ms);
            let missing = now_ms - since_ms.unwrap_or(now_ms) > limit_ms;
            if missing == du.missing {
                continue;
            }
            du.missing = missing;
            self.changed = true;
            let text = match missing {
                true => format!(
                    "no round-trip times of DU {number} for {} s",
                    limit_ms / 1000
                ),
                false => format!("DU {number} has round-trip times again"),
            };
            let about = ("rttc_unavailable", format!("DU {number}"));
            out.alarm(about, Severity::Warning, missing, text, timestamp(now_ms));
        }
    }
}
