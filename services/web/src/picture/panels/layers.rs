//! The shapes of layers: points, lines, steps, bars and bands.

use fathom_kernel::view::{Layer, Shape};

use crate::picture::axes::Axis;
use crate::picture::canvas::{Canvas, Rect};
use crate::picture::colour::Rgb;
use crate::picture::shapes::{End, Pen, Point, Slab};

/// Largest radius of a point against the usual one.
const RADIUS_MAX: f32 = 12.0;

/// Where the layers of a panel are drawn.
pub(super) struct Plane {
    area: Rect,
    x: Axis,
    y: Axis,
    unit: f32,
    /// Usual radius of a point.
    radius: f32,
}

impl Plane {
    pub(super) fn new(area: Rect, x: Axis, y: Axis, unit: f32) -> Self {
        let side = area.width().min(area.height());
        let radius = (side / 90.0).clamp(1.5, 3.6) * unit.max(1.0);
        Self {
            area,
            x,
            y,
            unit,
            radius,
        }
    }

    /// Returns the places of the points; those that are none are not finite.
    fn points<'a>(&self, layer: &'a Layer) -> impl Iterator<Item = Point> + use<'a> {
        let (x, y) = (self.x, self.y);
        let pairs = layer.x.iter().zip(&layer.y);
        pairs.map(move |(a, b)| (place(x, *a), place(y, *b)))
    }

    /// Returns where bars and steps stand: at zero, or at the bottom.
    fn ground(&self) -> f32 {
        let zero = if self.y.log {
            f32::NAN
        } else {
            self.y.pixel(0.0)
        };
        if zero.is_finite() {
            zero.clamp(self.area.top, self.area.bottom)
        } else {
            self.area.bottom
        }
    }
}

/// Returns the pixel of a number; NaN for what is no number, or has no place on a logarithmic axis.
fn place(axis: Axis, value: f64) -> f32 {
    if value.is_finite() && (!axis.log || value > 0.0) {
        axis.pixel(value)
    } else {
        f32::NAN
    }
}

/// Draws a layer into the clipped area of its panel.
pub(super) fn draw(canvas: &mut Canvas, plane: &Plane, layer: &Layer, colour: Rgb) {
    let pen = Pen {
        colour,
        width: 1.4 * plane.unit.max(0.8),
        alpha: alpha(layer),
    };
    match layer.shape {
        Shape::Disc | Shape::Ring | Shape::Plus | Shape::Cross | Shape::Square => {
            for (index, at) in plane.points(layer).enumerate() {
                let radius = plane.radius * size(layer, index);
                if at.0.is_finite() && at.1.is_finite() && radius > 0.0 {
                    point(canvas, layer.shape, at, radius, pen);
                }
            }
        }
        Shape::Line | Shape::Dashed => line(canvas, plane, layer, pen),
        Shape::Steps => steps(canvas, plane, layer, pen),
        Shape::Bars => bars(canvas, plane, layer, pen),
        Shape::Band => band(canvas, plane, layer, pen),
    }
}

/// Draws how a layer looks, for the legend, about a place.
pub(super) fn sample(canvas: &mut Canvas, (x, y): Point, unit: f32, layer: &Layer, colour: Rgb) {
    let pen = Pen {
        colour,
        width: 1.6 * unit,
        alpha: alpha(layer).max(0.3),
    };
    let half = 9.0 * unit;
    let bar = Rect {
        left: x - half,
        top: y - 5.0 * unit,
        right: x + half,
        bottom: y + 5.0 * unit,
    };
    match layer.shape {
        Shape::Line => canvas.line((x - half, y), (x + half, y), pen),
        Shape::Dashed => {
            let start = (x - half, y);
            dash(canvas, start, (x + half, y), &mut 0.0, (unit, pen));
        }
        Shape::Steps => {
            let low = (y + 3.0 * unit, y - 3.0 * unit);
            canvas.line((x - half, low.0), (x, low.0), pen);
            canvas.line((x, low.0), (x, low.1), pen);
            canvas.line((x, low.1), (x + half, low.1), pen);
        }
        Shape::Bars | Shape::Band => canvas.tint(bar.crisp(), colour, pen.alpha),
        shape => {
            let radius = 3.4 * size(layer, 0).clamp(0.5, 2.2) * unit;
            point(canvas, shape, (x, y), radius, pen);
        }
    }
}

fn alpha(layer: &Layer) -> f32 {
    if layer.alpha.is_nan() {
        1.0
    } else {
        layer.alpha.clamp(0.0, 1.0) as f32
    }
}

/// Returns the radius of a point against the usual one: the root of its area.
fn size(layer: &Layer, index: usize) -> f32 {
    match layer.z.get(index) {
        Some(area) if area.is_finite() => (area.clamp(0.0, 1e6).sqrt() as f32).min(RADIUS_MAX),
        _ => 1.0,
    }
}

fn point(canvas: &mut Canvas, shape: Shape, (x, y): Point, radius: f32, pen: Pen) {
    let reach = radius * 1.25;
    match shape {
        Shape::Ring => canvas.ring((x, y), radius, pen),
        Shape::Plus => {
            canvas.line((x - reach, y), (x + reach, y), pen);
            canvas.line((x, y - reach), (x, y + reach), pen);
        }
        Shape::Cross => {
            let reach = radius * 0.95;
            canvas.line((x - reach, y - reach), (x + reach, y + reach), pen);
            canvas.line((x - reach, y + reach), (x + reach, y - reach), pen);
        }
        Shape::Square => {
            let rect = Rect {
                left: x - radius * 0.9,
                top: y - radius * 0.9,
                right: x + radius * 0.9,
                bottom: y + radius * 0.9,
            };
            canvas.tint(rect.crisp(), pen.colour, pen.alpha);
        }
        _ => canvas.disc((x, y), radius, pen.colour, pen.alpha),
    }
}

/// Connects neighbouring points; a missing one interrupts the line.
fn line(canvas: &mut Canvas, plane: &Plane, layer: &Layer, pen: Pen) {
    let mut last: Option<Point> = None;
    let mut gone = 0.0;
    for at in plane.points(layer) {
        if !(at.0.is_finite() && at.1.is_finite()) {
            last = None;
            continue;
        }
        let part = last.and_then(|from| within(from, at, plane.area));
        if let Some((from, to)) = part {
            if layer.shape == Shape::Dashed {
                dash(canvas, from, to, &mut gone, (plane.unit, pen));
            } else {
                canvas.line(from, to, pen);
            }
        }
        last = Some(at);
    }
}

/// Draws a dashed line; `gone` is the length drawn before it, so that dashes go around corners.
fn dash(canvas: &mut Canvas, from: Point, to: Point, gone: &mut f32, (unit, pen): (f32, Pen)) {
    let (dash, gap) = (6.0 * unit, 4.0 * unit);
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = (dx * dx + dy * dy).sqrt();
    if length <= 0.0 {
        return;
    }
    let at = |along: f32| {
        let part = (along / length).clamp(0.0, 1.0);
        (from.0 + dx * part, from.1 + dy * part)
    };
    let mut start = -(*gone % (dash + gap));
    while start < length {
        if start + dash > 0.0 {
            canvas.line(at(start), at(start + dash), pen);
        }
        start += dash + gap;
    }
    *gone = (*gone + length) % (dash + gap);
}

/// Returns the part of a line inside an area; `None` when it misses it.
fn within(from: Point, to: Point, area: Rect) -> Option<(Point, Point)> {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (mut first, mut last) = (0.0_f32, 1.0_f32);
    let sides = [
        (-dx, from.0 - area.left),
        (dx, area.right - from.0),
        (-dy, from.1 - area.top),
        (dy, area.bottom - from.1),
    ];
    for (step, room) in sides {
        if step == 0.0 {
            if room < 0.0 {
                return None;
            }
        } else if step < 0.0 {
            first = first.max(room / step);
        } else {
            last = last.min(room / step);
        }
    }
    let at = |part: f32| (from.0 + dx * part, from.1 + dy * part);
    (first <= last).then(|| (at(first), at(last)))
}

/// Returns the sides and the height of each bin in pixels; a missing height is NaN.
fn bins<'a>(plane: &Plane, layer: &'a Layer) -> impl Iterator<Item = (f32, f32, f32)> + use<'a> {
    let (x, y, bottom) = (plane.x, plane.y, plane.area.bottom);
    let edges = layer.x.windows(2).zip(&layer.y);
    edges.filter_map(move |(edges, height)| {
        let &[a, b] = edges else { return None };
        let (left, right) = (place(x, a).round(), place(x, b).round());
        // An empty bin stands on the floor of a logarithmic axis.
        let floor = y.log && *height <= 0.0;
        let top = if floor { bottom } else { place(y, *height) };
        (left.is_finite() && right >= left).then_some((left, right, top.round()))
    })
}

fn steps(canvas: &mut Canvas, plane: &Plane, layer: &Layer, pen: Pen) {
    let width = pen.width.round().max(1.0);
    let ground = plane.ground();
    let mut riser = |x: f32, from: f32, to: f32| {
        let rect = Rect {
            left: x,
            top: from.min(to),
            right: x + width,
            bottom: from.max(to),
        };
        canvas.tint(rect, pen.colour, pen.alpha);
    };
    let mut last: Option<(f32, f32)> = None;
    for (left, right, top) in bins(plane, layer) {
        if let Some((at, height)) = last.filter(|(at, _)| top.is_nan() || *at != left) {
            riser(at, height, ground);
            last = None;
        }
        if top.is_nan() {
            continue;
        }
        riser(left, last.map_or(ground, |(_, height)| height), top);
        last = Some((right, top));
    }
    if let Some((at, height)) = last {
        riser(at, height, ground);
    }
    for (left, right, top) in bins(plane, layer).filter(|bin| !bin.2.is_nan()) {
        let rect = Rect {
            left,
            top,
            right: right + width,
            bottom: top + width,
        };
        canvas.tint(rect, pen.colour, pen.alpha);
    }
}

fn bars(canvas: &mut Canvas, plane: &Plane, layer: &Layer, pen: Pen) {
    let ground = plane.ground();
    for (left, right, top) in bins(plane, layer).filter(|bin| !bin.2.is_nan()) {
        // Wide bars stand a little apart.
        let apart = if right - left >= 6.0 { 1.0 } else { 0.0 };
        let rect = Rect {
            left,
            top: top.min(ground),
            right: (right - apart).max(left + 1.0),
            bottom: top.max(ground),
        };
        canvas.tint(rect, pen.colour, pen.alpha);
    }
}

/// Fills between two lines.
fn band(canvas: &mut Canvas, plane: &Plane, layer: &Layer, pen: Pen) {
    let uppers = layer.z.iter().map(|upper| place(plane.y, *upper));
    let mut last: Option<End> = None;
    for ((x, lower), upper) in plane.points(layer).zip(uppers) {
        if !(x.is_finite() && lower.is_finite() && upper.is_finite()) {
            last = None;
            continue;
        }
        let end = End {
            x,
            heights: (lower, upper),
        };
        if let Some(before) = last {
            let (left, right) = if end.x < before.x {
                (end, before)
            } else {
                (before, end)
            };
            canvas.slab(Slab { left, right }, pen);
        }
        last = Some(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Rect = Rect {
        left: 0.0,
        top: 0.0,
        right: 10.0,
        bottom: 10.0,
    };

    #[test]
    fn a_line_is_cut_at_the_sides_of_the_panel() {
        assert_eq!(
            within((-10.0, 5.0), (20.0, 5.0), AREA),
            Some(((0.0, 5.0), (10.0, 5.0)))
        );
        assert_eq!(
            within((1.0, 1.0), (2.0, 2.0), AREA),
            Some(((1.0, 1.0), (2.0, 2.0)))
        );
        assert_eq!(within((-5.0, 8.0), (5.0, -12.0), AREA), None);
        assert_eq!(within((5.0, 20.0), (5.0, 30.0), AREA), None);
        assert!(within((5.0, 5.0), (5.0, 5.0), AREA).is_some());
    }

    #[test]
    fn the_area_of_a_point_grows_with_z() {
        let mut layer = Layer::new(Shape::Disc, "red", vec![0.0; 5], vec![0.0; 5]);
        layer.z = vec![4.0, f64::NAN, -1.0, f64::MAX, 0.25];
        let sizes: Vec<f32> = (0..6).map(|index| size(&layer, index)).collect();
        assert_eq!(sizes, [2.0, 1.0, 0.0, RADIUS_MAX, 0.5, 1.0]);
    }
}
