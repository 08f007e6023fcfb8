//! Rows of text and numbers.

use fathom_kernel::view::Table;
use serde_json::Value;

use super::canvas::{Canvas, Rect};
use super::frame::{AXIS, Frame, GRID};
use super::text::{Anchor, Type};
use super::ticks;

const LINE: f32 = 22.0;

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
    let width = inner.width() / view.columns.len() as f32;
    let cell = |canvas: &mut Canvas, row: usize, column: usize, style: Type, text: &str| {
        let at = (
            inner.left + width * column as f32,
            inner.top + line * (row as f32 + 0.5),
        );
        let text = style.fitted(text, width - 10.0 * unit);
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
