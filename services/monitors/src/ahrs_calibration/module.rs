//! What is known of one module: its readings, its orientation, and its yaw over the last hour.

use std::collections::{BTreeMap, VecDeque};

use fathom_formats::km3net::Tmch;
use fathom_kernel::Setup;

use super::angle::{AngleCode, Circle, difference_deg, median_deg};
use super::orientation::Orientation;
use super::windows::{Reading, WINDOW_MS, Window};

/// Length of a minute (ms).
const MINUTE_MS: i64 = 60_000;
/// Minutes whose median the yaw is compared with.
const MINUTES: usize = 60;
/// Fewest minutes that make a median.
const MINUTES_MIN: usize = 3;
/// A module has moved back when its yaw is within this part of the limit.
const BACK_WITHIN: f64 = 0.8;

/// An optical module.
#[derive(Debug, Clone, Default)]
pub(super) struct Module {
    pub(super) packets: u64,
    /// Packets with valid readings.
    pub(super) valid: u64,
    pub(super) window: Window,
    /// The newest orientation and the end of its window (ms).
    pub(super) latest: Option<(i64, Orientation)>,
    /// Yaw of the minute under way, and its number since 1970.
    minute: (i64, Circle),
    /// The last minutes, oldest first.
    recent: VecDeque<(i64, AngleCode)>,
    /// Yaw of the last minute minus the median before it (deg).
    pub(super) deviation_deg: f64,
    /// Whether it is further from there than the limit.
    pub(super) moved: bool,
}

/// A base module, of which nothing but its packets is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct BaseModule {
    pub(super) du: u32,
    pub(super) packets: u64,
    pub(super) valid: u64,
    pub(super) newest_ms: Option<i64>,
}

impl Module {
    /// Takes the orientation of a window; tells whether the module has moved, or back.
    pub(super) fn point(&mut self, start_ms: i64, orientation: Orientation, limit: f64) -> bool {
        self.latest = Some((start_ms + WINDOW_MS, orientation));
        let number = start_ms.div_euclid(MINUTE_MS);
        let (before, yaw) = self.minute;
        let mut changed = false;
        if number != before {
            self.minute = (number, Circle::default());
            if let Some(yaw_deg) = yaw.mean_deg() {
                changed = self.judge(before, yaw_deg, limit);
                self.remember(before * MINUTE_MS, yaw_deg);
            }
        }
        self.minute.1.add(orientation.yaw_deg);
        changed
    }

    /// Adds a yaw of the past, at the start of its minute.
    pub(super) fn remember(&mut self, at_ms: i64, yaw_deg: f64) {
        let number = at_ms.div_euclid(MINUTE_MS);
        // The clock was set back: what is of its future does not count.
        self.recent.retain(|(minute, _)| *minute < number);
        if self.recent.len() >= MINUTES {
            self.recent.pop_front();
        }
        self.recent.push_back((number, AngleCode::of(yaw_deg)));
    }

    fn judge(&mut self, number: i64, yaw_deg: f64, limit_deg: f64) -> bool {
        let hour = number - MINUTES as i64..number;
        let recent = self.recent.iter().filter(|(m, _)| hour.contains(m));
        let median = (recent.clone().count() >= MINUTES_MIN)
            .then(|| median_deg(recent.map(|(_, code)| code.deg())))
            .flatten();
        let Some(median_deg) = median else {
            self.deviation_deg = f64::NAN;
            return false;
        };
        self.deviation_deg = difference_deg(yaw_deg, median_deg);
        let limit_deg = match self.moved {
            true => limit_deg * BACK_WITHIN,
            false => limit_deg,
        };
        let moved = limit_deg > 0.0 && self.deviation_deg.abs() > limit_deg;
        std::mem::replace(&mut self.moved, moved) != moved
    }

    /// Returns the packets without valid readings.
    pub(super) fn unusable(&self) -> u64 {
        self.packets - self.valid
    }

    /// Returns the memory of a module [bytes].
    pub(super) fn memory_bytes(&self) -> usize {
        let minutes = self.recent.capacity() * size_of::<(i64, AngleCode)>();
        size_of::<Self>() + minutes + self.window.capacity() * size_of::<Reading>()
    }
}

impl BaseModule {
    /// Returns those of a detector by their ids.
    pub(super) fn all(setup: &Setup) -> BTreeMap<u32, Self> {
        let modules = setup.detector.iter().flat_map(|d| d.modules());
        let bases = modules.filter(|module| module.is_base());
        let base = |module: &fathom_formats::detx::Module| Self {
            du: module.place.du,
            packets: 0,
            valid: 0,
            newest_ms: None,
        };
        bases.map(|module| (module.id.0, base(module))).collect()
    }

    pub(super) fn saw(&mut self, packet: &Tmch<'_>, data_ms: i64) {
        self.packets += 1;
        self.valid += u64::from(packet.ahrs_valid());
        self.newest_ms = Some(data_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(module: &mut Module, from: i64, yaws_deg: &[f64]) -> Vec<bool> {
        let point = |(n, &yaw_deg): (i64, &f64)| {
            let orientation = Orientation {
                yaw_deg,
                pitch_deg: 0.0,
                roll_deg: 0.0,
            };
            module.point(n * MINUTE_MS, orientation, 10.0)
        };
        (from..).zip(yaws_deg).map(point).collect()
    }

    #[test]
    fn a_turn_of_twelve_degrees_is_seen_when_its_minute_has_ended() {
        let mut module = Module::default();
        let yaws = [359.0, 1.0, 0.0, 0.0, 12.0, 12.0, 9.0, 7.0, 7.0];
        let changes = minutes(&mut module, 100, &yaws);
        let expected = [false, false, false, false, false, true, false, false, true];
        assert_eq!(
            changes, expected,
            "9 deg is within the limit, but not by much"
        );
        assert!((module.deviation_deg - 7.0).abs() < 1.1);
        assert!(!module.moved);
    }

    #[test]
    fn three_minutes_are_enough_to_tell_a_turn_and_two_are_not() {
        for (before, expected) in [
            (2, vec![false; 4]),
            (3, vec![false, false, false, false, true]),
        ] {
            let mut module = Module::default();
            let mut yaws = vec![0.0; before];
            yaws.extend([20.0; 2]);
            let changes = minutes(&mut module, 100, &yaws);
            assert_eq!(changes, expected, "{before} minutes");
        }
    }

    #[test]
    fn minutes_of_the_future_go_when_the_clock_is_set_back() {
        let mut module = Module::default();
        minutes(&mut module, 130, &[90.0; 10]);
        minutes(&mut module, 100, &[0.0; 40]);
        // The ten minutes at 90 degrees are more than those before them, but they are gone.
        assert!(module.recent.iter().all(|(_, yaw)| yaw.deg() == 0.0));
    }

    #[test]
    fn minutes_of_yesterday_are_no_median() {
        let mut module = Module::default();
        minutes(&mut module, 100, &[0.0; 20]);
        let changes = minutes(&mut module, 2000, &[90.0, 90.0, 90.0, 90.0]);
        assert_eq!(changes, [false; 4]);
        assert!(module.deviation_deg.is_nan());
    }
}
