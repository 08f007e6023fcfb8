//! Counts per DOM of the last events: columns, and their sums per DOM.

use std::collections::VecDeque;
use std::sync::Arc;

use fathom_kernel::view::HitColumn;

use super::kept::Column;

/// What the events of the ring have of one DOM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// Hits.
    pub(super) hits: u64,
    /// Events with a hit.
    pub(super) events: u64,
}

/// A ring of columns.
#[derive(Debug)]
pub(super) struct Layer {
    capacity: usize,
    columns: VecDeque<Arc<HitColumn>>,
    sums: Vec<Sum>,
    /// Counts of the event that is being taken, and the rows that have any.
    counts: Vec<u16>,
    rows: Vec<u16>,
}

impl Layer {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            columns: VecDeque::new(),
            sums: Vec::new(),
            counts: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Adds hits of a row to the event that is being taken.
    pub(super) fn add(&mut self, row: u16, hits: usize) {
        let at = usize::from(row);
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        if self.counts[at] == 0 {
            self.rows.push(row);
        }
        let hits = u16::try_from(hits).unwrap_or(u16::MAX);
        self.counts[at] = self.counts[at].saturating_add(hits);
    }

    /// Ends the event that was taken: it becomes the newest column.
    pub(super) fn close(&mut self, column: Column) {
        self.rows.sort_unstable();
        let counts = self
            .rows
            .iter()
            .map(|&row| std::mem::take(&mut self.counts[usize::from(row)]));
        let counts: Box<[u16]> = counts.collect();
        let rows: Box<[u16]> = self.rows.as_slice().into();
        self.rows.clear();
        self.push(Arc::new(HitColumn {
            number: column.number,
            at_ms: column.at_ms,
            note: column.note,
            rows,
            counts,
        }));
    }

    /// Puts a column behind the others; the oldest one goes when there is no room.
    pub(super) fn push(&mut self, column: Arc<HitColumn>) {
        if self.columns.len() >= self.capacity
            && let Some(gone) = self.columns.pop_front()
        {
            self.sum_up(&gone, |sum, count| {
                sum.hits -= count;
                sum.events -= 1;
            });
        }
        self.sum_up(&column, |sum, count| {
            sum.hits += count;
            sum.events += 1;
        });
        self.columns.push_back(column);
    }

    fn sum_up(&mut self, column: &HitColumn, mut with: impl FnMut(&mut Sum, u64)) {
        for (&row, &count) in column.rows.iter().zip(&column.counts) {
            let row = usize::from(row);
            if row >= self.sums.len() {
                self.sums.resize(row + 1, Sum::default());
            }
            with(&mut self.sums[row], count.into());
        }
    }

    /// Returns the columns, oldest first; they are shared.
    pub(super) fn columns(&self) -> Vec<Arc<HitColumn>> {
        self.columns.iter().cloned().collect()
    }

    /// Iterates over the columns from a number on.
    pub(super) fn since(&self, number: u64) -> impl Iterator<Item = &Arc<HitColumn>> {
        let from = self.columns.partition_point(|c| c.number < number);
        self.columns.range(from..)
    }

    /// Returns the number of the oldest column.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.columns.front().map(|column| column.number)
    }

    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Returns the sum of a row.
    pub(super) fn sum(&self, row: usize) -> Sum {
        self.sums.get(row).copied().unwrap_or_default()
    }

    /// Returns a number per event of the ring; 0 without events.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub(super) fn per_event(&self, number: u64) -> f64 {
        number as f64 / self.columns.len().max(1) as f64
    }

    /// Returns the largest count of the ring, at least 1.
    pub(super) fn largest(&self) -> u16 {
        let counts = self.columns.iter().flat_map(|column| &column.counts);
        counts.copied().max().unwrap_or(1).max(1)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let column = |c: &Arc<HitColumn>| size_of::<HitColumn>() + c.rows.len() * 4 + c.note.len();
        self.columns.iter().map(column).sum::<usize>() + self.sums.len() * size_of::<Sum>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(number: u64) -> Column {
        Column {
            number,
            at_ms: 0,
            note: String::new(),
        }
    }

    #[test]
    fn sums_follow_the_ring() {
        let mut layer = Layer::new(2);
        for number in 0..3 {
            layer.add(7, 2);
            layer.add(3, 1);
            layer.add(7, 1);
            layer.close(column(number));
        }
        layer.close(column(3));
        assert_eq!(layer.sum(7), Sum { hits: 3, events: 1 });
        assert_eq!(layer.sum(3), Sum { hits: 1, events: 1 });
        assert_eq!(layer.sum(100), Sum::default());
        let columns = layer.columns();
        assert_eq!(
            (&*columns[0].rows, &*columns[0].counts),
            (&[3, 7][..], &[1, 3][..])
        );
        assert_eq!((columns[1].rows.len(), layer.oldest()), (0, Some(2)));
        assert_eq!(layer.per_event(3), 1.5);
    }

    #[test]
    fn a_count_beyond_16_bits_stays_at_the_largest() {
        let mut layer = Layer::new(1);
        layer.add(0, 70_000);
        layer.add(0, 70_000);
        layer.close(column(0));
        assert_eq!(layer.largest(), u16::MAX);
    }
}
