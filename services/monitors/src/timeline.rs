//! The clock of the data: it follows the newest data and runs on with the host's clock when they
//! stop, so that silence takes time in live data and in replayed data alike.

use std::collections::VecDeque;

/// Data further than this from the clock do not move it at once [ms].
pub(crate) const TOLERANCE_MS: i64 = 3_600_000;
/// So many stray data in a row, with none that fit in between, set the clock anew.
const STRAYS_MAX: u32 = 5;
/// After so much silence the next stray datum sets the clock anew [ms].
const IDLE_MS: i64 = 10_000;

/// Live data are never further ahead of the clock than this [ms]: what is, has a broken clock.
const LIVE_FORWARD_MS: i64 = 60_000;
/// Live data jitter by less [ms]: one datum further ahead does not move the clock alone.
const LIVE_JITTER_MS: i64 = 2_000;
/// Senders that are all right differ by less [ms]; so do data that agree on another time.
const AGREE_MS: i64 = 10_000;
/// So many data that agree on another time move the clock there.
const AGREEING: u32 = 3;
/// Data that fit end a claim to a time ahead that is older [ms].
const CLAIM_MS: i64 = 60_000;

/// Where a datum stands against the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// Near the clock, which now shows at least its time.
    Near,
    /// Far off; the clock stays where it is.
    Stray,
    /// The clock was set to this datum: it is the first one, or a replay started or ended.
    Set,
}

/// Ticks with data whose newest datum decides where the clock stands. Data that keep coming slower
/// than the host's clock hold the clock back after so many ticks; one late datum does not.
const RECENT_TICKS: usize = 10;

/// Data time as a distance to host time.
#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    /// Data further ahead than this do not move the clock at once [ms].
    forward_ms: i64,
    /// Data time minus host time [ms].
    ahead_ms: Option<i64>,
    /// Largest distance of the data since the last tick.
    newest_ahead_ms: Option<i64>,
    /// The same of recent ticks.
    recent_ms: VecDeque<i64>,
    /// Host time of the last datum that fitted.
    fitted_ms: Option<i64>,
    strays: u32,
    /// Data that agreed with the one that set the clock, itself included, and who sent that.
    agreed: u32,
    set_by: Option<usize>,
    claim: Option<Claim>,
}

/// Data that agree on a time where the clock does not stand.
#[derive(Debug, Clone, Copy)]
struct Claim {
    /// Data time minus host time of the last of them [ms].
    ahead_ms: i64,
    /// Who sent the first; more of the same sender say nothing new.
    sender: Option<usize>,
    data: u32,
    since_ms: i64,
}

impl Default for Timeline {
    fn default() -> Self {
        Self::from_many(TOLERANCE_MS)
    }
}

impl Timeline {
    /// Makes a clock for data of many senders with clocks of their own: one that is ahead must not
    /// lead the others, so the clock follows only in small steps.
    pub(crate) fn from_many(forward_ms: i64) -> Self {
        Self {
            forward_ms,
            ahead_ms: None,
            newest_ahead_ms: None,
            recent_ms: VecDeque::new(),
            fitted_ms: None,
            strays: 0,
            agreed: AGREEING,
            set_by: None,
            claim: None,
        }
    }

    /// Starts anew with the distance that was kept over a restart, if one was.
    pub(crate) fn resume(&mut self, ahead_ms: Option<i64>) {
        if ahead_ms.is_some() {
            *self = Self {
                ahead_ms,
                ..Self::from_many(self.forward_ms)
            };
        }
    }

    /// Takes the time of a datum that arrived at `host_ms`.
    pub(crate) fn saw(&mut self, data_ms: i64, host_ms: i64) -> Fit {
        self.saw_from(None, data_ms, host_ms)
    }

    /// The same for a datum of a known sender: one sender alone does not convince the clock.
    pub(crate) fn saw_from(&mut self, sender: Option<usize>, data_ms: i64, host_ms: i64) -> Fit {
        let distance = data_ms.saturating_sub(host_ms);
        let Some(ahead_ms) = self.ahead_ms else {
            self.set(sender, distance, host_ms);
            return Fit::Set;
        };
        let step_ms = distance.saturating_sub(ahead_ms);
        let is_live = ahead_ms.abs() <= LIVE_FORWARD_MS;
        let forward_ms = match is_live {
            true => self.forward_ms.min(LIVE_FORWARD_MS),
            false => self.forward_ms,
        };
        if !(-TOLERANCE_MS..=forward_ms).contains(&step_ms) {
            return self.strayed(sender, distance, host_ms);
        }
        if is_live && step_ms > LIVE_JITTER_MS && !self.agree(sender, distance, host_ms) {
            return Fit::Stray;
        }
        // The datum that set the clock may have been the wrong one, until others agree with it.
        let is_behind = step_ms < -AGREE_MS && ahead_ms.abs() <= TOLERANCE_MS;
        if is_behind && self.agreed < AGREEING && self.agree(sender, distance, host_ms) {
            self.set(sender, distance, host_ms);
            self.agreed = AGREEING;
            return Fit::Set;
        }
        if !is_behind {
            self.fitted(sender, host_ms);
        }
        self.strays = 0;
        self.fitted_ms = Some(host_ms);
        self.ahead_ms = Some(ahead_ms.max(distance));
        self.newest_ahead_ms = Some(self.newest_ahead_ms.map_or(distance, |a| a.max(distance)));
        Fit::Near
    }

    /// Takes a datum far off.
    fn strayed(&mut self, sender: Option<usize>, distance: i64, host_ms: i64) -> Fit {
        self.strays += 1;
        // A replay is of old data: what comes from the future after a pause is as wrong as ever.
        let idle = self
            .fitted_ms
            .is_none_or(|at| host_ms.saturating_sub(at) >= IDLE_MS && distance <= LIVE_FORWARD_MS);
        if idle || self.strays >= STRAYS_MAX {
            self.set(sender, distance, host_ms);
            return Fit::Set;
        }
        Fit::Stray
    }

    /// Counts a datum for another time, and tells whether there are enough that agree on it.
    fn agree(&mut self, sender: Option<usize>, distance: i64, host_ms: i64) -> bool {
        let agrees = |claim: &Claim| claim.ahead_ms.abs_diff(distance) <= AGREE_MS.unsigned_abs();
        let mut claim = match self.claim.take().filter(agrees) {
            Some(mut claim) => {
                claim.data += u32::from(sender.is_none() || sender != claim.sender);
                claim
            }
            None => Claim {
                ahead_ms: distance,
                sender,
                data: 1,
                since_ms: host_ms,
            },
        };
        claim.ahead_ms = distance;
        let is_enough = claim.data >= AGREEING;
        self.claim = (!is_enough).then_some(claim);
        is_enough
    }

    /// A datum fits: it backs the clock, and speaks against a claim to a time far from it.
    fn fitted(&mut self, sender: Option<usize>, host_ms: i64) {
        if self.agreed < AGREEING {
            if sender.is_some() && sender == self.set_by {
                return;
            }
            self.agreed += 1;
        }
        let clock_ms = self.ahead_ms.unwrap_or(0);
        self.claim = self.claim.filter(|claim| {
            claim.ahead_ms.abs_diff(clock_ms) <= AGREE_MS.unsigned_abs()
                && host_ms.saturating_sub(claim.since_ms) <= CLAIM_MS
        });
    }

    /// Time has passed. Without any data the clock is assumed to be the host's.
    pub(crate) fn tick(&mut self) {
        if let Some(newest) = self.newest_ahead_ms.take() {
            if self.recent_ms.len() >= RECENT_TICKS {
                self.recent_ms.pop_front();
            }
            self.recent_ms.push_back(newest);
            self.ahead_ms = self.recent_ms.iter().copied().max();
        }
        self.ahead_ms.get_or_insert(0);
    }

    /// Returns the data time that belongs to a host time.
    pub(crate) fn at(&self, host_ms: i64) -> i64 {
        host_ms.saturating_add(self.ahead_ms.unwrap_or(0))
    }

    /// Returns data time minus host time [ms], once known.
    pub(crate) fn ahead_ms(&self) -> Option<i64> {
        self.ahead_ms
    }

    fn set(&mut self, sender: Option<usize>, distance: i64, host_ms: i64) {
        self.ahead_ms = Some(distance);
        self.newest_ahead_ms = Some(distance);
        self.recent_ms.clear();
        self.fitted_ms = Some(host_ms);
        self.strays = 0;
        self.agreed = 1;
        self.set_by = sender;
        self.claim = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR_MS: i64 = 365 * 86_400_000;

    #[test]
    fn a_replay_of_old_data_sets_the_clock_and_silence_lets_it_run_on() {
        let mut clock = Timeline::default();
        clock.tick();
        assert_eq!(clock.at(7 * YEAR_MS), 7 * YEAR_MS);
        assert_eq!(clock.saw(1000, 7 * YEAR_MS), Fit::Set);
        clock.tick();
        assert_eq!(clock.at(7 * YEAR_MS + 60_000), 61_000);
    }

    #[test]
    fn one_wrong_time_does_not_move_the_clock_but_five_in_a_row_do() {
        let mut clock = Timeline::default();
        assert_eq!(clock.saw(YEAR_MS, YEAR_MS), Fit::Set);
        for _ in 0..4 {
            assert_eq!(clock.saw(0, YEAR_MS + 1), Fit::Stray);
        }
        assert_eq!(clock.at(YEAR_MS), YEAR_MS);
        assert_eq!(clock.saw(0, YEAR_MS + 1), Fit::Set);
        assert_eq!(clock.at(YEAR_MS + 1), 0);
    }

    #[test]
    fn a_sender_ahead_of_the_others_does_not_lead_the_clock() {
        let mut clock = Timeline::from_many(10_000);
        for s in 0..100 {
            let now = YEAR_MS + 1000 * s;
            clock.saw_from(Some(1), now, now);
            let ahead_ms = if s < 10 { 5_000 } else { 30_000 };
            assert_eq!(clock.saw_from(Some(2), now + ahead_ms, now), Fit::Stray);
            clock.tick();
        }
        assert_eq!(clock.at(YEAR_MS + 100_000), YEAR_MS + 100_000);
    }

    #[test]
    fn a_live_event_from_half_an_hour_ahead_is_a_stray_but_in_a_replay_it_is_not() {
        let mut live = Timeline::default();
        live.saw(YEAR_MS, YEAR_MS);
        assert_eq!(live.saw(YEAR_MS + 1_800_000, YEAR_MS + 1), Fit::Stray);
        let mut replay = Timeline::default();
        replay.saw(0, YEAR_MS);
        assert_eq!(replay.saw(1_800_000, YEAR_MS + 1), Fit::Near);
    }

    #[test]
    fn data_that_keep_coming_slowly_hold_the_clock_back_but_one_late_datum_does_not() {
        let mut clock = Timeline::default();
        clock.saw(100_000, 100_000);
        clock.tick();
        clock.saw(80_000, 101_000);
        clock.tick();
        assert_eq!(clock.at(101_000), 101_000);
        for s in 1..=20 {
            clock.saw(101_000 + 500 * s, 101_000 + 1000 * s);
            clock.tick();
        }
        // At half the speed the clock follows the data of the last ten ticks.
        assert_eq!(clock.at(121_000), 111_000 + 9 * 500);
    }

    #[test]
    fn one_live_datum_ahead_does_not_move_the_clock_but_three_that_agree_do() {
        for (ahead_ms, spoiled) in [(8_000, false), (45_000, true)] {
            let mut clock = Timeline::default();
            clock.saw(YEAR_MS, YEAR_MS);
            let mut saw = |ahead_ms| clock.saw(YEAR_MS + ahead_ms, YEAR_MS);
            assert_eq!(saw(ahead_ms), Fit::Stray);
            assert_eq!(saw(0), Fit::Near);
            assert_eq!(saw(ahead_ms), Fit::Stray);
            // Senders differ by seconds: what others sent in between speaks against a far claim only.
            if spoiled {
                assert_eq!(saw(ahead_ms), Fit::Stray);
            }
            assert_eq!(saw(ahead_ms + 100), Fit::Near);
            assert_eq!(clock.at(YEAR_MS), YEAR_MS + ahead_ms + 100);
        }
    }

    #[test]
    fn a_module_ahead_that_is_heard_first_is_overruled_by_the_others() {
        let mut clock = Timeline::from_many(10_000);
        let mut saw = |module, ahead_ms| clock.saw_from(Some(module), YEAR_MS + ahead_ms, YEAR_MS);
        assert_eq!(saw(0, 120_000), Fit::Set);
        assert_eq!(saw(0, 120_100), Fit::Near);
        assert_eq!(saw(1, 0), Fit::Near);
        assert_eq!(saw(1, 0), Fit::Near, "one module against another");
        assert_eq!(saw(2, 100), Fit::Near);
        assert_eq!(saw(3, 0), Fit::Set);
        assert_eq!(saw(0, 120_200), Fit::Stray);
        assert_eq!(clock.at(YEAR_MS), YEAR_MS);
    }

    #[test]
    fn a_time_to_come_after_a_pause_is_no_replay() {
        let mut clock = Timeline::default();
        clock.saw(YEAR_MS, YEAR_MS);
        assert_eq!(clock.saw(2 * YEAR_MS, YEAR_MS + 20_000), Fit::Stray);
        assert_eq!(clock.saw(0, YEAR_MS + 20_000), Fit::Set);
    }
}
