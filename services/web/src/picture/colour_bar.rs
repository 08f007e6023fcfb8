//! The colour bar: which colour stands for which value.

use super::axes::{self, Axis};
use super::canvas::{Canvas, Rect};
use super::colour_map::Scale;
use super::frame::{AXIS, Frame};
use super::text::Anchor;

/// Room that a colour bar takes at the right, in units of the scale.
pub(super) const ROOM: f32 = 104.0;

/// Colours of a map.
const COLOURS: u64 = 256;

/// A colour with what it means, for values off the scale.
pub(super) struct Swatch {
    pub(super) colour: super::Rgb,
    pub(super) text: String,
}

/// Draws the bar at the right of an area, with swatches of special colours in the legend line.
pub(super) fn draw(canvas: &mut Canvas, frame: &Frame, area: Rect, scale: &Scale, label: &str) {
    let unit = frame.scale;
    let bar = tips(canvas, area, scale, unit);
    let (columns, rows) = canvas.cells(bar, 1, COLOURS);
    canvas.raster(bar, (columns, rows), |row| {
        let fraction = 1.0 - (row as f32 + 0.5) / rows as f32;
        std::iter::repeat_n(scale.at(f64::from(fraction)), columns)
    });
    let widest = ticks(canvas, frame, bar, scale);
    axes::border(canvas, bar);
    let beside = bar.right + widest + 18.0 * unit;
    let edge = frame.inner.right - 7.0 * unit;
    let at = (beside.min(edge), (area.top + area.bottom) / 2.0);
    canvas.turned_text((at, 90.0), Anchor::CENTRE, frame.label, label);
}

/// Draws tips for values beyond the bar, in their own colours, and returns the room between them.
fn tips(canvas: &mut Canvas, area: Rect, scale: &Scale, unit: f32) -> Rect {
    let tip = 12.0 * unit;
    let mut bar = Rect {
        left: area.right + 16.0 * unit,
        top: area.top,
        right: area.right + 34.0 * unit,
        bottom: area.bottom,
    }
    .crisp();
    let middle = (bar.left + bar.right) / 2.0;
    if let Some(over) = scale.over() {
        bar.top += tip;
        let corners = [
            (middle, area.top),
            (bar.right, bar.top),
            (bar.left, bar.top),
        ];
        canvas.convex(&corners, over);
    }
    if let Some(under) = scale.under() {
        bar.bottom -= tip;
        let left = (bar.left, bar.bottom);
        canvas.convex(
            &[left, (bar.right, bar.bottom), (middle, area.bottom)],
            under,
        );
    }
    bar.crisp()
}

/// Draws the ticks and returns the width of the widest label.
fn ticks(canvas: &mut Canvas, frame: &Frame, bar: Rect, scale: &Scale) -> f32 {
    let unit = frame.scale;
    let (low, high) = scale.bounds();
    let axis = Axis {
        low,
        high,
        log: scale.is_log(),
        from: bar.bottom,
        to: bar.top,
    };
    let mut widest = 0.0_f32;
    for tick in axis.ticks(40.0 * unit) {
        let y = axis.pixel(tick.at).round();
        let line = Rect {
            left: bar.right,
            top: y,
            right: bar.right + 4.0 * unit,
            bottom: y + 1.0,
        };
        canvas.fill(line, AXIS);
        let at = (bar.right + 7.0 * unit, y);
        canvas.text(at, Anchor::LEFT, frame.label, &tick.text);
        widest = widest.max(frame.label.width(&tick.text));
    }
    widest
}

/// Draws swatches with their meanings in the legend line, from the right.
pub(super) fn swatches(canvas: &mut Canvas, frame: &Frame, list: &[Swatch]) {
    let (line, unit) = (frame.legend, frame.scale);
    let side = 11.0 * unit;
    let width = |swatch: &Swatch| frame.small.width(&swatch.text) + side + 20.0 * unit;
    let wanted: f32 = list.iter().map(width).sum();
    let mut x = (line.right - wanted + 16.0 * unit).max(line.left);
    let y = (line.top + line.bottom) / 2.0;
    for swatch in list {
        if x + width(swatch) > line.right + 20.0 * unit {
            break;
        }
        let square = Rect {
            left: x,
            top: y - side / 2.0,
            right: x + side,
            bottom: y + side / 2.0,
        }
        .crisp();
        canvas.fill(square, swatch.colour);
        canvas.outline(square, AXIS);
        canvas.text(
            (x + side + 5.0 * unit, y),
            Anchor::LEFT,
            frame.small,
            &swatch.text,
        );
        x += width(swatch);
    }
}

/// Returns swatches for what lies off the scale, with how often it occurs.
pub(super) fn off_scale(scale: &Scale, values: impl Iterator<Item = f64>) -> Vec<Swatch> {
    let (low, high) = scale.bounds();
    let (mut missing, mut under, mut over) = (0_u64, 0_u64, 0_u64);
    for value in values {
        if !value.is_finite() || (scale.is_log() && value <= 0.0) {
            missing += 1;
        } else if value < low {
            under += 1;
        } else if value > high {
            over += 1;
        }
    }
    let counted = |colour, what: String, count: u64| Swatch {
        colour,
        text: format!("{what}: {count}"),
    };
    let mut list = vec![counted(scale.missing(), "missing".to_owned(), missing)];
    if let Some(colour) = scale.under() {
        list.push(counted(colour, format!("< {}", plain(low)), under));
    }
    if let Some(colour) = scale.over() {
        list.push(counted(colour, format!("> {}", plain(high)), over));
    }
    list
}

/// Writes a bound as short as it is.
fn plain(value: f64) -> String {
    if value.abs() < 1e7 {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}
