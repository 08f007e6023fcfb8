//! Beside a file of km3mon, the event selection begins with the events that the file has.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod rig;

use fathom::actors::Ended;
use fathom::stack::Stack;
use fathom_kernel::State;
use fathom_kernel::view::{Table, View};
use rusqlite::Connection;
use serde_json::json;

use rig::*;

/// The data folder is below the folder of the test, the file of km3mon beside it.
const CONFIGURATION: &str = r#"
[detector]
geometry = "orca"
dus = 2

[service.ztplot]
kind = "ztplot"
event_selection_table = "best"

[service.local_db]
kind = "local_db"
filename = "../km3mon.sqlite3"
event_selection_table = "best"
"#;

/// Fills the file as km3mon does: values in quotes, rows that double, any name of a picture.
fn fill(connection: &Connection) {
    let create = "CREATE TABLE best (overlays INT, n_hits INT, n_triggered_hits INT, n_dus INT, \
                  plot_filename TEXT, run_id INT, det_id INT, frame_index INT, \
                  trigger_counter INT, utc_timestamp INT)";
    connection.execute_batch(create).unwrap();
    for n in (1..=20).chain(15..=20) {
        let sql = format!(
            "INSERT INTO best VALUES ('{n}', '{n}', '{n}', '4', 'it''s {n}', '6760', '44', '156', \
             '{n}', '1574432870')"
        );
        connection.execute_batch(&sql).unwrap();
    }
}

fn table(stack: &Stack, output: &str) -> Option<Table> {
    match &stack.board.entry(output)?.output.view {
        View::Table(table) => Some(table.clone()),
        other => panic!("{other:?}"),
    }
}

/// Returns the trigger counters of the best events.
fn counters(stack: &Stack) -> Vec<String> {
    let rows = table(stack, "best_n_hits").map(|table| table.rows);
    let rows = rows.unwrap_or_default();
    rows.iter()
        .map(|row| row[8].as_str().unwrap().to_owned())
        .collect()
}

fn texts(numbers: impl Iterator<Item = u32>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

async fn begins_with_the_best_of_the_file(configuration: &str) {
    let folder = tempfile::tempdir().unwrap();
    let km3mon = Connection::open(folder.path().join("km3mon.sqlite3")).unwrap();
    fill(&km3mon);
    let mut stack = configured(folder.path(), configuration);
    until_state(&stack, "ztplot", State::Running).await;
    until_state(&stack, "local_db", State::Running).await;
    wait_for(|| counters(&stack) == texts((11..=20).rev())).await;
    // The picture is not there, the path of the run is.
    let page = table(&stack, "best_n_hits").unwrap();
    assert_eq!(page.rows[0][9], json!(null));
    let archive = page.rows[0][10].as_str().unwrap();
    assert!(
        archive.ends_with("KM3NeT_00000044/6/KM3NeT_00000044_00006760.root"),
        "{archive}"
    );
    let limit = || {
        let counts = table(&stack, "ztplot_counts")?;
        let row = counts.rows.iter().find(|row| row[0] == "limit of hits")?;
        row[1].as_i64()
    };
    wait_for(|| limit() == Some(11)).await;
    assert_eq!(stack.shutdown().await, Ended::Ordered);
    // Nothing was written twice.
    let count = "SELECT count(*) FROM best";
    let rows: i64 = km3mon.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 26);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_selection_begins_with_the_events_of_the_file() {
    begins_with_the_best_of_the_file(CONFIGURATION).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_selection_begins_with_the_events_of_the_file_in_children_as_well() {
    let children = CONFIGURATION.replace("\nkind =", "\nrun = \"process\"\nkind =");
    begins_with_the_best_of_the_file(&children).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ztplot_that_is_up_long_before_local_db_gets_the_events_too() {
    let folder = tempfile::tempdir().unwrap();
    fill(&Connection::open(folder.path().join("km3mon.sqlite3")).unwrap());
    let configuration = format!("{CONFIGURATION}autostart = false\n");
    let mut stack = configured(folder.path(), &configuration);
    wait_for(|| table(&stack, "best_n_hits").is_some()).await;
    assert!(counters(&stack).is_empty());
    done(&stack, start_of("local_db")).await;
    wait_for(|| counters(&stack) == texts((11..=20).rev())).await;
    assert_eq!(stack.shutdown().await, Ended::Ordered);
}

/// How many rows of the table local_db has added and taken out so far.
fn added_and_taken_out(stack: &Stack) -> Option<(i64, i64)> {
    let report = table(stack, "local_db")?;
    let row = report.rows.iter().find(|row| row[0] == "best")?;
    let number = |column: &str| {
        let at = report.columns.iter().position(|name| name == column)?;
        row[at].as_i64()
    };
    Some((number("rows added")?, number("rows taken out")?))
}

/// Rows of events that had left the selection stayed, with the names of pictures that were gone.
#[tokio::test(flavor = "multi_thread")]
async fn events_leave_the_file_with_their_pictures_and_those_of_km3mon_stay() {
    let folder = tempfile::tempdir().unwrap();
    let file = Connection::open(folder.path().join("km3mon.sqlite3")).unwrap();
    fill(&file);
    let detector = "[service.fake_detector]\nkind = \"fake_detector\"\nio_evt.rate_hz = 50.0\n";
    let few = CONFIGURATION.replace("kind = \"ztplot\"", "kind = \"ztplot\"\nbest = 1");
    let mut stack = configured(folder.path(), &format!("{few}\n{detector}"));
    let count = || -> i64 {
        let count = "SELECT count(*) FROM best";
        file.query_row(count, [], |row| row.get(0)).unwrap_or(0)
    };
    // At most three are the best of a category; those that have just come may not have gone yet.
    wait_for(|| {
        let (added, taken_out) = added_and_taken_out(&stack).unwrap_or_default();
        let rows = count();
        taken_out >= 1 && rows == 26 + added - taken_out && (27..=29).contains(&rows)
    })
    .await;
    assert_eq!(stack.shutdown().await, Ended::Ordered);
    let count = "SELECT count(*) FROM best WHERE plot_filename LIKE 'it''s %'";
    let rows: i64 = file.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 26);
}
