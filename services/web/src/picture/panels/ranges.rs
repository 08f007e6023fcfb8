//! From the data of panels to the numbers at both ends of an axis.

use fathom_kernel::view::{Axis, AxisScale, Layer, Panel, Panels, Shape};

use crate::picture::axes;
use crate::picture::canvas::Rect;

/// Larger numbers are outside of every axis; keeps differences of two finite.
const LARGEST: f64 = 1e300;
/// Smaller ones are no places on a logarithmic axis; keeps quotients of two finite.
const SMALLEST_LOG: f64 = 1e-100;
const LARGEST_LOG: f64 = 1e100;

/// One of the two axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    X,
    Y,
}

/// The numbers at both ends of an axis, the lower one first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            low: 1.0,
            high: 10.0,
        }
    }
}

impl Side {
    /// Returns the axis of this side.
    pub(super) fn axis(self, view: &Panels) -> &Axis {
        match self {
            Self::X => &view.x,
            Self::Y => &view.y,
        }
    }

    /// Lays an axis along the side of an area.
    pub(super) fn pixels(self, bounds: Bounds, axis: &Axis, area: Rect) -> axes::Axis {
        let (from, to) = match self {
            Self::X => (area.left, area.right),
            Self::Y => (area.bottom, area.top),
        };
        axes::Axis {
            low: bounds.low,
            high: bounds.high,
            log: axis.scale == AxisScale::Log,
            from,
            to,
        }
    }

    fn numbers(self, layer: &Layer) -> impl Iterator<Item = f64> {
        let (first, second) = match self {
            Self::X => (layer.x.as_slice(), [].as_slice()),
            Self::Y if layer.shape == Shape::Band => (layer.y.as_slice(), layer.z.as_slice()),
            Self::Y => (layer.y.as_slice(), [].as_slice()),
        };
        first.iter().chain(second).copied()
    }
}

/// What the data of an axis reach over.
#[derive(Debug, Clone, Copy)]
struct Extent {
    low: f64,
    high: f64,
    /// There is something else than histograms.
    free: bool,
    /// There are histograms.
    binned: bool,
}

impl Extent {
    fn of(side: Side, scale: AxisScale, panels: &[Panel]) -> Option<Self> {
        let mut extent = Self {
            low: f64::MAX,
            high: f64::MIN,
            free: false,
            binned: false,
        };
        for layer in panels.iter().flat_map(|panel| &panel.layers) {
            let binned = matches!(layer.shape, Shape::Steps | Shape::Bars);
            extent.binned |= binned;
            extent.free |= !binned;
            for value in side.numbers(layer).filter(|v| usable(*v, scale)) {
                extent.low = extent.low.min(value);
                extent.high = extent.high.max(value);
            }
        }
        (extent.low <= extent.high).then_some(extent)
    }

    /// Leaves some room around the data; histograms fill the width and stand on the ground.
    fn padded(self, side: Side, scale: AxisScale) -> Bounds {
        let Self { low, high, .. } = self;
        if scale == AxisScale::Log {
            let (low, high) = match side {
                Side::X if !self.free => (low, high),
                Side::X => (low / 1.2, high * 1.2),
                Side::Y => (low / 2.0, high * 2.0),
            };
            // At least one power of ten, so that there are ticks to read.
            let high = if side == Side::Y {
                high.max(low * 10.0)
            } else {
                high
            };
            return Bounds { low, high };
        }
        let span = high - low;
        let pad = if span > 0.0 {
            span * if side == Side::X { 0.03 } else { 0.06 }
        } else if scale == AxisScale::Time {
            30_000.0
        } else {
            (high.abs() * 0.05).max(0.5)
        };
        let (below, above) = match side {
            Side::X if self.binned && !self.free && span > 0.0 => (0.0, 0.0),
            _ => (pad, pad),
        };
        let grounded = side == Side::Y && self.binned && low >= 0.0;
        Bounds {
            low: if grounded { 0.0 } else { low - below },
            high: high + above,
        }
    }
}

/// Tells whether a number has a place on an axis.
pub(super) fn usable(value: f64, scale: AxisScale) -> bool {
    match scale {
        AxisScale::Log => (SMALLEST_LOG..=LARGEST_LOG).contains(&value),
        AxisScale::Linear | AxisScale::Time => value.abs() <= LARGEST,
    }
}

impl Bounds {
    /// Returns the ends of an axis: those given, the others from the data; `None` without either.
    pub(super) fn of(axis: &Axis, side: Side, panels: &[Panel]) -> Option<Self> {
        let scale = axis.scale;
        let given = |end: Option<f64>| end.filter(|value| usable(*value, scale));
        let found = Extent::of(side, scale, panels).map(|extent| extent.padded(side, scale));
        let (low, high) = match (given(axis.low), given(axis.high), found) {
            (Some(low), Some(high), _) => (low.min(high), low.max(high)),
            (Some(low), None, Some(found)) => (low, found.high),
            (None, Some(high), Some(found)) => (found.low, high),
            (Some(low), None, None) => (low, low),
            (None, Some(high), None) => (high, high),
            (None, None, Some(found)) => (found.low, found.high),
            (None, None, None) => return None,
        };
        if low < high {
            return Some(Self { low, high });
        }
        // Nothing of the data lies on the given side: the axis is there all the same.
        let step = |from: f64, up: bool| match (scale, up) {
            (AxisScale::Log, true) => from * 10.0,
            (AxisScale::Log, false) => from / 10.0,
            (_, true) => from + from.abs().max(1.0),
            (_, false) => from - from.abs().max(1.0),
        };
        Some(if axis.low.is_some() {
            Self {
                low,
                high: step(low, true),
            }
        } else {
            Self {
                low: step(high, false),
                high,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(shape: Shape, x: &[f64], y: &[f64]) -> [Panel; 1] {
        let layers = vec![Layer::new(shape, "red", x.to_vec(), y.to_vec())];
        [Panel {
            layers,
            ..Panel::default()
        }]
    }

    fn bounds(axis: &Axis, side: Side, panels: &[Panel]) -> Option<(f64, f64)> {
        Bounds::of(axis, side, panels).map(|b| (b.low, b.high))
    }

    #[test]
    fn a_histogram_fills_the_width_and_stands_on_the_ground() {
        let panels = panel(Shape::Steps, &[-5.0, 0.0, 5.0], &[50.0, 100.0]);
        let axis = Axis::default();
        assert_eq!(bounds(&axis, Side::X, &panels), Some((-5.0, 5.0)));
        assert_eq!(bounds(&axis, Side::Y, &panels), Some((0.0, 103.0)));
    }

    #[test]
    fn given_ends_win_and_hold_also_without_data() {
        let axis = |low, high| Axis {
            low,
            high,
            ..Axis::default()
        };
        let panels = panel(Shape::Disc, &[0.0, 100.0], &[1.0, 2.0]);
        let x = |axis: &Axis| bounds(axis, Side::X, &panels);
        assert_eq!(x(&axis(Some(10.0), Some(20.0))), Some((10.0, 20.0)));
        assert_eq!(x(&axis(Some(20.0), Some(10.0))), Some((10.0, 20.0)));
        assert_eq!(x(&axis(Some(50.0), None)), Some((50.0, 103.0)));
        assert_eq!(x(&axis(Some(500.0), None)), Some((500.0, 1_000.0)));
        assert_eq!(x(&axis(None, Some(-500.0))), Some((-1_000.0, -500.0)));
        assert_eq!(
            bounds(&axis(Some(2.0), None), Side::X, &[]),
            Some((2.0, 4.0))
        );
        assert_eq!(bounds(&Axis::default(), Side::X, &[]), None);
    }

    #[test]
    fn a_logarithmic_axis_takes_no_notice_of_what_it_cannot_show() {
        let axis = Axis {
            scale: AxisScale::Log,
            ..Axis::default()
        };
        let panels = panel(Shape::Disc, &[1.0; 4], &[0.0, -3.0, f64::INFINITY, 100.0]);
        assert_eq!(bounds(&axis, Side::Y, &panels), Some((50.0, 500.0)));
        let wrong = Axis {
            low: Some(0.0),
            ..axis
        };
        assert_eq!(bounds(&wrong, Side::Y, &panels), Some((50.0, 500.0)));
    }
}
