//! Rows of text and numbers.

use fathom_kernel::view::Table;
use serde_json::Value;

use super::canvas::{Canvas, Rect};
use super::colour::Rgb;
use super::frame::{AXIS, Frame, GRID};
use super::text::{Anchor, Type};
use super::ticks;

const LINE: f32 = 22.0;
/// Room between columns.
const GAP: f32 = 16.0;
/// Most lines of a cell.
pub(super) const LINES_MAX: usize = 5;

/// Draws as many rows as fit, from the top, and says how many do not.
pub(super) fn draw(canvas: &mut Canvas, frame: &Frame, view: &Table) {
    let line = LINE * frame.scale;
    if view.columns.is_empty() {
        return frame.nothing(canvas, "no columns");
    }
    let room = ((frame.inner.height() / line).floor() as usize).saturating_sub(1);
    // The last line says what is left out.
    let (shown, lines) = match view.rows.len() > room {
        true => (room.saturating_sub(1), room.saturating_sub(1)),
        false => (view.rows.len(), room),
    };
    let widths = widths(frame, view, shown);
    let sheet = Sheet { frame, widths };
    let headings = view.columns.iter().enumerate();
    let headings = headings.map(|(column, name)| {
        let style = frame.label.bold();
        vec![style.fitted(name, sheet.width(column))]
    });
    sheet.row(canvas, 0, frame.label.bold(), &headings.collect::<Vec<_>>());
    sheet.rule(canvas, 1, AXIS);
    let mut at = 1;
    for cells in sheet.wrapped(view.rows.iter().take(shown), lines) {
        sheet.row(canvas, at, frame.label, &cells);
        at += height_of(&cells);
        sheet.rule(canvas, at, GRID);
    }
    if shown < view.rows.len() {
        let text = format!("… and {} more rows", view.rows.len() - shown);
        sheet.row(canvas, at, frame.small, &[vec![text]]);
    }
}

/// A cell as lines.
type Lines = Vec<String>;

/// Where the cells of a table are.
struct Sheet<'a> {
    frame: &'a Frame,
    widths: Vec<f32>,
}

impl Sheet<'_> {
    /// Returns the room for the text of a column.
    fn width(&self, column: usize) -> f32 {
        let width = self.widths.get(column).copied().unwrap_or(0.0);
        width - GAP * self.frame.scale
    }

    /// Breaks long texts into as many lines as there is room for, the same most for all rows.
    fn wrapped<'a>(
        &self,
        rows: impl Iterator<Item = &'a Vec<Value>> + Clone,
        lines_max: usize,
    ) -> Vec<Vec<Lines>> {
        let style = self.frame.label;
        let broken = |of_cell: usize| {
            let row = |cells: &Vec<Value>| {
                let cells = cells.iter().take(self.widths.len()).enumerate();
                let lines = |(column, value): (usize, &Value)| {
                    style.wrapped(&text_of(value), self.width(column), of_cell)
                };
                cells.map(lines).collect::<Vec<_>>()
            };
            rows.clone().map(row).collect::<Vec<_>>()
        };
        let fits = |rows: &Vec<Vec<Lines>>| {
            let lines: usize = rows.iter().map(|cells| height_of(cells)).sum();
            lines <= lines_max
        };
        let most = (2..=LINES_MAX).rev().map(broken).find(fits);
        most.unwrap_or_else(|| broken(1))
    }

    /// Writes a row whose first line is the given one.
    fn row(&self, canvas: &mut Canvas, line: usize, style: Type, cells: &[Lines]) {
        let Rect { left, top, .. } = self.frame.inner;
        let height = LINE * self.frame.scale;
        for (column, lines) in cells.iter().enumerate() {
            let before: f32 = self.widths.iter().take(column).sum();
            for (text, line) in lines.iter().zip(line..) {
                let at = (left + before, top + height * (line as f32 + 0.5));
                canvas.text(at, Anchor::LEFT, style, text);
            }
        }
    }

    /// Draws a line above the given one.
    fn rule(&self, canvas: &mut Canvas, line: usize, colour: Rgb) {
        let inner = self.frame.inner;
        let y = (inner.top + LINE * self.frame.scale * line as f32).round();
        let rect = Rect {
            top: y,
            bottom: y + 1.0,
            ..inner
        };
        canvas.fill(rect, colour);
    }
}

/// Returns how many lines a row takes.
fn height_of(cells: &[Lines]) -> usize {
    cells.iter().map(Vec::len).max().unwrap_or(0).max(1)
}

/// Returns the width of each column: what its cells need, cut at the widest columns when that is too
/// much, and what is left over shared by all.
fn widths(frame: &Frame, view: &Table, rows: usize) -> Vec<f32> {
    let style = frame.label;
    let room = frame.inner.width();
    let of_column = |(column, heading): (usize, &String)| {
        let cells = view
            .rows
            .iter()
            .take(rows)
            .filter_map(|row| row.get(column));
        let cells = cells.map(|cell| style.width(&text_of(cell)));
        cells.fold(style.bold().width(heading), f32::max) + GAP * frame.scale
    };
    let mut widths: Vec<f32> = view.columns.iter().enumerate().map(of_column).collect();
    let count = widths.len().max(1) as f32;
    let spare = (room - widths.iter().sum::<f32>()) / count;
    if spare >= 0.0 {
        widths.iter_mut().for_each(|width| *width += spare);
        return widths;
    }
    // The largest limit under which all columns fit: narrow ones keep what they need.
    let mut sorted = widths.clone();
    sorted.sort_by(f32::total_cmp);
    let (mut left, mut columns) = (room, count);
    let limit = sorted.iter().find_map(|width| {
        let share = left / columns;
        left -= width;
        columns -= 1.0;
        (*width > share).then_some(share)
    });
    let limit = limit.unwrap_or(room);
    widths
        .iter_mut()
        .for_each(|width| *width = width.min(limit));
    widths
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            ticks::value(number.as_f64().unwrap_or(f64::NAN))
        }
        other => other.to_string(),
    }
}
