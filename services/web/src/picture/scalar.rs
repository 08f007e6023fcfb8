//! One number, large.

use fathom_kernel::view::Scalar;

use super::canvas::Canvas;
use super::frame::{Frame, INK, SOFT};
use super::text::{Anchor, Type};
use super::ticks::value;

/// Draws a number with its unit.
pub(super) fn draw(canvas: &mut Canvas, frame: &Frame, view: &Scalar) {
    let inner = frame.inner;
    let number = value(view.value);
    let size = (inner.height() * 0.7).min(inner.width() * 1.2 / number.len().max(4) as f32);
    let large = Type::new(size, INK).bold();
    let small = Type::new(size * 0.4, SOFT);
    let gap = size * 0.15;
    let width = large.width(&number) + gap + small.width(&view.unit);
    let middle = (inner.top + inner.bottom) / 2.0;
    let left = (inner.left + inner.right - width) / 2.0;
    canvas.text((left, middle), Anchor::LEFT, large, &number);
    let at = (left + large.width(&number) + gap, middle + size * 0.13);
    canvas.text(at, Anchor::LEFT, small, &view.unit);
}
