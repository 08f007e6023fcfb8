//! Outputs drawn as pictures: an own raster, text from an embedded font, PNG.
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
mod rows;
mod scalar;
mod series;
mod shapes;
mod size;
mod table;
mod text;
mod ticks;

use fathom_kernel::view::View;
use fathom_kernel::{Output, Timestamp};

use canvas::Canvas;
use frame::Frame;

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
    paint(output, updated, now, size).into_png()
}

fn paint(output: &Output, updated: Timestamp, now: Timestamp, size: Size) -> Canvas {
    let size = size.within_limits();
    let mut canvas = Canvas::new(size);
    let frame = Frame::draw(&mut canvas, output, updated, now);
    match &output.view {
        View::Series(view) => series::draw(&mut canvas, &frame, view),
        View::Map(view) => map::draw(&mut canvas, &frame, view),
        View::Image(view) => image::draw(&mut canvas, &frame, view),
        View::Histogram(view) => histogram::draw(&mut canvas, &frame, view),
        View::Scalar(view) => scalar::draw(&mut canvas, &frame, view),
        View::Table(view) => table::draw(&mut canvas, &frame, view),
        View::Panels(view) => panels::draw(&mut canvas, &frame, view),
        View::HitMap(view) => hitmap::draw(&mut canvas, &frame, view),
    }
    canvas
}
