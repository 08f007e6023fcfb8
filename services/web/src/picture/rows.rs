//! Labels of rows beside an image.

use fathom_kernel::view::RowLabel;

use super::canvas::{Canvas, Rect};
use super::frame::{AXIS, Frame, SOFT};
use super::text::{Anchor, Type};

fn style(frame: &Frame) -> Type {
    Type::new(11.0 * frame.scale, SOFT)
}

/// Returns the room that the labels take.
pub(super) fn room(frame: &Frame, labels: &[RowLabel]) -> f32 {
    let unit = frame.scale;
    let widths = labels
        .iter()
        .take(LABELS_MAX)
        .map(|label| style(frame).width(&label.text));
    let most = frame.inner.width() / 3.0;
    widths.fold(20.0 * unit, f32::max).min(most) + 14.0 * unit
}

/// Most labels that are looked at.
const LABELS_MAX: usize = 4_096;

/// Draws ticks and labels of rows; `part` is where in the height of its row a label stands, 0 at its
/// lower side. Labels that would run into each other are left out.
pub(super) fn draw(
    canvas: &mut Canvas,
    frame: &Frame,
    area: Rect,
    (rows, labels): (u32, &[RowLabel]),
    part: f32,
) {
    let style = style(frame);
    let count = rows.max(1) as f32;
    let mut labels: Vec<_> = labels
        .iter()
        .take(LABELS_MAX)
        .filter(|label| label.row < rows)
        .collect();
    labels.sort_by_key(|label| label.row);
    let mut free_from = f32::MAX;
    for label in labels {
        let y = (area.bottom - area.height() * (label.row as f32 + part) / count).round();
        let tick = Rect {
            left: area.left - 5.0 * frame.scale,
            top: y - 1.0,
            right: area.left,
            bottom: y,
        };
        canvas.fill(tick, AXIS);
        if y <= free_from {
            let at = (tick.left - 3.0 * frame.scale, y);
            let text = style.fitted(&label.text, at.0 - frame.inner.left);
            canvas.text(at, Anchor::RIGHT, style, &text);
            free_from = y - 12.0 * frame.scale;
        }
    }
}
