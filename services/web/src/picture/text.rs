//! Text from the embedded font, straight or turned.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};

use super::colour::Rgb;
use super::pixels::Pixels;
use super::shapes::Point;

static PLAIN: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("../../assets/DejaVuSans-subset.ttf"))
        .expect("the embedded font is whole")
});
static BOLD: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("../../assets/DejaVuSans-Bold-subset.ttf"))
        .expect("the embedded font is whole")
});

/// Most characters of one text; the rest is left out.
const CHARS_MAX: usize = 400;

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type {
    /// Height of a line [pixels].
    pub(super) size: f32,
    pub(super) colour: Rgb,
    pub(super) bold: bool,
    /// Turned text has a bright edge, to be read on top of curves.
    pub(super) haloed: bool,
}

/// Which point of a text is given: fractions of its width and height, from the left and the top.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anchor(pub(super) f32, pub(super) f32);

impl Anchor {
    pub(super) const LEFT: Self = Self(0.0, 0.5);
    pub(super) const RIGHT: Self = Self(1.0, 0.5);
    pub(super) const CENTRE: Self = Self(0.5, 0.5);
    pub(super) const TOP: Self = Self(0.5, 0.0);
    pub(super) const TOP_LEFT: Self = Self(0.0, 0.0);
    pub(super) const TOP_RIGHT: Self = Self(1.0, 0.0);
}

impl Type {
    pub(super) const fn new(size: f32, colour: Rgb) -> Self {
        Self {
            size,
            colour,
            bold: false,
            haloed: false,
        }
    }

    pub(super) const fn bold(mut self) -> Self {
        self.bold = true;
        self
    }

    pub(super) const fn haloed(mut self) -> Self {
        self.haloed = true;
        self
    }

    fn font(&self) -> &'static FontRef<'static> {
        if self.bold { &BOLD } else { &PLAIN }
    }

    /// Returns the size as programs that set text count it: one em, against the height of a line.
    pub(super) fn em(&self) -> f32 {
        let font = self.font();
        let units = font.units_per_em().unwrap_or(1.0);
        self.size * units / font.height_unscaled().max(1.0)
    }

    /// Returns the left end of the base line of a text so wide, on whole pixels, which keep stems
    /// equally sharp.
    pub(super) fn origin(&self, at: Point, anchor: Anchor, width: f32) -> Point {
        let font = self.font().as_scaled(PxScale::from(self.size));
        let height = font.ascent() - font.descent();
        let left = (at.0 - width * anchor.0).round();
        let base = (at.1 - height * anchor.1 + font.ascent()).round();
        (left, base)
    }

    /// Returns the left end of the base line of a text to be turned, from the point it is turned about.
    pub(super) fn turned_origin(&self, anchor: Anchor, width: f32) -> Point {
        let ascent = self.font().as_scaled(PxScale::from(self.size)).ascent();
        let (width, height) = self.stamp(width);
        let left = (width as f32 * anchor.0).round();
        let top = (height as f32 * anchor.1).round();
        (1.0 - left, ascent + 1.0 - top)
    }

    /// Returns the whole pixels that a text so wide takes, with one of room at each side.
    fn stamp(&self, width: f32) -> (usize, usize) {
        let font = self.font().as_scaled(PxScale::from(self.size));
        let height = font.ascent() - font.descent();
        let width = width.clamp(0.0, 4_000.0).ceil() as usize;
        (width + 2, height.clamp(0.0, 400.0).ceil() as usize + 2)
    }

    /// Returns the width of a text.
    pub(super) fn width(&self, text: &str) -> f32 {
        self.layout(text).1
    }

    /// Shortens a text to a width, with an ellipsis where something is left out.
    pub(super) fn fitted(&self, text: &str, width: f32) -> String {
        if self.width(text) <= width && text.chars().nth(CHARS_MAX).is_none() {
            return text.to_owned();
        }
        let room = width - self.width("…");
        let mut short = text.get(..self.fitting(text, room)).unwrap_or_default();
        loop {
            let candidate = format!("{}…", short.trim_end());
            if self.width(&candidate) <= width {
                return candidate;
            }
            let Some((at, _)) = short.char_indices().next_back() else {
                return String::new();
            };
            short = short.get(..at).unwrap_or_default();
        }
    }

    /// Returns the length of the longest beginning of a text that is no wider than a width, and short
    /// enough to have an ellipsis behind it [bytes].
    fn fitting(&self, text: &str, width: f32) -> usize {
        let font = self.font().as_scaled(PxScale::from(self.size));
        let (mut x, mut end, mut last) = (0.0, 0, None);
        for (at, c) in text.char_indices().take(CHARS_MAX - 1) {
            if !c.is_control() {
                let id = font.glyph_id(c);
                x += last.map_or(0.0, |last| font.kern(last, id)) + font.h_advance(id);
                last = Some(id);
            }
            if x > width {
                break;
            }
            end = at + c.len_utf8();
        }
        end
    }

    /// Breaks a text into lines of a width, between words where that is possible. What does not fit into
    /// so many lines is left out, with an ellipsis.
    pub(super) fn wrapped(&self, text: &str, width: f32, lines_max: usize) -> Vec<String> {
        let (mut lines, mut rest) = (Vec::new(), text.trim());
        while lines.len() + 1 < lines_max && self.width(rest) > width {
            let at = self.break_of(rest, width);
            let (line, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
            lines.push(line.trim_end().to_owned());
            rest = after.trim_start();
        }
        if !rest.is_empty() {
            lines.push(self.fitted(rest, width));
        }
        lines
    }

    /// Returns where the first line of a text ends that is wider than a width.
    fn break_of(&self, text: &str, width: f32) -> usize {
        let fitting = self.fitting(text, width);
        let (line, after) = text.split_at_checked(fitting).unwrap_or((text, ""));
        match line.rfind(' ') {
            _ if after.starts_with(' ') => fitting,
            Some(at) => at,
            None => fitting.max(text.chars().next().map_or(0, char::len_utf8)),
        }
    }

    /// Returns the characters of a text that are drawn.
    pub(super) fn drawn(text: &str) -> impl Iterator<Item = char> {
        text.chars().take(CHARS_MAX).filter(|c| !c.is_control())
    }

    /// Places the glyphs on a base line at zero; returns them with the width of all.
    fn layout(&self, text: &str) -> (Vec<Glyph>, f32) {
        let font = self.font().as_scaled(PxScale::from(self.size));
        let mut glyphs = Vec::with_capacity(text.len());
        let mut x = 0.0;
        let mut last = None;
        for c in Self::drawn(text) {
            let id = font.glyph_id(c);
            if let Some(last) = last {
                x += font.kern(last, id);
            }
            glyphs.push(id.with_scale_and_position(self.size, point(x, 0.0)));
            x += font.h_advance(id);
            last = Some(id);
        }
        (glyphs, x)
    }
}

impl Pixels {
    /// Writes a line of text.
    pub(super) fn text(&mut self, at: Point, anchor: Anchor, style: Type, text: &str) {
        let (glyphs, width) = style.layout(text);
        let font = style.font();
        let (left, base) = style.origin(at, anchor, width);
        let (right, bottom) = (self.width() as f32, self.height() as f32);
        for mut glyph in glyphs {
            glyph.position = point(glyph.position.x + left, base);
            let Some(outline) = font.outline_glyph(glyph) else {
                continue;
            };
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, cover| {
                let (x, y) = (x as f32 + corner.x, y as f32 + corner.y);
                if x >= 0.0 && y >= 0.0 && x < right && y < bottom {
                    self.blend(x as usize, y as usize, style.colour, cover.min(1.0));
                }
            });
        }
    }

    /// Writes a line of text turned counter-clockwise about the given point. Upright text lies on
    /// whole pixels, so that it stays sharp.
    pub(super) fn turned_text(
        &mut self,
        (at, degrees): (Point, f32),
        anchor: Anchor,
        style: Type,
        text: &str,
    ) {
        let stamp = Stamp::of(style, text);
        if style.haloed {
            for (dx, dy) in [(-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0)] {
                self.stamp(&stamp, (at.0 + dx, at.1 + dy), degrees, anchor, Rgb::WHITE);
            }
        }
        self.stamp(&stamp, at, degrees, anchor, style.colour);
    }

    fn stamp(&mut self, stamp: &Stamp, at: Point, degrees: f32, anchor: Anchor, colour: Rgb) {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let at = (at.0.round(), at.1.round());
        let ax = (stamp.width as f32 * anchor.0).round();
        let ay = (stamp.height as f32 * anchor.1).round();
        // The box around the turned stamp: its corners relative to the given point.
        let (left, right) = (-ax, stamp.width as f32 - ax);
        let (top, bottom) = (-ay, stamp.height as f32 - ay);
        let reach = |a: f32, b: f32| (a.min(b), a.max(b));
        let (x_of_width, x_of_height) = (
            reach(left * cos, right * cos),
            reach(top * sin, bottom * sin),
        );
        let (y_of_width, y_of_height) = (
            reach(-left * sin, -right * sin),
            reach(top * cos, bottom * cos),
        );
        let (x_low, x_high) = (x_of_width.0 + x_of_height.0, x_of_width.1 + x_of_height.1);
        let (y_low, y_high) = (y_of_width.0 + y_of_height.0, y_of_width.1 + y_of_height.1);
        for y in self.rows(at.1 + y_low - 1.0, at.1 + y_high + 1.0) {
            for x in self.columns(at.0 + x_low - 1.0, at.0 + x_high + 1.0) {
                let (dx, dy) = (x as f32 + 0.5 - at.0, y as f32 + 0.5 - at.1);
                let cover = stamp.sample(dx * cos - dy * sin + ax, dx * sin + dy * cos + ay);
                if cover > 0.0 {
                    self.blend(x, y, colour, cover);
                }
            }
        }
    }
}

/// A line of text as coverage, for turning.
struct Stamp {
    width: usize,
    height: usize,
    cover: Vec<f32>,
}

impl Stamp {
    fn of(style: Type, text: &str) -> Self {
        let (glyphs, width) = style.layout(text);
        let font = style.font();
        let scaled = font.as_scaled(PxScale::from(style.size));
        let (width, height) = style.stamp(width);
        let mut cover = vec![0.0; width * height];
        for mut glyph in glyphs {
            glyph.position = point(glyph.position.x + 1.0, scaled.ascent() + 1.0);
            let Some(outline) = font.outline_glyph(glyph) else {
                continue;
            };
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, part| {
                let (x, y) = (x as f32 + corner.x, y as f32 + corner.y);
                if x >= 0.0 && y >= 0.0 && (x as usize) < width {
                    let at = y as usize * width + x as usize;
                    if let Some(cell) = cover.get_mut(at) {
                        *cell = (*cell + part).min(1.0);
                    }
                }
            });
        }
        Self {
            width,
            height,
            cover,
        }
    }

    /// Returns the coverage at a point, interpolated between the four cells around it.
    fn sample(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x - 0.5, y - 0.5);
        if x <= -1.0 || y <= -1.0 {
            return 0.0;
        }
        // Conversion rounds towards zero; one more makes that downwards.
        let (left, top) = ((x + 1.0) as i32 - 1, (y + 1.0) as i32 - 1);
        let (fx, fy) = (x - left as f32, y - top as f32);
        let cell = |dx: i32, dy: i32| {
            let x = usize::try_from(left + dx).ok()?;
            let y = usize::try_from(top + dy).ok()?;
            let at = (x < self.width).then_some(y * self.width + x)?;
            self.cover.get(at).copied()
        };
        let cell = |dx, dy| cell(dx, dy).unwrap_or(0.0);
        let upper = cell(0, 0) * (1.0 - fx) + cell(1, 0) * fx;
        let lower = cell(0, 1) * (1.0 - fx) + cell(1, 1) * fx;
        upper * (1.0 - fy) + lower * fy
    }
}
