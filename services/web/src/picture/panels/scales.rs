//! Grid lines, ticks and numbers of one panel.

use fathom_kernel::view::{self, AxisScale};

use super::ranges::Bounds;
use crate::picture::axes::Axis;
use crate::picture::canvas::{Canvas, Rect};
use crate::picture::frame::{AXIS, GRID};
use crate::picture::text::{Anchor, Type};
use crate::picture::ticks::{self, Tick};

/// Draws the grid of the horizontal axis and, with the room between panels given, its numbers.
pub(super) fn horizontal(
    canvas: &mut Canvas,
    area: Rect,
    (told, axis): (&view::Axis, Axis),
    style: Type,
    numbers: Option<f32>,
) {
    let room = if told.scale == AxisScale::Time {
        8.0
    } else {
        5.0
    };
    let mut free_from = f32::MIN;
    for tick in ticks_of(told, axis, room * style.size) {
        let x = axis.pixel(tick.at).round();
        if !(area.left - 0.5..=area.right + 0.5).contains(&x) {
            continue;
        }
        let line = Rect {
            left: x,
            right: x + 1.0,
            ..area
        };
        canvas.fill(line, GRID);
        let Some(gap) = numbers else { continue };
        let tick_length = (0.3 * style.size).round();
        let mark = Rect {
            top: area.bottom,
            bottom: area.bottom + tick_length,
            ..line
        };
        canvas.fill(mark, AXIS);
        // A number may stand over half of the gap; a date is left out where it has no room.
        let over = (gap / 2.0).max(style.size);
        let fits = |text: &str| {
            let half = style.width(text) / 2.0;
            let inside = x - half >= area.left - over && x + half <= area.right + over;
            (inside && x - half >= free_from).then_some(half)
        };
        let short = tick.text.rsplit(' ').next().unwrap_or_default();
        let fitting = [tick.text.as_str(), short].into_iter();
        if let Some((text, half)) = fitting.filter_map(|text| Some((text, fits(text)?))).next() {
            let at = (x, area.bottom + tick_length + 1.0);
            canvas.text(at, Anchor::TOP, style, text);
            free_from = x + half + 0.5 * style.size;
        }
    }
}

/// Draws the grid of the vertical axis and its numbers.
pub(super) fn vertical(
    canvas: &mut Canvas,
    area: Rect,
    (told, axis): (&view::Axis, Axis),
    style: Type,
    numbers: bool,
) {
    let mut free_from = f32::MAX;
    for tick in ticks_of(told, axis, 2.4 * style.size) {
        let y = axis.pixel(tick.at).round();
        if !(area.top - 1.0..=area.bottom + 1.0).contains(&y) || y > free_from {
            continue;
        }
        free_from = y - 1.1 * style.size;
        let line = Rect {
            top: y,
            bottom: y + 1.0,
            ..area
        };
        canvas.fill(line, GRID);
        if numbers {
            let mark = Rect {
                left: area.left - 0.3 * style.size,
                right: area.left,
                ..line
            };
            canvas.fill(mark, AXIS);
            let at = (mark.left - 0.2 * style.size, y);
            canvas.text(at, Anchor::RIGHT, style, &tick.text);
        }
    }
}

/// Returns the width of the widest number of a vertical axis, against the height of its text.
pub(super) fn widest(told: &view::Axis, bounds: impl Iterator<Item = Bounds>) -> f32 {
    let style = Type::new(100.0, AXIS);
    let texts = bounds.flat_map(|bounds| {
        let axis = Axis {
            low: bounds.low,
            high: bounds.high,
            log: told.scale == AxisScale::Log,
            from: 0.0,
            to: 120.0,
        };
        ticks_of(told, axis, 30.0)
    });
    let widths = texts.map(|tick| style.width(&tick.text) / style.size);
    widths.fold(0.0, f32::max)
}

/// Returns ticks as far apart as was told, or with about `room` pixels each.
fn ticks_of(told: &view::Axis, axis: Axis, room: f32) -> Vec<Tick> {
    let span = axis.high - axis.low;
    let step = told.tick.filter(|step| *step > 0.0 && step.is_finite());
    let wanted = f64::from((axis.to - axis.from).abs() / room);
    match told.scale {
        AxisScale::Log => ticks::logarithmic(axis.low, axis.high),
        AxisScale::Time => {
            let wanted = step.map_or(wanted, |step| span / step);
            ticks::time(axis.low, axis.high, wanted, false).major
        }
        AxisScale::Linear => {
            let told = step.and_then(|step| ticks::every(axis.low, axis.high, step));
            told.unwrap_or_else(|| ticks::linear(axis.low, axis.high, wanted))
        }
    }
}
