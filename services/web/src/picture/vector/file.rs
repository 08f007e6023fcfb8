//! The SVG file: title, description, elements, and the pixels among them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::xml::Text;
use super::{BYTES_MAX, CELLS_MAX, SHAPES_MAX, Source, Vector};
use crate::picture::canvas::Rect;
use crate::picture::pixels::{Crop, Pixels};

impl Vector {
    /// Writes the file. The raster of the same picture is asked for once, and only where a part of
    /// it is needed.
    pub(in crate::picture) fn into_file(
        mut self,
        title: &str,
        raster: impl FnOnce() -> Pixels,
    ) -> String {
        self.close();
        let description = self.description();
        if self.full {
            // Too much outside of all layers: nothing is left but the picture as a whole.
            self.body = Text::default();
            self.images.clear();
            self.images.push(super::Image {
                before: 0,
                source: Source::Picture(self.bounds.crop(self.bounds)),
            });
        }
        let of_picture = |image: &super::Image| matches!(image.source, Source::Picture(_));
        let raster = self.images.iter().any(of_picture).then(raster);
        let mut file = Text::default();
        self.head(&mut file, title, &description);
        let mut written = 0;
        for image in &self.images {
            file.raw(self.body.as_str().get(written..image.before).unwrap_or(""));
            written = image.before;
            match (&image.source, &raster) {
                (Source::Cells(area, png), _) => embed(&mut file, *area, png),
                (Source::Picture(crop), Some(raster)) => {
                    let png = raster.cropped(crop).into_png();
                    embed(&mut file, area_of(crop), &png);
                }
                (Source::Picture(_), None) => {}
            }
        }
        file.raw(self.body.as_str().get(written..).unwrap_or(""));
        file.raw("</svg>\n");
        file.into_string()
    }

    /// Says what is not as exact as an SVG could be.
    fn description(&self) -> String {
        let layers = self.images.iter();
        let layers = layers.filter(|image| matches!(image.source, Source::Picture(_)));
        let most = format!("{SHAPES_MAX} shapes or {} MiB", BYTES_MAX >> 20);
        let mut text = Vec::new();
        match layers.count() {
            _ if self.full => text.push(format!(
                "This picture is pixels: it would have more than twice {most}."
            )),
            0 => {}
            count => text.push(format!(
                "{count} of the areas of data are pixels: beyond {most} in all, no more are drawn."
            )),
        }
        if self.coarse > 0 {
            text.push(format!(
                "{} of the images have more than {CELLS_MAX} cells and are drawn by pixel.",
                self.coarse
            ));
        }
        text.join(" ")
    }

    fn head(&self, file: &mut Text, title: &str, description: &str) {
        let (width, height) = (self.bounds.width(), self.bounds.height());
        file.raw("<svg xmlns=\"http://www.w3.org/2000/svg\" xml:space=\"preserve\" role=\"img\"");
        file.number("width", width).number("height", height);
        file.raw(" viewBox=\"0 0 ").point((width, height)).raw("\"");
        file.raw(" font-family=\"DejaVu Sans, Verdana, sans-serif\"");
        file.raw(" stroke-linecap=\"round\" stroke-linejoin=\"round\"><title>");
        file.content(title.chars()).raw("</title>");
        if !description.is_empty() {
            file.raw("<desc>")
                .content(description.chars())
                .raw("</desc>");
        }
        file.raw("<path fill=\"#ffffff\" d=\"")
            .block(&self.bounds.crop(self.bounds));
        file.raw("\"/>");
    }
}

fn area_of(crop: &Crop) -> Rect {
    Rect {
        left: crop.columns.start as f32,
        top: crop.rows.start as f32,
        right: crop.columns.end as f32,
        bottom: crop.rows.end as f32,
    }
}

/// Writes a PNG file stretched over an area, with cells that keep their edges.
fn embed(file: &mut Text, area: Rect, png: &[u8]) {
    file.raw("<image")
        .number("x", area.left)
        .number("y", area.top);
    file.number("width", area.width())
        .number("height", area.height());
    file.raw(" preserveAspectRatio=\"none\" image-rendering=\"pixelated\"");
    file.raw(" href=\"data:image/png;base64,");
    file.raw(&BASE64_STANDARD.encode(png)).raw("\"/>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::colour::Rgb;
    use crate::picture::size::Size;

    const SIZE: Size = Size {
        width: 300,
        height: 200,
    };

    fn blocks(vector: &mut Vector, count: usize) {
        for n in 0..count {
            let (x, y) = ((n % 300) as f32, (n / 300 % 200) as f32);
            let rect = Rect {
                left: x,
                top: y,
                right: x + 1.0,
                bottom: y + 1.0,
            };
            vector.fill(rect, Rgb::BLACK, 1.0);
        }
    }

    fn file(vector: Vector) -> String {
        vector.into_file("x", || Pixels::new(SIZE))
    }

    #[test]
    fn too_much_outside_of_all_layers_makes_the_whole_picture_pixels() {
        let mut vector = Vector::new(SIZE);
        blocks(&mut vector, 2 * SHAPES_MAX);
        vector.begin_layer(SIZE.bounds());
        vector.fill(SIZE.bounds(), Rgb::BLACK, 1.0);
        vector.end_layer();
        blocks(&mut vector, 1);
        let file = file(vector);
        assert!(file.contains("<desc>This picture is pixels"), "{file}");
        assert_eq!(file.matches("<image").count(), 1);
        assert_eq!(file.matches("<path").count(), 1, "the ground");
    }

    #[test]
    fn a_layer_that_is_too_much_leaves_room_for_smaller_ones() {
        let mut vector = Vector::new(SIZE);
        let mut layer = |count: usize| {
            vector.begin_layer(SIZE.bounds());
            blocks(&mut vector, count);
            vector.end_layer();
        };
        layer(SHAPES_MAX + 1);
        layer(10);
        layer(0);
        let file = file(vector);
        assert_eq!(file.matches("<image").count(), 1);
        assert_eq!(file.matches("<g clip-path=\"url(#clip1)\">").count(), 1);
        assert_eq!(file.matches("h1v1h-1z").count(), 10);
        assert!(file.contains("<desc>1 of the areas of data are pixels"));
    }

    #[test]
    fn shapes_that_nobody_sees_are_not_in_the_file() {
        let mut vector = Vector::new(SIZE);
        let clip = Rect {
            left: 10.0,
            top: 10.0,
            right: 20.0,
            bottom: 20.0,
        };
        vector.begin_layer(clip);
        vector.disc((40.0, 15.0), 5.0, Rgb::BLACK, 1.0);
        vector.disc((f32::NAN, 15.0), 5.0, Rgb::BLACK, 1.0);
        vector.shape(&[(30.0, 0.0), (40.0, 0.0), (35.0, 9.0)], Rgb::BLACK, 1.0);
        vector.end_layer();
        let file = file(vector);
        assert!(!file.contains("<circle") && !file.contains("<g"), "{file}");
    }
}
