//! A plot area with axes: from values to pixels, ticks, grid, labels.

use super::canvas::{Canvas, Rect};
use super::frame::{AXIS, Frame, GRID};
use super::text::Anchor;
use super::ticks::{Tick, linear, logarithmic, logarithmic_minor};

/// One axis: a range of values along a range of pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) log: bool,
    /// Pixel of `low`.
    pub(super) from: f32,
    /// Pixel of `high`.
    pub(super) to: f32,
}

impl Axis {
    /// Returns the pixel of a value; not finite for values that have none.
    pub(super) fn pixel(&self, value: f64) -> f32 {
        let fraction = if self.log {
            (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln())
        } else {
            (value - self.low) / (self.high - self.low)
        };
        // Far outside is as good as outside; keeps arithmetic on pixels finite.
        self.from + (self.to - self.from) * fraction.clamp(-10.0, 11.0) as f32
    }

    /// Returns ticks that leave about `room` pixels each.
    pub(super) fn ticks(&self, room: f32) -> Vec<Tick> {
        if self.log {
            return logarithmic(self.low, self.high);
        }
        linear(
            self.low,
            self.high,
            f64::from((self.to - self.from).abs() / room),
        )
    }
}

/// Draws grid lines and labels of a vertical axis at both sides of the area.
pub(super) fn vertical(canvas: &mut Canvas, frame: &Frame, area: Rect, axis: Axis) {
    if axis.log {
        for at in logarithmic_minor(axis.low, axis.high) {
            canvas.tint(level(area, axis.pixel(at).round()), GRID, 0.5);
        }
    }
    let ticks = axis.ticks(34.0 * frame.scale);
    vertical_at(canvas, frame, area, axis, &ticks);
    for tick in &ticks {
        let at = (area.right + 6.0 * frame.scale, axis.pixel(tick.at).round());
        canvas.text(at, Anchor::LEFT, frame.label, &tick.text);
    }
}

/// Draws grid lines and labels at the left of the area at the ticks given.
pub(super) fn vertical_at(
    canvas: &mut Canvas,
    frame: &Frame,
    area: Rect,
    axis: Axis,
    ticks: &[Tick],
) {
    for tick in ticks {
        let y = axis.pixel(tick.at).round();
        if (area.top - 1.0..=area.bottom + 1.0).contains(&y) {
            canvas.fill(level(area, y), GRID);
            let at = (area.left - 6.0 * frame.scale, y);
            canvas.text(at, Anchor::RIGHT, frame.label, &tick.text);
        }
    }
}

fn level(area: Rect, y: f32) -> Rect {
    Rect {
        top: y,
        bottom: y + 1.0,
        ..area
    }
}

/// Draws ticks with labels below the area, leaving out labels that would run into each other or
/// over the sides of the picture.
pub(super) fn horizontal(
    canvas: &mut Canvas,
    frame: &Frame,
    area: Rect,
    axis: Axis,
    ticks: &[Tick],
    grid: bool,
) {
    let tick_length = 5.0 * frame.scale;
    let all = canvas.bounds();
    let mut free_from = 0.0;
    for tick in ticks {
        let x = axis.pixel(tick.at).round();
        if x < area.left - 0.5 || x > area.right + 0.5 {
            continue;
        }
        if grid {
            canvas.fill(
                Rect {
                    left: x,
                    right: x + 1.0,
                    ..area
                },
                GRID,
            );
        }
        canvas.fill(below(area, x, tick_length), AXIS);
        let half = frame.label.width(&tick.text) / 2.0;
        if x - half >= free_from && x + half <= all.right {
            let at = (x, area.bottom + tick_length + 2.0);
            canvas.text(at, Anchor::TOP, frame.label, &tick.text);
            free_from = x + half + 8.0 * frame.scale;
        }
    }
}

/// Draws short ticks without labels below the area.
pub(super) fn horizontal_minor(
    canvas: &mut Canvas,
    frame: &Frame,
    area: Rect,
    axis: Axis,
    ticks: &[f64],
) {
    for at in ticks {
        let x = axis.pixel(*at).round();
        if (area.left..=area.right).contains(&x) {
            canvas.fill(below(area, x, 3.0 * frame.scale), AXIS);
        }
    }
}

fn below(area: Rect, x: f32, length: f32) -> Rect {
    Rect {
        left: x,
        top: area.bottom,
        right: x + 1.0,
        bottom: area.bottom + length,
    }
}

/// Writes the label of the vertical axis, turned, at the left side of the picture.
pub(super) fn vertical_label(canvas: &mut Canvas, frame: &Frame, area: Rect, text: &str) {
    let at = (
        frame.inner.left + 7.0 * frame.scale,
        (area.top + area.bottom) / 2.0,
    );
    let text = frame.label.fitted(text, area.height() * 1.15);
    canvas.turned_text((at, 90.0), Anchor::CENTRE, frame.label, &text);
}

/// Writes the label of the horizontal axis under its ticks.
pub(super) fn horizontal_label(canvas: &mut Canvas, frame: &Frame, area: Rect, text: &str) {
    let at = (
        (area.left + area.right) / 2.0,
        area.bottom + 23.0 * frame.scale,
    );
    canvas.text(at, Anchor::TOP, frame.label, text);
}

/// Draws the border of the area.
pub(super) fn border(canvas: &mut Canvas, area: Rect) {
    let around = Rect {
        left: area.left - 1.0,
        top: area.top - 1.0,
        right: area.right + 1.0,
        bottom: area.bottom + 1.0,
    };
    canvas.outline(around, AXIS);
}
