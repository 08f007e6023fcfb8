//! Counts per bin, as a step line over a filled area.

use fathom_kernel::view::Histogram;

use super::axes::{self, Axis};
use super::canvas::{Canvas, Rect};
use super::frame::Frame;
use super::text::Anchor;
use super::ticks::{grouped, value};
use super::{PALETTE, Rgb, parse};

/// Draws a histogram.
pub(super) fn draw(canvas: &mut Canvas, frame: &Frame, view: &Histogram) {
    let unit = frame.scale;
    let area = Rect {
        left: frame.inner.left + 74.0 * unit,
        top: frame.inner.top,
        right: frame.inner.right - 60.0 * unit,
        bottom: frame.inner.bottom - 44.0 * unit,
    }
    .crisp();
    summary(canvas, frame, view);
    let Some((x, y)) = axes_of(view, area) else {
        axes::border(canvas, area);
        return frame.nothing(canvas, "no data yet");
    };
    axes::vertical(canvas, frame, area, y);
    axes::horizontal(canvas, frame, area, x, &x.ticks(80.0 * unit), true);
    axes::vertical_label(canvas, frame, area, &view.y_label);
    axes::horizontal_label(canvas, frame, area, &view.x_label);
    canvas.layer(area, |canvas| steps(canvas, area, view, (x, y)));
    axes::border(canvas, area);
}

fn axes_of(view: &Histogram, area: Rect) -> Option<(Axis, Axis)> {
    let (low, high) = (*view.edges.first()?, *view.edges.last()?);
    let counts = || {
        view.counts
            .iter()
            .copied()
            .filter(|count| count.is_finite())
    };
    let most = counts().fold(0.0, f64::max);
    if !(low.is_finite() && high > low && high.is_finite() && most > 0.0) {
        return None;
    }
    let least = counts().filter(|count| *count > 0.0).fold(most, f64::min);
    let x = Axis {
        low,
        high,
        log: false,
        from: area.left,
        to: area.right,
    };
    let y = Axis {
        low: if view.y_log { least / 2.0 } else { 0.0 },
        high: if view.y_log {
            (most * 2.0).max(least * 5.0)
        } else {
            most * 1.08
        },
        log: view.y_log,
        from: area.bottom,
        to: area.top,
    };
    Some((x, y))
}

fn steps(canvas: &mut Canvas, area: Rect, view: &Histogram, (x, y): (Axis, Axis)) {
    let [first, ..] = PALETTE;
    let colour = parse(first).unwrap_or(Rgb::BLACK);
    let width = (1.6 * canvas.scale).round().max(1.0);
    let bars: Vec<Rect> = bars(view, area, (x, y)).collect();
    for bar in &bars {
        canvas.tint(*bar, colour, 0.18);
    }
    let mut last = area.bottom;
    for bar in bars {
        let riser = Rect {
            top: bar.top.min(last),
            right: bar.left + width,
            bottom: bar.top.max(last),
            ..bar
        };
        canvas.fill(riser, colour);
        let step = Rect {
            right: bar.right + width,
            bottom: bar.top + width,
            ..bar
        };
        canvas.fill(step, colour);
        last = bar.top;
    }
}

/// Returns the pixels of each bin, from its count down to the axis.
fn bars(view: &Histogram, area: Rect, (x, y): (Axis, Axis)) -> impl Iterator<Item = Rect> {
    let bins = view.edges.windows(2).zip(&view.counts);
    bins.filter_map(move |(edges, count)| {
        let &[left, right] = edges else { return None };
        let (left, right) = (x.pixel(left).round(), x.pixel(right).round());
        let empty = !count.is_finite() || *count <= 0.0;
        let top = if empty {
            area.bottom
        } else {
            y.pixel(*count).round()
        };
        (left.is_finite() && right >= left).then_some(Rect {
            left,
            top,
            right,
            bottom: area.bottom,
        })
    })
}

/// Writes entries, mean and width, computed from the bins, and what lies outside.
fn summary(canvas: &mut Canvas, frame: &Frame, view: &Histogram) {
    let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
    for (edges, count) in view.edges.windows(2).zip(&view.counts) {
        let &[left, right] = edges else { continue };
        let middle = (left + right) / 2.0;
        if count.is_finite() {
            sum += count;
            first += count * middle;
            second += count * middle * middle;
        }
    }
    let mean = first / sum;
    let rms = (second / sum - mean * mean).max(0.0).sqrt();
    let text = format!(
        "entries {}   mean {}   rms {}   below {}   above {}",
        count(sum),
        value(mean),
        value(rms),
        count(view.underflow),
        count(view.overflow)
    );
    let at = (
        frame.legend.right,
        (frame.legend.top + frame.legend.bottom) / 2.0,
    );
    let text = frame.small.fitted(&text, frame.legend.width());
    canvas.text(at, Anchor::RIGHT, frame.small, &text);
}

/// Writes a count; weighted ones may have a fraction.
fn count(number: f64) -> String {
    if number.fract() == 0.0 && (0.0..1e15).contains(&number) {
        grouped(number as u64)
    } else {
        value(number)
    }
}
