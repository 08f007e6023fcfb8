//! What pictures are drawn on: pixels for a PNG, or the elements of an SVG, by the same calls.
//!
//! Each call asks once which of the two it is; the loops over pixels are in [`Pixels`] alone.

use fathom_kernel::view::Marker;

use super::colour::Rgb;
use super::pixels::{Crop, Pixels};
use super::shapes::{Pen, Point, Slab};
use super::size::Size;
use super::text::{Anchor, Type};
use super::vector::Vector;

/// A picture in the making.
pub(super) struct Canvas {
    sheet: Sheet,
    bounds: Rect,
    /// How large text and lines are.
    pub(super) scale: f32,
}

enum Sheet {
    Pixels(Pixels),
    Vector(Vector),
}

/// A rectangle; right and bottom are outside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) left: f32,
    pub(super) top: f32,
    pub(super) right: f32,
    pub(super) bottom: f32,
}

impl Rect {
    pub(super) fn width(&self) -> f32 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f32 {
        self.bottom - self.top
    }

    /// Returns the rectangle with whole pixels at its sides, and no less than one pixel large.
    pub(super) fn crisp(self) -> Self {
        let (left, top) = (self.left.round(), self.top.round());
        Self {
            left,
            top,
            right: self.right.round().max(left + 1.0),
            bottom: self.bottom.round().max(top + 1.0),
        }
    }

    /// Returns the part of the rectangle that lies in another one.
    pub(super) fn within(self, all: Self) -> Self {
        Self {
            left: self.left.clamp(all.left, all.right),
            top: self.top.clamp(all.top, all.bottom),
            right: self.right.clamp(all.left, all.right),
            bottom: self.bottom.clamp(all.top, all.bottom),
        }
    }

    /// Returns the whole pixels that another rectangle touches within this one.
    pub(super) fn crop(&self, rect: Rect) -> Crop {
        Crop {
            columns: span(rect.left, rect.right, self.left, self.right),
            rows: span(rect.top, rect.bottom, self.top, self.bottom),
        }
    }
}

impl Canvas {
    /// Makes a white picture of pixels.
    pub(super) fn pixels(size: Size) -> Self {
        Self::on(size, Sheet::Pixels(Pixels::new(size)))
    }

    /// Makes a white picture of elements.
    pub(super) fn vector(size: Size) -> Self {
        Self::on(size, Sheet::Vector(Vector::new(size)))
    }

    fn on(size: Size, sheet: Sheet) -> Self {
        Self {
            sheet,
            bounds: size.bounds(),
            scale: size.scale(),
        }
    }

    /// Returns the whole picture.
    pub(super) fn bounds(&self) -> Rect {
        self.bounds
    }

    /// Returns the pixels, where the picture is made of them.
    pub(super) fn into_pixels(self) -> Option<Pixels> {
        match self.sheet {
            Sheet::Pixels(pixels) => Some(pixels),
            Sheet::Vector(_) => None,
        }
    }

    /// Returns the elements, where the picture is made of them.
    pub(super) fn into_vector(self) -> Option<Vector> {
        match self.sheet {
            Sheet::Pixels(_) => None,
            Sheet::Vector(vector) => Some(vector),
        }
    }

    /// Draws data, only inside a rectangle. In a picture of elements a layer of too many of them
    /// becomes pixels.
    pub(super) fn layer(&mut self, clip: Rect, draw: impl FnOnce(&mut Self)) {
        let clip = clip.within(self.bounds);
        match &mut self.sheet {
            Sheet::Pixels(pixels) => pixels.clip = clip,
            Sheet::Vector(vector) => vector.begin_layer(clip),
        }
        draw(self);
        match &mut self.sheet {
            Sheet::Pixels(pixels) => pixels.clip = self.bounds,
            Sheet::Vector(vector) => vector.end_layer(),
        }
    }

    /// Fills a rectangle of whole pixels.
    pub(super) fn fill(&mut self, rect: Rect, colour: Rgb) {
        match &mut self.sheet {
            Sheet::Pixels(pixels) => pixels.fill(rect, colour),
            Sheet::Vector(vector) => vector.fill(rect, colour, 1.0),
        }
    }

    /// Fills a rectangle of whole pixels, letting some of what is below shine through.
    pub(super) fn tint(&mut self, rect: Rect, colour: Rgb, alpha: f32) {
        match &mut self.sheet {
            Sheet::Pixels(pixels) => pixels.tint(rect, colour, alpha),
            Sheet::Vector(vector) => vector.fill(rect, colour, alpha),
        }
    }

    /// Returns how many columns and rows [`Canvas::raster`] shall be given for an area with so many
    /// cells: the pixels of the area, or for a picture of elements its cells, unless they are too many.
    pub(super) fn cells(&mut self, area: Rect, columns: u64, rows: u64) -> (usize, usize) {
        let pixels = (area.width() as usize, area.height() as usize);
        match &mut self.sheet {
            Sheet::Pixels(_) => pixels,
            Sheet::Vector(vector) => vector.cells(pixels, columns, rows),
        }
    }

    /// Fills an area with rows of colours, the uppermost first, as many as [`Canvas::cells`] said.
    pub(super) fn raster<I: Iterator<Item = Rgb>>(
        &mut self,
        area: Rect,
        (columns, rows): (usize, usize),
        row: impl Fn(usize) -> I,
    ) {
        match &mut self.sheet {
            Sheet::Pixels(pixels) => {
                let (left, top) = (area.left as usize, area.top as usize);
                for y in 0..rows {
                    pixels.put_row(left, top + y, row(y));
                }
            }
            Sheet::Vector(vector) => {
                let mut pixels = Pixels::blank(columns, rows);
                for y in 0..rows {
                    pixels.put_row(0, y, row(y));
                }
                vector.image(area, pixels);
            }
        }
    }

    /// Draws the outline of a rectangle, one pixel wide, just inside it.
    pub(super) fn outline(&mut self, rect: Rect, colour: Rgb) {
        let sides = [
            Rect {
                bottom: rect.top + 1.0,
                ..rect
            },
            Rect {
                top: rect.bottom - 1.0,
                ..rect
            },
            Rect {
                right: rect.left + 1.0,
                ..rect
            },
            Rect {
                left: rect.right - 1.0,
                ..rect
            },
        ];
        for side in sides {
            self.fill(side, colour);
        }
    }

    /// Draws a straight line with round ends.
    pub(super) fn line(&mut self, from: Point, to: Point, pen: Pen) {
        match &mut self.sheet {
            Sheet::Pixels(pixels) => pixels.line(from, to, pen),
            Sheet::Vector(vector) => vector.line(from, to, pen),
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
        match &mut self.sheet {
            Sheet::Pixels(pixels) => pixels.disc(centre, radius, colour, alpha),
            Sheet::Vector(vector) => vector.disc(centre, radius, colour, alpha),
        }
    }

    /// Draws a circle.
    pub(super) fn ring(&mut self, centre: Point, radius: f32, pen: Pen) {
        match &mut self.sheet {
            Sheet::Pixels(pixels) => pixels.ring(centre, radius, pen),
            Sheet::Vector(vector) => vector.ring(centre, radius, pen),
        }
    }

    /// Fills a convex shape whose corners run clockwise.
    pub(super) fn convex(&mut self, corners: &[Point], colour: Rgb) {
        match &mut self.sheet {
            Sheet::Pixels(pixels) => pixels.convex(corners, colour),
            Sheet::Vector(vector) => vector.shape(corners, colour, 1.0),
        }
    }

    /// Fills a part of a band.
    pub(super) fn slab(&mut self, slab: Slab, pen: Pen) {
        match &mut self.sheet {
            Sheet::Pixels(pixels) => pixels.slab(slab, pen),
            Sheet::Vector(vector) => vector.shape(&slab.corners(), pen.colour, pen.alpha),
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

    /// Writes a line of text.
    pub(super) fn text(&mut self, at: Point, anchor: Anchor, style: Type, text: &str) {
        match &mut self.sheet {
            Sheet::Pixels(pixels) => pixels.text(at, anchor, style, text),
            Sheet::Vector(vector) => vector.text(at, anchor, style, text),
        }
    }

    /// Writes a line of text turned counter-clockwise by degrees about the given point. Upright text
    /// lies on whole pixels, so that it stays sharp.
    pub(super) fn turned_text(
        &mut self,
        at: (Point, f32),
        anchor: Anchor,
        style: Type,
        text: &str,
    ) {
        match &mut self.sheet {
            Sheet::Pixels(pixels) => pixels.turned_text(at, anchor, style, text),
            Sheet::Vector(vector) => vector.turned_text(at, anchor, style, text),
        }
    }
}

/// Returns the whole pixels that a span touches within bounds, which are not negative. Conversion
/// rounds towards zero, several times faster than `floor` on processors without it.
pub(super) fn span(from: f32, to: f32, low: f32, high: f32) -> std::ops::Range<usize> {
    let from = from.clamp(low, high) as usize;
    let to = to.clamp(low, high);
    let whole = to as usize;
    let to = whole + usize::from(to > whole as f32);
    from..to.max(from)
}
