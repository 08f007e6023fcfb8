//! Lines, discs and markers with smooth edges.

use fathom_kernel::view::Marker;

use super::canvas::{Canvas, Rect};
use super::colour::Rgb;

/// A point of the picture.
pub(super) type Point = (f32, f32);

/// Colour and width of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pen {
    pub(super) colour: Rgb,
    pub(super) width: f32,
    pub(super) alpha: f32,
}

impl Canvas {
    /// Draws a straight line with round ends.
    pub(super) fn line(&mut self, from: Point, to: Point, pen: Pen) {
        let reach = pen.width / 2.0 + 1.0;
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length_squared = dx * dx + dy * dy;
        let distance = |x: f32, y: f32| {
            let (px, py) = (x - from.0, y - from.1);
            let along = if length_squared > 0.0 {
                ((px * dx + py * dy) / length_squared).clamp(0.0, 1.0)
            } else {
                0.0
            };
            length(px - along * dx, py - along * dy)
        };
        // Per row or column only the pixels near the line are looked at.
        if dx.abs() >= dy.abs() {
            let slope = if dx == 0.0 { 0.0 } else { dy / dx };
            let reach_y = reach * (1.0 + slope * slope).sqrt();
            for x in self.columns(from.0.min(to.0) - reach, from.0.max(to.0) + reach) {
                let middle = from.1 + (x as f32 + 0.5 - from.0) * slope;
                for y in self.rows(middle - reach_y, middle + reach_y) {
                    self.cover(x, y, distance(x as f32 + 0.5, y as f32 + 0.5), pen);
                }
            }
        } else {
            let slope = dx / dy;
            let reach_x = reach * (1.0 + slope * slope).sqrt();
            for y in self.rows(from.1.min(to.1) - reach, from.1.max(to.1) + reach) {
                let middle = from.0 + (y as f32 + 0.5 - from.1) * slope;
                for x in self.columns(middle - reach_x, middle + reach_x) {
                    self.cover(x, y, distance(x as f32 + 0.5, y as f32 + 0.5), pen);
                }
            }
        }
    }

    fn cover(&mut self, x: usize, y: usize, distance: f32, pen: Pen) {
        let cover = (pen.width / 2.0 + 0.5 - distance)
            .clamp(0.0, 1.0)
            .min(pen.width);
        if cover > 0.0 {
            self.blend(x, y, pen.colour, cover * pen.alpha);
        }
    }

    /// Draws a vertical dashed line, one pixel wide.
    pub(super) fn dashes(&mut self, x: f32, top: f32, bottom: f32, pen: Pen) {
        let (dash, gap) = (6.0 * self.scale, 4.0 * self.scale);
        let mut y = top;
        while y < bottom {
            let rect = Rect {
                left: x.floor(),
                top: y.round(),
                right: x.floor() + pen.width.max(1.0).round(),
                bottom: (y + dash).min(bottom).round(),
            };
            self.tint(rect, pen.colour, pen.alpha);
            y += dash + gap;
        }
    }

    /// Draws a level dashed line, one pixel high.
    pub(super) fn level_dashes(&mut self, y: f32, left: f32, right: f32, pen: Pen) {
        let (dash, gap) = (4.0 * self.scale, 3.0 * self.scale);
        let mut x = left;
        while x < right {
            let rect = Rect {
                left: x.round(),
                top: y.floor(),
                right: (x + dash).min(right).round(),
                bottom: y.floor() + pen.width.max(1.0).round(),
            };
            self.tint(rect, pen.colour, pen.alpha);
            x += dash + gap;
        }
    }

    /// Fills a disc.
    pub(super) fn disc(&mut self, centre: Point, radius: f32, colour: Rgb, alpha: f32) {
        for y in self.rows(centre.1 - radius - 1.0, centre.1 + radius + 1.0) {
            for x in self.columns(centre.0 - radius - 1.0, centre.0 + radius + 1.0) {
                let away = length(x as f32 + 0.5 - centre.0, y as f32 + 0.5 - centre.1);
                let cover = (radius + 0.5 - away).clamp(0.0, 1.0);
                if cover > 0.0 {
                    self.blend(x, y, colour, cover * alpha);
                }
            }
        }
    }

    /// Draws a circle.
    pub(super) fn ring(&mut self, centre: Point, radius: f32, pen: Pen) {
        let reach = radius + pen.width / 2.0 + 1.0;
        for y in self.rows(centre.1 - reach, centre.1 + reach) {
            for x in self.columns(centre.0 - reach, centre.0 + reach) {
                let away = length(x as f32 + 0.5 - centre.0, y as f32 + 0.5 - centre.1);
                self.cover(x, y, (away - radius).abs(), pen);
            }
        }
    }

    /// Fills a convex shape whose corners run clockwise.
    pub(super) fn convex(&mut self, corners: &[Point], colour: Rgb) {
        let (mut low, mut high) = ((f32::MAX, f32::MAX), (f32::MIN, f32::MIN));
        for corner in corners {
            low = (low.0.min(corner.0), low.1.min(corner.1));
            high = (high.0.max(corner.0), high.1.max(corner.1));
        }
        for y in self.rows(low.1 - 1.0, high.1 + 1.0) {
            for x in self.columns(low.0 - 1.0, high.0 + 1.0) {
                let depth = depth_inside(corners, (x as f32 + 0.5, y as f32 + 0.5));
                let cover = (depth + 0.5).clamp(0.0, 1.0);
                if cover > 0.0 {
                    self.blend(x, y, colour, cover);
                }
            }
        }
    }

    /// Draws the marker of a point.
    pub(super) fn marker(&mut self, marker: Marker, (x, y): Point, radius: f32, colour: Rgb) {
        let r = radius;
        match marker {
            Marker::None => {}
            Marker::Diamond => {
                let d = r * 1.2;
                self.convex(&[(x, y - d), (x + d, y), (x, y + d), (x - d, y)], colour);
            }
            Marker::Cross => {
                let pen = Pen {
                    colour,
                    width: (r * 0.7).max(1.2),
                    alpha: 1.0,
                };
                let d = r * 0.85;
                self.line((x - d, y - d), (x + d, y + d), pen);
                self.line((x - d, y + d), (x + d, y - d), pen);
            }
            Marker::Down => {
                self.convex(
                    &[(x - r, y - r * 0.8), (x + r, y - r * 0.8), (x, y + r)],
                    colour,
                );
            }
            Marker::Up => {
                self.convex(
                    &[(x, y - r), (x + r, y + r * 0.8), (x - r, y + r * 0.8)],
                    colour,
                );
            }
        }
    }
}

/// Returns the length of a vector of pixels; `hypot` guards against overflow that cannot happen here,
/// at several times the cost.
fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// Returns how deep inside a convex shape a point lies; negative outside.
fn depth_inside(corners: &[Point], (x, y): Point) -> f32 {
    let next = corners.iter().cycle().skip(1);
    let edges = corners.iter().zip(next);
    edges.fold(f32::MAX, |depth, (a, b)| {
        let (ex, ey) = (b.0 - a.0, b.1 - a.1);
        let edge = length(ex, ey).max(f32::MIN_POSITIVE);
        depth.min((ex * (y - a.1) - ey * (x - a.0)) / edge)
    })
}
