//! A picture of RGB pixels: rectangles, blending, and the PNG file.

use super::colour::Rgb;
use super::size::Size;

/// Pixels, row by row from the top.
pub(super) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
    clip: Rect,
    /// How large text and lines are.
    pub(super) scale: f32,
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
}

impl Canvas {
    /// Makes a white picture.
    pub(super) fn new(size: Size) -> Self {
        let (width, height) = (size.width as usize, size.height as usize);
        Self {
            width,
            height,
            pixels: vec![255; width * height * 3],
            clip: whole(width, height),
            scale: size.scale(),
        }
    }

    /// Returns the whole picture.
    pub(super) fn bounds(&self) -> Rect {
        whole(self.width, self.height)
    }

    /// Draws only inside a rectangle, until [`Canvas::unclip`].
    pub(super) fn clip(&mut self, to: Rect) {
        let all = self.bounds();
        self.clip = Rect {
            left: to.left.clamp(0.0, all.right),
            top: to.top.clamp(0.0, all.bottom),
            right: to.right.clamp(0.0, all.right),
            bottom: to.bottom.clamp(0.0, all.bottom),
        };
    }

    /// Draws everywhere again.
    pub(super) fn unclip(&mut self) {
        self.clip = self.bounds();
    }

    /// Returns the whole pixels that a span of the horizontal axis touches, within the clip.
    pub(super) fn columns(&self, from: f32, to: f32) -> std::ops::Range<usize> {
        span(from, to, self.clip.left, self.clip.right)
    }

    /// Returns the whole pixels that a span of the vertical axis touches, within the clip.
    pub(super) fn rows(&self, from: f32, to: f32) -> std::ops::Range<usize> {
        span(from, to, self.clip.top, self.clip.bottom)
    }

    /// Fills a rectangle of whole pixels.
    pub(super) fn fill(&mut self, rect: Rect, colour: Rgb) {
        let columns = self.columns(rect.left, rect.right);
        for y in self.rows(rect.top, rect.bottom) {
            let row = y * self.width;
            let range = (row + columns.start) * 3..(row + columns.end) * 3;
            if let Some(pixels) = self.pixels.get_mut(range) {
                for pixel in pixels.chunks_exact_mut(3) {
                    pixel.copy_from_slice(&colour.0);
                }
            }
        }
    }

    /// Fills a rectangle of whole pixels, letting some of what is below shine through.
    pub(super) fn tint(&mut self, rect: Rect, colour: Rgb, alpha: f32) {
        for y in self.rows(rect.top, rect.bottom) {
            for x in self.columns(rect.left, rect.right) {
                self.blend(x, y, colour, alpha);
            }
        }
    }

    /// Sets one row of pixels from a column on; what does not fit is left out.
    pub(super) fn put_row(&mut self, x: usize, y: usize, colours: impl Iterator<Item = Rgb>) {
        if y >= self.height || x >= self.width {
            return;
        }
        let range = (y * self.width + x) * 3..(y + 1) * self.width * 3;
        if let Some(pixels) = self.pixels.get_mut(range) {
            for (pixel, colour) in pixels.chunks_exact_mut(3).zip(colours) {
                pixel.copy_from_slice(&colour.0);
            }
        }
    }

    /// Mixes a colour into a pixel; 0 leaves it, 1 replaces it.
    pub(super) fn blend(&mut self, x: usize, y: usize, colour: Rgb, alpha: f32) {
        let at = (y * self.width + x) * 3;
        let Some(pixel) = self.pixels.get_mut(at..at + 3) else {
            return;
        };
        for (channel, to) in pixel.iter_mut().zip(colour.0) {
            let from = f32::from(*channel);
            *channel = (from + (f32::from(to) - from) * alpha + 0.5) as u8;
        }
    }

    /// Draws the outline of a rectangle, one pixel wide, just inside it.
    pub(super) fn outline(&mut self, rect: Rect, colour: Rgb) {
        let Rect {
            left,
            top,
            right,
            bottom,
        } = rect;
        self.fill(
            Rect {
                bottom: top + 1.0,
                ..rect
            },
            colour,
        );
        self.fill(
            Rect {
                top: bottom - 1.0,
                ..rect
            },
            colour,
        );
        self.fill(
            Rect {
                right: left + 1.0,
                ..rect
            },
            colour,
        );
        self.fill(
            Rect {
                left: right - 1.0,
                ..rect
            },
            colour,
        );
    }

    /// Packs the picture as a PNG file. `Fast` is a fifth of the time of the default for a tenth
    /// more bytes.
    pub(super) fn into_png(self) -> Vec<u8> {
        let mut file = Vec::with_capacity(self.pixels.len() / 8);
        let mut encoder = png::Encoder::new(&mut file, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        let written = encoder.write_header().and_then(|mut writer| {
            writer.write_image_data(&self.pixels)?;
            writer.finish()
        });
        written.expect("writing to memory does not fail, and the size is not zero");
        file
    }
}

fn whole(width: usize, height: usize) -> Rect {
    Rect {
        left: 0.0,
        top: 0.0,
        right: width as f32,
        bottom: height as f32,
    }
}

/// Returns the whole pixels that a span touches within bounds, which are not negative. Conversion
/// rounds towards zero, several times faster than `floor` on processors without it.
fn span(from: f32, to: f32, low: f32, high: f32) -> std::ops::Range<usize> {
    let from = from.clamp(low, high) as usize;
    let to = to.clamp(low, high);
    let whole = to as usize;
    let to = whole + usize::from(to > whole as f32);
    from..to.max(from)
}
