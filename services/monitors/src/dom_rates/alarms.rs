//! DOMs whose mean rate is out of range.
//!
//! A condition of every DOM: its mean over a while is judged, so that a burst of bioluminescence is
//! none. State: 48 bytes per DOM.

use fathom_hist::Stat;
use fathom_kernel::{Outputs, Severity, Timestamp};

use super::Config;
use crate::clock::is_due;
use crate::places::{Place, Places};

/// The rates of all DOMs since they were judged last, and what was found then.
#[derive(Debug, Default)]
pub(super) struct RateAlarms {
    doms: Vec<(Stat, bool)>,
    judged_ms: Option<i64>,
}

impl RateAlarms {
    /// Adds the rate of a DOM in one slice (kHz).
    pub(super) fn add(&mut self, rank: usize, khz: f64) {
        if rank >= self.doms.len() {
            self.doms.resize(rank + 1, (Stat::NONE, false));
        }
        self.doms[rank].0.add(khz);
    }

    /// Returns the memory of all DOMs [bytes].
    pub(super) fn memory_bytes(&self) -> usize {
        self.doms.capacity() * size_of::<(Stat, bool)>()
    }

    /// Judges all DOMs when it is time to; one that sent nothing stays as it was.
    pub(super) fn judge(
        &mut self,
        config: &Config,
        places: &Places,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let now_ms = now.as_millisecond();
        if config.alarm_over.is_zero() || !is_due(config.alarm_over, self.judged_ms, now_ms) {
            return;
        }
        let was_judged = self.judged_ms.replace(now_ms).is_some();
        let (low, high) = (config.lowest_rate, config.highest_rate);
        for ((rates, is_out), place) in self.doms.iter_mut().zip(places.list()) {
            let rates = std::mem::replace(rates, Stat::NONE);
            let khz = rates.mean();
            // The first look comes after any time.
            if !was_judged || khz.is_nan() || (low..=high).contains(&khz) != *is_out {
                continue;
            }
            *is_out = !*is_out;
            let Place { du, floor, dom_id } = *place;
            let where_ = if *is_out { "outside of" } else { "within" };
            let text = format!(
                "DOM {dom_id} (DU {du} floor {floor}) has {khz:.0} kHz, {where_} {low} to {high} kHz"
            );
            let about = ("dom_rate", format!("DU {du} floor {floor}"));
            out.alarm(about, Severity::Warning, *is_out, text, now);
        }
    }
}
