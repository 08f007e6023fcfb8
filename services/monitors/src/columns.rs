//! How columns of numbers per DOM are kept over a restart: a list of ids, then columns in the order
//! of that list.
//!
//! ```text
//! ids      'I' | id u32 | id u32 | ...
//! column   'C' | level u8 | time i64 [ms] | payload
//! ```
//! Little-endian. A snapshot is such records one after the other, each behind its length as u32.

use fathom_kernel::{Persist, Saved};

/// Bytes of appended records after which everything is written anew as a snapshot.
pub(crate) const APPENDED_MAX: usize = 48 << 20;

/// What of the columns of one owner stands behind its snapshot.
#[derive(Debug, Default)]
pub(crate) struct Appended {
    bytes: usize,
    /// Number of DOMs in the last list of ids.
    ids: usize,
    /// Columns were taken away: everything is written anew.
    is_outdated: bool,
}

impl Appended {
    /// Takes note of what was appended before a restart.
    pub(crate) fn resume(&mut self, saved: &Saved) {
        self.bytes = saved.records.iter().map(Vec::len).sum();
    }

    /// Takes note that columns were taken away.
    pub(crate) fn outdate(&mut self) {
        self.is_outdated = true;
    }

    /// Tells whether everything is to be written anew, even if nothing is new.
    pub(crate) fn is_outdated(&self) -> bool {
        self.is_outdated
    }

    /// Hands over the records of new columns, behind the list of their DOMs when that has grown; when
    /// too much has gathered, the list and everything instead.
    pub(crate) fn hand_over(
        &mut self,
        ids: impl ExactSizeIterator<Item = u32>,
        mut new: Vec<Vec<u8>>,
        everything: impl Iterator<Item = Vec<u8>>,
        keep: &mut Persist,
    ) {
        let count = ids.len();
        let ids = ids_record(ids);
        if std::mem::replace(&mut self.ids, count) != count {
            new.insert(0, ids.clone());
        }
        self.bytes += new.iter().map(Vec::len).sum::<usize>();
        if self.bytes <= APPENDED_MAX && !std::mem::take(&mut self.is_outdated) {
            new.into_iter().for_each(|record| keep.append(record));
            return;
        }
        let mut snapshot = Vec::new();
        join(&mut snapshot, &ids);
        everything.for_each(|record| join(&mut snapshot, &record));
        keep.snapshot(snapshot);
        (self.bytes, self.is_outdated) = (0, false);
    }
}

/// A kept record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// The DOMs of the columns that follow.
    Ids(Vec<u32>),
    /// A column.
    Column {
        /// Which of several resolutions.
        level: u8,
        /// Its time [ms].
        at_ms: i64,
        /// Its numbers, as their owner wrote them.
        payload: &'a [u8],
    },
}

/// Writes a list of ids.
pub(crate) fn ids_record(ids: impl Iterator<Item = u32>) -> Vec<u8> {
    std::iter::once(b'I')
        .chain(ids.flat_map(u32::to_le_bytes))
        .collect()
}

/// Starts a column; the payload is to be appended.
pub(crate) fn column_record(level: u8, at_ms: i64) -> Vec<u8> {
    let mut record = vec![b'C', level];
    record.extend(at_ms.to_le_bytes());
    record
}

/// Reads a record; `None` when it is damaged.
pub(crate) fn read(record: &[u8]) -> Option<Record<'_>> {
    match record.split_first()? {
        (b'I', ids) => {
            let (ids, []) = ids.as_chunks::<4>() else {
                return None;
            };
            Some(Record::Ids(
                ids.iter().map(|id| u32::from_le_bytes(*id)).collect(),
            ))
        }
        (b'C', rest) => {
            let (&level, rest) = rest.split_first()?;
            let (at_ms, payload) = rest.split_first_chunk::<8>()?;
            Some(Record::Column {
                level,
                at_ms: i64::from_le_bytes(*at_ms),
                payload,
            })
        }
        _ => None,
    }
}

/// Appends a record to a snapshot.
pub(crate) fn join(snapshot: &mut Vec<u8>, record: &[u8]) {
    let length = u32::try_from(record.len()).expect("a column is far below 4 GB");
    snapshot.extend(length.to_le_bytes());
    snapshot.extend(record);
}

/// Iterates over the records of a snapshot, up to where it is damaged.
pub(crate) fn split(mut snapshot: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = snapshot.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (record, rest) = rest.split_at_checked(length)?;
        snapshot = rest;
        Some(record)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fathom_kernel::{Checkpoint, CheckpointError, CheckpointStore};

    use super::*;

    #[test]
    fn records_come_back() {
        let mut column = column_record(2, -5);
        column.extend([1, 2, 3]);
        let mut snapshot = Vec::new();
        join(&mut snapshot, &ids_record([7, 9].into_iter()));
        join(&mut snapshot, &column);
        let records: Vec<_> = split(&snapshot).map(read).collect();
        let expected = Record::Column {
            level: 2,
            at_ms: -5,
            payload: &[1, 2, 3],
        };
        assert_eq!(records, [Some(Record::Ids(vec![7, 9])), Some(expected)]);
    }

    #[test]
    fn columns_are_appended_behind_a_list_that_grows_and_written_anew_when_some_went() {
        let mut appended = Appended::default();
        let mut hand_over = |ids: &[u32], outdated: bool| {
            if outdated {
                appended.outdate();
            }
            let (mut keep, ids) = (Persist::default(), ids.to_vec());
            let (new, all) = (vec![vec![b'C', 1]], [vec![b'C', 1], vec![b'C', 2]]);
            appended.hand_over(ids.into_iter(), new, all.into_iter(), &mut keep);
            let store = Arc::new(Memory::default());
            keep.write(&Checkpoint::new("t".into(), store.clone()))
                .unwrap();
            store.0.lock().unwrap().clone()
        };
        let list = |ids: &[u32]| ids_record(ids.iter().copied());
        assert_eq!(hand_over(&[7], false).records, [list(&[7]), vec![b'C', 1]]);
        assert_eq!(hand_over(&[7], false).records, [vec![b'C', 1]]);
        let grown = hand_over(&[7, 9], false);
        assert_eq!(grown.records, [list(&[7, 9]), vec![b'C', 1]]);
        let anew = hand_over(&[7, 9], true);
        let whole = anew.snapshot.unwrap();
        let parts: Vec<_> = split(&whole).collect();
        assert_eq!(parts, [&list(&[7, 9])[..], b"C\x01", b"C\x02"]);
        assert_eq!(hand_over(&[7, 9], false).records, [vec![b'C', 1]]);
    }

    /// A checkpoint in memory.
    #[derive(Default)]
    struct Memory(std::sync::Mutex<Saved>);

    impl CheckpointStore for Memory {
        fn load(&self, _: &str) -> Result<Saved, CheckpointError> {
            Ok(self.0.lock().unwrap().clone())
        }

        fn save(&self, _: &str, snapshot: &[u8]) -> Result<(), CheckpointError> {
            let snapshot = Some(snapshot.to_vec());
            let records = Vec::new();
            *self.0.lock().unwrap() = Saved { snapshot, records };
            Ok(())
        }

        fn append(&self, _: &str, record: &[u8]) -> Result<(), CheckpointError> {
            self.0.lock().unwrap().records.push(record.to_vec());
            Ok(())
        }
    }

    #[test]
    fn damage_ends_the_reading_without_harm() {
        let mut snapshot = Vec::new();
        join(&mut snapshot, &ids_record([7, 9].into_iter()));
        for cut in 0..snapshot.len() {
            assert_eq!(split(&snapshot[..cut]).count(), 0);
        }
        for cut in 0..10 {
            let record = &column_record(1, 1)[..cut];
            assert_eq!(read(record).is_some(), cut == 10, "{cut}");
        }
        assert_eq!(read(b"I12345"), None);
    }
}
