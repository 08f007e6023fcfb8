//! The last messages and how many there were of each level and class, for the page.

use fathom_formats::km3net::LogSource;
use fathom_hist::Ring;
use fathom_kernel::Output;
use fathom_kernel::view::Table;
use jiff::Timestamp;
use serde_json::json;

use crate::index::{CLASSES, Level};

/// Longest text shown of one message, in characters.
const SHOWN_CHARACTERS: usize = 2000;

/// A message as shown.
#[derive(Debug, Clone)]
struct Shown {
    /// Arrival; unknown for messages of files without index.
    received: Option<Timestamp>,
    level: Level,
    class: LogSource,
    text: String,
}

/// The last messages and all counts.
#[derive(Debug)]
pub(crate) struct Recent {
    last: Ring<Shown>,
    counts: [[u64; Level::ALL.len()]; CLASSES.len()],
    newest: Option<Timestamp>,
    changed: bool,
}

impl Recent {
    pub(crate) fn new(shown: usize) -> Self {
        Self {
            last: Ring::new(shown),
            counts: [[0; Level::ALL.len()]; CLASSES.len()],
            newest: None,
            changed: true,
        }
    }

    /// Counts and keeps a message.
    pub(crate) fn saw(
        &mut self,
        received: Timestamp,
        (level, class): (Level, LogSource),
        text: &str,
    ) {
        let row = CLASSES.iter().position(|&c| c == class);
        let column = Level::ALL.iter().position(|&l| l == level);
        if let (Some(row), Some(column)) = (row, column) {
            self.counts[row][column] += 1;
        }
        self.newest = Some(received);
        self.show(Some(received), (level, class), text);
    }

    /// Keeps a message of an earlier start; it is not counted.
    pub(crate) fn show(
        &mut self,
        received: Option<Timestamp>,
        (level, class): (Level, LogSource),
        text: &str,
    ) {
        self.changed = true;
        self.last.push(Shown {
            received,
            level,
            class,
            text: text.chars().take(SHOWN_CHARACTERS).collect(),
        });
    }

    /// Returns the outputs when there is something new.
    pub(crate) fn outputs_if_changed(&mut self, waiting_bytes: usize, lost: u64) -> Vec<Output> {
        if !std::mem::take(&mut self.changed) {
            return Vec::new();
        }
        // The newest on top: a picture of the table has room for the first rows only.
        let lines = self.last.iter().rev().map(|shown| {
            vec![
                json!(
                    shown
                        .received
                        .map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
                ),
                json!(shown.level.as_str()),
                json!(shown.class.as_str()),
                json!(shown.text),
            ]
        });
        let lines = Table {
            columns: names(["time [UTC]", "level", "class", "message"]),
            rows: lines.collect(),
        };
        let title = "Messages of the data acquisition";
        let lines = Output::new("messages", title, lines);
        let counts = self.counts(waiting_bytes, lost);
        let counts = Output::new("message_counts", "Messages since the start", counts);
        [lines, counts]
            .map(|o| o.at(self.newest).every(60.0))
            .into()
    }

    fn counts(&self, waiting_bytes: usize, lost: u64) -> Table {
        let mut rows: Vec<_> = CLASSES
            .iter()
            .zip(&self.counts)
            .map(|(class, counts)| {
                let cells = counts.iter().map(|count| json!(count));
                std::iter::once(json!(class.as_str()))
                    .chain(cells)
                    .collect()
            })
            .collect();
        for (name, number) in [
            ("bytes waiting for the disk", waiting_bytes as u64),
            ("lost on a full disk", lost),
        ] {
            let mut cells = vec![json!(name), json!(number)];
            cells.resize(1 + Level::ALL.len(), json!(null));
            rows.push(cells);
        }
        let levels = Level::ALL.iter().map(|level| level.as_str().to_owned());
        Table {
            columns: std::iter::once("class".to_owned()).chain(levels).collect(),
            rows,
        }
    }
}

fn names<const N: usize>(columns: [&str; N]) -> Vec<String> {
    columns.map(str::to_owned).to_vec()
}
