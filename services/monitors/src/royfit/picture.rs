//! The picture of a fitted event: time against height, in the colours of the DUs.

use std::collections::BTreeMap;

use fathom_formats::detx::Detector;
use fathom_formats::km3net::{CalibratedHit, slew_ns};
use fathom_kernel::view::{Axis, Layer, Panel, Panels, Shape};

use super::fit::LineFit;
use crate::ztplot::drawing::{columns_of, height_ends_m, rounded};

/// km3mon's palette.
const PALETTE: [&str; 10] = [
    "#006BA4", "#FF800E", "#ABABAB", "#595959", "#5F9ED1", "#C85200", "#898989", "#A2C8EC",
    "#FFBC79", "#CFCFCF",
];
/// Points of a model curve.
const CURVE_STEPS: u32 = 80;
/// Hits that did not trigger are left out of a picture with more of them.
const DOTS_MAX: usize = 20_000;
/// Area of the dots, in units of the usual one.
const DOT_AREA: f64 = 0.2;

/// Returns the colour of the DU that comes at this place.
pub(super) fn colour(place: usize) -> &'static str {
    PALETTE[place % PALETTE.len()]
}

/// A fitted event that is to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Drawn {
    pub(super) title: String,
    /// Time of the first triggered hit, where the time axis begins (ns).
    pub(super) from_ns: f64,
    /// Hits of the DUs with triggered hits, by DU.
    pub(super) hits: Vec<CalibratedHit>,
    pub(super) fits: Vec<(u32, LineFit)>,
}

/// How pictures are laid out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Paper {
    /// Ends of the height axis (m).
    low_m: f64,
    high_m: f64,
    /// One panel per DU.
    split_dus: bool,
}

impl Paper {
    pub(super) fn new(detector: &Detector, split_dus: bool) -> Self {
        let (low_m, high_m) = height_ends_m(detector).unwrap_or((0.0, 10.0));
        Self {
            low_m,
            high_m,
            split_dus,
        }
    }

    pub(super) fn draw(&self, drawn: &Drawn) -> Panels {
        let mut by_du: BTreeMap<u32, &[CalibratedHit]> = BTreeMap::new();
        for hits in drawn.hits.chunk_by(|a, b| a.place.du == b.place.du) {
            by_du.extend(hits.first().map(|hit| (hit.place.du, hits)));
        }
        let dots = drawn.hits.len() <= DOTS_MAX;
        let fits = drawn.fits.iter().enumerate();
        let mut panels: Vec<Panel> = fits
            .map(|(place, (du, fit))| Panel {
                title: format!("DU {du}, Q {:.1}", fit.q()),
                layers: self.layers(
                    (drawn.from_ns, dots),
                    by_du.get(du).copied().unwrap_or_default(),
                    (*du, fit),
                    colour(place),
                ),
                guides: Vec::new(),
            })
            .collect();
        if !self.split_dus {
            panels = vec![Panel {
                title: String::new(),
                layers: panels.into_iter().flat_map(|panel| panel.layers).collect(),
                guides: Vec::new(),
            }];
        }
        Panels {
            columns: columns_of(panels.len()),
            x: Axis {
                label: "time [ns]".into(),
                ..Axis::default()
            },
            y: Axis {
                label: "z [m]".into(),
                low: Some(self.low_m),
                high: Some(self.high_m),
                ..Axis::default()
            },
            panels,
        }
    }

    /// All hits, triggered ones, selected ones, and the curve of the model.
    fn layers(
        &self,
        (from_ns, dots): (f64, bool),
        hits: &[CalibratedHit],
        (du, fit): (u32, &LineFit),
        colour: &str,
    ) -> Vec<Layer> {
        let layer = |shape, name: &str, hits: &mut dyn Iterator<Item = &CalibratedHit>| {
            let hits: Vec<_> = hits.collect();
            let x = hits.iter().map(|hit| rounded(hit.time_ns - from_ns, 100.0));
            let y = hits.iter().map(|hit| rounded(hit.position_m[2], 1000.0));
            let layer = Layer::new(shape, colour, x.collect(), y.collect()).named(name);
            let notes = hits.iter().map(|hit| note(hit, fit)).collect();
            Layer { notes, ..layer }
        };
        let mut layers = Vec::new();
        if dots {
            let mut all = layer(Shape::Disc, "hits", &mut hits.iter());
            all.alpha = 0.5;
            all.z = vec![DOT_AREA; all.x.len()];
            layers.push(all);
        }
        let mut triggered = hits.iter().filter(|hit| hit.is_triggered);
        layers.push(layer(Shape::Ring, "triggered hits", &mut triggered));
        layers.push(layer(Shape::Cross, "selected hits", &mut fit.hits.iter()));
        let step = |n: u32| {
            let share = f64::from(n) / f64::from(CURVE_STEPS);
            self.low_m + (self.high_m - self.low_m) * share
        };
        let z: Vec<f64> = (0..=CURVE_STEPS).map(step).collect();
        let times = z.iter().map(|&z_m| fit.track.arrival_ns(z_m) - from_ns);
        let times = times.map(|time_ns| rounded(time_ns, 100.0)).collect();
        let name = format!("DU {du}");
        layers.push(Layer::new(Shape::Line, colour, times, z).named(name));
        layers
    }
}

fn note(hit: &CalibratedHit, fit: &LineFit) -> String {
    let residual_ns = hit.time_ns - fit.track.arrival_ns(hit.position_m[2]);
    format!(
        "DOM {} ({}) channel {}, tot {} ns, residual {residual_ns:.1} ns, less slewing {:.1} ns",
        hit.dom_id,
        hit.place,
        hit.channel,
        hit.tot_ns,
        residual_ns - slew_ns(hit.tot_ns)
    )
}
