//! Tests of the file with the file.

use serde_json::json;
use tempfile::TempDir;

use super::super::{Config, Mirrored};
use super::*;

mod taken_out;

fn plan() -> Plan {
    Plan::new(&Config::default().tables["event_selection"]).unwrap()
}

fn names(plan: &Plan) -> Vec<String> {
    plan.columns.iter().map(|c| c.name.clone()).collect()
}

fn events(counters: &[u64]) -> Table {
    let row = |&counter: &u64| {
        let row = json!([
            60,
            823,
            184,
            4,
            "a'b\"; DROP TABLE x.png",
            6760,
            44,
            156,
            counter,
            1574432870
        ]);
        row.as_array().unwrap().clone()
    };
    Table {
        columns: names(&plan()),
        rows: counters.iter().map(row).collect(),
    }
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db").join("monitoring.sqlite3");
    (folder, path)
}

fn counters(path: &Path) -> Vec<i64> {
    let connection = Connection::open(path).unwrap();
    let sql = "SELECT trigger_counter FROM event_selection ORDER BY rowid";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn the_table_is_the_one_that_km3mon_makes() {
    let (_folder, path) = place();
    let mut database = Database::open(&path).unwrap();
    database.prepare(&plan()).unwrap();
    let connection = Connection::open(&path).unwrap();
    let mut info = connection
        .prepare("PRAGMA table_info(event_selection)")
        .unwrap();
    let columns: Vec<(String, String)> = info
        .query_map([], |row| Ok((row.get("name")?, row.get("type")?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let expected = [
        ("overlays", "INT"),
        ("n_hits", "INT"),
        ("n_triggered_hits", "INT"),
        ("n_dus", "INT"),
        ("plot_filename", "TEXT"),
        ("run_id", "INT"),
        ("det_id", "INT"),
        ("frame_index", "INT"),
        ("trigger_counter", "INT"),
        ("utc_timestamp", "INT"),
    ];
    let expected = expected.map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    assert_eq!(columns, expected);
    let mode: String = connection
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn a_row_is_added_once_and_stays_when_the_table_lets_it_go() {
    let (_folder, path) = place();
    let mut database = Database::open(&path).unwrap();
    assert_eq!(
        database.write(&plan(), &events(&[1, 2])).unwrap(),
        Written::Rows(2)
    );
    assert_eq!(
        database.write(&plan(), &events(&[2, 3])).unwrap(),
        Written::Rows(1)
    );
    assert_eq!(
        database.write(&plan(), &events(&[1, 3])).unwrap(),
        Written::Rows(0)
    );
    // After a restart nothing is remembered, and yet nothing doubled.
    let mut database = Database::open(&path).unwrap();
    assert_eq!(
        database.write(&plan(), &events(&[1, 2, 3, 4])).unwrap(),
        Written::Rows(1)
    );
    assert_eq!(counters(&path), [1, 2, 3, 4]);
}

#[test]
fn texts_and_names_that_look_like_sql_are_texts_and_names() {
    let (_folder, path) = place();
    let nasty = "x'); DROP TABLE \"event_selection\"; --";
    let mirrored = Mirrored {
        table: nasty.into(),
        key: vec!["id\" --".into()],
        columns: Vec::new(),
        read_back: true,
        gone: None,
    };
    let table = Table {
        columns: vec!["id\" --".into(), "text".into()],
        rows: vec![vec![json!(1), json!(nasty)]],
    };
    let mut database = Database::open(&path).unwrap();
    database.write(&plan(), &events(&[1])).unwrap();
    let plan = Plan::new(&mirrored).unwrap();
    assert_eq!(database.write(&plan, &table).unwrap(), Written::Rows(1));
    let connection = Connection::open(&path).unwrap();
    let sql = format!("SELECT text FROM {}", quoted(nasty));
    let text: String = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
    assert_eq!(text, nasty);
    let sql = "SELECT plot_filename FROM event_selection";
    let name: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(name, "a'b\"; DROP TABLE x.png");
}

#[test]
fn a_file_of_km3mon_keeps_its_rows_even_where_they_double() {
    let (_folder, path) = place();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let old = Connection::open(&path).unwrap();
    old.execute_batch(
        "CREATE TABLE event_selection (overlays INT, n_hits INT, n_triggered_hits INT, n_dus INT, \
         plot_filename TEXT, run_id INT, det_id INT, frame_index INT, trigger_counter INT, \
         utc_timestamp INT);\
         INSERT INTO event_selection VALUES (1,2,3,4,'a.png',6760,44,156,1,5);\
         INSERT INTO event_selection VALUES (1,2,3,4,'a.png',6760,44,156,1,5);",
    )
    .unwrap();
    let mut database = Database::open(&path).unwrap();
    assert_eq!(
        database.write(&plan(), &events(&[1, 2])).unwrap(),
        Written::Rows(1)
    );
    assert_eq!(counters(&path), [1, 1, 2]);
}

#[test]
fn columns_that_an_older_file_lacks_are_left_out_but_not_those_of_the_key() {
    let (_folder, path) = place();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let old = Connection::open(&path).unwrap();
    old.execute_batch(
        "CREATE TABLE event_selection (n_hits INT, run_id INT, det_id INT, frame_index INT, \
         trigger_counter INT); CREATE TABLE alarm_history (other INT);",
    )
    .unwrap();
    let mut database = Database::open(&path).unwrap();
    assert_eq!(
        database.write(&plan(), &events(&[7])).unwrap(),
        Written::Rows(1)
    );
    assert_eq!(counters(&path), [7]);
    let alarms = Plan::new(&Config::default().tables["alarm_history"]).unwrap();
    let table = Table {
        columns: vec!["id".into(), "at".into()],
        rows: vec![vec![json!(1), json!("x")]],
    };
    let refused = database.write(&alarms, &table).unwrap();
    let text = "table alarm_history of the file has no column id";
    assert_eq!(refused, Written::Refused(text.into()));
}

/// Makes a file as km3mon does, with every value in quotes.
fn file_of_km3mon(path: &Path, create: &str, rows: &[&str]) -> Connection {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let old = Connection::open(path).unwrap();
    old.execute_batch(create).unwrap();
    for row in rows {
        let sql = format!("INSERT INTO event_selection VALUES ({row})");
        old.execute_batch(&sql).unwrap();
    }
    old
}

const CREATE: &str = "CREATE TABLE event_selection (overlays INT, n_hits INT, \
    n_triggered_hits INT, n_dus INT, plot_filename TEXT, run_id INT, det_id INT, \
    frame_index INT, trigger_counter INT, utc_timestamp INT)";

#[test]
fn rows_of_km3mon_are_read_back_as_they_stand() {
    let row = "'60', '823', '184', '4', 'zt ''x''.png', '6760', '44', '156', '17', '1574432870'";
    let of_texts = CREATE.replace(" INT", " TEXT");
    for (create, number) in [(CREATE, json!(823)), (&of_texts, json!("823"))] {
        let (_folder, path) = place();
        file_of_km3mon(&path, create, &[row, row]);
        let mut database = Database::open(&path).unwrap();
        database.prepare(&plan()).unwrap();
        let table = database.stored(&plan()).unwrap().unwrap();
        assert_eq!((table.columns, table.rows.len()), (names(&plan()), 2));
        assert_eq!(table.rows[0][1], number);
        assert_eq!(table.rows[0][4], "zt 'x'.png");
        assert_eq!(table.rows[0], table.rows[1]);
        // They are known again by their key, whatever they are stored as.
        assert_eq!(
            database.write(&plan(), &events(&[17, 18])).unwrap(),
            Written::Rows(1)
        );
    }
}

#[test]
fn of_a_large_table_the_newest_and_the_best_rows_are_read_back() {
    let (_folder, path) = place();
    let of_texts = CREATE.replace("n_hits INT", "n_hits TEXT");
    let old = file_of_km3mon(&path, &of_texts, &[]);
    let many = stored::NEWEST + 1000;
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {many}) \
         INSERT INTO event_selection SELECT 1.5, CASE i WHEN 7 THEN '10000' ELSE i % 9000 END, \
         x'0102', NULL, printf('%.*c', 5000, 'x'), 1, 1, 1, i, i FROM n"
    );
    old.execute_batch(&sql).unwrap();
    let database = Database::open(&path).unwrap();
    let table = database.stored(&plan()).unwrap().unwrap();
    let at = |row: usize| table.rows[row][8].as_u64().unwrap();
    let old = table
        .rows
        .iter()
        .filter(|row| row[8].as_u64() <= Some(1000));
    // The other columns are all alike, any rows will do for those.
    assert!(old.clone().any(|row| row[8] == 7));
    assert!(old.count() <= 5 * stored::LARGEST);
    let last = table.rows.len() - 1;
    assert_eq!(
        (at(last - stored::NEWEST + 1), at(last)),
        (1001, many as u64)
    );
    let row = &table.rows[last];
    assert_eq!((&row[0], &row[3]), (&json!(1.5), &json!(null)));
    assert_eq!(row[2], json!("blob of 2 bytes"));
    assert_eq!(row[4].as_str().unwrap().len(), 200);
}

#[test]
fn tables_that_are_absent_or_of_another_make_are_told_apart() {
    let (_folder, path) = place();
    file_of_km3mon(&path, "CREATE TABLE alarm_history (id INT)", &[]);
    let database = Database::open(&path).unwrap();
    let table = database.stored(&plan()).unwrap().unwrap();
    assert_eq!(table, Table::default());
    let other = "CREATE TABLE event_selection (n_hits INT, run INT)";
    database.connection.execute_batch(other).unwrap();
    let reason = database.stored(&plan()).unwrap().unwrap_err();
    assert_eq!(
        reason,
        "table event_selection of the file has no column det_id"
    );
    let view = "DROP TABLE event_selection; CREATE VIEW event_selection AS SELECT 1 AS det_id, \
                2 AS run_id, 3 AS frame_index, nobody AS trigger_counter";
    database.connection.execute_batch(view).unwrap();
    let reason = database.stored(&plan()).unwrap().unwrap_err();
    assert!(reason.contains("no such column"), "{reason}");
}

#[test]
fn what_others_write_is_seen_and_what_we_write_is_not() {
    let (_folder, path) = place();
    let mut database = Database::open(&path).unwrap();
    database.prepare(&plan()).unwrap();
    let version = database.others().unwrap().unwrap();
    database.looked_at(version);
    database.write(&plan(), &events(&[1])).unwrap();
    assert_eq!(database.others().unwrap(), None);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("DELETE FROM event_selection").unwrap();
    assert!(database.others().unwrap().is_some());
}

#[test]
fn types_come_from_the_first_row_when_nothing_is_declared() {
    let (_folder, path) = place();
    let alarms = Plan::new(&Config::default().tables["alarm_history"]).unwrap();
    let mut table = Table {
        columns: ["id", "value", "at", "is_on", "list"]
            .map(str::to_owned)
            .to_vec(),
        rows: Vec::new(),
    };
    let mut database = Database::open(&path).unwrap();
    assert_eq!(database.write(&alarms, &table).unwrap(), Written::Rows(0));
    table.rows.push(vec![
        json!(u64::MAX),
        json!(1.5),
        json!("a"),
        json!(true),
        json!([1]),
    ]);
    table.rows.push(vec![
        json!(2),
        json!(null),
        json!("b"),
        json!(false),
        json!({}),
    ]);
    assert_eq!(database.write(&alarms, &table).unwrap(), Written::Rows(2));
    let connection = Connection::open(&path).unwrap();
    let sql = "SELECT id, value, is_on, list FROM alarm_history ORDER BY at";
    let first: (i64, f64, i64, String) = connection
        .query_row(sql, [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .unwrap();
    assert_eq!(first, (-1, 1.5, 1, "[1]".to_owned()));
    let missing = Table {
        columns: vec!["x".into()],
        rows: Vec::new(),
    };
    let refused = database.write(&alarms, &missing).unwrap();
    assert_eq!(refused, Written::Refused("it has no column id".into()));
}

#[test]
fn a_locked_file_is_written_later() {
    let (_folder, path) = place();
    let mut database = Database::open_waiting(&path, Duration::ZERO).unwrap();
    database.prepare(&plan()).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let fault = database.write(&plan(), &events(&[1])).unwrap_err();
    assert_eq!(fault.reason(), "database: locked");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(
        database.write(&plan(), &events(&[1])).unwrap(),
        Written::Rows(1)
    );
}

#[test]
fn a_full_disk_leaves_all_rows_of_a_table_or_none() {
    let (_folder, path) = place();
    let mut database = Database::open(&path).unwrap();
    database.write(&plan(), &events(&[1])).unwrap();
    let pages: i64 = database
        .connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    let limit = |database: &Database, pages: i64| {
        database
            .connection
            .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
            .unwrap();
    };
    limit(&database, pages);
    let many: Vec<u64> = (0..1000).collect();
    let fault = database.write(&plan(), &events(&many)).unwrap_err();
    assert_eq!(fault.reason(), "database: disk full");
    assert_eq!(counters(&path), [1]);
    limit(&database, 100_000);
    assert_eq!(
        database.write(&plan(), &events(&many)).unwrap(),
        Written::Rows(999)
    );
}

#[test]
fn a_file_that_is_no_database_is_left_as_it_is() {
    let (_folder, path) = place();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let text = "this is not a database, it is a text of more than a hundred bytes ".repeat(3);
    std::fs::write(&path, &text).unwrap();
    let fault = Database::open(&path).unwrap_err();
    assert_eq!(fault.reason(), "database: damaged");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    // A folder in the place of the file.
    let fault = Database::open(path.parent().unwrap()).unwrap_err();
    assert_eq!(fault.reason(), "database: cannot be opened");
    // A file in the place of the folder.
    let fault = Database::open(&path.join("x")).unwrap_err();
    assert_eq!(fault.reason(), "database: no folder");
}

#[test]
fn a_file_that_was_taken_away_is_made_anew() {
    let (_folder, path) = place();
    let mut database = Database::open(&path).unwrap();
    assert!(database.is_there());
    database.write(&plan(), &events(&[1])).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(!database.is_there());
    std::fs::write(&path, "").unwrap();
    assert!(!database.is_there());
    let mut database = Database::open(&path).unwrap();
    database.write(&plan(), &events(&[1, 2])).unwrap();
    assert_eq!(counters(&path), [1, 2]);
}

#[test]
fn a_table_that_takes_no_rows_does_not_keep_the_others_waiting() {
    let (_folder, path) = place();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let old = Connection::open(&path).unwrap();
    old.execute_batch("CREATE VIEW alarm_history AS SELECT 1 AS id, 2 AS at")
        .unwrap();
    let mut database = Database::open(&path).unwrap();
    let alarms = Plan::new(&Config::default().tables["alarm_history"]).unwrap();
    let table = Table {
        columns: vec!["id".into(), "at".into()],
        rows: vec![vec![json!(1), json!("x")]],
    };
    let refused = database.write(&alarms, &table).unwrap();
    assert!(
        matches!(&refused, Written::Refused(text) if text.contains("view")),
        "{refused:?}"
    );
    assert_eq!(
        database.write(&plan(), &events(&[1])).unwrap(),
        Written::Rows(1)
    );
}

#[test]
fn counters_that_are_texts_for_browsers_are_integers_in_the_file() {
    let (_folder, path) = place();
    let mut table = events(&[7]);
    let mut large = table.rows[0].clone();
    let at = table
        .columns
        .iter()
        .position(|name| name == "trigger_counter");
    table.rows[0][at.unwrap()] = json!("7");
    large[at.unwrap()] = json!(u64::MAX.to_string());
    table.rows.push(large);
    let mut database = Database::open(&path).unwrap();
    assert_eq!(database.write(&plan(), &table).unwrap(), Written::Rows(2));
    assert_eq!(counters(&path), [7, -1]);
}
