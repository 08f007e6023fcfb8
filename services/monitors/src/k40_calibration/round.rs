//! Ends cycles: a pass over all modules, some per tick.

use fathom_formats::km3net::CHANNELS;
use fathom_kernel::{Outputs, Severity};

use super::config::Config;
use super::dom::Dom;
use super::export::Export;
use super::{K40Calibration, Phase, Redraw, Round};
use crate::clock::{ms_of, timestamp};
use crate::k40::{PAIRS, Pair, PairState, PmtResult, pair_list};
use crate::places::Place;

/// Ticks that wait for messages between the calibrations of some modules and of the next.
const IDLE_TICKS_MAX: u32 = 5;
/// An alarm needs a shift that is above the limit by so many of its errors: among thousands of PMTs some
/// are there by chance.
const ALARM_ERRORS: f64 = 2.0;
/// An alarm needs so many good pairs of the PMT, and of the module more than it has PMTs: below that
/// nothing speaks against one pair whose fit went wrong.
const ALARM_PAIRS: usize = 3;

impl K40Calibration {
    pub(super) fn end_cycle_if_due(&mut self, data_ms: i64) {
        let Phase::Counting { since_ms } = self.phase else {
            return;
        };
        // Before the first slice nothing tells where the data time is.
        let cycle_ms = ms_of(self.config.cycle);
        if self.newest_ms.is_some() && data_ms.saturating_sub(since_ms) >= cycle_ms {
            // Without any count in the whole cycle the results before stay as they are.
            match self.doms.iter().flatten().any(|dom| dom.since_ms.is_some()) {
                true => self.begin_round(since_ms, data_ms, false),
                false => self.phase = Phase::Waiting,
            }
        }
    }

    pub(super) fn begin_round(&mut self, since_ms: i64, until_ms: i64, is_cut: bool) {
        self.phase = Phase::Calibrating(Round {
            since_ms,
            until_ms,
            next: 0,
            idle_ticks: IDLE_TICKS_MAX,
            is_cut,
            export: Export::new(self.detector_id, until_ms),
        });
    }

    /// Calibrates the next modules, and puts what belongs to them.
    pub(super) fn go_on_with_round(&mut self, data_ms: i64, out: &mut Outputs) {
        let Phase::Calibrating(round) = &mut self.phase else {
            return;
        };
        // On a machine so busy that a tick takes longer than the time to the next one, messages would
        // wait until the end.
        if !self.was_heard && round.idle_ticks < IDLE_TICKS_MAX {
            round.idle_ticks += 1;
            return;
        }
        (self.was_heard, round.idle_ticks) = (false, 0);
        let until_ms = if round.is_cut {
            round.until_ms
        } else {
            data_ms
        };
        let half_ms = ms_of(self.config.cycle) / 2;
        // One that was first heard of late in the cycle goes on counting.
        let least_ms = if round.is_cut { 0 } else { half_ms };
        // A result from after this is of the cycle that ends: a restart interrupted its round.
        let of_this_ms = round.since_ms.saturating_add(half_ms);
        let mut left = self.config.doms_per_tick;
        let mut finished_dus = Vec::new();
        while left > 0 && round.next < self.doms.len() {
            let place = self.places.list()[round.next];
            let du_after = self.places.list().get(round.next + 1).map(|next| next.du);
            if du_after != Some(place.du) {
                finished_dus.push(place.du);
            }
            if let Some(dom) = &mut self.doms[round.next] {
                let age_ms = dom
                    .since_ms
                    .map(|since_ms| until_ms.saturating_sub(since_ms));
                match age_ms {
                    Some(age_ms) if age_ms >= least_ms => {
                        dom.complete(until_ms, &self.config);
                        left -= 1;
                    }
                    Some(_) => {}
                    None => drop(dom.last.take_if(|done| done.until_ms < of_this_ms)),
                }
                judge(&place, dom, &self.config, until_ms, out);
                if let Some(done) = &dom.last {
                    round.export.add(&place, dom, done);
                }
            }
            round.next += 1;
        }
        for du in finished_dus {
            self.put_du(du, out);
        }
        self.end_round_if_done(until_ms, out);
    }

    /// After a restart: what still holds is said again at once, not at the end of the cycle.
    pub(super) fn say_again(&mut self, out: &mut Outputs) {
        for (place, dom) in self.places.list().iter().zip(&mut self.doms) {
            let Some(dom) = dom else { continue };
            if let Some(until_ms) = dom.last.as_ref().map(|done| done.until_ms) {
                judge(place, dom, &self.config, until_ms, out);
            }
        }
    }

    fn end_round_if_done(&mut self, until_ms: i64, out: &mut Outputs) {
        let is_done = |round: &Round| round.next >= self.doms.len();
        if !matches!(&self.phase, Phase::Calibrating(round) if is_done(round)) {
            return;
        }
        let Phase::Calibrating(round) = std::mem::replace(&mut self.phase, Phase::Waiting) else {
            return;
        };
        if !round.is_cut {
            let since_ms = round.until_ms;
            self.phase = Phase::Counting { since_ms };
        }
        self.calibrated_ms = Some(until_ms);
        self.redraw = Redraw::Round;
        self.tally = self.tally.of_next_cycle();
        for file in round.export.files() {
            out.file(file);
        }
    }
}

/// Says when a PMT of a module is off what the detector file says, or none is any more.
fn judge(place: &Place, dom: &mut Dom, config: &Config, at_ms: i64, out: &mut Outputs) {
    let limit_ns = config.alarm_shift;
    let is_off = |pmt: &PmtResult| {
        let certain_ns = pmt.shift_ns.abs() - ALARM_ERRORS * pmt.shift_error_ns;
        limit_ns > 0.0 && certain_ns > limit_ns
    };
    let found = dom.last.iter().map(|done| &done.calibration);
    let pmts = found.flat_map(|found| {
        let is_sure = sure(&found.pairs);
        found.pmts.iter().enumerate().zip(is_sure)
    });
    let off: Vec<String> = pmts
        .filter(|((_, pmt), is_sure)| *is_sure && is_off(pmt))
        .map(|(numbered, _)| numbered)
        .map(|(channel, pmt)| format!("{channel} by {:+.2} ns", pmt.shift_ns))
        .collect();
    let is_alarming = !off.is_empty();
    if is_alarming == dom.is_alarming {
        return;
    }
    dom.is_alarming = is_alarming;
    let Place { du, floor, dom_id } = place;
    let text = match is_alarming {
        true => format!(
            "DOM {dom_id}: channel {} off the detector file, limit {limit_ns} ns",
            off.join(", ")
        ),
        false => {
            format!("DOM {dom_id}: no PMT is off the detector file by more than {limit_ns} ns")
        }
    };
    let about = ("k40_t0_shift", format!("DU {du} floor {floor}"));
    out.alarm(
        about,
        Severity::Warning,
        is_alarming,
        text,
        timestamp(at_ms),
    );
}

/// Tells of each PMT whether enough pairs say where it is.
fn sure(pairs: &[Pair; PAIRS]) -> [bool; CHANNELS] {
    let mut good = [0; CHANNELS];
    let mut all = 0;
    for (pair, (i, j)) in pairs.iter().zip(pair_list()) {
        if pair.state == PairState::Good {
            all += 1;
            for channel in [i, j] {
                if let Some(good) = good.get_mut(usize::from(*channel)) {
                    *good += 1;
                }
            }
        }
    }
    good.map(|good| all > CHANNELS && good >= ALARM_PAIRS)
}

#[cfg(test)]
mod tests {
    use fathom_kernel::Setup;

    use super::*;
    use crate::k40_calibration::dom::{Known, tests::done};

    #[test]
    fn a_shift_is_an_alarm_when_twice_its_error_does_not_reach_the_limit() {
        let config = Config::default();
        assert_eq!(config.alarm_shift, 1.0);
        let place = Place {
            du: 1,
            floor: 2,
            dom_id: 808,
        };
        let alarms = |shift_ns: f64, error_ns: f64| {
            let mut found = done(&[(9, shift_ns, error_ns)]);
            for pair in &mut *found.calibration.pairs {
                pair.state = PairState::Good;
            }
            let known = Known::of(808, &Setup::default(), &config);
            let mut dom = Dom::new(known, config.tmax);
            dom.last = Some(Box::new(found));
            let mut out = Outputs::default();
            judge(&place, &mut dom, &config, 0, &mut out);
            out.alarms.len()
        };
        assert_eq!(alarms(2.0, 0.25), 1);
        assert_eq!(alarms(-2.0, 0.25), 1);
        assert_eq!(alarms(2.0, 0.5), 0, "as far as the limit is not beyond it");
        assert_eq!(alarms(2.0, 0.75), 0);
    }

    #[test]
    fn eleven_pairs_among_thirty_one_pmts_raised_an_alarm() {
        let of = |used: fn(usize, u8, u8) -> bool| {
            let mut pairs = [Pair::default(); PAIRS];
            for ((n, (i, j)), pair) in pair_list().iter().enumerate().zip(&mut pairs) {
                if used(n, *i, *j) {
                    pair.state = PairState::Good;
                }
            }
            sure(&pairs)
        };
        assert_eq!(of(|n, _, _| n < 11), [false; CHANNELS]);
        assert_eq!(of(|_, _, _| true), [true; CHANNELS]);
        // All but the last one have their pairs; it has two.
        let most = of(|_, i, j| j < 30 || i < 2);
        assert_eq!((most[29], most[30]), (true, false));
    }
}
