//! Takes rows that `local_db` found into the selection, and tells then of the records that waited.

use std::collections::BTreeSet;

use fathom_kernel::{Fetched, Outputs, Severity};

use super::row::{Key, Row};
use super::stored::{Answer, Held};
use super::{NOTICE, ZtPlot, found};

impl ZtPlot {
    /// Takes in what `local_db` found in its file.
    pub(super) fn take_found(&mut self, fetched: Fetched, out: &mut Outputs) {
        match self.stored.take(fetched) {
            Answer::Rows(_) if self.stored.is_stopped() => {}
            Answer::Rows(table) => {
                let (rows, damaged) = found::rows(&table);
                (0..damaged).for_each(|_| out.bad("row of the file that is no event"));
                self.merge(rows, out);
            }
            Answer::Known => self.wait_no_longer(out),
            Answer::Absent => {}
            Answer::Unreadable => out.bad("rows of the file cannot be read"),
        }
    }

    /// Tells of what waited, with the rows that are here.
    pub(super) fn wait_no_longer(&mut self, out: &mut Outputs) {
        let held = self.stored.settle();
        let before = self.others(&held);
        self.settle(&held, before, out);
    }

    fn merge(&mut self, mut rows: Vec<Row>, out: &mut Outputs) {
        let gone = self.gone.rows().map(|row| row.key);
        let left: BTreeSet<Key> = self.stored.all_removed().chain(gone).collect();
        // The list may have been made before they were taken out of the file.
        rows.retain(|row| !left.contains(&row.key) && !self.runs.excludes(row.key.run_id));
        let held = self.stored.settle();
        let others = self.others(&held);
        let (added, gone) = self.selection.merge(rows);
        self.leaving.extend(gone);
        let rows = self.selection.rows().iter();
        let found = rows.filter(|row| !row.has_files());
        self.counts.found = found.clone().count() as u64;
        self.own.look_for(found.map(|row| row.key.name()));
        self.own.fetch(&self.folder, out);
        self.tables.changed = true;
        self.settle(&held, others + added, out);
    }

    /// Returns how many rows are here besides those that wait to be told of.
    fn others(&self, held: &[Held]) -> usize {
        let keys: BTreeSet<Key> = held.iter().map(|held| held.key).collect();
        let rows = self.selection.rows().iter();
        rows.filter(|row| !keys.contains(&row.key)).count()
    }

    /// Tells of those held back that are records beside so many rows that were there before them.
    fn settle(&mut self, held: &[Held], before: usize, out: &mut Outputs) {
        for (held, before) in held.iter().zip(before..) {
            let was_full = held.is_record || before >= self.config.best;
            if was_full && self.selection.is_best(held.key) {
                self.tell(held, out);
            }
        }
    }

    pub(super) fn tell(&mut self, record: &Held, out: &mut Outputs) {
        self.counts.records += 1;
        if self.config.elog {
            let about = ("top10_event", self.folder.event(&record.key.name()));
            out.alarm(about, Severity::Info, true, NOTICE, record.received);
        }
    }
}
