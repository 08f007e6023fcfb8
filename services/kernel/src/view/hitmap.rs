//! One column of counts per event, newest last; most rows of most events are empty, so only the
//! others are kept.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Colours, RowLabel, other_length};

/// Counts per row and event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitMap {
    /// Label of the horizontal axis, such as `event`.
    pub x_label: String,
    /// Rows per column, row 0 at the bottom.
    pub rows: u32,
    /// Most columns kept; older ones are gone.
    pub columns_max: u32,
    /// Labels of rows.
    pub row_labels: Vec<RowLabel>,
    /// The columns, oldest first, with ascending numbers.
    pub columns: Vec<Arc<HitColumn>>,
    /// Vertical lines in front of a column, such as run changes.
    pub marks: Vec<ColumnMark>,
    /// How counts become colours.
    pub colours: Colours,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitColumn {
    /// Counts the events of this map: grows by one from column to column, or more where some are
    /// missing.
    pub number: u64,
    /// Time of the event (ms).
    pub at_ms: i64,
    /// What is said of it when it is pointed at, such as its run and trigger counter.
    pub note: String,
    /// Rows that have a count, ascending.
    pub rows: Box<[u16]>,
    /// Their counts, none of them zero.
    pub counts: Box<[u16]>,
}

/// A labelled line in front of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnMark {
    /// Number of the column.
    pub number: u64,
    /// Label, such as `RUN 1234`.
    pub text: String,
}

impl HitMap {
    /// Returns the same map with only the columns after a number, for readers that have the older
    /// ones.
    #[must_use]
    pub fn newer_than(&self, number: u64) -> Self {
        let from = self.columns.partition_point(|c| c.number <= number);
        Self {
            columns: self.columns.get(from..).unwrap_or_default().to_vec(),
            x_label: self.x_label.clone(),
            row_labels: self.row_labels.clone(),
            marks: self.marks.clone(),
            colours: self.colours.clone(),
            ..*self
        }
    }

    pub(super) fn fault(&self) -> Option<String> {
        if !self.columns.is_sorted_by(|a, b| a.number < b.number) {
            return Some("numbers of columns do not ascend".to_owned());
        }
        if self.columns.len() > self.columns_max as usize {
            return Some("more columns than columns_max".to_owned());
        }
        let rows = self.rows;
        self.columns.iter().find_map(|column| {
            let beyond = column.rows.iter().find(|row| u32::from(**row) >= rows);
            other_length("counts of a column", column.counts.len(), column.rows.len()).or_else(
                || beyond.map(|row| format!("row {row} of a column, expected below {rows}")),
            )
        })
    }

    /// Columns are shared with other versions: each version adds one and its list of them.
    pub(super) fn cost_bytes(&self) -> usize {
        let newest = self
            .columns
            .last()
            .map_or(0, |c| c.rows.len() * 4 + c.note.len());
        self.columns.len() * 8 + newest + 128
    }
}
