//! The legend of panels: each name once, with how it is drawn.

use std::collections::HashSet;

use fathom_kernel::view::{Layer, Panel};

use super::{colour_of, layers};
use crate::picture::canvas::{Canvas, Rect};
use crate::picture::colour::Rgb;
use crate::picture::frame::Frame;
use crate::picture::text::Anchor;

/// Most lines and names; further names are counted.
const LINES_MAX: usize = 4;
const NAMES_MAX: usize = 1_000;
const LINE: f32 = 18.0;

/// One entry: the first layer of a name.
struct Entry<'a> {
    layer: &'a Layer,
    colour: Rgb,
    width: f32,
}

/// Draws the legend from beside the date on and returns the room below it.
pub(super) fn draw(canvas: &mut Canvas, frame: &Frame, panels: &[Panel]) -> Rect {
    let unit = frame.scale;
    let (entries, mut left_out) = entries(frame, panels);
    let more = frame.label.width("and 1000 more");
    let mut line = Rect {
        left: frame.legend.left,
        right: frame.legend.right,
        ..frame.legend
    };
    let (mut x, mut lines) = (line.left, 1);
    for (index, entry) in entries.iter().enumerate() {
        let last = lines == LINES_MAX && index + 1 < entries.len();
        let end = line.right - if last { more } else { 0.0 };
        if x + entry.width > end && x > line.left {
            if lines == LINES_MAX {
                left_out += entries.len() - index;
                break;
            }
            lines += 1;
            line.left = frame.inner.left;
            line.top += LINE * unit;
            line.bottom += LINE * unit;
            x = line.left;
        }
        let y = (line.top + line.bottom) / 2.0;
        layers::sample(
            canvas,
            (x + 10.0 * unit, y),
            unit,
            entry.layer,
            entry.colour,
        );
        let at = (x + 24.0 * unit, y);
        let name = frame.label.fitted(&entry.layer.name, line.right - at.0);
        canvas.text(at, Anchor::LEFT, frame.label, &name);
        x += entry.width;
    }
    if left_out > 0 {
        let at = (x, (line.top + line.bottom) / 2.0);
        canvas.text(
            at,
            Anchor::LEFT,
            frame.small,
            &format!("and {left_out} more"),
        );
    }
    Rect {
        top: frame.inner.top + (lines - 1) as f32 * LINE * unit,
        ..frame.inner
    }
}

fn entries<'a>(frame: &Frame, panels: &'a [Panel]) -> (Vec<Entry<'a>>, usize) {
    let mut known = HashSet::new();
    let mut list = Vec::new();
    let mut left_out = 0;
    for (index, layer) in panels
        .iter()
        .flat_map(|panel| panel.layers.iter().enumerate())
    {
        if layer.name.is_empty() || !known.insert(layer.name.as_str()) {
            continue;
        }
        if list.len() >= NAMES_MAX {
            left_out += 1;
            continue;
        }
        list.push(Entry {
            layer,
            colour: colour_of(layer, index),
            width: frame.label.width(&layer.name) + 40.0 * frame.scale,
        });
    }
    // Not every panel has every multiplicity: what is found last may belong first.
    list.sort_by_key(|entry| number(&entry.layer.name).unwrap_or(u32::MAX));
    (list, left_out)
}

/// Returns the number of a multiplicity, such as 4 of `multiplicity 4`, 10 of `multiplicity 10 and more`
/// or `10+`.
fn number(name: &str) -> Option<u32> {
    let number = name.strip_prefix("multiplicity ").unwrap_or(name);
    let ends = ["+", " and more"];
    let end = ends.iter().find_map(|end| number.strip_suffix(end));
    end.unwrap_or(number).parse().ok()
}

#[cfg(test)]
mod tests {
    use fathom_kernel::view::{Panels, Shape, View};
    use fathom_kernel::{Output, Timestamp};

    use super::*;
    use crate::picture::size::Size;

    /// Returns the names of the legend of these panels.
    fn names_of(panels: &[&[&str]]) -> Vec<String> {
        let layer = |name: &&str| {
            Layer::new(Shape::Disc, "red", vec![0.0], vec![0.0]).named(name.to_string())
        };
        let panel = |names: &&[&str]| Panel {
            title: String::new(),
            layers: names.iter().map(layer).collect(),
            guides: Vec::new(),
        };
        let panels: Vec<_> = panels.iter().map(panel).collect();
        let view = View::Panels(Panels {
            columns: 1,
            panels: panels.clone(),
            ..Panels::default()
        });
        let output = Output::new("x", "x", view);
        let mut canvas = Canvas::pixels(Size::of(&output.view));
        let at = Timestamp::UNIX_EPOCH;
        let frame = Frame::draw(&mut canvas, &output, at, at);
        let (entries, left_out) = entries(&frame, &panels);
        assert_eq!(left_out, 0);
        entries.iter().map(|e| e.layer.name.clone()).collect()
    }

    #[test]
    fn multiplicities_found_late_stand_in_the_order_of_numbers() {
        let names = names_of(&[
            &["1", "2", "5", "10+", "triggered"],
            &["1", "4", "triggered", "fit"],
        ]);
        assert_eq!(names, ["1", "2", "4", "5", "10+", "triggered", "fit"]);
    }

    #[test]
    fn multiplicities_under_their_whole_names_stood_in_the_order_of_the_panels() {
        let names = names_of(&[
            &["multiplicity 2", "multiplicity 10 and more", "triggered"],
            &["multiplicity 7", "triggered"],
        ]);
        let expected = [
            "multiplicity 2",
            "multiplicity 7",
            "multiplicity 10 and more",
            "triggered",
        ];
        assert_eq!(names, expected);
    }
}
