//! Rows of text and numbers.

use fathom_kernel::view::Table;
use serde_json::Value;

use super::canvas::{Canvas, Rect};
use super::frame::{AXIS, Frame, GRID};
use super::text::{Anchor, Type};
use super::ticks;

const LINE: f32 = 22.0;
/// Room between columns.
const GAP: f32 = 16.0;

/// Draws as many rows as fit and says how many do not.
pub(super) fn draw(canvas: &mut Canvas, frame: &Frame, view: &Table) {
    let unit = frame.scale;
    let inner = frame.inner;
    if view.columns.is_empty() {
        return frame.nothing(canvas, "no columns");
    }
    let line = LINE * unit;
    let room = ((inner.height() / line).floor() as usize).saturating_sub(1);
    let shown = if view.rows.len() > room {
        room.saturating_sub(1)
    } else {
        view.rows.len()
    };
    let widths = widths(frame, view, shown);
    let cell = |canvas: &mut Canvas, row: usize, column: usize, style: Type, text: &str| {
        let before: f32 = widths.iter().take(column).sum();
        let width = widths.get(column).copied().unwrap_or(0.0);
        let at = (inner.left + before, inner.top + line * (row as f32 + 0.5));
        let text = style.fitted(text, width - GAP * unit);
        canvas.text(at, Anchor::LEFT, style, &text);
    };
    let rule = |canvas: &mut Canvas, row: usize, colour| {
        let y = (inner.top + line * row as f32).round();
        let rect = Rect {
            top: y,
            bottom: y + 1.0,
            ..inner
        };
        canvas.fill(rect, colour);
    };
    for (column, heading) in view.columns.iter().enumerate() {
        cell(canvas, 0, column, frame.label.bold(), heading);
    }
    rule(canvas, 1, AXIS);
    for (row, cells) in view.rows.iter().take(shown).enumerate() {
        for (column, value) in cells.iter().take(view.columns.len()).enumerate() {
            cell(canvas, row + 1, column, frame.label, &text_of(value));
        }
        rule(canvas, row + 2, GRID);
    }
    if shown < view.rows.len() {
        let text = format!("… and {} more rows", view.rows.len() - shown);
        cell(canvas, shown + 1, 0, frame.small, &text);
    }
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
