//! The elements of an SVG picture: shapes of one look in a row are one path, text is text, images
//! are small pixels, and what gets too much is handed back to the raster.

mod file;
mod xml;

use super::canvas::Rect;
use super::colour::Rgb;
use super::pixels::{Crop, Pixels};
use super::shapes::{Pen, Point};
use super::size::Size;
use super::text::{Anchor, Type};
use xml::Text;

/// Most shapes of all layers; a line through many points is one, a rectangle in a path is one.
const SHAPES_MAX: usize = 100_000;
/// Most bytes of all layers.
const BYTES_MAX: usize = 4 << 20;
/// Most cells of an image, where there are more cells than pixels.
const CELLS_MAX: u64 = 4_000_000;

/// A picture of elements.
pub(super) struct Vector {
    bounds: Rect,
    clip: Rect,
    /// The elements so far, with a path that may not be closed yet.
    body: Text,
    open: Option<Path>,
    shapes: usize,
    clips: usize,
    images: Vec<Image>,
    layer: Option<Layer>,
    /// Too much was drawn outside of all layers.
    full: bool,
    /// Images with fewer cells than their data have.
    coarse: usize,
}

/// A path that is being written.
struct Path {
    look: Look,
    /// Where a line could be continued.
    end: Option<Point>,
}

/// How a path looks. Rectangles of whole pixels are drawn without smooth edges.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Look {
    Blocks { colour: Rgb, alpha: f32 },
    Filled { colour: Rgb, alpha: f32 },
    Drawn(Pen),
}

/// A layer that is being drawn, and how much there was before it.
struct Layer {
    bytes: usize,
    shapes: usize,
    clips: usize,
    /// Too much was drawn in it.
    full: bool,
}

/// Pixels among the elements.
struct Image {
    /// Before which byte of the elements.
    before: usize,
    source: Source,
}

enum Source {
    /// A part of the picture itself, as the raster draws it.
    Picture(Crop),
    /// A PNG file over an area.
    Cells(Rect, Vec<u8>),
}

impl Vector {
    /// Makes an empty picture.
    pub(super) fn new(size: Size) -> Self {
        Self {
            bounds: size.bounds(),
            clip: size.bounds(),
            body: Text::default(),
            open: None,
            shapes: 0,
            clips: 0,
            images: Vec::new(),
            layer: None,
            full: false,
            coarse: 0,
        }
    }

    /// Draws only inside a rectangle, until [`Vector::end_layer`]. Layers do not contain each other.
    pub(super) fn begin_layer(&mut self, clip: Rect) {
        self.close();
        self.layer = Some(Layer {
            bytes: self.body.len(),
            shapes: self.shapes,
            clips: self.clips,
            full: false,
        });
        self.clip = clip;
        self.clips += 1;
        let name = self.clips;
        let body = &mut self.body;
        body.raw("<clipPath id=\"clip")
            .whole(name)
            .raw("\"><path d=\"");
        body.block(&self.bounds.crop(clip)).raw("\"/></clipPath>");
        body.raw("<g clip-path=\"url(#clip").whole(name).raw(")\">");
    }

    /// Ends a layer; with more than a picture of elements shall hold it becomes pixels.
    pub(super) fn end_layer(&mut self) {
        self.close();
        let Some(layer) = self.layer.take() else {
            return;
        };
        if layer.full || self.shapes == layer.shapes {
            self.body.truncate(layer.bytes);
            self.shapes = layer.shapes;
            self.clips = layer.clips;
        } else {
            self.body.raw("</g>");
        }
        let crop = self.bounds.crop(self.clip);
        if layer.full && !crop.is_empty() {
            self.images.push(Image {
                before: layer.bytes,
                source: Source::Picture(crop),
            });
        }
        self.clip = self.bounds;
    }

    /// Tells whether there is room for more, and counts the shapes. What is in no layer may take as
    /// much again as all layers.
    fn takes(&mut self, shapes: usize) -> bool {
        let times = if self.layer.is_some() { 1 } else { 2 };
        let full = self.shapes >= times * SHAPES_MAX || self.body.len() >= times * BYTES_MAX;
        match &mut self.layer {
            Some(layer) => layer.full |= full,
            None => self.full |= full,
        }
        self.shapes += if full { 0 } else { shapes };
        !full
    }

    /// Tells whether something between two corners can be seen; numbers that are none cannot.
    fn sees(&self, low: Point, high: Point) -> bool {
        let clip = self.clip;
        low.0 <= clip.right && high.0 >= clip.left && low.1 <= clip.bottom && high.1 >= clip.top
    }

    /// Fills a rectangle of whole pixels.
    pub(super) fn fill(&mut self, rect: Rect, colour: Rgb, alpha: f32) {
        let crop = self.clip.crop(rect);
        if !crop.is_empty() && alpha > 0.0 && self.takes(1) {
            self.path(Look::Blocks { colour, alpha });
            self.body.block(&crop);
        }
    }

    /// Draws a straight line with round ends; one that begins where the last one ended continues it.
    pub(super) fn line(&mut self, from: Point, to: Point, pen: Pen) {
        let reach = pen.width / 2.0 + 1.0;
        let low = (from.0.min(to.0) - reach, from.1.min(to.1) - reach);
        let high = (from.0.max(to.0) + reach, from.1.max(to.1) + reach);
        let whole = [from.0, from.1, to.0, to.1].iter().all(|n| n.is_finite());
        if !(whole && self.sees(low, high) && pen.alpha > 0.0) {
            return;
        }
        let look = Look::Drawn(pen);
        let open = self.open.as_ref().filter(|path| path.look == look);
        let continued = open.is_some_and(|path| path.end == Some(from));
        if !self.takes(usize::from(!continued)) {
            return;
        }
        self.path(look);
        if !continued {
            self.body.raw("M").point(from);
        }
        self.body.raw("L").point(to);
        if let Some(path) = &mut self.open {
            path.end = Some(to);
        }
    }

    /// Fills a disc.
    pub(super) fn disc(&mut self, centre: Point, radius: f32, colour: Rgb, alpha: f32) {
        if alpha > 0.0 && self.circle(centre, radius, radius) {
            self.body.paint("fill", colour, alpha).raw("/>");
        }
    }

    /// Draws a circle.
    pub(super) fn ring(&mut self, centre: Point, radius: f32, pen: Pen) {
        if pen.alpha > 0.0 && self.circle(centre, radius, radius + pen.width / 2.0) {
            self.body.raw(" fill=\"none\"").pen(pen).raw("/>");
        }
    }

    /// Begins a circle that reaches as far as told, where it is seen.
    fn circle(&mut self, (x, y): Point, radius: f32, reach: f32) -> bool {
        let low = (x - reach - 1.0, y - reach - 1.0);
        let high = (x + reach + 1.0, y + reach + 1.0);
        if !(radius > 0.0 && self.sees(low, high) && self.takes(1)) {
            return false;
        }
        self.close();
        let body = self.body.raw("<circle").number("cx", x).number("cy", y);
        body.number("r", radius);
        true
    }

    /// Fills a shape whose corners run clockwise.
    pub(super) fn shape(&mut self, corners: &[Point], colour: Rgb, alpha: f32) {
        let (mut low, mut high) = ((f32::MAX, f32::MAX), (f32::MIN, f32::MIN));
        for corner in corners {
            low = (low.0.min(corner.0), low.1.min(corner.1));
            high = (high.0.max(corner.0), high.1.max(corner.1));
        }
        let whole = corners.iter().all(|c| c.0.is_finite() && c.1.is_finite());
        if !(whole && self.sees(low, high) && alpha > 0.0 && self.takes(1)) {
            return;
        }
        self.path(Look::Filled { colour, alpha });
        for (index, corner) in corners.iter().enumerate() {
            self.body
                .raw(if index == 0 { "M" } else { "L" })
                .point(*corner);
        }
        self.body.raw("Z");
    }

    /// Returns the cells of an image: those of the data, or where they are too many, pixels.
    pub(super) fn cells(
        &mut self,
        pixels: (usize, usize),
        columns: u64,
        rows: u64,
    ) -> (usize, usize) {
        let (columns, rows) = (columns.max(1), rows.max(1));
        if columns.saturating_mul(rows) <= CELLS_MAX {
            // Neither is larger than their product.
            return (columns as usize, rows as usize);
        }
        self.coarse += 1;
        let fit = |pixels: usize, cells: u64| (pixels.max(1) as u64).min(cells) as usize;
        (fit(pixels.0, columns), fit(pixels.1, rows))
    }

    /// Stretches pixels over an area.
    pub(super) fn image(&mut self, area: Rect, pixels: Pixels) {
        self.close();
        self.images.push(Image {
            before: self.body.len(),
            source: Source::Cells(area, pixels.into_png()),
        });
    }

    /// Writes a line of text.
    pub(super) fn text(&mut self, at: Point, anchor: Anchor, style: Type, text: &str) {
        let width = style.width(text);
        let (left, base) = style.origin(at, anchor, width);
        if self.begin_text(text) {
            self.body.number("x", left).number("y", base);
            self.end_text((style, width), text);
        }
    }

    /// Writes a line of text turned counter-clockwise by degrees about the given point.
    pub(super) fn turned_text(
        &mut self,
        (at, degrees): (Point, f32),
        anchor: Anchor,
        style: Type,
        text: &str,
    ) {
        let width = style.width(text);
        let (left, base) = style.turned_origin(anchor, width);
        if !self.begin_text(text) {
            return;
        }
        let at = (at.0.round(), at.1.round());
        self.body.number("x", left).number("y", base);
        self.body
            .raw(" transform=\"translate(")
            .point(at)
            .raw(")rotate(");
        self.body.decimal(-degrees).raw(")\"");
        if style.haloed {
            self.body.paint("stroke", Rgb::WHITE, 1.0);
            self.body.raw(" stroke-width=\"2\" paint-order=\"stroke\"");
        }
        self.end_text((style, width), text);
    }

    fn begin_text(&mut self, text: &str) -> bool {
        let blank = Type::drawn(text).all(char::is_whitespace);
        if blank || !self.takes(1) {
            return false;
        }
        self.close();
        self.body.raw("<text");
        true
    }

    /// Writes the size, and the width that the text has in the raster: another font than the embedded
    /// one is stretched to it.
    fn end_text(&mut self, (style, width): (Type, f32), text: &str) {
        let body = self.body.number("font-size", style.em());
        if style.bold {
            body.raw(" font-weight=\"bold\"");
        }
        body.number("textLength", width);
        body.raw(" lengthAdjust=\"spacingAndGlyphs\"");
        body.paint("fill", style.colour, 1.0).raw(">");
        body.content(Type::drawn(text)).raw("</text>");
    }

    /// Goes on with the path of a look, or begins one.
    fn path(&mut self, look: Look) {
        if let Some(path) = self.open.as_mut().filter(|path| path.look == look) {
            path.end = None;
            return;
        }
        self.close();
        let body = self.body.raw("<path");
        match look {
            Look::Blocks { colour, alpha } => body
                .paint("fill", colour, alpha)
                .raw(" shape-rendering=\"crispEdges\""),
            Look::Filled { colour, alpha } => body.paint("fill", colour, alpha),
            Look::Drawn(pen) => body.raw(" fill=\"none\"").pen(pen),
        };
        body.raw(" d=\"");
        self.open = Some(Path { look, end: None });
    }

    /// Ends the path that is being written.
    fn close(&mut self) {
        if self.open.take().is_some() {
            self.body.raw("\"/>");
        }
    }
}
