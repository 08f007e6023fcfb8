//! Outputs drawn as pictures: as PNG by an own raster with text from an embedded font, or as SVG by
//! the same code, with text as text, curves as paths, and only images as pixels.
//!
//! Every picture says when it was drawn, how old its newest datum was then and what its service
//! lost, so that a copy pasted elsewhere cannot be taken for more than it is. Drawing is pure:
//! same output, same times, same size, same bytes.
#![allow(
    clippy::cast_possible_truncation,
    reason = "coordinates are clamped to a picture of a few thousand pixels before they become integers"
)]

mod axes;
mod canvas;
mod colour;
mod colour_bar;
mod colour_map;
mod colour_names;
mod frame;
mod histogram;
mod hitmap;
mod image;
mod legend;
mod map;
mod marks;
mod panels;
mod pixels;
mod rows;
mod scalar;
mod series;
mod shapes;
mod size;
mod table;
mod text;
mod ticks;
mod vector;

use fathom_kernel::view::View;
use fathom_kernel::{Output, Timestamp};

use canvas::Canvas;
use frame::Frame;
use pixels::Pixels;

pub use colour::{Rgb, parse};
pub use colour_map::{ColourMap, MAPS, Scale};
pub use size::Size;

/// Line colours in order, for curves that have none of their own.
pub const PALETTE: [&str; 10] = [
    "#006BA4", "#FF800E", "#ABABAB", "#595959", "#5F9ED1", "#C85200", "#898989", "#A2C8EC",
    "#FFBC79", "#CFCFCF",
];
/// Colour of lines at run changes.
pub const MARK_COLOUR: &str = "#ff0f5b";

/// Draws an output, put up at `updated`, as it is at `now`, and returns the PNG file.
pub fn draw(output: &Output, updated: Timestamp, now: Timestamp, size: Size) -> Vec<u8> {
    raster(output, updated, now, size.within_limits()).into_png()
}

/// Draws the same as an SVG file, which has no scripts and needs no other file. Layers of more than
/// 100,000 shapes, or 4 MiB of text, are pixels in it, and its description says so.
pub fn draw_svg(output: &Output, updated: Timestamp, now: Timestamp, size: Size) -> Vec<u8> {
    let size = size.within_limits();
    let mut canvas = Canvas::vector(size);
    paint(&mut canvas, output, updated, now);
    let vector = canvas.into_vector().expect("it was made of elements");
    let raster = || raster(output, updated, now, size);
    vector.into_file(&output.title, raster).into_bytes()
}

fn raster(output: &Output, updated: Timestamp, now: Timestamp, size: Size) -> Pixels {
    let mut canvas = Canvas::pixels(size);
    paint(&mut canvas, output, updated, now);
    canvas.into_pixels().expect("it was made of pixels")
}

fn paint(canvas: &mut Canvas, output: &Output, updated: Timestamp, now: Timestamp) {
    let frame = Frame::draw(canvas, output, updated, now);
    match &output.view {
        View::Series(view) => series::draw(canvas, &frame, view),
        View::Map(view) => map::draw(canvas, &frame, view),
        View::Image(view) => image::draw(canvas, &frame, view),
        View::Histogram(view) => histogram::draw(canvas, &frame, view),
        View::Scalar(view) => scalar::draw(canvas, &frame, view),
        View::Table(view) => table::draw(canvas, &frame, view),
        View::Panels(view) => panels::draw(canvas, &frame, view),
        View::HitMap(view) => hitmap::draw(canvas, &frame, view),
    }
}
