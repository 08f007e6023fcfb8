//! How the mirror is doing, as a table of the board.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fathom_kernel::view::Table;
use fathom_kernel::{Output, Timestamp};
use serde_json::{Value, json};

use super::database::Fault;

const OUTPUT: &str = "local_db";

/// What is known of the tables.
#[derive(Debug)]
pub(super) struct Report {
    path: PathBuf,
    tables: BTreeMap<String, State>,
    trouble: Option<&'static str>,
    newest: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct State {
    rows: u64,
    taken_out: u64,
    /// Rows that were found in the file and handed back.
    found: Option<usize>,
    written: Option<Timestamp>,
    refused: Option<String>,
    kept_back: Option<String>,
}

impl Report {
    pub(super) fn new(path: PathBuf, outputs: Vec<String>) -> Self {
        let tables = outputs.into_iter().map(|name| (name, State::default()));
        Self {
            path,
            tables: tables.collect(),
            trouble: None,
            newest: None,
        }
    }

    /// Tells whether an output is mirrored.
    pub(super) fn is_mirrored(&self, output: &str) -> bool {
        self.tables.contains_key(output)
    }

    /// Returns the file, for people.
    pub(super) fn file(&self) -> &str {
        let name = self
            .path
            .file_name()
            .unwrap_or_else(|| Path::new("?").as_os_str());
        name.to_str().unwrap_or("?")
    }

    /// Nothing is wrong with the file.
    pub(super) fn works(&mut self) {
        self.trouble = None;
    }

    pub(super) fn wrote(&mut self, output: &str, rows: u64, now: Timestamp) {
        self.newest = Some(now);
        if let Some(state) = self.tables.get_mut(output) {
            state.rows += rows;
            state.written = Some(now);
            state.refused = None;
        }
    }

    /// Rows were taken out of the file.
    pub(super) fn took_out(&mut self, output: &str, rows: u64) {
        if let Some(state) = self.tables.get_mut(output) {
            state.taken_out += rows;
        }
    }

    /// Rows that were in the file went to who makes the output.
    pub(super) fn handed_back(&mut self, output: &str, rows: usize) {
        if let Some(state) = self.tables.get_mut(output) {
            state.found = Some(rows);
            state.kept_back = None;
        }
    }

    /// Rows that are in the file did not go.
    pub(super) fn kept_back(&mut self, output: &str, reason: String) {
        if let Some(state) = self.tables.get_mut(output) {
            state.kept_back = Some(reason);
        }
    }

    pub(super) fn refused(&mut self, output: &str, reason: String) {
        if let Some(state) = self.tables.get_mut(output) {
            state.refused = Some(reason);
        }
    }

    pub(super) fn failed(&mut self, fault: &Fault) {
        self.trouble = Some(fault.reason());
    }

    /// Returns the table.
    pub(super) fn output(&self, now: Timestamp) -> Output {
        let utc = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%S").to_string();
        let row = |(name, state): (&String, &State)| -> Vec<Value> {
            let own = state.refused.as_deref().or(state.kept_back.as_deref());
            let trouble = own.or(self.trouble);
            vec![
                json!(name),
                json!(state.rows),
                json!(state.found),
                json!(state.written.map(utc)),
                json!(trouble.unwrap_or("")),
                json!(state.taken_out),
            ]
        };
        let columns = [
            "output",
            "rows added",
            "rows found",
            "last written [UTC]",
            "trouble",
            "rows taken out",
        ];
        let table = Table {
            columns: columns.map(str::to_owned).to_vec(),
            rows: self.tables.iter().map(row).collect(),
        };
        let title = format!("Tables kept in {}", self.file());
        // Rows come when they come: nothing new is not stale for a year.
        let year_s = 365.0 * 86_400.0;
        Output::new(OUTPUT, title, table)
            .at(self.newest.or(Some(now)))
            .every(year_s)
    }
}
