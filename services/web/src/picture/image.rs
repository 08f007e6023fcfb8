//! Columns of numbers over time, as a heat map.

use std::sync::Arc;

use fathom_kernel::view::{Column, Image};

use super::axes::{self, Axis};
use super::canvas::{Canvas, Rect};
use super::colour_bar::{self, Swatch};
use super::colour_map::Scale;
use super::frame::Frame;
use super::text::Anchor;
use super::{Rgb, parse, rows, ticks};

/// Draws a heat map; the newest column is at the right end.
pub(super) fn draw(canvas: &mut Canvas, frame: &Frame, view: &Image) {
    let scale = Scale::of(&view.colours);
    let unit = frame.scale;
    let outer = Rect {
        left: frame.inner.left + rows::room(frame, &view.row_labels),
        top: frame.inner.top,
        right: frame.inner.right - colour_bar::ROOM * unit,
        bottom: frame.inner.bottom - 40.0 * unit,
    }
    .crisp();
    let area = whole_pixels(outer, view.columns_max, view.rows);
    colour_bar::draw(canvas, frame, area, &scale, &view.colours.label);
    let overlay = parse(&view.overlay_colour).unwrap_or(Rgb::from_u32(0xFF_00_00));
    legend(canvas, frame, view, &scale, overlay);
    canvas.fill(area, scale.missing());
    rows::draw(canvas, frame, area, (view.rows, &view.row_labels), 0.0);
    axes::border(canvas, area);
    let Some(time) = time_axis(view, area) else {
        return frame.nothing(canvas, "no data yet");
    };
    pixels(canvas, area, view, (&scale, overlay), time);
    let wanted = f64::from(area.width() / (85.0 * unit));
    let times = ticks::time(time.low, time.high, wanted, false);
    axes::horizontal(canvas, frame, area, time, &times.major, false);
    axes::horizontal_minor(canvas, frame, area, time, &times.minor);
    let step = format!("UTC, {} s per column", view.column_s);
    let at = (area.right, area.bottom + 23.0 * unit);
    canvas.text(at, Anchor::TOP_RIGHT, frame.small, &step);
}

/// Gives each number the same whole number of pixels where there is room for it; where there is much,
/// a pixel more or less is not seen.
pub(super) fn whole_pixels(outer: Rect, columns: u32, rows: u32) -> Rect {
    let fit = |room: f32, count: u32| {
        let count = count.max(1) as f32;
        if room < count || room >= 5.0 * count {
            room
        } else {
            (room / count).floor() * count
        }
    };
    Rect {
        right: outer.left + fit(outer.width(), columns),
        bottom: outer.top + fit(outer.height(), rows),
        ..outer
    }
}

/// Returns the time axis (ms): as long as the columns kept, ending with the newest one.
fn time_axis(view: &Image, area: Rect) -> Option<Axis> {
    let newest = view.columns.last()?.at_ms as f64;
    let length = f64::from(view.columns_max.max(1)) * view.column_s * 1_000.0;
    (length.is_finite() && length > 0.0).then_some(Axis {
        low: newest - length,
        high: newest,
        log: false,
        from: area.left,
        to: area.right,
    })
}

fn legend(canvas: &mut Canvas, frame: &Frame, view: &Image, scale: &Scale, overlay: Rgb) {
    let mut list = vec![Swatch {
        colour: scale.missing(),
        text: "no data".to_owned(),
    }];
    if !view.overlay_label.is_empty() {
        list.push(Swatch {
            colour: overlay,
            text: format!("{} > {}", view.overlay_label, view.overlay_threshold),
        });
    }
    colour_bar::swatches(canvas, frame, &list);
}

fn pixels(
    canvas: &mut Canvas,
    area: Rect,
    view: &Image,
    (scale, overlay): (&Scale, Rgb),
    time: Axis,
) {
    let kept = u64::from(view.columns_max.max(1));
    let cells = canvas.cells(area, kept, u64::from(view.rows.max(1)));
    let (width, height) = cells;
    let columns = columns_by_cell(view, width, time);
    let rows = view.rows.max(1) as usize;
    // Fractions are kept in 1/255; the comparison is strict, as in the page.
    let threshold = (view.overlay_threshold * 255.0).floor().clamp(0.0, 255.0) as u8;
    canvas.raster(area, cells, |y| {
        let row = (height - 1 - y) * rows / height.max(1);
        columns.iter().map(move |column| {
            let Some(column) = column else {
                return scale.missing();
            };
            if column
                .overlay
                .get(row)
                .is_some_and(|part| *part > threshold)
            {
                return overlay;
            }
            let value = column.values.get(row).copied().unwrap_or(f32::NAN);
            scale.colour(f64::from(value))
        })
    });
}

/// Finds for each of so many cells of the time axis the column whose time step holds its middle.
fn columns_by_cell(view: &Image, width: usize, time: Axis) -> Vec<Option<&Arc<Column>>> {
    let step_ms = view.column_s * 1_000.0;
    let per_cell = (time.high - time.low) / width.max(1) as f64;
    (0..width)
        .map(|x| {
            let at = time.low + (x as f64 + 0.5) * per_cell;
            // Columns end at their time; half a millisecond forgives rounding.
            let next = view
                .columns
                .partition_point(|column| (column.at_ms as f64) < at - 0.5);
            let column = view.columns.get(next)?;
            (column.at_ms as f64 - step_ms <= at + 0.5).then_some(column)
        })
        .collect()
}
