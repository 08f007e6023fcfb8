//! DUs whose PMTs are in high-rate veto for much of the time.

use std::collections::{BTreeMap, BTreeSet};

use fathom_formats::km3net::CHANNELS;
use fathom_kernel::{Outputs, Severity, Timestamp};

use super::steps::Step;
use crate::places::Places;

/// The DUs that are over the limit.
#[derive(Debug, Default)]
pub(super) struct Vetoes {
    over: BTreeSet<i32>,
}

impl Vetoes {
    /// Takes a DU that was over the limit before a restart.
    pub(super) fn recall(&mut self, du: i32) {
        self.over.insert(du);
    }

    /// Judges the DUs by a step; one that sent nothing stays as it was.
    pub(super) fn judge(
        &mut self,
        step: &Step,
        places: &Places,
        limit: f64,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        // Sum of the fractions, and PMTs, by DU.
        let mut dus: BTreeMap<i32, (f64, f64)> = BTreeMap::new();
        for (dom, place) in step.doms.iter().zip(places.list()) {
            if dom.packets == 0 || places.is_disabled(place) {
                continue;
            }
            let (fractions, pmts) = dus.entry(place.du).or_default();
            let off = places.channels_off(place);
            for channel in (0..CHANNELS).filter(|channel| off >> channel & 1 == 0) {
                *fractions += dom.veto_fraction(channel);
                *pmts += 1.0;
            }
        }
        for (du, (fractions, pmts)) in dus {
            // None at all when the description has come to say that all are off.
            let mean = if pmts > 0.0 { fractions / pmts } else { 0.0 };
            let is_over = mean > limit;
            let changed = match is_over {
                true => self.over.insert(du),
                false => self.over.remove(&du),
            };
            if changed {
                let percent = 100.0 * mean;
                let text = format!(
                    "PMTs of DU {du} are in high-rate veto for {percent:.1} % of the time (limit {} %)",
                    100.0 * limit
                );
                let about = ("hrv_fraction", format!("DU {du}"));
                out.alarm(about, Severity::Warning, is_over, text, now);
            }
        }
    }
}
