//! What surrounds every picture: title, time, age, losses, and a mark when the value is stale.

use fathom_kernel::{Output, Timestamp};

use super::canvas::{Canvas, Rect};
use super::colour::Rgb;
use super::text::{Anchor, Type};
use super::ticks::grouped;
use crate::lite::duration;

pub(super) const INK: Rgb = Rgb::from_u32(0x22_22_22);
pub(super) const SOFT: Rgb = Rgb::from_u32(0x6B_70_76);
pub(super) const GRID: Rgb = Rgb::from_u32(0xE6_E8_EB);
pub(super) const AXIS: Rgb = Rgb::from_u32(0x80_86_8C);
pub(super) const ALARM: Rgb = Rgb::from_u32(0xB4_04_26);

/// Smallest size of a title against the usual one.
const TITLE_SMALLEST: f32 = 0.6;

/// The room that is left for the value, and the type for it.
pub(super) struct Frame {
    /// Where the value is drawn, with its axes.
    pub(super) inner: Rect,
    /// The line beside the date, for a legend.
    pub(super) legend: Rect,
    /// Type of labels.
    pub(super) label: Type,
    /// Type of small labels.
    pub(super) small: Type,
    /// How large text and lines are.
    pub(super) scale: f32,
}

impl Frame {
    /// Draws the surroundings of an output.
    pub(super) fn draw(
        canvas: &mut Canvas,
        output: &Output,
        updated: Timestamp,
        now: Timestamp,
    ) -> Self {
        let scale = canvas.scale;
        let all = canvas.bounds();
        let pad = 12.0 * scale;
        let title = Type::new(18.0 * scale, INK).bold();
        let label = Type::new(13.0 * scale, INK);
        let small = Type::new(12.0 * scale, SOFT);

        let badge = if output.is_stale(now) {
            badge(canvas, pad)
        } else {
            0.0
        };
        let room = all.width() - 2.0 * pad - badge;
        // A long title is written smaller before it is cut.
        let shrunk = (0.99 * room / title.width(&output.title)).clamp(TITLE_SMALLEST, 1.0);
        let title = Type {
            size: title.size * shrunk,
            ..title
        };
        let text = title.fitted(&output.title, room);
        canvas.text((pad, pad * 0.75), Anchor::TOP_LEFT, title, &text);
        let line = pad * 0.75 + 21.0 * scale;
        let date = updated.strftime("%a %b %e %H:%M:%S %Y UTC").to_string();
        canvas.text((pad, line), Anchor::TOP_LEFT, small, &date);
        let legend = Rect {
            left: pad + small.width(&date) + 2.0 * pad,
            top: line,
            right: all.right - pad,
            bottom: line + 15.0 * scale,
        };
        let foot = all.bottom - pad * 0.6;
        footer(canvas, output, now, (pad, foot), small);
        let inner = Rect {
            left: pad,
            top: legend.bottom + 8.0 * scale,
            right: all.right - pad,
            bottom: foot - 20.0 * scale,
        };
        Self {
            inner,
            legend,
            label,
            small,
            scale,
        }
    }

    /// Writes in the middle that there is nothing to draw.
    pub(super) fn nothing(&self, canvas: &mut Canvas, text: &str) {
        let centre = (
            (self.inner.left + self.inner.right) / 2.0,
            (self.inner.top + self.inner.bottom) / 2.0,
        );
        let style = Type::new(16.0 * self.scale, SOFT);
        canvas.text(centre, Anchor::CENTRE, style, text);
    }
}

/// Draws the mark of a stale value in the corner and returns the width it takes.
fn badge(canvas: &mut Canvas, pad: f32) -> f32 {
    let scale = canvas.scale;
    let style = Type::new(14.0 * scale, Rgb::WHITE).bold();
    let width = style.width("STALE") + 16.0 * scale;
    let all = canvas.bounds();
    let rect = Rect {
        left: all.right - pad - width,
        top: pad * 0.6,
        right: all.right - pad,
        bottom: pad * 0.6 + 21.0 * scale,
    }
    .crisp();
    canvas.fill(rect, ALARM);
    let centre = (
        (rect.left + rect.right) / 2.0,
        (rect.top + rect.bottom) / 2.0,
    );
    canvas.text(centre, Anchor::CENTRE, style, "STALE");
    width + pad
}

fn footer(canvas: &mut Canvas, output: &Output, now: Timestamp, at: (f32, f32), style: Type) {
    let losses = output.losses;
    let stale = output.is_stale(now);
    let age = match output.datum {
        None => "no data yet".to_owned(),
        Some(datum) => format!(
            "newest datum {} UTC, {} old when drawn",
            datum.strftime("%Y-%m-%d %H:%M:%S"),
            duration(now.duration_since(datum).as_secs_f64())
        ),
    };
    let warn = |bad: bool| {
        if bad {
            Type {
                colour: ALARM,
                ..style
            }
        } else {
            style
        }
    };
    let parts = [
        (age, warn(stale)),
        (format!("{} received", grouped(losses.received)), style),
        (
            format!("{} lost", grouped(losses.dropped)),
            warn(losses.dropped > 0),
        ),
        (format!("{} bad", grouped(losses.bad)), warn(losses.bad > 0)),
    ];
    let (mut x, y) = at;
    for (text, style) in parts {
        canvas.text((x, y), Anchor(0.0, 1.0), style, &text);
        x += style.width(&text) + 16.0 * canvas.scale;
    }
}
