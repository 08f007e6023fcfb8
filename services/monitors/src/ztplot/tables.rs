//! The selection as tables: the page of the ten best by category, and all rows as km3mon keeps them.

use fathom_kernel::view::Table;
use serde_json::{Value, json};

use super::folder::Folder;
use super::row::Row;
use crate::clock::text_of_ms;

/// An event is new for so long (s).
const NEW_S: i64 = 86_400;
/// The columns of km3mon's table, in its order.
pub(super) const COLUMNS: [&str; 10] = [
    "overlays",
    "n_hits",
    "n_triggered_hits",
    "n_dus",
    "plot_filename",
    "run_id",
    "det_id",
    "frame_index",
    "trigger_counter",
    "utc_timestamp",
];
const PAGE_COLUMNS: [&str; 10] = [
    "rank",
    "new",
    "UTC",
    "hits (triggered)",
    "overlays",
    "det id",
    "run",
    "frame index",
    "trigger counter",
    "picture",
];

/// Lists all rows under km3mon's column names.
pub(super) fn all<'a>(rows: impl Iterator<Item = &'a Row>) -> Table {
    let cells = |row: &Row| {
        vec![
            json!(row.overlays),
            json!(row.n_hits),
            json!(row.n_triggered_hits),
            json!(row.n_dus),
            json!(file_name(row)),
            json!(row.key.run_id),
            json!(row.key.det_id),
            json!(row.key.frame_index),
            wide(row.key.trigger_counter),
            json!(row.utc_timestamp),
        ]
    };
    Table {
        columns: COLUMNS.map(str::to_owned).to_vec(),
        rows: rows.map(cells).collect(),
    }
}

/// Returns the name of the picture, as it was found where it was.
fn file_name(row: &Row) -> String {
    let own = || format!("{}.png", row.key.name());
    row.found_as.clone().unwrap_or_else(own)
}

/// Lists the best of a category for people, as of a second since 1970.
pub(super) fn page(best: &[&Row], folder: &Folder, prefixes: &[String], now_s: i64) -> Table {
    let archives = (1..=prefixes.len()).map(|n| match n {
        1 => "archive".to_owned(),
        _ => format!("archive {n}"),
    });
    let columns = PAGE_COLUMNS.map(str::to_owned).into_iter().chain(archives);
    let rows = best.iter().zip(1..);
    Table {
        columns: columns.collect(),
        rows: rows
            .map(|(row, rank)| line(row, rank, folder, prefixes, now_s))
            .collect(),
    }
}

/// Tells whether an event is less than a day old.
pub(super) fn is_new(row: &Row, now_s: i64) -> bool {
    now_s.saturating_sub(row.utc_timestamp) < NEW_S
}

/// Writes a number of 64 bits, which JSON numbers of a browser do not hold, as a text.
fn wide(number: u64) -> Value {
    json!(number.to_string())
}

fn line(row: &Row, rank: u32, folder: &Folder, prefixes: &[String], now_s: i64) -> Vec<Value> {
    let key = &row.key;
    // Only what is kept here can be shown.
    let picture = row.has_files().then(|| folder.address_of(&key.name()));
    let new = if is_new(row, now_s) { "NEW!" } else { "" };
    let mut cells = vec![
        json!(rank),
        json!(new),
        json!(text_of_ms(row.utc_timestamp.saturating_mul(1000))),
        json!(format!("{} ({})", row.n_hits, row.n_triggered_hits)),
        json!(row.overlays),
        json!(key.det_id),
        json!(key.run_id),
        json!(key.frame_index),
        wide(key.trigger_counter),
        json!(picture),
    ];
    cells.extend(prefixes.iter().map(|prefix| json!(archive(row, prefix))));
    cells
}

/// Returns where the run's file is archived.
fn archive(row: &Row, prefix: &str) -> String {
    let (det, run) = (row.key.det_id, row.key.run_id);
    let prefix = prefix.trim_end_matches('/');
    let folder = run / 1000;
    format!("{prefix}/KM3NeT_{det:08}/{folder}/KM3NeT_{det:08}_{run:08}.root")
}

#[cfg(test)]
mod tests {
    use super::super::row::Key;
    use super::*;

    fn row() -> Row {
        Row {
            key: Key {
                det_id: 44,
                run_id: 6760,
                frame_index: 156,
                trigger_counter: 17,
            },
            overlays: 60,
            n_hits: 823,
            n_triggered_hits: 184,
            n_dus: 4,
            utc_timestamp: 1_574_432_870,
            found_as: None,
            was_found: false,
        }
    }

    fn folder() -> Folder {
        Folder::of("event_selection")
    }

    #[test]
    fn the_page_names_event_picture_and_archive() {
        let prefixes = ["/raw/sea".to_owned(), "root://host:1999//raw/".to_owned()];
        let table = page(
            &[&row()],
            &folder(),
            &prefixes,
            row().utc_timestamp + 86_399,
        );
        assert_eq!(table.columns[10..], ["archive", "archive 2"]);
        let expected = json!([
            1,
            "NEW!",
            "2019-11-22 14:27:50",
            "823 (184)",
            60,
            44,
            6760,
            156,
            "17",
            "/event_selection/ztplot_00000044_00006760_FI156_TC17.png",
            "/raw/sea/KM3NeT_00000044/6/KM3NeT_00000044_00006760.root",
            "root://host:1999//raw/KM3NeT_00000044/6/KM3NeT_00000044_00006760.root",
        ]);
        assert_eq!(json!(table.rows[0]), expected);
        let later = page(
            &[&row()],
            &folder(),
            &prefixes,
            row().utc_timestamp + 86_400,
        );
        assert_eq!(later.rows[0][1], "");
    }

    #[test]
    fn a_row_that_was_found_has_its_archive_and_no_picture() {
        let found = Row {
            found_as: Some("../a.png".into()),
            ..row()
        };
        let table = page(&[&found], &folder(), &["/raw".to_owned()], 0);
        assert_eq!(table.rows[0][9], Value::Null);
        let archive = "/raw/KM3NeT_00000044/6/KM3NeT_00000044_00006760.root";
        assert_eq!(table.rows[0][10], archive);
        assert_eq!(all([found].iter()).rows[0][4], "../a.png");
    }

    #[test]
    fn the_table_has_km3mons_columns() {
        let table = all([row()].iter());
        let expected = json!([
            60,
            823,
            184,
            4,
            "ztplot_00000044_00006760_FI156_TC17.png",
            6760,
            44,
            156,
            "17",
            1_574_432_870
        ]);
        assert_eq!(json!(table.rows[0]), expected);
        assert_eq!(table.columns.len(), 10);
    }
}
