//! Dashed vertical lines with a text, such as run changes.

use super::canvas::{Canvas, Rect};
use super::frame::Frame;
use super::shapes::Pen;
use super::text::{Anchor, Type};
use super::{MARK_COLOUR, Rgb, parse};

/// A place on the horizontal axis [pixels] with its text.
pub(super) type Place<'a> = (f32, &'a str);

/// Keeps the places that are inside the area.
pub(super) fn inside<'a>(places: impl Iterator<Item = Place<'a>>, area: Rect) -> Vec<Place<'a>> {
    places
        .filter(|(at, _)| (area.left..=area.right).contains(at))
        .collect()
}

fn pen(scale: f32) -> Pen {
    Pen {
        colour: parse(MARK_COLOUR).unwrap_or(Rgb::BLACK),
        width: scale,
        alpha: 0.8,
    }
}

/// Draws the lines.
pub(super) fn lines(canvas: &mut Canvas, area: Rect, places: &[Place<'_>]) {
    let pen = pen(canvas.scale);
    for (at, _) in places {
        canvas.dashes(*at, area.top, area.bottom, pen);
    }
}

/// Writes the texts at half height, leaving out those that would run into each other.
pub(super) fn texts_inside(canvas: &mut Canvas, frame: &Frame, area: Rect, places: &[Place<'_>]) {
    let unit = frame.scale;
    let style = Type::new(12.0 * unit, pen(unit).colour);
    let mut free_from = f32::MIN;
    for (at, text) in places {
        if *at >= free_from {
            let middle = (at + 5.0 * unit, (area.top + area.bottom) / 2.0);
            canvas.turned_text((middle, 60.0), Anchor::LEFT, style.haloed(), text);
            free_from = at + 20.0 * unit;
        }
    }
}

/// Writes the texts above the area, the newest first, leaving out those that would run into each
/// other.
pub(super) fn texts_above(canvas: &mut Canvas, frame: &Frame, area: Rect, places: &[Place<'_>]) {
    let style = Type::new(12.0 * frame.scale, pen(frame.scale).colour);
    let mut free_to = f32::MAX;
    for (at, text) in places.iter().rev() {
        let width = style.width(text);
        let left = (at - width / 2.0).clamp(area.left, (area.right - width).max(area.left));
        if left + width <= free_to {
            let at = (left, area.top - 2.0 * frame.scale);
            canvas.text(at, Anchor(0.0, 1.0), style, text);
            free_to = left - 8.0 * frame.scale;
        }
    }
}
