//! What became of the events, in numbers.

use fathom_kernel::view::Table;
use serde_json::json;

use super::row::Category;

/// Events since the start, by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) events: u64,
    /// Below `min_dus` or `min_doms`.
    pub(super) too_small: u64,
    /// Not selected because of the type of their run.
    pub(super) other_runs: u64,
    pub(super) drawn: u64,
    pub(super) selected: u64,
    /// Of the selected ones, those that took a place of the full top 10.
    pub(super) records: u64,
    /// Rows taken in that `local_db` had in its file.
    pub(super) found: u64,
    /// Events without a row that came back from their files.
    pub(super) taken_back: u64,
    /// Hits of DOMs that are not in the detector description.
    pub(super) unknown_hits: u64,
    shown: Option<(u64, u64, [i64; 3])>,
}

impl Counts {
    /// Returns the numbers and limits for people when there is anything new.
    pub(super) fn table_if_changed(&mut self, limits: [i64; 3]) -> Option<Table> {
        let now = Some((self.events, self.taken_back, limits));
        if self.shown == now {
            return None;
        }
        self.shown = now;
        let counts = [
            ("events", self.events),
            ("too few triggered DUs or DOMs", self.too_small),
            ("of runs of another type", self.other_runs),
            ("drawn", self.drawn),
            ("selected", self.selected),
            ("records", self.records),
            ("found in the file of local_db", self.found),
            ("taken back from their files", self.taken_back),
            ("hits of unknown DOMs", self.unknown_hits),
        ];
        let counts = counts.map(|(name, count)| vec![json!(name), json!(count)]);
        let limits = Category::ALL.into_iter().zip(limits);
        let limits = limits.map(|(category, limit)| {
            vec![
                json!(format!("limit of {}", category.title())),
                json!(limit),
            ]
        });
        Some(Table {
            columns: vec!["".into(), "value".into()],
            rows: counts.into_iter().chain(limits).collect(),
        })
    }
}
