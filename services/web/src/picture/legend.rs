//! Names of curves, with their markers, beside the date.

use fathom_kernel::view::{Curve, Marker};

use super::canvas::Canvas;
use super::colour::{Rgb, parse};
use super::frame::Frame;
use super::shapes::Pen;
use super::text::Anchor;
use super::ticks::value;
use super::{PALETTE, Rgb as Colour};

/// Returns the colour of a curve: its own, or by its place.
pub(super) fn colour_of(curve: &Curve, index: usize) -> Colour {
    let [first, ..] = PALETTE;
    let by_place = || PALETTE.get(index % PALETTE.len()).copied().unwrap_or(first);
    parse(&curve.colour)
        .or_else(|| parse(by_place()))
        .unwrap_or(Rgb::BLACK)
}

/// Draws the names with the newest values, from the right; names that do not fit are left out.
pub(super) fn draw(canvas: &mut Canvas, frame: &Frame, curves: &[Curve]) {
    let line = frame.legend;
    let (scale, style) = (frame.scale, frame.label);
    let entries: Vec<(String, f32)> = curves
        .iter()
        .map(|curve| {
            let newest = curve.values.last().copied().unwrap_or(f64::NAN);
            let text = format!("{}  {}", curve.name, value(newest));
            let width = style.width(&text) + 34.0 * scale;
            (text, width)
        })
        .collect();
    let wanted: f32 = entries.iter().map(|(_, width)| width).sum();
    let mut x = (line.right - wanted).max(line.left);
    let y = (line.top + line.bottom) / 2.0;
    for ((index, curve), (text, width)) in curves.iter().enumerate().zip(&entries) {
        if x + width > line.right + 20.0 * scale {
            break;
        }
        let colour = colour_of(curve, index);
        let pen = Pen {
            colour,
            width: 1.5 * scale,
            alpha: if curve.marker == Marker::None {
                1.0
            } else {
                0.6
            },
        };
        canvas.line((x, y), (x + 16.0 * scale, y), pen);
        canvas.marker(curve.marker, (x + 8.0 * scale, y), 4.0 * scale, colour);
        canvas.text((x + 21.0 * scale, y), Anchor::LEFT, style, text);
        x += width;
    }
}
