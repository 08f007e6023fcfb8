//! How far the residuals of each DOM are off zero: a map, a table of those that are too far, alarms.

use std::collections::BTreeSet;

use fathom_kernel::view::{Colours, Detail, Map, Table};
use fathom_kernel::{Outputs, Severity, Timestamp};
use serde_json::json;

use super::residuals::{Residuals, quantile_ns};
use crate::places::{Place, Places};

/// An alarm ends when the median is below this fraction of the limit.
const ENDS_BELOW: f64 = 0.8;
/// Fractions of a normal distribution one standard deviation below and above its middle.
const ONE_SIGMA: [f64; 2] = [0.158_655, 0.841_345];

/// When a DOM is off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Limits {
    /// Largest median (ns).
    pub(super) offset_ns: f64,
    /// Residuals that a judgement needs.
    pub(super) residuals_min: u64,
}

/// The residuals of one DOM in three numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Offset {
    median_ns: f64,
    /// Half the range of the middle 68 %.
    width_ns: f64,
    residuals: u64,
}

impl Offset {
    const NOTHING: Self = Self {
        median_ns: f64::NAN,
        width_ns: f64::NAN,
        residuals: 0,
    };

    fn of(sums: &[u32]) -> Self {
        let [low, high] = ONE_SIGMA.map(|fraction| quantile_ns(sums, fraction));
        let (Some(low), Some(median_ns), Some(high)) = (low, quantile_ns(sums, 0.5), high) else {
            return Self::NOTHING;
        };
        Self {
            median_ns,
            width_ns: (high - low) / 2.0,
            residuals: sums.iter().map(|&count| u64::from(count)).sum(),
        }
    }
}

/// The DOMs that are off, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Offsets {
    off: BTreeSet<u32>,
    /// Those of them that were kept over a restart and are not said again yet.
    unsaid: BTreeSet<u32>,
}

/// What is to be shown.
pub(super) struct Shown {
    pub(super) map: Map,
    pub(super) off: Table,
}

impl Offsets {
    /// Judges all DOMs; alarms are said when they change, and once
    /// after a restart.
    pub(super) fn judge(
        &mut self,
        (places, residuals): (&Places, &Residuals),
        limits: &Limits,
        at: Timestamp,
        out: &mut Outputs,
    ) -> Shown {
        let ranks = 0..places.list().len();
        let offsets: Vec<_> = ranks.map(|rank| Offset::of(residuals.of(rank))).collect();
        for (place, offset) in places.list().iter().zip(&offsets) {
            self.judge_dom(place, offset, limits, at, out);
        }
        let is_off = |place: &Place| self.off.contains(&place.dom_id);
        let all = places.list().iter().zip(&offsets);
        let off = table(all.filter(|(place, _)| is_off(place)));
        let detail = |name: &str, value: fn(&Offset) -> f64| Detail {
            name: name.to_owned(),
            values: offsets.iter().map(value).collect(),
        };
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let details = vec![
            detail("width [ns]", |o| o.width_ns),
            detail("residuals", |o| o.residuals as f64),
        ];
        let medians = offsets.iter().map(|o| o.median_ns).collect();
        let map = places.map(medians, details, colours(3.0 * limits.offset_ns));
        Shown { map, off }
    }

    fn judge_dom(
        &mut self,
        place: &Place,
        offset: &Offset,
        limits: &Limits,
        at: Timestamp,
        out: &mut Outputs,
    ) {
        let was = self.off.contains(&place.dom_id);
        let limit_ns = match was {
            true => limits.offset_ns * ENDS_BELOW,
            false => limits.offset_ns,
        };
        let enough = offset.residuals >= limits.residuals_min;
        let is = enough && offset.median_ns.abs() > limit_ns;
        let is_unsaid = self.unsaid.remove(&place.dom_id);
        if is == was && !(is && is_unsaid) {
            return;
        }
        match is {
            true => self.off.insert(place.dom_id),
            false => self.off.remove(&place.dom_id),
        };
        let text = match enough {
            true => format!(
                "DOM {} is {:+.1} ns off, median of {} time residuals, limit {} ns",
                place.dom_id, offset.median_ns, offset.residuals, limits.offset_ns
            ),
            false => format!("DOM {} has too few time residuals to judge", place.dom_id),
        };
        let subject = format!("DU {} floor {}", place.du, place.floor);
        out.alarm(
            ("dom_time_offset", subject),
            Severity::Warning,
            is,
            text,
            at,
        );
    }

    pub(super) fn list(&self) -> Vec<u32> {
        self.off.iter().copied().collect()
    }

    /// It was said before the restart, and again by now, that a DOM is off.
    pub(super) fn recall(&mut self, dom_id: u32) {
        self.off.insert(dom_id);
        self.unsaid.remove(&dom_id);
    }

    /// Takes back what was kept, but for DOMs that the detector description has no more: where they
    /// stood is not known, and alarms that nobody says again end without our help.
    pub(super) fn put_back(&mut self, off: Vec<u32>, places: &Places) {
        let is_there = |id: &u32| places.rank(*id).is_some();
        self.off = off.into_iter().filter(is_there).collect();
        self.unsaid = self.off.clone();
    }
}

fn table<'a>(off: impl Iterator<Item = (&'a Place, &'a Offset)>) -> Table {
    let mut off: Vec<_> = off.collect();
    off.sort_by(|a, b| b.1.median_ns.abs().total_cmp(&a.1.median_ns.abs()));
    let tenths = |number: f64| (number * 10.0).round() / 10.0;
    let row = |(place, offset): (&Place, &Offset)| {
        vec![
            json!(place.du),
            json!(place.floor),
            json!(place.dom_id),
            json!(tenths(offset.median_ns)),
            json!(tenths(offset.width_ns)),
            json!(offset.residuals),
        ]
    };
    let columns = [
        "DU",
        "floor",
        "DOM id",
        "median [ns]",
        "width [ns]",
        "residuals",
    ];
    Table {
        columns: columns.map(str::to_owned).to_vec(),
        rows: off.into_iter().map(row).collect(),
    }
}

fn colours(end_ns: f64) -> Colours {
    Colours {
        map: "coolwarm".into(),
        low: -end_ns,
        high: end_ns,
        log: false,
        under: None,
        over: None,
        missing: "white".into(),
        label: "median of the time residuals [ns]".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::royfit::residuals::CODES;

    const PLACE: Place = Place {
        du: 1,
        floor: 2,
        dom_id: 808,
    };

    #[test]
    fn an_offset_is_an_alarm_beyond_the_limit_until_it_is_well_within() {
        let limits = Limits {
            offset_ns: 4.0,
            residuals_min: 100,
        };
        let mut offsets = Offsets::default();
        let mut judge = |median_ns: f64, residuals: u64| {
            let mut out = Outputs::default();
            let offset = Offset {
                median_ns,
                width_ns: 3.0,
                residuals,
            };
            offsets.judge_dom(&PLACE, &offset, &limits, Timestamp::UNIX_EPOCH, &mut out);
            out.alarms.first().map(|alarm| alarm.firing)
        };
        assert_eq!(judge(4.0, 100), None, "as far as the limit");
        assert_eq!(judge(-5.0, 99), None, "too few");
        assert_eq!(judge(-5.0, 100), Some(true));
        assert_eq!(judge(-3.5, 100), None, "within the limit, but not by much");
        assert_eq!(judge(-3.0, 100), Some(false));
    }

    #[test]
    fn the_width_is_half_the_range_of_the_middle_two_thirds() {
        // Evenly from -15 to 15 ns: the middle 68 % are 20.5 ns.
        let mut sums = [0; CODES];
        sums[97..157].fill(1000);
        let offset = Offset::of(&sums);
        assert!(offset.median_ns.abs() < 1e-9, "{offset:?}");
        assert!(
            (offset.width_ns - 0.341_345 * 30.0).abs() < 1e-6,
            "{offset:?}"
        );
        assert_eq!(offset.residuals, 60_000);
    }
}
