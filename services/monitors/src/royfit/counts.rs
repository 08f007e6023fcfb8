//! What became of events and residuals, in numbers.

use fathom_kernel::view::Table;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Counts since the monitor was reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) events: u64,
    pub(super) few_doms: u64,
    pub(super) fitted: u64,
    pub(super) fits: u64,
    pub(super) few_hits: u64,
    pub(super) failed: u64,
    pub(super) stray: u64,
    pub(super) unknown_hits: u64,
    pub(super) pictures: u64,
    pub(super) residuals: u64,
    pub(super) large_q: u64,
    pub(super) too_large: u64,
    pub(super) no_room: u64,
}

impl Counts {
    pub(super) fn table(&self, memory_bytes: usize) -> Table {
        let rows = [
            ("events", self.events),
            ("events with too few triggered DOMs", self.few_doms),
            ("events with a fit", self.fitted),
            ("fits", self.fits),
            ("DUs with too few hits on a line", self.few_hits),
            ("DUs whose fit failed", self.failed),
            ("events far off the clock", self.stray),
            (
                "hits without a PMT in the detector description",
                self.unknown_hits,
            ),
            ("events good enough for the picture", self.pictures),
            ("time residuals counted", self.residuals),
            ("time residuals of fits with a large Q", self.large_q),
            ("time residuals above 500 ns", self.too_large),
            ("time residuals late, or without room", self.no_room),
            ("memory [kB]", memory_bytes as u64 / 1000),
        ];
        Table {
            columns: ["since the start", "number"].map(str::to_owned).to_vec(),
            rows: rows
                .map(|(name, number)| vec![json!(name), json!(number)])
                .to_vec(),
        }
    }
}
