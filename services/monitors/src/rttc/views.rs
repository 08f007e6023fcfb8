//! What round-trip times look like: one small panel per DU, and a table.

use fathom_hist::median;
use fathom_kernel::Outputs;
use fathom_kernel::view::{Axis, AxisScale, Layer, Panel, Panels, Shape, Table};
use serde_json::{Value, json};

use super::Rttc;
use crate::clock::text_of_ms;

/// Heading of the panels.
const TITLE: &str = "RTTC = Cable_RTT - (TX_Slave + RX_Slave + TX_Master + RX_Master)";
/// Most DUs whose panels show the times themselves. Beside smaller panels nine digits have no room, so
/// they show how far each time is from the median.
const ABSOLUTE_DUS_MAX: usize = 24;
/// Most points of all panels together, and fewest of one.
const POINTS_MAX: usize = 24_000;
const POINTS_MIN: usize = 100;

impl Rttc {
    pub(super) fn draw(&self, out: &mut Outputs) {
        self.put("rttc", TITLE, self.panels(), out);
        let title = "Cable round-trip times in numbers";
        self.put("rttc_summary", title, self.table(), out);
        let title = "Conversation with the Detector Manager";
        self.put("rttc_manager", title, self.manager_table(), out);
    }

    fn panels(&self) -> Panels {
        let dus = self.numbers.len();
        let is_absolute = dus <= ABSOLUTE_DUS_MAX;
        let y_label = if is_absolute {
            "RTTC [ps]"
        } else {
            "RTTC - median [ps]"
        };
        Panels {
            columns: columns(dus),
            x: Axis {
                label: "UTC".into(),
                scale: AxisScale::Time,
                ..Axis::default()
            },
            y: Axis {
                label: y_label.into(),
                own_range: true,
                ..Axis::default()
            },
            panels: (0..dus).map(|n| self.panel(n, is_absolute)).collect(),
        }
    }

    fn panel(&self, n: usize, is_absolute: bool) -> Panel {
        let most = (POINTS_MAX / self.numbers.len()).max(POINTS_MIN);
        let mut samples: Vec<(i64, f64)> = self.history.samples(n).rev().take(most).collect();
        samples.reverse();
        let baseline = self.dus[n].baseline;
        let zero_ps = match baseline {
            _ if is_absolute => 0.0,
            Some(baseline) => baseline.median_ps,
            None => median(samples.iter().map(|(_, value_ps)| *value_ps)).unwrap_or_default(),
        };
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age")]
        let times: Vec<f64> = samples.iter().map(|(at_ms, _)| *at_ms as f64).collect();
        let ends: Vec<f64> = times
            .first()
            .into_iter()
            .chain(times.last())
            .copied()
            .collect();
        let values = samples
            .iter()
            .map(|(_, value_ps)| value_ps - zero_ps)
            .collect();
        let mut layers = vec![Layer::new(Shape::Cross, "#006BA4", times, values).named("RTTC")];
        if let Some(baseline) = baseline {
            let level = |shape, height| {
                let heights = vec![height; ends.len()];
                Layer::new(shape, "red", ends.clone(), heights)
            };
            let (median_ps, sigma_ps) = (baseline.median_ps - zero_ps, baseline.sigma_ps);
            layers.push(level(Shape::Line, median_ps).named("median"));
            layers.push(level(Shape::Dashed, median_ps + sigma_ps).named("band"));
            layers.push(level(Shape::Dashed, median_ps - sigma_ps).named("band"));
        }
        let state = match &self.dus[n] {
            du if du.missing => ": NO VALUES",
            du if du.shifted => ": SHIFTED",
            _ => "",
        };
        Panel {
            title: format!("DU {}{}{state}", self.numbers[n], self.upi(n)),
            layers,
            guides: Vec::new(),
        }
    }

    /// Returns the product id of the board in the base of a DU, where the detector description has it.
    fn upi(&self, n: usize) -> String {
        let detector = self.setup.detector.as_ref();
        let upi = detector.and_then(|detector| {
            let base = detector.module_at(self.numbers[n], 0)?;
            detector.upi(base.id)
        });
        upi.map(|upi| format!(" ({upi})")).unwrap_or_default()
    }

    fn table(&self) -> Table {
        let row = |(n, number): (usize, &u32)| {
            let du = &self.dus[n];
            let latest = du.latest;
            let off = du
                .baseline
                .zip(latest)
                .map(|(baseline, (value, _))| value - baseline.median_ps);
            let state = match (latest, self.limit_ps(n)) {
                (None, _) => "no value yet",
                (Some(_), _) if du.missing => "no values",
                (Some(_), _) if du.shifted => "shifted",
                (Some(_), None) => "baseline too young",
                (Some(_), Some(_)) => "stable",
            };
            vec![
                json!(number),
                json!(latest.map(|(value, _)| value)),
                json!(du.baseline.map(|b| b.median_ps)),
                json!(du.baseline.map(|b| b.sigma_ps)),
                json!(off),
                json!(self.limit_ps(n)),
                json!(du.baseline.and_then(|b| b.samples)),
                json!(state),
                json!(latest.map(|(_, at_ms)| text_of_ms(at_ms))),
                json!(du.baseline.map(|b| b.origin.name())),
            ]
        };
        let headings = [
            "DU",
            "RTTC [ps]",
            "median [ps]",
            "sigma [ps]",
            "RTTC - median [ps]",
            "limit [ps]",
            "samples of the median",
            "state",
            "newest value [UTC]",
            "median from",
        ];
        Table {
            columns: headings.map(str::to_owned).to_vec(),
            rows: self.numbers.iter().enumerate().map(row).collect(),
        }
    }

    fn manager_table(&self) -> Table {
        let (in_force, all) = self.manager.subscriptions();
        let mut rows: Vec<(&str, Value)> = vec![
            ("address", self.manager.shown().into()),
            ("subscriptions in force", in_force.into()),
            ("subscriptions wanted", all.into()),
            ("polls", self.manager.polls.into()),
            ("failures", self.manager.failures.into()),
            ("last reason", json!(self.manager.fault())),
        ];
        if let Some(data_base) = &self.data_base {
            rows.push(("data base", data_base.shown().into()));
            rows.push(("its last reason", json!(data_base.fault())));
        }
        let row = |(name, value): (&str, Value)| vec![name.into(), value];
        Table {
            columns: vec!["".into(), "value".into()],
            rows: rows.into_iter().map(row).collect(),
        }
    }
}

/// Returns the panels per row of a grid that is about square.
fn columns(panels: usize) -> u32 {
    (1..=100)
        .find(|n| n * n >= panels.try_into().unwrap_or(u32::MAX))
        .unwrap_or(100)
}
