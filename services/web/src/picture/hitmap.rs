//! Counts per row and event, newest event at the right. Where events or rows share a pixel, the
//! largest count is shown, so that no hit is lost from sight.

use fathom_kernel::view::HitMap;

use super::axes::{self, Axis};
use super::canvas::{Canvas, Rect};
use super::colour_bar::{self, Swatch};
use super::colour_map::Scale;
use super::frame::Frame;
use super::marks::{self, Place};
use super::ticks::{Tick, grouped, linear};
use super::{Rgb, image, rows};

/// Events that a map has room for at least, so that the first ones are not as wide as the picture.
const SLOTS_MIN: u64 = 40;

/// Draws a hit map.
pub(super) fn draw(canvas: &mut Canvas, frame: &Frame, view: &HitMap) {
    let scale = Scale::of(&view.colours);
    let unit = frame.scale;
    let outer = Rect {
        left: frame.inner.left + rows::room(frame, &view.row_labels),
        top: frame.inner.top
            + if view.marks.is_empty() {
                0.0
            } else {
                15.0 * unit
            },
        right: frame.inner.right - colour_bar::ROOM * unit,
        bottom: frame.inner.bottom - 44.0 * unit,
    }
    .crisp();
    let slots = Slots::of(view);
    let count = u32::try_from(slots.count).unwrap_or(u32::MAX);
    let area = image::whole_pixels(outer, count, view.rows);
    colour_bar::draw(canvas, frame, area, &scale, &view.colours.label);
    let missing = Swatch {
        colour: scale.missing(),
        text: "no hits".to_owned(),
    };
    colour_bar::swatches(canvas, frame, &[missing]);
    canvas.fill(area, scale.missing());
    rows::draw(canvas, frame, area, (view.rows, &view.row_labels), 0.5);
    axes::border(canvas, area);
    axes::horizontal_label(canvas, frame, area, &view.x_label);
    if view.columns.is_empty() {
        return frame.nothing(canvas, "no data yet");
    }
    let cells = canvas.cells(area, slots.count, u64::from(view.rows));
    Raster::of(view, slots, cells).paint(canvas, area, &scale);
    let axis = slots.axis(area);
    axes::horizontal(canvas, frame, area, axis, &whole_ticks(axis, unit), false);
    let marks = view.marks.iter().map(|mark| -> Place<'_> {
        // In front of the column.
        let at = axis.pixel(mark.number as f64 - 0.5);
        (at.round(), &mark.text)
    });
    let marks = marks::inside(marks, area);
    marks::lines(canvas, area, &marks);
    marks::texts_above(canvas, frame, area, &marks);
}

/// The events that the width of a map stands for, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slots {
    newest: u64,
    count: u64,
}

impl Slots {
    /// Those that there are, at most all that are kept, and not too few to look at.
    fn of(view: &HitMap) -> Self {
        let oldest = view.columns.first().map_or(0, |column| column.number);
        let newest = view.columns.last().map_or(0, |column| column.number);
        let kept = u64::from(view.columns_max.max(1));
        let span = newest.saturating_sub(oldest).saturating_add(1);
        Self {
            newest,
            count: span.max(SLOTS_MIN.min(kept)).min(kept),
        }
    }

    /// Returns the place of a number, counted from the left.
    fn place(self, number: u64) -> Option<u64> {
        let back = self.newest.checked_sub(number)?;
        self.count.checked_sub(back)?.checked_sub(1)
    }

    /// Returns the axis of numbers; the middle of an event is at its number.
    fn axis(self, area: Rect) -> Axis {
        let high = self.newest as f64 + 0.5;
        Axis {
            low: high - self.count as f64,
            high,
            log: false,
            from: area.left,
            to: area.right,
        }
    }
}

/// Largest count per row and event, or of several where they share a cell of the picture.
struct Raster {
    /// Columns and rows of cells that are drawn.
    cells: (usize, usize),
    columns: usize,
    rows: usize,
    counts: Vec<u16>,
}

impl Raster {
    fn of(view: &HitMap, slots: Slots, cells: (usize, usize)) -> Self {
        let fit = |cells: usize, count: u64| cells.min(count as usize).max(1);
        let columns = fit(cells.0, slots.count);
        let rows = fit(cells.1, u64::from(view.rows));
        let mut counts = vec![0; columns * rows];
        for column in &view.columns {
            let Some(place) = slots.place(column.number) else {
                continue;
            };
            let x = (place * columns as u64 / slots.count) as usize;
            for (row, count) in column.rows.iter().zip(&column.counts) {
                if u32::from(*row) >= view.rows {
                    continue;
                }
                let y = usize::from(*row) * rows / view.rows as usize;
                if let Some(cell) = counts.get_mut(y * columns + x) {
                    *cell = (*cell).max(*count);
                }
            }
        }
        Self {
            cells,
            columns,
            rows,
            counts,
        }
    }

    fn paint(&self, canvas: &mut Canvas, area: Rect, scale: &Scale) {
        let most = self.counts.iter().copied().max().unwrap_or(0);
        let mut colours: Vec<Rgb> = (0..=most).map(|n| scale.colour(f64::from(n))).collect();
        if let Some(zero) = colours.first_mut() {
            *zero = scale.missing();
        }
        let (width, height) = self.cells;
        let places: Vec<usize> = (0..width).map(|x| x * self.columns / width).collect();
        let colours = &colours;
        canvas.raster(area, self.cells, |y| {
            let row = (height - 1 - y) * self.rows / height;
            let row = self.counts.get(row * self.columns..).unwrap_or_default();
            places.iter().map(move |place| {
                let count = row.get(*place).copied().unwrap_or(0);
                let colour = colours.get(usize::from(count));
                colour.copied().unwrap_or(scale.missing())
            })
        });
    }
}

/// Returns ticks at events only, not between them.
fn whole_ticks(axis: Axis, unit: f32) -> Vec<Tick> {
    let wanted = f64::from((axis.to - axis.from) / (90.0 * unit)).min(axis.high - axis.low);
    let whole = linear(axis.low, axis.high, wanted).into_iter();
    let whole = whole.filter(|tick| tick.at >= 0.0 && tick.at.fract() == 0.0);
    whole
        .map(|tick| Tick {
            text: grouped(tick.at as u64),
            ..tick
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_event_is_at_the_right_and_gaps_stay_gaps() {
        let slots = Slots {
            newest: 100,
            count: 40,
        };
        let places: Vec<_> = [100, 99, 61, 60, 101].map(|n| slots.place(n)).to_vec();
        assert_eq!(places, [Some(39), Some(38), Some(0), None, None]);
    }
}
