//! What the engine puts on the board: the alarms, their history, and how many there are.

use fathom_kernel::view::{Scalar, Table};
use fathom_kernel::{Output, Stage};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::engine::{Book, Case, Phase};

/// Time within which the outputs are put up anew, even when nothing changed (s).
const INTERVAL_S: f64 = 60.0;

/// Most rows of the table of alarms; the numbers tell of all.
const ROWS_MAX: usize = 1000;

const COLUMNS: [&str; 11] = [
    "id", "severity", "state", "rule", "subject", "text", "since", "changed", "by", "until",
    "service",
];

const HISTORY_COLUMNS: [&str; 10] = [
    "id", "at", "rule", "subject", "severity", "from", "to", "by", "text", "service",
];

/// Returns all outputs.
pub(crate) fn outputs(book: &Book, now: Timestamp) -> Vec<Output> {
    let count = |stage: Stage| {
        let cases = book.cases();
        cases.filter(|case| case.phase.stage() == stage).count()
    };
    let scalar = |name: &str, title: &str, value: usize| {
        let value = u32::try_from(value).map_or(f64::INFINITY, f64::from);
        let unit = String::new();
        output(name, title, Scalar { value, unit }, now)
    };
    let refused = usize::try_from(book.refused()).unwrap_or(usize::MAX);
    vec![
        output("alarms", "Alarms", table(book), now),
        output("alarm_history", "History of alarms", history(book), now),
        scalar("alarms_firing", "Alarms that fire", count(Stage::Firing)),
        scalar(
            "alarms_acknowledged",
            "Alarms somebody looks at",
            count(Stage::Acknowledged),
        ),
        scalar("alarms_muted", "Muted alarms", count(Stage::Muted)),
        scalar("alarms_refused", "Conditions that found no room", refused),
    ]
}

fn output(
    name: &str,
    title: &str,
    view: impl Into<fathom_kernel::view::View>,
    now: Timestamp,
) -> Output {
    Output::new(name, title, view)
        .at(Some(now))
        .every(INTERVAL_S)
}

fn strings(columns: &[&str]) -> Vec<String> {
    columns.iter().map(|column| (*column).to_owned()).collect()
}

fn second(at: Timestamp) -> String {
    format!("{at:.0}")
}

/// The alarms, what needs somebody first.
fn table(book: &Book) -> Table {
    let rank = |case: &Case| match case.phase.stage() {
        Stage::Firing => 0,
        Stage::Acknowledged => 1,
        Stage::Muted => 2,
        Stage::Pending => 3,
        Stage::Resolved | Stage::Ok => 4,
    };
    let mut cases: Vec<&Case> = book.cases().collect();
    cases.sort_by_key(|case| {
        let newest_first = std::cmp::Reverse(case.entered);
        (rank(case), std::cmp::Reverse(case.severity), newest_first)
    });
    let rows = cases.into_iter().take(ROWS_MAX);
    Table {
        columns: strings(&COLUMNS),
        rows: rows.map(|case| row(book, case)).collect(),
    }
}

fn row(book: &Book, case: &Case) -> Vec<Value> {
    let mute = case.mute.and_then(|id| book.mute(id));
    let by = match &case.phase {
        Phase::Acknowledged { by } => by.clone(),
        Phase::Muted { .. } => mute.map(|mute| mute.by.clone()).unwrap_or_default(),
        Phase::Pending | Phase::Firing { .. } | Phase::Resolved => String::new(),
    };
    let until = mute.filter(|_| case.phase.stage() == Stage::Muted);
    vec![
        json!(case.id),
        json!(case.severity),
        json!(case.phase.stage()),
        json!(case.key.rule),
        json!(case.key.subject),
        json!(case.text),
        json!(second(case.since)),
        json!(second(case.entered)),
        json!(by),
        json!(until.map(|mute| second(mute.until))),
        json!(case.key.service),
    ]
}

/// The changes of alarms, newest first; the ids are without gaps.
fn history(book: &Book) -> Table {
    let rows = book.history().rev().map(|notice| {
        vec![
            json!(notice.entry),
            json!(format!("{:.3}", notice.at)),
            json!(notice.rule),
            json!(notice.subject),
            json!(notice.severity),
            json!(notice.from),
            json!(notice.to),
            json!(notice.by),
            json!(notice.text),
            json!(notice.service),
        ]
    });
    Table {
        columns: strings(&HISTORY_COLUMNS),
        rows: rows.collect(),
    }
}
