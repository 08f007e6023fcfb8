//! What the orientations look like: curves per DU, a map of the newest ones, and lists.

use fathom_kernel::view::{Colours, Curve, Detail, Map, Marker, Series, Table, View};
use fathom_kernel::{Output, Outputs};
use serde_json::{Value, json};

use super::history::Cell;
use super::module::Module;
use super::{AhrsCalibration, Uncalibrated};
use crate::clock::{seconds, text_of_ms, timestamp};

/// Most modules listed.
const LISTED_MAX: usize = 300;

/// Name, what a cell has of it, and the newest orientation.
type Component = (&'static str, fn(Cell) -> f64);

const COMPONENTS: [Component; 3] = [
    ("yaw", |cell| cell.yaw.deg()),
    ("pitch", |cell| cell.pitch.signed_deg()),
    ("roll", |cell| cell.roll.signed_deg()),
];

impl AhrsCalibration {
    /// Puts the three plots of a DU, once there is anything to show.
    pub(super) fn put_curves(&self, du: i32, out: &mut Outputs) {
        let Some(ranks) = self.dus.get(&du) else {
            return;
        };
        let times_ms = self.history.times_ms();
        let Some(&newest_ms) = times_ms.last() else {
            return;
        };
        for (name, value) in COMPONENTS {
            let mut known = false;
            let curve = |(n, &rank): (usize, &usize)| {
                let values = self.history.curve(rank, value);
                known |= values.iter().any(|value| value.is_finite());
                Curve {
                    name: format!("Floor {}", self.places.list()[rank].floor),
                    colour: hue(n, ranks.len()),
                    marker: Marker::None,
                    values,
                    errors: Vec::new(),
                }
            };
            let curves = ranks.iter().enumerate().map(curve).collect();
            if !known {
                return;
            }
            let series = Series {
                y_label: format!("{name} [deg]"),
                times_ms: times_ms.clone(),
                curves,
                ..Series::default()
            };
            let title = format!("Calibrated {name} of DU {du}{}", self.caveat(ranks));
            let datum = self.newest_ms.map_or(newest_ms, |ms| ms.min(newest_ms));
            let output = Output::new(format!("{name}_calib_du{du}"), title, series)
                .at(Some(timestamp(datum)))
                .every(seconds(self.history.step_ms()).max(self.config.interval.seconds()));
            out.put(output);
        }
    }

    /// Says in the title which floors are shown without calibration.
    fn caveat(&self, ranks: &[usize]) -> String {
        if self.config.uncalibrated == Uncalibrated::Skip {
            return String::new();
        }
        let places = ranks.iter().map(|&rank| self.places.list()[rank]);
        let bare = places.filter(|place| !self.supply.has(place.dom_id));
        let floors: Vec<String> = bare.map(|place| place.floor.to_string()).collect();
        match floors.is_empty() {
            true => String::new(),
            false => format!(" (NOT calibrated: floors {})", floors.join(", ")),
        }
    }

    pub(super) fn put_tables(&mut self, out: &mut Outputs) {
        self.put("ahrs_yaw", "Newest calibrated yaw", self.map(), out);
        let title = "Compass calibration in numbers";
        self.put("ahrs_summary", title, self.summary(), out);
        let title = "Modules without orientation";
        self.put("ahrs_modules", title, self.left_out(), out);
        let title = "Modules not in the detector description";
        self.strangers
            .put_if_changed("ahrs_unknown", title, self.newest_ms.map(timestamp), out);
    }

    fn put(&self, name: &str, title: &str, view: impl Into<View>, out: &mut Outputs) {
        let output = Output::new(name, title, view)
            .at(self.newest_ms.map(timestamp))
            .every(self.config.interval.seconds());
        out.put(output);
    }

    fn map(&self) -> Map {
        let of = |number: &dyn Fn(&Module) -> f64| self.modules.iter().map(number).collect();
        let latest = |module: &Module, value: fn(&super::Orientation) -> f64| {
            module.latest.as_ref().map_or(f64::NAN, |(_, o)| value(o))
        };
        #[expect(clippy::cast_precision_loss, reason = "packets stay below 2^53")]
        let details: [(&str, Vec<f64>); 6] = [
            ("pitch [deg]", of(&|m| latest(m, |o| o.pitch_deg))),
            ("roll [deg]", of(&|m| latest(m, |o| o.roll_deg))),
            ("yaw minus its 1 h median [deg]", of(&|m| m.deviation_deg)),
            (
                "time [s since 1970 UTC]",
                of(&|m| m.latest.map_or(f64::NAN, |(at_ms, _)| seconds(at_ms))),
            ),
            ("packets", of(&|m| m.packets as f64)),
            (
                "packets without valid readings",
                of(&|m| m.unusable() as f64),
            ),
        ];
        let details = details.map(|(name, values)| Detail {
            name: name.to_owned(),
            values,
        });
        let colours = Colours {
            map: "cividis".into(),
            low: 0.0,
            high: 360.0,
            log: false,
            under: None,
            over: None,
            missing: "lightgrey".into(),
            label: "yaw [deg]".into(),
        };
        let yaws = of(&|m| latest(m, |o| o.yaw_deg));
        self.places.map(yaws, details.to_vec(), colours)
    }

    fn summary(&self) -> Table {
        let sent = |module: &&Module| module.packets > 0;
        let modules = self.modules.iter().zip(self.places.list());
        let sending = modules.clone().filter(|(module, _)| sent(module));
        let without = sending.clone().filter(|(_, p)| !self.supply.has(p.dom_id));
        let places = match self.supply.is_configured() {
            true => self.supply.places().join(", "),
            false => "none configured (options `constants` and `tests`)".to_owned(),
        };
        let uncalibrated = match self.config.uncalibrated {
            Uncalibrated::Skip => "are left out",
            Uncalibrated::Identity => "are shown without correction (option `uncalibrated`)",
        };
        let bases = self.bases.values().filter(|base| base.packets > 0);
        let log = &self.supply.log;
        let ranks = 0..self.places.list().len();
        let off = ranks.filter(|&rank| !self.has_compass(rank)).count();
        let rows: [(&str, Value); 21] = [
            ("constants from", places.into()),
            ("modules with constants", self.supply.len().into()),
            ("contents parsed", log.parsed.into()),
            ("constants not read", log.failed.into()),
            ("last reason", json!(log.fault)),
            ("modules that sent", sending.count().into()),
            ("of these without constants", without.count().into()),
            ("modules without constants", uncalibrated.into()),
            ("base modules that sent", bases.count().into()),
            ("compasses off by the detector file", off.into()),
            (
                "modules that moved",
                self.modules.iter().filter(|m| m.moved).count().into(),
            ),
            ("packets", self.counts.packets.into()),
            ("packets not marked as valid", self.counts.invalid.into()),
            ("packets with no numbers", self.counts.no_numbers.into()),
            ("packets too late", self.counts.late.into()),
            ("windows too late", self.history.late.into()),
            ("packets far off the clock", self.counts.clock_off.into()),
            ("last DOM far off the clock", json!(self.counts.last_off)),
            (
                "time between points [s]",
                seconds(self.history.step_ms()).into(),
            ),
            (
                "memory of the history [MB]",
                (self.history.memory_bytes() / 1_000_000).into(),
            ),
            ("newest packet [UTC]", json!(self.newest_ms.map(text_of_ms))),
        ];
        Table {
            columns: vec!["".into(), "value".into()],
            rows: rows.map(|(name, value)| vec![name.into(), value]).to_vec(),
        }
    }

    /// Lists the modules that send packets but have no curve, with the reason.
    fn left_out(&self) -> Table {
        let row = |du: Value, floor: i32, id: u32, why: &str, packets: u64, valid: u64| {
            vec![
                du,
                json!(floor),
                json!(id),
                json!(why),
                json!(packets),
                json!(valid),
            ]
        };
        let modules = self.places.list().iter().zip(&self.modules);
        let modules = modules.filter_map(|(place, module)| {
            let why = if module.packets == 0 {
                return None;
            } else if !self.supply.has(place.dom_id) {
                "no calibration constants"
            } else if module.valid == 0 {
                "no valid readings"
            } else {
                return None;
            };
            let (du, floor) = (json!(place.du), place.floor);
            Some(row(
                du,
                floor,
                place.dom_id,
                why,
                module.packets,
                module.valid,
            ))
        });
        let bases = self.bases.iter().filter(|(_, base)| base.packets > 0);
        let bases = bases.map(|(id, base)| {
            let du = json!(base.du);
            row(du, 0, *id, "base module", base.packets, base.valid)
        });
        let columns = ["DU", "floor", "DOM id", "reason", "packets", "valid"];
        Table {
            columns: columns.map(str::to_owned).to_vec(),
            rows: modules.chain(bases).take(LISTED_MAX).collect(),
        }
    }
}

/// Returns colour `n` of so many, evenly around the circle of hues.
fn hue(n: usize, of: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "floors of a DU")]
    let turn = n as f64 / of.max(1) as f64;
    // Each of the three is highest a third of a turn from the others.
    let channel = |highest: f64| {
        let away = (turn - highest + 0.5).rem_euclid(1.0) - 0.5;
        let share = (2.0 - 6.0 * away.abs()).clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "40 to 215"
        )]
        let byte = (40.0 + 175.0 * share).round() as u8;
        byte
    };
    let [r, g, b] = [0.0, 1.0 / 3.0, 2.0 / 3.0].map(channel);
    format!("#{r:02x}{g:02x}{b:02x}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::hue;

    #[test]
    fn eighteen_floors_have_eighteen_colours_from_red_over_green_and_blue() {
        assert_eq!(hue(0, 18), "#d72828");
        assert_eq!(hue(6, 18), "#28d728");
        assert_eq!(hue(12, 18), "#2828d7");
        assert_eq!(
            (0..18).map(|n| hue(n, 18)).collect::<BTreeSet<_>>().len(),
            18
        );
    }
}
