//! The mirror as a service: tables put on the board stand in the file.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::view::{Scalar, Table, View};
use fathom_kernel::{
    Alarm, Board, Bus, Event, Filter, FromConfig, Limits, Output, Request, Service, ServiceCx,
    ServiceError, Setup, Subscription, Timestamp, Topic,
};
use fathom_recorder::{LocalDb, LocalDbConfig, Mirrored};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

const LONG: Duration = Duration::from_secs(30);

struct Running {
    board: Board,
    bus: Bus,
    events: Subscription,
    stop: tokio_util::sync::CancellationToken,
    counters: Arc<fathom_kernel::Counters>,
    inbox: mpsc::Sender<Request>,
    task: JoinHandle<Result<(), ServiceError>>,
}

async fn start(folder: &Path, config: &LocalDbConfig, before: Option<Output>) -> Running {
    LocalDb::check(config, &Setup::default()).unwrap();
    let (cx, mut outside) = ServiceCx::alone("db", folder);
    let filter = Filter::none().and(Topic::Output).and(Topic::Alarm);
    let events = cx.bus.subscribe("test", filter, Limits::default());
    if let Some(output) = before {
        put(&cx.board, output);
    }
    let running = Running {
        board: cx.board.clone(),
        bus: cx.bus.clone(),
        events,
        stop: cx.stop.clone(),
        counters: cx.counters.clone(),
        inbox: outside.inbox,
        task: {
            let service = Box::new(LocalDb::from_config(config, &Setup::default()));
            tokio::spawn(service.run(cx))
        },
    };
    outside.ready.wait_for(|ready| *ready).await.unwrap();
    running
}

fn put(board: &Board, output: Output) {
    assert!(board.put(&Arc::from("test"), output, Timestamp::UNIX_EPOCH));
}

fn alarms(ids: &[i64]) -> Output {
    let table = Table {
        columns: vec!["id".into(), "at".into()],
        rows: ids.iter().map(|id| vec![json!(id), json!("x")]).collect(),
    };
    Output::new("alarm_history", "Alarms", table)
}

fn ids(folder: &Path) -> Vec<i64> {
    let connection = Connection::open(folder.join("monitoring.sqlite3")).unwrap();
    let mut statement = connection.prepare("SELECT id FROM alarm_history").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

impl Running {
    /// Waits for an event that says what is wanted.
    async fn wait<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let wait = async {
            let mut batch = VecDeque::new();
            loop {
                assert!(self.events.recv_batch(&mut batch).await);
                if let Some(found) = batch.drain(..).find_map(|event| wanted(&event)) {
                    return found;
                }
            }
        };
        tokio::time::timeout(LONG, wait).await.unwrap()
    }

    /// Waits until so many rows of an output are in the file.
    async fn rows(&mut self, output: &str, rows: u64) {
        self.reported(output, "rows added", rows).await;
    }

    /// Waits until so many rows were found in the file.
    async fn found(&mut self, output: &str, rows: u64) {
        self.reported(output, "rows found", rows).await;
    }

    /// Waits until so many rows were taken out of the file.
    async fn taken_out(&mut self, output: &str, rows: u64) {
        self.reported(output, "rows taken out", rows).await;
    }

    /// Waits until the report has this number in a column of an output.
    async fn reported(&mut self, output: &str, column: &str, number: u64) {
        self.wait(|event| {
            let Event::Output(change) = event else {
                return None;
            };
            let View::Table(table) = &change.output.view else {
                return None;
            };
            let at = table.columns.iter().position(|name| name == column);
            let at = at.filter(|_| change.output.name == "local_db")?;
            let mut lines = table.rows.iter();
            (lines.any(|row| row[0] == output && row[at] == number)).then_some(())
        })
        .await;
    }

    async fn ask(&self, verb: &str) -> Result<Value, String> {
        let (reply, answer) = oneshot::channel();
        let request = Request {
            verb: verb.to_owned(),
            args: Value::Null,
            reply,
        };
        self.inbox.send(request).await.unwrap();
        answer.await.unwrap()
    }

    async fn alarm(&mut self) -> (bool, String) {
        self.wait(|event| match event {
            Event::Alarm(alarm) => Some((alarm.firing, alarm.text.clone())),
            _ => None,
        })
        .await
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(LONG, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        drop(self.bus);
    }
}

#[tokio::test]
async fn tables_of_the_board_stand_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let config = LocalDbConfig::default();
    let mut running = start(folder.path(), &config, Some(alarms(&[1, 2]))).await;
    running.rows("alarm_history", 2).await;
    put(&running.board, alarms(&[2, 3]));
    put(&running.board, Output::new("other", "t", Table::default()));
    running.rows("alarm_history", 3).await;
    assert_eq!(ids(folder.path()), [1, 2, 3]);
    // What was put just before the end is written as well.
    put(&running.board, alarms(&[3, 4]));
    running.end().await;
    assert_eq!(ids(folder.path()), [1, 2, 3, 4]);
    // The table of events is there before the first event.
    let connection = Connection::open(folder.path().join("monitoring.sqlite3")).unwrap();
    let sql = "SELECT count(*) FROM event_selection";
    let rows: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn while_the_file_is_locked_rows_wait_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let config = LocalDbConfig::default();
    let mut running = start(folder.path(), &config, Some(alarms(&[1]))).await;
    running.rows("alarm_history", 1).await;
    let other = Connection::open(folder.path().join("monitoring.sqlite3")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    put(&running.board, alarms(&[1, 2]));
    let (firing, text) = running.alarm().await;
    assert!(firing && text.contains("locked"), "{text}");
    put(&running.board, alarms(&[1, 2, 3]));
    other.execute_batch("ROLLBACK").unwrap();
    assert!(!running.alarm().await.0);
    assert!(running.counters.snapshot().bad["database: locked"] >= 1);
    running.end().await;
    assert_eq!(ids(folder.path()), [1, 2, 3]);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_no_reason_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monitoring.sqlite3");
    std::fs::write(&path, "no database ".repeat(100)).unwrap();
    let config = LocalDbConfig::default();
    let mut running = start(folder.path(), &config, None).await;
    let (firing, text) = running.alarm().await;
    assert!(firing && text.contains("not a database"), "{text}");
    std::fs::remove_file(&path).unwrap();
    put(&running.board, alarms(&[5]));
    assert!(!running.alarm().await.0);
    running.end().await;
    assert_eq!(ids(folder.path()), [5]);
}

#[tokio::test]
async fn an_output_that_is_no_table_is_counted_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let config = LocalDbConfig::default();
    let scalar = Scalar {
        value: 1.0,
        unit: "Hz".into(),
    };
    let before = Output::new("event_selection", "t", scalar);
    let mut running = start(folder.path(), &config, Some(before)).await;
    put(&running.board, alarms(&[1]));
    running.rows("alarm_history", 1).await;
    assert_eq!(
        running.counters.snapshot().bad["table that does not fit"],
        1
    );
    running.end().await;
}

/// The rows that were handed back, if any.
fn handed_back(folder: &Path, output: &str) -> Option<Table> {
    let path = folder.join("files/local_db").join(format!("{output}.json"));
    Some(serde_json::from_slice(&std::fs::read(path).ok()?).unwrap())
}

/// Makes the table of km3mon with one row, every value in quotes.
fn fill(connection: &Connection, table: &str) {
    let sql = format!(
        "CREATE TABLE {table} (overlays INT, n_hits INT, n_triggered_hits INT, n_dus INT, \
         plot_filename TEXT, run_id INT, det_id INT, frame_index INT, trigger_counter INT, \
         utc_timestamp INT); INSERT INTO {table} VALUES \
         ('60','823','184','4','a.png','6760','44','156','17','1574432870')"
    );
    connection.execute_batch(&sql).unwrap();
}

#[tokio::test]
async fn rows_of_km3mon_are_handed_back_and_those_it_adds_too() {
    let folder = tempfile::tempdir().unwrap();
    let km3mon = Connection::open(folder.path().join("old.sqlite3")).unwrap();
    fill(&km3mon, "best");
    let config = LocalDbConfig {
        filename: "old.sqlite3".into(),
        event_selection_table: "best".into(),
        ..LocalDbConfig::default()
    };
    let mut running = start(folder.path(), &config, None).await;
    running.found("best", 1).await;
    let table = handed_back(folder.path(), "best").unwrap();
    assert_eq!(table.columns[..2], ["overlays", "n_hits"]);
    let row = json!([60, 823, 184, 4, "a.png", 6760, 44, 156, 17, 1574432870]);
    assert_eq!(json!(table.rows), json!([row]));
    // Nobody takes alarms back.
    assert_eq!(handed_back(folder.path(), "alarm_history"), None);

    let more = "INSERT INTO best SELECT overlays, n_hits, n_triggered_hits, n_dus, 'b', run_id, \
                det_id, frame_index, 18, utc_timestamp FROM best";
    km3mon.execute_batch(more).unwrap();
    // The next look comes with the next table to write, or after a minute.
    put(&running.board, alarms(&[1]));
    running.found("best", 2).await;
    assert_eq!(handed_back(folder.path(), "best").unwrap().rows.len(), 2);
    running.end().await;
}

#[tokio::test]
async fn a_new_file_has_no_rows_to_hand_back_and_that_is_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    let config = LocalDbConfig::default();
    let mut running = start(folder.path(), &config, None).await;
    running.found("event_selection", 0).await;
    let table = handed_back(folder.path(), "event_selection").unwrap();
    assert!(table.rows.is_empty());
    assert!(running.counters.snapshot().bad.is_empty());
    running.end().await;
}

#[tokio::test]
async fn rows_of_a_locked_file_are_handed_back_once_it_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let km3mon = Connection::open(folder.path().join("monitoring.sqlite3")).unwrap();
    fill(&km3mon, "event_selection");
    km3mon.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let config = LocalDbConfig::default();
    let mut running = start(folder.path(), &config, None).await;
    let (firing, text) = running.alarm().await;
    assert!(firing && text.contains("locked"), "{text}");
    assert_eq!(handed_back(folder.path(), "event_selection"), None);
    km3mon.execute_batch("ROLLBACK").unwrap();
    running.found("event_selection", 1).await;
    assert!(running.counters.snapshot().bad["database: locked"] >= 1);
    running.end().await;
}

#[tokio::test]
async fn rows_of_a_damaged_file_come_when_it_is_put_right() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monitoring.sqlite3");
    std::fs::write(&path, "no database ".repeat(100)).unwrap();
    let config = LocalDbConfig::default();
    let mut running = start(folder.path(), &config, None).await;
    assert!(running.alarm().await.0);
    assert!(running.counters.snapshot().bad["database: damaged"] >= 1);
    assert_eq!(handed_back(folder.path(), "event_selection"), None);
    let good = folder.path().join("good");
    fill(&Connection::open(&good).unwrap(), "event_selection");
    std::fs::rename(&good, &path).unwrap();
    running.found("event_selection", 1).await;
    running.end().await;
}

#[tokio::test]
async fn a_table_of_other_columns_is_counted_and_read_when_it_is_put_right() {
    let folder = tempfile::tempdir().unwrap();
    let km3mon = Connection::open(folder.path().join("monitoring.sqlite3")).unwrap();
    km3mon
        .execute_batch("CREATE TABLE event_selection (n_hits INT, run INT)")
        .unwrap();
    let config = LocalDbConfig::default();
    let mut running = start(folder.path(), &config, Some(alarms(&[1]))).await;
    running.rows("alarm_history", 1).await;
    assert_eq!(
        running.counters.snapshot().bad["rows of the file not read"],
        1
    );
    // Once for one state of the file.
    put(&running.board, alarms(&[1, 2]));
    running.rows("alarm_history", 2).await;
    assert_eq!(
        running.counters.snapshot().bad["rows of the file not read"],
        1
    );
    km3mon.execute_batch("DROP TABLE event_selection").unwrap();
    fill(&km3mon, "event_selection");
    put(&running.board, alarms(&[3]));
    running.found("event_selection", 1).await;
    running.end().await;
    assert_eq!(ids(folder.path()), [1, 2, 3]);
}

#[tokio::test]
async fn what_cannot_be_handed_back_does_not_keep_rows_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    // A file in the place of the folder.
    std::fs::write(folder.path().join("files"), "").unwrap();
    let config = LocalDbConfig::default();
    let mut running = start(folder.path(), &config, Some(alarms(&[1]))).await;
    let (firing, text) = running.alarm().await;
    assert!(
        firing && text.contains("cannot hand back the rows of event_selection"),
        "{text}"
    );
    assert_eq!(ids(folder.path()), [1]);
    std::fs::remove_file(folder.path().join("files")).unwrap();
    assert!(!running.alarm().await.0);
    assert!(handed_back(folder.path(), "event_selection").is_some());
    assert!(running.counters.snapshot().bad["database: rows not handed back"] >= 1);
    running.end().await;
}

/// Events by their trigger counters.
fn best(name: &str, counters: &[u64]) -> Output {
    let columns = [
        "det_id",
        "run_id",
        "frame_index",
        "trigger_counter",
        "plot_filename",
    ];
    let row = |counter: &u64| {
        let name = format!("{counter}.png");
        let row = json!([44, 6760, 156, counter.to_string(), name]);
        row.as_array().unwrap().clone()
    };
    let table = Table {
        columns: columns.map(str::to_owned).to_vec(),
        rows: counters.iter().map(row).collect(),
    };
    Output::new(name, "t", table)
}

/// Returns the trigger counters in the file.
fn best_in(folder: &Path) -> Vec<i64> {
    let connection = Connection::open(folder.join("monitoring.sqlite3")).unwrap();
    let mut statement = connection
        .prepare("SELECT trigger_counter FROM best ORDER BY trigger_counter")
        .unwrap();
    let rows = statement.query_map([], |row| row.get::<_, i64>(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Rows of events whose pictures had gone stayed in the file for ever.
#[tokio::test]
async fn rows_of_events_that_have_left_go_with_their_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let output = best;
    let there = || best_in(folder.path());
    let config = LocalDbConfig {
        event_selection_table: "best".into(),
        ..LocalDbConfig::default()
    };
    let mut running = start(folder.path(), &config, Some(output("best", &[1, 2, 3]))).await;
    running.rows("best", 3).await;
    put(&running.board, output("best", &[3, 4]));
    put(&running.board, output("best_gone", &[1, 2]));
    running.taken_out("best", 2).await;
    assert_eq!(there(), [3, 4]);
    let handed_back = handed_back(folder.path(), "best").unwrap();
    assert_eq!(handed_back.rows.len(), 2);
    // What came back before it was gone stays, whichever is heard of first.
    put(&running.board, output("best_gone", &[1, 2, 3]));
    put(&running.board, output("best", &[1, 4]));
    running.taken_out("best", 3).await;
    assert_eq!(there(), [1, 4]);
    put(&running.board, output("best_gone", &[2, 3]));
    running.end().await;
    assert_eq!(there(), [1, 4]);

    // After a restart as well.
    let mut running = start(folder.path(), &config, Some(output("best", &[4]))).await;
    put(&running.board, output("best_gone", &[1]));
    running.taken_out("best", 1).await;
    assert_eq!(there(), [4]);
    running.end().await;
}

/// After a fault the file was opened anew, and rows stayed in it until the table had a new version.
#[tokio::test]
async fn rows_that_could_not_be_taken_out_go_when_the_file_is_free_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = LocalDbConfig {
        event_selection_table: "best".into(),
        ..LocalDbConfig::default()
    };
    let mut running = start(folder.path(), &config, Some(best("best", &[1, 2, 3]))).await;
    running.rows("best", 3).await;
    let other = Connection::open(folder.path().join("monitoring.sqlite3")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    put(&running.board, best("best", &[3]));
    put(&running.board, best("best_gone", &[1, 2]));
    assert!(running.alarm().await.0);
    other.execute_batch("COMMIT").unwrap();
    running.taken_out("best", 2).await;
    assert_eq!(best_in(folder.path()), [3]);
    running.end().await;
}

/// Whoever began to watch after it was said never heard of it.
#[tokio::test]
async fn the_condition_is_told_again_to_those_who_ask_while_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = start(folder.path(), &LocalDbConfig::default(), Some(alarms(&[1]))).await;
    running.rows("alarm_history", 1).await;
    assert_eq!(running.ask("conditions").await, Ok(json!([])));
    let refused = running.ask("nothing").await.unwrap_err();
    assert!(refused.contains("expected conditions"), "{refused}");
    let other = Connection::open(folder.path().join("monitoring.sqlite3")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    put(&running.board, alarms(&[1, 2]));
    let (_, text) = running.alarm().await;
    let said = running.ask("conditions").await.unwrap();
    let said: Vec<Alarm> = serde_json::from_value(said).unwrap();
    let about = (&*said[0].rule, said[0].firing, &*said[0].text);
    assert_eq!(
        (said.len(), about),
        (1, ("database_not_written", true, &*text))
    );
    other.execute_batch("COMMIT").unwrap();
    assert!(!running.alarm().await.0);
    assert_eq!(running.ask("conditions").await, Ok(json!([])));
    running.end().await;
}

/// What the start before had said of the file stood on the bus until it could not be written once more.
#[tokio::test]
async fn a_start_with_a_sound_file_did_not_take_the_condition_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = start(folder.path(), &LocalDbConfig::default(), None).await;
    let (firing, text) = running.alarm().await;
    assert_eq!(
        (firing, &*text),
        (false, "tables are written since the start")
    );
    running.end().await;
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let refused = |config: LocalDbConfig| LocalDb::check(&config, &Setup::default()).unwrap_err();
    let with = |output: &str, mirrored: Mirrored| LocalDbConfig {
        tables: [(output.to_owned(), mirrored)].into(),
        ..LocalDbConfig::default()
    };
    let good = LocalDbConfig::default().tables["alarm_history"].clone();
    assert!(refused(with("../x", good.clone())).contains("no name of an output"));
    let without_key = Mirrored {
        key: Vec::new(),
        ..good
    };
    assert!(refused(with("a", without_key)).contains("tables.a: key is empty"));
    let itself = Mirrored {
        gone: Some("a".into()),
        ..LocalDbConfig::default().tables["alarm_history"].clone()
    };
    assert!(refused(with("a", itself)).contains("gone is the output of a table"));
    let nowhere = LocalDbConfig {
        filename: "".into(),
        ..LocalDbConfig::default()
    };
    assert!(refused(nowhere).contains("filename is empty"));
}
