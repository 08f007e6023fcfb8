//! The line fit of each DU over its z-t-plot: the curve of the model, the hits it was fitted to, and
//! how far from the curve every hit is.

use std::collections::BTreeMap;

use fathom_formats::km3net::CalibratedHit;
use fathom_kernel::view::{Layer, Panel, Shape};

use super::drawing::rounded;
use crate::royfit::LineFit;

const COLOUR: &str = "#C85200";
/// Points of a curve.
const CURVE_STEPS: u32 = 80;

/// The fits of an event, by DU.
pub(super) type Fits = BTreeMap<u32, LineFit>;

/// Where a panel begins in time (ns), and between which heights the curve is drawn (m).
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) from_ns: f64,
    pub(super) ends_m: (f64, f64),
}

/// Returns the residual of a hit, whose time is without slewing as the fit has it (ns).
pub(super) fn residual_ns(fit: &LineFit, hit: &CalibratedHit) -> f64 {
    hit.time_ns - fit.track.arrival_ns(hit.position_m[2])
}

/// Lays a fit over the panel of its DU, whose `hits` are drawn there.
pub(super) fn lay(panel: &mut Panel, fit: &LineFit, hits: &[&CalibratedHit], frame: Frame) {
    let Frame {
        from_ns,
        ends_m: (low_m, high_m),
    } = frame;
    let is_fitted = |hit: &&&CalibratedHit| {
        let same = |own: &&CalibratedHit| {
            own.dom_id == hit.dom_id && own.channel == hit.channel && own.tot_ns == hit.tot_ns
        };
        // Times differ by the slewing, which of two hits of a PMT is the same when both are as long.
        let nearest = |own: &CalibratedHit| (own.time_ns - hit.time_ns).abs() < SLEWING_MAX_NS;
        fit.hits.iter().filter(same).any(nearest)
    };
    let fitted: Vec<_> = hits.iter().filter(is_fitted).collect();
    let x = fitted
        .iter()
        .map(|hit| rounded(hit.time_ns - from_ns, 100.0));
    let y = fitted.iter().map(|hit| rounded(hit.position_m[2], 1000.0));
    let mut crosses = Layer::new(Shape::Cross, COLOUR, x.collect(), y.collect()).named("fitted");
    let note = |hit: &&&CalibratedHit| format!("residual {:.1} ns", residual_ns(fit, hit));
    crosses.notes = fitted.iter().map(note).collect();
    let height = |n: u32| low_m + (high_m - low_m) * f64::from(n) / f64::from(CURVE_STEPS);
    let heights: Vec<f64> = (0..=CURVE_STEPS).map(height).collect();
    let times = heights
        .iter()
        .map(|z_m| fit.track.arrival_ns(*z_m) - from_ns);
    let times = times.map(|time_ns| rounded(time_ns, 100.0)).collect();
    panel.layers.push(crosses);
    panel
        .layers
        .push(Layer::new(Shape::Line, COLOUR, times, heights).named("line fit"));
    panel.title = format!("{}, Q {:.1}", panel.title, fit.q());
}

/// The largest difference that the slewing makes (ns).
const SLEWING_MAX_NS: f64 = 10.0;
