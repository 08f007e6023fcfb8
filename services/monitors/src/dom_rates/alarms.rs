//! DOMs whose mean rate is out of range.
//!
//! A condition of every DOM: its mean over a while is judged, so that a burst of bioluminescence is
//! none. State: 64 bytes per DOM.

use fathom_hist::Stat;
use fathom_kernel::{Outputs, Severity, Span, Timestamp};

use super::Config;
use crate::clock::{is_due, ms_of};
use crate::places::{Place, Places};

/// Ticks come late by less than this (ms).
const LATE_MS: i64 = 1_000;

/// The rates of all DOMs since they were judged last, and what was found then.
#[derive(Debug, Default)]
pub(super) struct RateAlarms {
    doms: Vec<Dom>,
    judged_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Dom {
    rates: Stat,
    /// Whether it sent in the span before: if not, it began somewhere within this one.
    sent_before: bool,
    is_out: bool,
}

impl Dom {
    const NEW: Self = Self {
        rates: Stat::NONE,
        sent_before: false,
        is_out: false,
    };
}

impl RateAlarms {
    /// Adds the rate of a DOM in one slice, as if all of its PMTs were in use (kHz).
    pub(super) fn add(&mut self, rank: usize, khz: f64) {
        self.dom(rank).rates.add(khz);
    }

    /// Takes a DOM that was out of range before a restart.
    pub(super) fn recall(&mut self, rank: usize) {
        self.dom(rank).is_out = true;
    }

    fn dom(&mut self, rank: usize) -> &mut Dom {
        if rank >= self.doms.len() {
            self.doms.resize(rank + 1, Dom::NEW);
        }
        &mut self.doms[rank]
    }

    /// Returns the memory of all DOMs [bytes].
    pub(super) fn memory_bytes(&self) -> usize {
        self.doms.capacity() * size_of::<Dom>()
    }

    /// Judges all DOMs when it is time to, by the whole span only; one that sent nothing, or only in a
    /// part of the span, stays as it was.
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
        let is_whole = is_whole(config.alarm_over, self.judged_ms.replace(now_ms), now_ms);
        let most = self.doms.iter().map(|dom| dom.rates.count).max();
        let (low, high) = (config.lowest_rate, config.highest_rate);
        for (dom, place) in self.doms.iter_mut().zip(places.list()) {
            let rates = std::mem::replace(&mut dom.rates, Stat::NONE);
            let sent_before = std::mem::replace(&mut dom.sent_before, rates.count > 0);
            let is_part = !sent_before || 2 * rates.count < most.unwrap_or(0);
            let khz = rates.mean();
            let is_same = (low..=high).contains(&khz) != dom.is_out;
            if !is_whole || is_part || khz.is_nan() || is_same || places.is_disabled(place) {
                continue;
            }
            dom.is_out = !dom.is_out;
            let Place { du, floor, dom_id } = *place;
            let where_ = if dom.is_out { "outside of" } else { "within" };
            let text = format!(
                "DOM {dom_id} (DU {du} floor {floor}) has {khz:.0} kHz, {where_} {low} to {high} kHz"
            );
            let about = ("dom_rate", format!("DU {du} floor {floor}"));
            out.alarm(about, Severity::Warning, dom.is_out, text, now);
        }
    }
}

/// Tells whether what came since the last look fills a span: the first look comes after any time, and
/// the one after it at the end of a span that had begun before.
fn is_whole(span: Span, judged_ms: Option<i64>, now_ms: i64) -> bool {
    judged_ms.is_some_and(|at_ms| now_ms - at_ms + LATE_MS >= ms_of(span))
}
