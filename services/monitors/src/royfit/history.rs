//! The last fits: a table, distributions of their parameters, and how many there are per second.

use std::collections::BTreeMap;

use fathom_hist::{H1, Ring};
use fathom_kernel::view::{Curve, Histogram, Marker, Series, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::text_of_ms;

/// Fits listed one by one.
const LISTED: usize = 50;
/// Fits in the distributions.
const DISTRIBUTED: usize = 5000;
/// Length of a point of the rates (ms).
pub(super) const MINUTE_MS: i64 = 60_000;

/// A fit as it is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Listed {
    pub(super) at_ms: i64,
    pub(super) run: i32,
    pub(super) frame_index: i32,
    pub(super) trigger_counter: u64,
    pub(super) du: u32,
    pub(super) hits: usize,
    pub(super) q: f64,
    /// 1 is straight down.
    pub(super) cos_zenith: f64,
    pub(super) distance_m: f64,
    pub(super) z_m: f64,
    /// Time at the closest point since the start of the frame (ns).
    pub(super) time_ns: f64,
    /// Unreliable (degrees).
    pub(super) azimuth_deg: Option<f64>,
    /// Unreliable: of all DUs of the event together.
    pub(super) prefit_cos_zenith: Option<f64>,
}

/// Cosine of the zenith angle, distance and quality of a fit.
pub(super) type Shape = [f32; 3];

/// Events and fits of one minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Minute {
    pub(super) events: u64,
    pub(super) fitted: u64,
    pub(super) fits: u64,
    /// The monitor did not see all of it.
    pub(super) partial: bool,
}

/// What is remembered of fits.
#[derive(Debug, Clone)]
pub(super) struct History {
    listed: Ring<Listed>,
    shapes: Ring<Shape>,
    minutes: BTreeMap<i64, Minute>,
    minutes_max: i64,
    /// The minute up to which time has passed.
    covered: Option<i64>,
}

impl History {
    pub(super) fn new(minutes_max: i64) -> Self {
        Self {
            listed: Ring::new(LISTED),
            shapes: Ring::new(DISTRIBUTED),
            minutes: BTreeMap::new(),
            minutes_max,
            covered: None,
        }
    }

    /// Remembers a fit.
    pub(super) fn add(&mut self, fit: Listed) {
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
        let shape = [fit.cos_zenith, fit.distance_m, fit.q].map(|number| number as f32);
        self.shapes.push(shape);
        self.listed.push(fit);
    }

    /// Counts an event in its minute; one that is too old or far ahead is not counted.
    pub(super) fn count(&mut self, data_ms: i64, fitted: bool, fits: u64) {
        let minute = data_ms.div_euclid(MINUTE_MS);
        let newest = self.covered.unwrap_or(minute);
        if !(newest - self.minutes_max..=newest + 1).contains(&minute) {
            return;
        }
        let slot = self.minutes.entry(minute).or_default();
        slot.events += 1;
        slot.fitted += u64::from(fitted);
        slot.fits += fits;
    }

    /// Time has passed: minutes without events are zeros, those in which nobody looked are gaps.
    pub(super) fn cover(&mut self, data_ms: i64) {
        let now = data_ms.div_euclid(MINUTE_MS);
        let from = match self.covered {
            // A clock that was set begins anew.
            Some(covered) if now < covered || now - covered > self.minutes_max => now,
            Some(covered) => covered + 1,
            None => now,
        };
        let is_new = self.covered.is_none_or(|covered| from != covered + 1);
        for minute in from..=now {
            let partial = is_new && minute == now;
            let slot = self.minutes.entry(minute).or_default();
            slot.partial |= partial;
        }
        self.covered = Some(now);
        let oldest = now - self.minutes_max;
        self.minutes.retain(|at, _| (oldest..=now + 1).contains(at));
    }

    /// Returns events, fitted events and fits per second, at the ends of their minutes.
    pub(super) fn rates(&self) -> Series {
        let now = self.covered.unwrap_or(i64::MIN);
        let oldest = self.minutes.keys().next().copied().unwrap_or(now);
        let done: Vec<(i64, Option<&Minute>)> = (oldest..now)
            .map(|at| (at, self.minutes.get(&at).filter(|minute| !minute.partial)))
            .collect();
        let curve = |name: &str, colour: &str, of: fn(&Minute) -> u64| Curve {
            name: name.to_owned(),
            colour: colour.to_owned(),
            marker: Marker::None,
            values: done.iter().map(|(_, m)| per_second(m.map(of))).collect(),
            errors: Vec::new(),
        };
        Series {
            y_label: "rate [Hz]".into(),
            times_ms: done.iter().map(|(at, _)| (at + 1) * MINUTE_MS).collect(),
            curves: vec![
                curve("events", "#ABABAB", |m| m.events),
                curve("fitted events", "#006BA4", |m| m.fitted),
                curve("fits", "#FF800E", |m| m.fits),
            ],
            ..Series::default()
        }
    }

    /// Returns the distribution of one number of a shape.
    pub(super) fn distribution(&self, which: usize, x_label: &str, range: (f64, f64)) -> Histogram {
        let mut counts = H1::new(100, range.0, range.1).expect("the ranges are constants");
        for shape in self.shapes.iter() {
            counts.fill(f64::from(shape[which % shape.len()]), 1.0);
        }
        Histogram {
            x_label: x_label.to_owned(),
            y_label: format!("fits, the last {DISTRIBUTED}"),
            y_log: false,
            edges: counts.edges(),
            counts: counts.counts().to_vec(),
            underflow: counts.underflow(),
            overflow: counts.overflow(),
        }
    }

    /// Lists the last fits, newest first.
    pub(super) fn table(&self) -> Table {
        let columns = [
            "UTC",
            "run",
            "frame index",
            "trigger counter",
            "DU",
            "hits",
            "Q",
            "cos(zenith)",
            "distance [m]",
            "z [m]",
            "time [ns]",
            "azimuth [deg] (unreliable)",
            "cos(zenith) of all DUs (prefit, unreliable)",
        ];
        Table {
            columns: columns.map(str::to_owned).to_vec(),
            rows: self.listed.iter().rev().map(Listed::row).collect(),
        }
    }

    pub(super) fn listed(&self) -> impl Iterator<Item = &Listed> {
        self.listed.iter()
    }

    pub(super) fn shapes(&self) -> impl Iterator<Item = &Shape> {
        self.shapes.iter()
    }

    pub(super) fn minutes(&self) -> impl Iterator<Item = (i64, Minute)> {
        self.minutes.iter().map(|(at, minute)| (*at, *minute))
    }

    /// Takes back what was kept.
    pub(super) fn put_back(
        &mut self,
        listed: Vec<Listed>,
        shapes: Vec<Shape>,
        minutes: Vec<(i64, Minute)>,
    ) {
        for fit in listed {
            self.listed.push(fit);
        }
        for shape in shapes {
            self.shapes.push(shape);
        }
        self.minutes.extend(minutes);
        // The minute in which the monitor ended was not seen to its end.
        if let Some(mut last) = self.minutes.last_entry() {
            last.get_mut().partial = true;
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.listed.len() * size_of::<Listed>()
            + self.shapes.len() * size_of::<Shape>()
            + self.minutes.len() * 2 * size_of::<Minute>()
    }
}

impl Listed {
    fn row(&self) -> Vec<Value> {
        let digits = |number: f64, steps: f64| json!((number * steps).round() / steps);
        vec![
            json!(text_of_ms(self.at_ms)),
            json!(self.run),
            json!(self.frame_index),
            // JSON numbers of a browser do not hold 64 bits.
            json!(self.trigger_counter.to_string()),
            json!(self.du),
            json!(self.hits),
            digits(self.q, 100.0),
            digits(self.cos_zenith, 1000.0),
            digits(self.distance_m, 10.0),
            digits(self.z_m, 10.0),
            digits(self.time_ns, 10.0),
            self.azimuth_deg.map_or(Value::Null, |deg| digits(deg, 1.0)),
            self.prefit_cos_zenith
                .map_or(Value::Null, |cos| digits(cos, 1000.0)),
        ]
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn per_second(count: Option<u64>) -> f64 {
    count.map_or(f64::NAN, |count| count as f64 / 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_without_events_are_zeros_and_unseen_ones_are_gaps() {
        let mut history = History::new(100);
        history.cover(30_000);
        history.count(30_000, true, 2);
        for at_ms in [60_000, 120_000, 180_000] {
            history.cover(at_ms);
        }
        history.count(130_000, false, 0);
        history.count(140_000, true, 3);
        let rates = history.rates();
        assert_eq!(rates.times_ms, [60_000, 120_000, 180_000]);
        let fits = &rates.curves[2].values;
        assert!(fits[0].is_nan() && fits[1] == 0.0 && fits[2] == 3.0 / 60.0);
        assert_eq!(rates.curves[0].values[2], 2.0 / 60.0);

        let mut later = History::new(100);
        let kept = history.minutes().collect();
        later.put_back(Vec::new(), Vec::new(), kept);
        later.cover(420_000);
        later.cover(480_000);
        later.cover(540_000);
        let events = later.rates().curves[0].values.clone();
        assert_eq!(events.len(), 9);
        assert_eq!(events[2], 2.0 / 60.0);
        assert!(events[3..8].iter().all(|rate| rate.is_nan()));
        assert_eq!(events[8], 0.0);
    }

    #[test]
    fn a_clock_that_is_set_back_forgets_what_is_ahead() {
        let mut history = History::new(100);
        history.cover(600_000);
        history.cover(660_000);
        history.cover(60_000);
        history.cover(120_000);
        assert_eq!(history.rates().times_ms, [120_000]);
    }
}
