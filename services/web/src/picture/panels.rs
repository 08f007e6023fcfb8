//! Panels in a grid: points, lines, steps, bars and bands over axes that all panels share.

mod key;
mod layers;
mod layout;
mod ranges;
mod scales;

use fathom_kernel::view::{self, Panel, Panels};

use super::axes::{Axis, border};
use super::canvas::{Canvas, Rect};
use super::frame::{Frame, INK};
use super::shapes::Pen;
use super::text::{Anchor, Type};
use super::{PALETTE, Rgb, parse};
use layers::Plane;
use layout::Grid;
use ranges::{Bounds, Side};

pub(super) use layout::size;

/// Colour of the guides.
const GUIDE: Rgb = Rgb::from_u32(0x9F_C4_E0);

/// Draws all panels that are large enough to be looked at, and says how many are not.
pub(super) fn draw(canvas: &mut Canvas, frame: &Frame, view: &Panels) {
    if view.panels.is_empty() {
        return frame.nothing(canvas, "no data yet");
    }
    let room = key::draw(canvas, frame, &view.panels);
    let grid = Grid::new(room, view, frame.scale, widest(view));
    let shown = view.panels.get(..grid.shown).unwrap_or_default();
    let shared = [Side::X, Side::Y].map(|side| Bounds::of(side.axis(view), side, shown));
    for (index, panel) in shown.iter().enumerate() {
        one(canvas, view, &grid, (index, panel), shared);
    }
    labels(canvas, frame, view, grid.all);
    if shared.iter().all(Option::is_none) {
        frame.nothing(canvas, "no data yet");
    }
    if shown.len() < view.panels.len() {
        let text = format!("{} of {} panels fit", shown.len(), view.panels.len());
        let at = (frame.inner.right, frame.inner.bottom + 14.0 * frame.scale);
        canvas.text(at, Anchor::RIGHT, frame.small, &text);
    }
}

/// Panels whose own numbers are measured; those of the others are taken to be as wide.
const MEASURED_MAX: usize = 64;

/// Returns the width of the widest number of the vertical axis against the height of text.
fn widest(view: &Panels) -> f32 {
    let bounds = |panels| Bounds::of(&view.y, Side::Y, panels);
    if view.y.own_range {
        let each = view.panels.chunks(1).take(MEASURED_MAX);
        scales::widest(&view.y, each.filter_map(bounds))
    } else {
        scales::widest(&view.y, bounds(&view.panels).into_iter())
    }
}

/// Draws one panel: heading, grid, ticks, guides and layers.
fn one(
    canvas: &mut Canvas,
    view: &Panels,
    grid: &Grid,
    (index, panel): (usize, &Panel),
    shared: [Option<Bounds>; 2],
) {
    let area = grid.area(index);
    let [x, y] = [Side::X, Side::Y].map(|side| {
        let own = side.axis(view).own_range;
        let [shared_x, shared_y] = shared;
        let shared = if side == Side::X { shared_x } else { shared_y };
        let own = own.then(|| Bounds::of(side.axis(view), side, std::slice::from_ref(panel)));
        side.pixels(
            own.flatten().or(shared).unwrap_or_default(),
            side.axis(view),
            area,
        )
    });
    heading(canvas, area, grid.unit, &panel.title);
    let style = Type::new(grid.text(), INK);
    let below = grid.has_labels_below(index, &view.x);
    scales::horizontal(
        canvas,
        area,
        (&view.x, x),
        style,
        below.then_some(grid.gap_x),
    );
    scales::vertical(
        canvas,
        area,
        (&view.y, y),
        style,
        grid.has_labels_left(index, &view.y),
    );
    canvas.layer(area, |canvas| {
        guides(canvas, area, y, &panel.guides);
        let plane = Plane::new(area, x, y, grid.unit);
        for (index, layer) in panel.layers.iter().enumerate() {
            layers::draw(canvas, &plane, layer, colour_of(layer, index));
        }
    });
    border(canvas, area);
}

/// Returns the colour of a layer: its own, or by its place.
fn colour_of(layer: &view::Layer, index: usize) -> Rgb {
    let by_place = || PALETTE.get(index % PALETTE.len()).copied().and_then(parse);
    parse(&layer.colour).or_else(by_place).unwrap_or(Rgb::BLACK)
}

fn heading(canvas: &mut Canvas, area: Rect, unit: f32, title: &str) {
    let style = Type::new(13.0 * unit, INK).bold();
    let at = ((area.left + area.right) / 2.0, area.top - 2.0 * unit);
    let title = style.fitted(title, area.width());
    canvas.text(at, Anchor(0.5, 1.0), style, &title);
}

/// Draws faint dashed lines over the whole width.
fn guides(canvas: &mut Canvas, area: Rect, y: Axis, heights: &[f64]) {
    let pen = Pen {
        colour: GUIDE,
        width: 1.0,
        alpha: 0.8,
    };
    for height in heights {
        let at = y.pixel(*height);
        if (area.top..=area.bottom).contains(&at) {
            canvas.level_dashes(at, area.left, area.right, pen);
        }
    }
}

/// Writes what the axes mean, once for all panels.
fn labels(canvas: &mut Canvas, frame: &Frame, view: &Panels, all: Rect) {
    let unit = frame.scale;
    let middle = ((all.left + all.right) / 2.0, (all.top + all.bottom) / 2.0);
    let below = (middle.0, frame.inner.bottom - 16.0 * unit);
    let text = frame.label.fitted(&view.x.label, all.width());
    canvas.text(below, Anchor::TOP, frame.label, &text);
    let beside = (frame.inner.left + 7.0 * unit, middle.1);
    let text = frame.label.fitted(&view.y.label, all.height());
    canvas.turned_text((beside, 90.0), Anchor::CENTRE, frame.label, &text);
}
