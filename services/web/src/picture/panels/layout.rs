//! Where each panel stands, and how large text in it is.

use fathom_kernel::view::{Axis, Panels};

use crate::picture::canvas::Rect;

/// Smallest side of a panel [pixels]; smaller ones are not drawn.
const SIDE_MIN: f32 = 20.0;
/// Smallest text that can be read [pixels], and the usual one.
const TEXT_MIN: f32 = 9.5;
const TEXT: f32 = 13.0;
/// Room for a title, least room for labels beside, and room for those below a panel, in units of the
/// scale.
const TITLE: f32 = 17.0;
const BESIDE: f32 = 30.0;
const BELOW: f32 = 21.0;
/// Room between panels, and for the label of an axis.
const GAP: f32 = 8.0;
const LABEL: f32 = 21.0;

/// The places of the panels.
pub(super) struct Grid {
    /// Around all panels.
    pub(super) all: Rect,
    /// Panels that are drawn.
    pub(super) shown: usize,
    /// How large text and lines in the panels are.
    pub(super) unit: f32,
    /// Room between two panels of a row.
    pub(super) gap_x: f32,
    gap_y: f32,
    columns: usize,
    rows: usize,
    title: f32,
}

impl Grid {
    /// Lays out the panels of a view, which has some, in a room; `widest` is the width of the numbers
    /// of the vertical axis against the height of text.
    pub(super) fn new(room: Rect, view: &Panels, scale: f32, widest: f32) -> Self {
        let count = view.panels.len();
        let wanted = (view.columns.max(1) as usize).min(count);
        let rough =
            (room.width() / wanted as f32).min(room.height() / count.div_ceil(wanted) as f32);
        let unit = (rough / 260.0).clamp(0.5, 1.0) * scale;
        let unit = unit.max(TEXT_MIN / TEXT);
        let title = view.panels.iter().any(|panel| !panel.title.is_empty());
        let title = if title { TITLE * unit } else { 4.0 * unit };
        // Beside the numbers are their ticks.
        let numbers = ((widest + 0.9) * text(unit)).max(BESIDE * unit);
        let numbers = numbers.min(room.width() / 4.0);
        let beside = |axis: &Axis| if axis.own_range { numbers } else { 0.0 };
        let below = |axis: &Axis| if axis.own_range { BELOW * unit } else { 0.0 };
        let label = |axis: &Axis| {
            if axis.label.is_empty() {
                0.0
            } else {
                LABEL * scale
            }
        };
        let (gap_x, gap_y) = (GAP * unit + beside(&view.y), GAP * unit + below(&view.x));
        let all = Rect {
            left: room.left + label(&view.y) + numbers,
            top: room.top,
            right: room.right - 16.0 * unit,
            bottom: room.bottom - label(&view.x) - BELOW * unit,
        };
        let fit = |room: f32, gap: f32| ((room + gap) / (SIDE_MIN + gap)).floor().max(1.0) as usize;
        let columns = wanted.min(fit(all.width(), gap_x));
        let rows = count
            .div_ceil(columns)
            .min(fit(all.height(), gap_y + title));
        Self {
            all,
            shown: count.min(columns * rows),
            unit,
            gap_x,
            gap_y,
            columns,
            rows,
            title,
        }
    }

    /// Returns the plot area of a panel, below its title.
    pub(super) fn area(&self, index: usize) -> Rect {
        let (column, row) = (index % self.columns, index / self.columns);
        let width = (self.all.width() + self.gap_x) / self.columns as f32;
        let height = (self.all.height() + self.gap_y) / self.rows as f32;
        let (left, top) = (
            self.all.left + column as f32 * width,
            self.all.top + row as f32 * height,
        );
        Rect {
            left,
            top: top + self.title,
            right: left + width - self.gap_x,
            bottom: top + height - self.gap_y,
        }
        .crisp()
    }

    /// Returns the height of labels.
    pub(super) fn text(&self) -> f32 {
        text(self.unit)
    }

    /// Tells whether a panel has the numbers of its vertical axis at its left.
    pub(super) fn has_labels_left(&self, index: usize, axis: &Axis) -> bool {
        axis.own_range || index.is_multiple_of(self.columns)
    }

    /// Tells whether a panel has the numbers of its horizontal axis below it.
    pub(super) fn has_labels_below(&self, index: usize, axis: &Axis) -> bool {
        axis.own_range || index + self.columns >= self.shown
    }
}

fn text(unit: f32) -> f32 {
    (12.0 * unit).max(TEXT_MIN)
}

/// Returns the size that suits panels: wider than high, until there are many.
pub(in crate::picture) fn size(view: &Panels) -> (u32, u32) {
    let count = u32::try_from(view.panels.len()).unwrap_or(u32::MAX).max(1);
    let columns = view.columns.clamp(1, count);
    let rows = count.div_ceil(columns);
    let width = columns
        .saturating_mul(360)
        .saturating_add(120)
        .clamp(1_200, 1_600);
    let each = ((width - 120) / columns * 3 / 4).clamp(150, 480);
    (width, rows.saturating_mul(each).saturating_add(150))
}

#[cfg(test)]
mod tests {
    use fathom_kernel::view::Panel;

    use super::*;

    fn view(panels: usize, columns: u32) -> Panels {
        Panels {
            columns,
            panels: vec![Panel::default(); panels],
            ..Panels::default()
        }
    }

    const ROOM: Rect = Rect {
        left: 0.0,
        top: 0.0,
        right: 1_200.0,
        bottom: 800.0,
    };

    #[test]
    fn panels_fill_rows_from_the_top_left_and_do_not_touch() {
        let grid = Grid::new(ROOM, &view(5, 2), 1.0, 2.0);
        let areas: Vec<Rect> = (0..5).map(|index| grid.area(index)).collect();
        assert!(areas[0].right < areas[1].left && areas[0].bottom < areas[2].top);
        assert_eq!((areas[4].left, areas[1].top), (areas[0].left, areas[0].top));
        assert!(areas.iter().all(|a| a.left >= 0.0 && a.bottom <= 800.0));
        let below: Vec<bool> = (0..5)
            .map(|i| grid.has_labels_below(i, &Axis::default()))
            .collect();
        assert_eq!(below, [false, false, false, true, true]);
    }

    #[test]
    fn more_panels_than_fit_are_left_out() {
        let grid = Grid::new(ROOM, &view(100_000, u32::MAX), 1.0, 2.0);
        assert!((500..2_500).contains(&grid.shown), "{}", grid.shown);
        assert!(grid.area(grid.shown - 1).bottom <= 800.0);
    }

    #[test]
    fn many_panels_make_a_large_square() {
        assert_eq!(size(&view(1, 1)), (1_200, 630));
        let (width, height) = size(&view(115, 11));
        assert_eq!((width, height), (1_600, 1_800));
    }
}
