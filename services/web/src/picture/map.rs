//! One number per place, as coloured dots.

use fathom_kernel::view::Map;

use super::axes::{self, Axis};
use super::canvas::{Canvas, Rect};
use super::colour_bar;
use super::colour_map::Scale;
use super::frame::Frame;
use super::ticks::{Tick, linear};

/// Dots smaller than this are drawn as rectangles that fill their place.
const DOT_MIN: f32 = 3.5;

/// Draws a map.
pub(super) fn draw(canvas: &mut Canvas, frame: &Frame, view: &Map) {
    let scale = Scale::of(&view.colours);
    let unit = frame.scale;
    let area = Rect {
        left: frame.inner.left + 56.0 * unit,
        top: frame.inner.top,
        right: frame.inner.right - colour_bar::ROOM * unit,
        bottom: frame.inner.bottom - 44.0 * unit,
    }
    .crisp();
    colour_bar::draw(canvas, frame, area, &scale, &view.colours.label);
    let (Some(x), Some(y)) = (
        axis(&view.x, area.left, area.right),
        axis(&view.y, area.bottom, area.top),
    ) else {
        axes::border(canvas, area);
        return frame.nothing(canvas, "no places");
    };
    let swatches = colour_bar::off_scale(&scale, view.values.iter().copied());
    colour_bar::swatches(canvas, frame, &swatches);
    axes::vertical_at(canvas, frame, area, y, &whole_ticks(y, frame));
    axes::horizontal(canvas, frame, area, x, &whole_ticks(x, frame), false);
    axes::vertical_label(canvas, frame, area, &view.y_label);
    axes::horizontal_label(canvas, frame, area, &view.x_label);
    canvas.layer(area, |canvas| places(canvas, view, &scale, (x, y)));
    axes::border(canvas, area);
}

/// Returns an axis with half a place of room at both ends.
fn axis(list: &[i32], from: f32, to: f32) -> Option<Axis> {
    let (low, high) = (*list.iter().min()?, *list.iter().max()?);
    Some(Axis {
        low: f64::from(low) - 0.75,
        high: f64::from(high) + 0.75,
        log: false,
        from,
        to,
    })
}

/// Returns ticks at places only, not between them.
fn whole_ticks(axis: Axis, frame: &Frame) -> Vec<Tick> {
    let wanted = f64::from((axis.to - axis.from).abs() / (34.0 * frame.scale));
    let wanted = wanted.min(axis.high - axis.low);
    let ticks = linear(axis.low, axis.high, wanted);
    ticks
        .into_iter()
        .filter(|tick| tick.at.fract() == 0.0)
        .collect()
}

fn places(canvas: &mut Canvas, view: &Map, scale: &Scale, (x, y): (Axis, Axis)) {
    let width = (x.pixel(1.0) - x.pixel(0.0)).abs();
    let height = (y.pixel(1.0) - y.pixel(0.0)).abs();
    let radius = (width.min(height) * 0.42).min(16.0 * canvas.scale);
    for ((at_x, at_y), value) in view.x.iter().zip(&view.y).zip(&view.values) {
        let centre = (x.pixel(f64::from(*at_x)), y.pixel(f64::from(*at_y)));
        let colour = scale.colour(*value);
        if radius >= DOT_MIN {
            // Missing places are drawn a little smaller, as if switched off.
            let radius = if value.is_finite() {
                radius
            } else {
                radius * 0.9
            };
            canvas.disc(centre, radius, colour, 1.0);
            continue;
        }
        let (half_x, half_y) = (width * 0.44, height * 0.44);
        let rect = Rect {
            left: centre.0 - half_x,
            top: centre.1 - half_y,
            right: centre.0 + half_x,
            bottom: centre.1 + half_y,
        };
        canvas.fill(rect.crisp(), colour);
    }
}
