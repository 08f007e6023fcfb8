//! Puts the outputs when they have changed.

use fathom_kernel::view::{Table, View};
use fathom_kernel::{Monitor, Output, Outputs, Span};
use serde_json::{Value, json};

use super::dom::Done;
use super::views::{self, PANELS_MAX, Seen};
use super::{K40Calibration, Phase, Redraw, Shown};
use crate::clock::{is_due, seconds, text_of_ms, timestamp};
use crate::places::Place;

/// Time between two looks at the progress.
const PROGRESS: Span = Span::from_secs(5);

impl K40Calibration {
    /// Puts what has changed since the last tick.
    pub(super) fn draw(&mut self, data_ms: i64, out: &mut Outputs) {
        let redraw = std::mem::replace(&mut self.redraw, Redraw::Nothing);
        if redraw == Redraw::All {
            let mut dus: Vec<i32> = self.places.list().iter().map(|place| place.du).collect();
            dus.dedup();
            dus.into_iter().for_each(|du| self.put_du(du, out));
        }
        if redraw >= Redraw::Round {
            self.put_round(out);
        }
        if redraw >= Redraw::Grids {
            self.put_grids(out);
        }
        if redraw >= Redraw::Round || is_due(PROGRESS, self.progress_ms, self.host_ms) {
            self.progress_ms = Some(self.host_ms);
            let output = Output::new("k40_progress", "K40 cycle", self.progress(data_ms));
            let datum = self.newest_ms.map(timestamp);
            out.put(output.at(datum).every(PROGRESS.seconds()));
            let title = "DOMs with time slices, not in the detector description";
            self.strangers
                .put_if_changed("k40_unknown", title, datum, out);
        }
    }

    /// Returns the modules that have a result, of those that are asked for.
    pub(super) fn seen(&self, wanted: impl Fn(&Place) -> bool) -> Vec<Seen<'_>> {
        let doms = self.places.list().iter().zip(&self.doms);
        doms.filter(|(place, _)| wanted(place))
            .filter_map(|(place, dom)| {
                let dom = dom.as_deref()?;
                let done = dom.last.as_deref()?;
                Some(Seen { place, dom, done })
            })
            .collect()
    }

    /// Returns the modules of the grids.
    pub(super) fn seen_of(&self, shown: &Shown) -> Vec<Seen<'_>> {
        let first = self.places.list().first().map(|place| place.du);
        let mut seen = self.seen(|place| match shown {
            Shown::Dus(dus) if dus.is_empty() => Some(place.du) == first,
            Shown::Dus(dus) => dus.contains(&place.du),
            Shown::Doms(doms) => doms.contains(&place.dom_id),
        });
        seen.truncate(PANELS_MAX);
        seen
    }

    /// Puts what is known of each PMT of a DU.
    pub(super) fn put_du(&self, du: i32, out: &mut Outputs) {
        let all = self.places.list().iter().zip(&self.doms);
        let of_du = all.filter(|(place, _)| place.du == du);
        let doms: Vec<(&Place, Option<&Done>)> = of_du
            .map(|(place, dom)| (place, dom.as_ref().and_then(|dom| dom.last.as_deref())))
            .collect();
        let newest_ms = doms
            .iter()
            .filter_map(|(_, done)| Some(done.as_ref()?.until_ms))
            .max();
        if newest_ms.is_none() {
            return;
        }
        let shifts = views::pmt_map(
            &doms,
            |pmt| [pmt.shift_ns, pmt.shift_error_ns],
            "error [ns]",
            views::shift_colours(),
        );
        let efficiencies = views::pmt_map(
            &doms,
            |pmt| [pmt.efficiency, pmt.efficiency_error],
            "error",
            views::efficiency_colours(),
        );
        for (name, title, map) in [
            ("k40_t0", "Time offsets against the detector file", shifts),
            ("k40_qe", "Relative efficiencies", efficiencies),
        ] {
            let (name, title) = (format!("{name}_du{du}"), format!("{title}, DU {du}"));
            let output = Output::new(name, title, map).at(newest_ms.map(timestamp));
            out.put(output.every(self.renewed_s()));
        }
    }

    fn put_round(&self, out: &mut Outputs) {
        let all = self.seen(|_| true);
        let shifts = views::shift_map(&self.places, &self.doms);
        let efficiencies = views::efficiency_map(&self.places, &self.doms);
        self.put(
            "k40_t0",
            "Worst time offset per DOM against the detector file",
            shifts,
            out,
        );
        self.put(
            "k40_qe",
            "Lowest relative efficiency per DOM",
            efficiencies,
            out,
        );
        self.put(
            "k40_summary",
            "K40 calibration in numbers",
            views::summary(&all),
            out,
        );
        let failed = views::failed(&all);
        self.put(
            "k40_failed_fits",
            "Pairs of PMTs whose fit failed",
            failed,
            out,
        );
    }

    fn put_grids(&self, out: &mut Outputs) {
        let seen = self.seen_of(&self.shown);
        let intradom = views::intradom(&seen, self.config.tmax);
        let rates = views::angular_rates(&seen);
        self.put("intradom", "Times between PMTs of a DOM", intradom, out);
        let title = "K40 rates of pairs of PMTs";
        self.put("angular_k40rate_distribution", title, rates, out);
    }

    fn put(&self, name: &str, title: &str, view: impl Into<View>, out: &mut Outputs) {
        let output = Output::new(name, title, view).at(self.calibrated_ms.map(timestamp));
        out.put(output.every(self.renewed_s()));
    }

    /// Returns the time from one result of a module to the next: a cycle, and a pass over all modules.
    fn renewed_s(&self) -> f64 {
        let ticks = self.places.list().len().div_ceil(self.config.doms_per_tick);
        let pass = Self::TICK * u32::try_from(ticks).unwrap_or(u32::MAX);
        self.config.cycle.seconds() + pass.as_secs_f64()
    }

    fn progress(&self, data_ms: i64) -> Table {
        let counting = self
            .doms
            .iter()
            .flatten()
            .filter(|dom| dom.since_ms.is_some());
        let described = self.setup.detector.as_ref().map(|detector| detector.id.0);
        let memory_mb = self
            .doms
            .iter()
            .flatten()
            .map(|dom| dom.memory_bytes())
            .sum::<usize>()
            / 1_000_000;
        let mut rows = self.phase_rows(data_ms);
        rows.push(row("modules counting", counting.count()));
        rows.extend(self.tally.rows());
        rows.push(row(
            "last calibration [UTC]",
            self.calibrated_ms.map(text_of_ms),
        ));
        rows.push(row("newest slice [UTC]", self.newest_ms.map(text_of_ms)));
        rows.push(row("detector id in the data", self.detector_id));
        rows.push(row("detector id of the description", described));
        rows.push(row("memory [MB]", memory_mb));
        Table {
            columns: vec!["this cycle".to_owned(), "value".to_owned()],
            rows,
        }
    }

    fn phase_rows(&self, data_ms: i64) -> Vec<Vec<Value>> {
        let (state, since_ms) = match &self.phase {
            Phase::Waiting => ("waiting for slices".to_owned(), None),
            Phase::Counting { since_ms } => {
                let cycle_s = self.config.cycle.seconds();
                let part = seconds(data_ms.saturating_sub(*since_ms)).max(0.0) / cycle_s;
                (
                    format!("counting, {:.0} % of the cycle", 100.0 * part),
                    Some(*since_ms),
                )
            }
            Phase::Calibrating(round) => {
                let (next, all) = (round.next, self.doms.len());
                let cut = if round.is_cut {
                    ", the data time has jumped"
                } else {
                    ""
                };
                (
                    format!("calibrating, {next} of {all} modules{cut}"),
                    Some(round.since_ms),
                )
            }
        };
        vec![
            row("state", state),
            row("begin of the cycle [UTC]", since_ms.map(text_of_ms)),
            row("length of the cycle", self.config.cycle.to_string()),
        ]
    }
}

fn row(name: &str, value: impl serde::Serialize) -> Vec<Value> {
    vec![json!(name), json!(value)]
}
