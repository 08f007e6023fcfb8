//! Curves over time.

use fathom_kernel::view::{Curve, Marker, Series};

use super::axes::{self, Axis};
use super::canvas::{Canvas, Rect};
use super::frame::Frame;
use super::legend::{self, colour_of};
use super::marks::{self, Place};
use super::shapes::{Pen, Point};
use super::{Rgb, ticks};

/// Draws curves.
pub(super) fn draw(canvas: &mut Canvas, frame: &Frame, view: &Series) {
    legend::draw(canvas, frame, &view.curves);
    let room = frame.scale;
    let area = Rect {
        left: frame.inner.left + 70.0 * room,
        top: frame.inner.top,
        right: frame.inner.right - 56.0 * room,
        bottom: frame.inner.bottom - 24.0 * room,
    }
    .crisp();
    let (Some(x), Some(y)) = (time_axis(view, area), value_axis(view, area)) else {
        axes::border(canvas, area);
        return frame.nothing(canvas, "no data yet");
    };
    axes::vertical(canvas, frame, area, y);
    let wanted = f64::from(area.width() / (170.0 * room));
    let times = ticks::time(x.low, x.high, wanted, true);
    axes::horizontal(canvas, frame, area, x, &times.major, true);
    if view.x_minor_ticks {
        axes::horizontal_minor(canvas, frame, area, x, &times.minor);
    }
    axes::vertical_label(canvas, frame, area, &view.y_label);
    let marks = view.marks.iter();
    let marks = marks.map(|mark| -> Place<'_> { (x.pixel(mark.at_ms as f64), &mark.text) });
    let marks = marks::inside(marks, area);
    marks::lines(canvas, area, &marks);
    let around = Rect {
        left: area.left - 5.0 * room,
        top: area.top - 5.0 * room,
        right: area.right + 5.0 * room,
        bottom: area.bottom + 5.0 * room,
    };
    let radius = marker_radius(view, x, room);
    canvas.layer(around, |canvas| {
        for (index, curve) in view.curves.iter().enumerate() {
            let look = (colour_of(curve, index), radius);
            draw_curve(canvas, area, (x, y), &view.times_ms, curve, look);
        }
    });
    marks::texts_inside(canvas, frame, area, &marks);
    axes::border(canvas, area);
}

fn time_axis(view: &Series, area: Rect) -> Option<Axis> {
    let (first, last) = (*view.times_ms.iter().min()?, *view.times_ms.iter().max()?);
    // A single point stands in the middle of a minute.
    let pad = ((last.saturating_sub(first)) as f64 * 0.01).max(if first == last {
        30_000.0
    } else {
        1.0
    });
    Some(Axis {
        low: first as f64 - pad,
        high: last as f64 + pad,
        log: false,
        from: area.left,
        to: area.right,
    })
}

fn value_axis(view: &Series, area: Rect) -> Option<Axis> {
    let values = view.curves.iter().flat_map(|curve| &curve.values).copied();
    let shown = values.filter(|v| v.is_finite() && (!view.y_log || *v > 0.0));
    let (low, high) = shown.fold((f64::MAX, f64::MIN), |(low, high), v| {
        (low.min(v), high.max(v))
    });
    if low > high {
        // Only zeros on a logarithmic axis are data all the same.
        let zeros = view.curves.iter().any(|curve| curve.values.contains(&0.0));
        return (view.y_log && zeros).then(|| axis(0.1, 10.0, true, area));
    }
    if view.y_log {
        let (low, high) = (low / 1.6, high * 1.6);
        // At least one power of ten, so that there are ticks to read.
        let high = high.max(low * 10.0);
        return Some(axis(low, high, true, area));
    }
    // Rates read best above zero, unless they hardly vary.
    let low = if low >= 0.0 && low < 0.7 * high {
        0.0
    } else {
        low
    };
    let span = if high > low {
        high - low
    } else {
        high.abs().max(1.0) * 0.1
    };
    let bottom = if low == 0.0 { 0.0 } else { low - 0.06 * span };
    Some(axis(bottom, high + 0.08 * span, false, area))
}

fn axis(low: f64, high: f64, log: bool, area: Rect) -> Axis {
    Axis {
        low,
        high,
        log,
        from: area.bottom,
        to: area.top,
    }
}

/// Smaller markers where points are close.
fn marker_radius(view: &Series, x: Axis, scale: f32) -> f32 {
    let points = view.times_ms.len().max(2) as f32;
    let spacing = (x.to - x.from) / points;
    (spacing * 0.6).clamp(1.4 * scale, 4.5 * scale)
}

fn draw_curve(
    canvas: &mut Canvas,
    area: Rect,
    (x, y): (Axis, Axis),
    times_ms: &[i64],
    curve: &Curve,
    (colour, radius): (Rgb, f32),
) {
    let scale = canvas.scale;
    // With markers the line only leads the eye.
    let bare = curve.marker == Marker::None;
    let pen = Pen {
        colour,
        width: if bare { 1.6 * scale } else { scale },
        alpha: if bare { 1.0 } else { 0.45 },
    };
    // What a logarithmic axis cannot show lies on its floor, hollow.
    let on_floor = |value: f64| y.log && value <= 0.0;
    let points: Vec<(usize, Point)> = times_ms
        .iter()
        .zip(&curve.values)
        .enumerate()
        .filter(|(_, (_, value))| value.is_finite())
        .map(|(index, (time, value))| {
            let at_y = match on_floor(*value) {
                true => area.bottom,
                false => y.pixel(*value),
            };
            (index, (x.pixel(*time as f64), at_y))
        })
        .collect();
    // A missing value interrupts the line.
    let neighbours = points.iter().zip(points.iter().skip(1));
    for ((before, from), (after, to)) in neighbours {
        if before + 1 == *after {
            canvas.line(*from, *to, pen);
        }
    }
    let errors = &curve.errors;
    for (index, point) in &points {
        let error = errors.get(*index).filter(|e| e.is_finite() && **e > 0.0);
        if let (Some(error), Some(value)) = (error, curve.values.get(*index)) {
            error_bar(canvas, y, *point, (*value, *error), colour);
        }
    }
    for (index, point) in &points {
        canvas.marker(curve.marker, *point, radius, colour);
        let hollow = curve.values.get(*index).is_some_and(|v| on_floor(*v));
        if hollow && radius > 2.0 {
            canvas.marker(curve.marker, *point, radius * 0.5, Rgb::WHITE);
        }
    }
}

fn error_bar(canvas: &mut Canvas, y: Axis, at: Point, (value, error): (f64, f64), colour: Rgb) {
    let pen = Pen {
        colour,
        width: 1.0,
        alpha: 0.55,
    };
    let low = value - error;
    let low = if y.log && low <= 0.0 { y.low } else { low };
    canvas.line((at.0, y.pixel(low)), (at.0, y.pixel(value + error)), pen);
}
