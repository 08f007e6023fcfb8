//! Text of an XML file: attributes, numbers as short as they are exact, and escaped content.

use std::fmt::Write;

use crate::picture::colour::Rgb;
use crate::picture::pixels::Crop;
use crate::picture::shapes::{Pen, Point};

/// A growing text.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn truncate(&mut self, bytes: usize) {
        self.0.truncate(bytes);
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }

    /// Appends markup.
    pub(super) fn raw(&mut self, text: &str) -> &mut Self {
        self.0.push_str(text);
        self
    }

    /// Appends characters as content; what XML cannot hold is left out.
    pub(super) fn content(&mut self, chars: impl Iterator<Item = char>) -> &mut Self {
        for c in chars {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\u{FFFE}' | '\u{FFFF}' => {}
                c if c.is_control() => {}
                c => self.0.push(c),
            }
        }
        self
    }

    /// Appends a number of whole units.
    pub(super) fn whole(&mut self, number: usize) -> &mut Self {
        self.write(format_args!("{number}"))
    }

    /// Appends a number to a hundredth.
    pub(super) fn decimal(&mut self, number: f32) -> &mut Self {
        // Zero is added so that there is no negative one.
        let number = (number * 100.0).round() / 100.0 + 0.0;
        self.write(format_args!("{number}"))
    }

    /// Appends two numbers.
    pub(super) fn point(&mut self, (x, y): Point) -> &mut Self {
        self.decimal(x).raw(" ").decimal(y)
    }

    /// Appends an attribute that is a number.
    pub(super) fn number(&mut self, name: &str, number: f32) -> &mut Self {
        self.raw(" ").raw(name).raw("=\"").decimal(number).raw("\"")
    }

    /// Appends the attributes of a colour.
    pub(super) fn paint(&mut self, name: &str, colour: Rgb, alpha: f32) -> &mut Self {
        let Rgb([r, g, b]) = colour;
        self.write(format_args!(" {name}=\"#{r:02x}{g:02x}{b:02x}\""));
        if alpha < 1.0 {
            self.raw(" ").raw(name);
            self.raw("-opacity=\"").decimal(alpha).raw("\"");
        }
        self
    }

    /// Appends the attributes of a line.
    pub(super) fn pen(&mut self, pen: Pen) -> &mut Self {
        self.paint("stroke", pen.colour, pen.alpha);
        self.number("stroke-width", pen.width)
    }

    /// Appends a rectangle of whole pixels to a path.
    pub(super) fn block(&mut self, Crop { columns, rows }: &Crop) -> &mut Self {
        let (x, y, width, height) = (columns.start, rows.start, columns.len(), rows.len());
        self.write(format_args!("M{x} {y}h{width}v{height}h-{width}z"))
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) -> &mut Self {
        self.0
            .write_fmt(text)
            .expect("writing to a string does not fail");
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_escaped_and_has_no_characters_that_xml_forbids() {
        let mut text = Text::default();
        text.content("a<b & \"c\">\u{1b}\u{0}\u{FFFF}é".chars());
        assert_eq!(text.as_str(), "a&lt;b &amp; &quot;c&quot;&gt;é");
    }

    #[test]
    fn numbers_are_short() {
        let mut text = Text::default();
        text.point((12.0, 0.125)).raw(" ").point((-0.001, -7.389));
        assert_eq!(text.as_str(), "12 0.13 0 -7.39");
    }
}
