//! What `royfit` shows.

use fathom_kernel::view::View;
use fathom_kernel::{Monitor, Output, Outputs, Timestamp};

use super::{Royfit, panels};
use crate::clock::timestamp;

/// Distributions of the fits: name, title, label and range, in the order of a shape.
const DISTRIBUTIONS: [(&str, &str, &str, (f64, f64)); 3] = [
    (
        "royfit_zenith",
        "Zenith angle of the fits",
        "cos(zenith), 1 is downgoing",
        (-1.0, 1.0),
    ),
    (
        "royfit_distance",
        "Distance of the fits",
        "closest distance [m]",
        (0.0, 100.0),
    ),
    (
        "royfit_quality",
        "Quality of the fits",
        "Q, small is good",
        (0.0, 200.0),
    ),
];

impl Royfit {
    pub(super) fn put_all(&mut self, at: Timestamp, out: &mut Outputs) {
        let parts = (&self.places, &self.residuals);
        let limits = self.config.limits();
        let shown = self.offsets.judge(parts, &limits, at, out);
        let panels = panels::draw(&self.places, &self.residuals);
        self.put(
            "time_residuals",
            "Time residuals by floor and DU",
            panels,
            out,
        );
        let title = "Median time residual of every DOM";
        self.put("time_residual_medians", title, shown.map, out);
        let title = format!("DOMs more than {} ns off", self.config.offset_limit);
        self.put("time_residual_outliers", &title, shown.off, out);

        self.put("royfit_summary", "The last fits", self.history.table(), out);
        self.put("royfit_rates", "Events and fits", self.history.rates(), out);
        for (which, (name, title, label, range)) in DISTRIBUTIONS.into_iter().enumerate() {
            let view = self.history.distribution(which, label, range);
            self.put(name, title, view, out);
        }
        let table = self.counts.table(self.memory_bytes());
        self.put("royfit_counts", "Fits in numbers", table, out);
        let title = "DOMs not in the detector description, by hits";
        self.strangers
            .put_if_changed("royfit_unknown", title, self.newest_ms.map(timestamp), out);
    }

    pub(super) fn put(&self, name: &str, title: &str, view: impl Into<View>, out: &mut Outputs) {
        let output = Output::new(name, title, view)
            .at(self.newest_ms.map(timestamp))
            .every(self.config.interval.seconds());
        out.put(output);
    }
}
