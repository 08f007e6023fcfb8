//! Outputs drawn as pictures.
#![allow(
    clippy::cast_possible_truncation,
    reason = "coordinates are clamped to a picture of a few thousand pixels before they become integers"
)]

mod colour;
mod colour_map;
mod colour_names;

pub use colour::{Rgb, parse};
pub use colour_map::{ColourMap, MAPS, Scale};

/// Line colours in order, for curves that have none of their own.
pub const PALETTE: [&str; 10] = [
    "#006BA4", "#FF800E", "#ABABAB", "#595959", "#5F9ED1", "#C85200", "#898989", "#A2C8EC",
    "#FFBC79", "#CFCFCF",
];
/// Colour of lines at run changes.
pub const MARK_COLOUR: &str = "#ff0f5b";
