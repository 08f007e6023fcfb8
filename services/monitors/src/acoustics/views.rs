//! Pictures and tables of the acoustic monitoring.

use std::sync::Arc;

use fathom_kernel::view::{
    Axis, Colours, Column, Curve, Image, Layer, Marker, Panel, Panels, Series, Shape, Table,
};
use fathom_kernel::{Output, Outputs};
use serde_json::json;

use super::Acoustics;
use super::beacons::Class;
use super::cycle::Cycle;
use crate::clock::{ms_of, timestamp};

/// Beacons that are drawn at least per module.
const SLOTS: usize = 3;
/// Distance between the first and the last square of a module, in DUs.
const SLOTS_WIDTH: f64 = 0.4;
/// Most beacons with a curve.
const CURVES_MAX: usize = 12;
const CURVE_COLOURS: [&str; 6] = [
    "#006BA4", "#FF800E", "#ABABAB", "#595959", "#5F9ED1", "#C85200",
];
/// Classes with colours and names, as the shift tool has them.
const CLASSES: [(Class, &str, &str); 5] = [
    (Class::NoData, "#9900ff", "no data"),
    (Class::Silent, "#000000", "0 pings"),
    (Class::Few, "#ff4d00", "1 to 3 pings"),
    (Class::Some, "#ffff00", "4 to 7 pings"),
    (Class::Good, "#33e600", "more than 7 pings"),
];

/// One square of the picture.
struct Square {
    class: Class,
    x: f64,
    y: f64,
    note: String,
}

impl Acoustics {
    pub(super) fn draw(&mut self, out: &mut Outputs) {
        let squares = self.squares();
        self.put(
            "Online_Acoustic_Monitoring",
            "Beacons heard by every module",
            picture(&squares),
            out,
        );
        self.put("acoustics_doms", "Beacons by module", self.doms(), out);
        self.put("acoustics_beacons", "Beacons", self.beacons(), out);
        let pings = self.trend("pings in a cycle", |cycle, emitter| {
            f64::from(cycle.pings(emitter))
        });
        self.put("acoustics_pings", "Pings by beacon", pings, out);
        #[expect(clippy::cast_precision_loss, reason = "a few thousand modules")]
        let heard = self.trend("modules with more than 3 pings", |cycle, emitter| {
            cycle.doms_that_heard(emitter) as f64
        });
        self.put("acoustics_heard", "Modules that hear a beacon", heard, out);
        self.put(
            "acoustics_history",
            "Pings heard by every module",
            self.image(),
            out,
        );
        self.put_counts(out);
        let title = "Modules not in the detector description, by cycles";
        self.strangers.put_if_changed(
            "acoustics_unknown",
            title,
            self.newest_ms.map(timestamp),
            out,
        );
    }

    /// Shows what came; unlike the pictures it does not wait for the end of a cycle.
    pub(super) fn put_counts(&mut self, out: &mut Outputs) {
        self.counted = (self.counts, Some(self.host_ms));
        let title = "Times of arrival received";
        let output = Output::new("acoustics_counts", title, self.table())
            .at(self.newest_ms.map(timestamp))
            .every(self.config.period.seconds());
        out.put(output);
    }

    /// Returns the squares of the newest cycle: one per beacon, at least three per module. Beacons that
    /// a module did not hear at all come first, as in the shift tool.
    fn squares(&self) -> Vec<Square> {
        let Some(cycle) = self.history.newest() else {
            return Vec::new();
        };
        let mut squares = Vec::new();
        for (rank, place) in self.places.list().iter().enumerate() {
            let heard = cycle.of(rank);
            let slots = heard.len().max(SLOTS);
            let unheard = slots - heard.len();
            for slot in 0..slots {
                let result = slot.checked_sub(unheard).and_then(|n| heard.get(n));
                let class = match result {
                    _ if !cycle.has_data => Class::NoData,
                    Some(result) if cycle.is_whole || result.pings > 0 => result.class(),
                    None if cycle.is_whole => Class::Silent,
                    // It may have pinged before we listened.
                    Some(_) | None => Class::NoData,
                };
                let what = result.map_or("no beacon".to_owned(), |r| {
                    let quality = match r.quality.is_finite() {
                        true => format!(", quality up to {}", r.quality),
                        false => String::new(),
                    };
                    format!("beacon {}, {} pings{quality}", r.emitter, r.pings)
                });
                #[expect(clippy::cast_precision_loss, reason = "a few slots")]
                let share = slot as f64 / (slots - 1) as f64 - 0.5;
                squares.push(Square {
                    class,
                    x: f64::from(place.du) + share * SLOTS_WIDTH,
                    y: f64::from(place.floor),
                    note: format!("DU {} floor {}: {what}", place.du, place.floor),
                });
            }
        }
        squares
    }

    fn doms(&self) -> Table {
        let mut rows = Vec::new();
        let places = self.places.list();
        for result in self
            .history
            .newest()
            .map_or(&[][..], |cycle| &cycle.results)
        {
            let Some(place) = places.get(result.rank as usize) else {
                continue;
            };
            let name = CLASSES.iter().find(|(class, ..)| *class == result.class());
            rows.push(vec![
                json!(place.du),
                json!(place.floor),
                json!(place.dom_id),
                json!(result.emitter),
                json!(result.pings),
                json!(name.map(|(.., name)| name)),
                json!(Some(result.quality).filter(|q| q.is_finite())),
                json!(
                    self.history
                        .times_heard(result.rank as usize, result.emitter)
                ),
            ]);
        }
        let columns = [
            "DU",
            "floor",
            "DOM id",
            "beacon",
            "pings",
            "heard",
            "largest quality",
            "cycles heard",
        ];
        Table {
            columns: columns.map(str::to_owned).to_vec(),
            rows,
        }
    }

    fn beacons(&self) -> Table {
        let newest = self.history.newest();
        let row = |emitter: i32| {
            let of = |class: Class| {
                let own = newest.into_iter().flat_map(|cycle| &cycle.results);
                own.filter(|r| r.emitter == emitter && r.class() == class)
                    .count()
            };
            let state = if self.lost.contains(&emitter) {
                "lost"
            } else {
                ""
            };
            vec![
                json!(emitter),
                json!(newest.map_or(0, |cycle| cycle.pings(emitter))),
                json!(of(Class::Good)),
                json!(of(Class::Some)),
                json!(of(Class::Few)),
                json!(state),
            ]
        };
        let mut beacons = self.history.beacons();
        beacons.extend(&self.lost);
        let columns = [
            "beacon",
            "pings",
            "modules with more than 7",
            "with 4 to 7",
            "with 1 to 3",
            "state",
        ];
        Table {
            columns: columns.map(str::to_owned).to_vec(),
            rows: beacons.into_iter().map(row).collect(),
        }
    }

    fn trend(&self, y_label: &str, value: impl Fn(&Cycle, i32) -> f64) -> Series {
        let curve = |(n, emitter): (usize, i32)| Curve {
            name: format!("beacon {emitter}"),
            colour: CURVE_COLOURS[n % CURVE_COLOURS.len()].into(),
            marker: Marker::Diamond,
            values: self
                .history
                .iter()
                .map(|cycle| {
                    let value = value(cycle, emitter);
                    match cycle.has_data && (cycle.is_whole || value > 0.0) {
                        true => value,
                        false => f64::NAN,
                    }
                })
                .collect(),
            errors: Vec::new(),
        };
        let beacons = self.history.beacons().into_iter().take(CURVES_MAX);
        Series {
            y_label: y_label.into(),
            times_ms: self
                .history
                .iter()
                .map(|cycle| self.end_ms(cycle.number))
                .collect(),
            curves: beacons.enumerate().map(curve).collect(),
            ..Series::default()
        }
    }

    /// Makes one column per cycle: pings of all beacons together, per module.
    fn image(&self) -> Image {
        let rows = self.places.list().len();
        let column = |cycle: &Cycle| {
            let means_silence = cycle.has_data && cycle.is_whole;
            let mut values = vec![if means_silence { 0.0 } else { f32::NAN }; rows];
            for result in &cycle.results {
                if let Some(value) = values.get_mut(result.rank as usize) {
                    #[expect(clippy::cast_precision_loss, reason = "a few dozen pings")]
                    let pings = result.pings as f32;
                    let before = if value.is_nan() { 0.0 } else { *value };
                    *value = before + pings;
                }
            }
            Arc::new(Column {
                at_ms: self.end_ms(cycle.number),
                values: values.into(),
                overlay: Box::default(),
            })
        };
        Image {
            rows: u32::try_from(rows).unwrap_or(u32::MAX),
            column_s: crate::clock::seconds(ms_of(self.config.period)),
            columns_max: u32::try_from(self.history.capacity()).unwrap_or(u32::MAX),
            row_labels: self.places.du_labels(),
            columns: self.history.iter().map(column).collect(),
            colours: Colours {
                map: "cividis".into(),
                low: 0.0,
                high: 33.0,
                log: false,
                under: None,
                over: None,
                missing: "#9900ff".into(),
                label: "pings".into(),
            },
            overlay_threshold: 1.0,
            overlay_colour: "red".into(),
            overlay_label: String::new(),
        }
    }

    fn table(&self) -> Table {
        let counts = &self.counts;
        let newest = self.history.newest();
        let end = newest.map(|cycle| crate::clock::text_of_ms(self.end_ms(cycle.number)));
        let rows = [
            ("messages", json!(counts.messages)),
            ("arrivals", json!(counts.arrivals)),
            ("arrivals too late for their cycle", json!(counts.late)),
            ("arrivals far off the clock", json!(counts.strays)),
            ("arrivals without room", json!(self.pending.refused)),
            ("lines that are no ping", json!(counts.bad_lines)),
            (
                "modules not in the detector description",
                json!(newest.map(|c| c.unknown)),
            ),
            ("end of the newest cycle [UTC]", json!(end)),
            (
                "source",
                json!(self.source.as_ref().and_then(|source| source.fault())),
            ),
        ];
        Table {
            columns: vec!["".into(), "value".into()],
            rows: rows.map(|(name, value)| vec![json!(name), value]).to_vec(),
        }
    }
}

/// Draws the squares, one layer per class.
fn picture(squares: &[Square]) -> Panels {
    let layer = |(class, colour, name): (Class, &str, &str)| {
        let own: Vec<_> = squares
            .iter()
            .filter(|square| square.class == class)
            .collect();
        let x = own.iter().map(|square| square.x).collect();
        let y = own.iter().map(|square| square.y).collect();
        Layer {
            notes: own.iter().map(|square| square.note.clone()).collect(),
            ..Layer::new(Shape::Square, colour, x, y).named(name)
        }
    };
    Panels {
        columns: 1,
        x: Axis {
            label: "DU".into(),
            tick: Some(1.0),
            ..Axis::default()
        },
        y: Axis {
            label: "Floor".into(),
            ..Axis::default()
        },
        panels: vec![Panel {
            title: String::new(),
            layers: CLASSES.map(layer).to_vec(),
            guides: Vec::new(),
        }],
    }
}
