//! Rows as they stand in the file of `local_db`, whoever wrote them: numbers may be texts.

use fathom_kernel::view::Table;
use serde_json::Value;

use super::row::{Category, Key, Row};

/// Longest file name taken.
const NAME_BYTES_MAX: usize = 200;

/// Reads the rows of a table; the number is that of rows which are no events.
pub(super) fn rows(table: &Table) -> (Vec<Row>, usize) {
    let place = |name: &str| table.columns.iter().position(|column| column == name);
    let places = COLUMNS.map(place);
    let rows: Vec<Row> = table
        .rows
        .iter()
        .filter_map(|cells| row(&Cells { cells, places }))
        .collect();
    let damaged = table.rows.len() - rows.len();
    (rows, damaged)
}

/// Columns of the table, in the order of their places.
const COLUMNS: [&str; 10] = super::tables::COLUMNS;

/// A row of the table.
struct Cells<'a> {
    cells: &'a [Value],
    places: [Option<usize>; COLUMNS.len()],
}

impl Cells<'_> {
    fn cell(&self, name: &str) -> &Value {
        let column = COLUMNS.iter().position(|column| *column == name);
        let place = column.and_then(|at| self.places[at]);
        place
            .and_then(|at| self.cells.get(at))
            .unwrap_or(&Value::Null)
    }

    fn key(&self, name: &str) -> Option<i32> {
        i32::try_from(whole(self.cell(name))?).ok()
    }

    /// Returns what is counted, 0 when the table does not say; no event has more than 32 bits hold.
    fn count(&self, name: &str) -> Option<i64> {
        match self.cell(name) {
            Value::Null => Some(0),
            cell => u32::try_from(whole(cell)?).ok().map(i64::from),
        }
    }
}

fn row(cells: &Cells<'_>) -> Option<Row> {
    let counter = whole(cells.cell("trigger_counter"))?;
    let large = || i64::try_from(counter).map(i64::cast_unsigned);
    let name = match cells.cell("plot_filename") {
        Value::String(name) => short(name),
        _ => String::new(),
    };
    let row = Row {
        key: Key {
            det_id: cells.key("det_id")?,
            run_id: cells.key("run_id")?,
            frame_index: cells.key("frame_index")?,
            // SQLite has those from 2^63 on as negative numbers.
            trigger_counter: u64::try_from(counter).or_else(|_| large()).ok()?,
        },
        overlays: cells.count("overlays")?,
        n_hits: cells.count("n_hits")?,
        n_triggered_hits: cells.count("n_triggered_hits")?,
        n_dus: cells.count("n_dus")?,
        utc_timestamp: cells.count("utc_timestamp")?,
        found_as: Some(name),
        was_found: false,
    };
    let mut values = Category::ALL.into_iter().map(|c| row.value(c));
    values.any(|value| value > 0).then_some(row)
}

/// Returns a whole number, however it is written.
fn whole(cell: &Value) -> Option<i128> {
    let of_real = |real: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "whole and of 53 bits")]
        let number = real as i128;
        (real.fract() == 0.0 && real.abs() <= 2_f64.powi(53)).then_some(number)
    };
    match cell {
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Some(number.into()),
            (None, Some(number)) => Some(number.into()),
            (None, None) => number.as_f64().and_then(of_real),
        },
        Value::String(text) => {
            let text = text.trim().trim_matches(['\'', '"']);
            let whole = text.parse().ok();
            whole.or_else(|| text.parse().ok().and_then(of_real))
        }
        _ => None,
    }
}

fn short(name: &str) -> String {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or("").to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(columns: &[&str], rows: Value) -> Table {
        serde_json::from_value(json!({ "columns": columns, "rows": rows })).unwrap()
    }

    #[test]
    fn numbers_may_be_texts_quoted_texts_or_reals() {
        let rows_of_file = json!([
            [
                "60",
                "'823'",
                184.0,
                "4",
                "a.png",
                "6760",
                44,
                " 156 ",
                "17",
                "1574432870"
            ],
            [60, 823, 184, 4, "a.png", 6760, 44, 156, 17, 1_574_432_870],
            [60, 823, 184, 4, null, 6760, 44, 156, -1, 1_574_432_870],
        ]);
        let (rows, damaged) = rows(&table(&COLUMNS, rows_of_file));
        assert_eq!((rows.len(), damaged), (3, 0));
        assert_eq!(rows[0], rows[1]);
        assert_eq!((rows[0].overlays, rows[0].n_hits), (60, 823));
        assert_eq!((rows[0].n_triggered_hits, rows[0].n_dus), (184, 4));
        assert_eq!(rows[0].key.trigger_counter, 17);
        assert_eq!(rows[0].found_as.as_deref(), Some("a.png"));
        assert_eq!(rows[2].key.trigger_counter, u64::MAX);
        assert_eq!(rows[2].found_as.as_deref(), Some(""));
    }

    #[test]
    fn rows_that_are_no_events_are_counted_and_do_not_keep_the_others_out() {
        let good = json!([60, 823, 184, 4, "a.png", 6760, 44, 156, 17, 1_574_432_870]);
        let with = |at: usize, value: Value| {
            let mut row = good.clone();
            row[at] = value;
            row
        };
        let bad = [
            with(0, json!("many")),
            with(1, json!(-1)),
            with(2, json!(1_u64 << 33)),
            with(5, json!(null)),
            with(6, json!(1.5)),
            with(8, json!("blob of 8 bytes")),
            with(9, json!(i64::MAX)),
            json!([0, 0, 0, 4, "a.png", 6760, 44, 156, 17, 5]),
            json!([]),
        ];
        let all: Vec<Value> = bad.iter().cloned().chain([good]).collect();
        let (rows, damaged) = rows(&table(&COLUMNS, json!(all)));
        assert_eq!((rows.len(), damaged), (1, bad.len()));
    }

    #[test]
    fn columns_stand_in_any_order_and_some_may_be_absent() {
        let columns = [
            "trigger_counter",
            "n_hits",
            "frame_index",
            "det_id",
            "run_id",
        ];
        let (found, _) = rows(&table(&columns, json!([[1, 99, 2, 3, 4]])));
        let key = found[0].key;
        assert_eq!((key.trigger_counter, key.frame_index), (1, 2));
        assert_eq!((key.det_id, key.run_id), (3, 4));
        assert_eq!((found[0].n_hits, found[0].overlays), (99, 0));
        let (none, damaged) = rows(&table(&["n_hits"], json!([[99]])));
        assert_eq!((none.len(), damaged), (0, 1));
    }
}
