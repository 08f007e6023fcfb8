//! Lines, discs and convex shapes with smooth edges, pixel by pixel.

use super::canvas::Rect;
use super::colour::Rgb;
use super::pixels::Pixels;

/// A point of the picture.
pub(super) type Point = (f32, f32);

/// Colour and width of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pen {
    pub(super) colour: Rgb,
    pub(super) width: f32,
    pub(super) alpha: f32,
}

/// The part of a band between two points, the left one first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slab {
    pub(super) left: End,
    pub(super) right: End,
}

/// Where a part of a band ends: the place, and two heights.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) x: f32,
    pub(super) heights: (f32, f32),
}

impl Slab {
    /// Returns the corners clockwise from the upper left; ends that cross are taken in order.
    pub(super) fn corners(&self) -> [Point; 4] {
        let Self { left, right } = self;
        let upper = |end: &End| (end.x, end.heights.0.min(end.heights.1));
        let lower = |end: &End| (end.x, end.heights.0.max(end.heights.1));
        [upper(left), upper(right), lower(right), lower(left)]
    }
}

impl Pixels {
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

    /// Fills a part of a band, each column of pixels once.
    pub(super) fn slab(&mut self, Slab { left, right }: Slab, pen: Pen) {
        let ((a, b), (c, d)) = (left.heights, right.heights);
        for x in self.columns(left.x.round(), right.x.round()) {
            let part = (x as f32 + 0.5 - left.x) / (right.x - left.x).max(1.0);
            let part = part.clamp(0.0, 1.0);
            let (lower, upper) = (a + (c - a) * part, b + (d - b) * part);
            let rect = Rect {
                left: x as f32,
                top: lower.min(upper).round(),
                right: x as f32 + 1.0,
                bottom: lower.max(upper).round(),
            };
            self.tint(rect, pen.colour, pen.alpha);
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
