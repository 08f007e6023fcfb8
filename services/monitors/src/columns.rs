//! How columns of numbers per DOM are kept over a restart: a list of ids, then columns in the order
//! of that list.
//!
//! ```text
//! ids      'I' | id u32 | id u32 | ...
//! column   'C' | level u8 | time i64 [ms] | payload
//! ```
//! Little-endian. A snapshot is such records one after the other, each behind its length as u32.

/// Bytes of appended records after which everything is written anew as a snapshot.
pub(crate) const APPENDED_MAX: usize = 48 << 20;

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
