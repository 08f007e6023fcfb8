//! How the maps survive a restart: each event once, appended to a snapshot that is made anew now and
//! then.
//!
//! ```text
//! column   number u64 | note length u16 | note | hits | triggered
//! hits     n u16 | n rows u16 | n counts u16
//! ```

use std::sync::Arc;

use fathom_kernel::view::{ColumnMark, HitColumn};
use fathom_kernel::{Persist, Saved};
use serde::{Deserialize, Serialize};

use super::TriggerMap;
use super::dumps::Dumps;
use crate::columns::{self, Record};
use crate::places::Found;
use crate::runs::Runs;

/// Levels of the records: an event, and what is beside the events.
const EVENT: u8 = 0;
const BESIDE: u8 = 1;

/// What an event is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) number: u64,
    pub(super) at_ms: i64,
    pub(super) note: String,
}

/// What is kept beside the events; the last one counts.
#[derive(Serialize, Deserialize)]
struct Beside {
    next: u64,
    unknown_hits: u64,
    runs: Runs,
    marks: Vec<ColumnMark>,
    dumps: Dumps,
}

impl TriggerMap {
    /// Appends the events since the last time, or writes everything when too much was appended.
    pub(super) fn keep(&mut self, keep: &mut Persist) {
        if self.kept_bytes.is_some() && self.kept_to == self.next {
            return;
        }
        let bytes = self.kept_bytes.filter(|b| *b <= columns::APPENDED_MAX);
        let from = bytes.map_or(0, |_| self.kept_to);
        let mut all = Vec::new();
        let ids = self.places.list().iter().map(|place| place.dom_id);
        columns::join(&mut all, &columns::ids_record(ids));
        for (hits, triggered) in self.hits.since(from).zip(self.triggered.since(from)) {
            columns::join(&mut all, &record(hits, triggered));
        }
        let beside = Beside {
            next: self.next,
            unknown_hits: self.unknown_hits,
            runs: self.runs.clone(),
            marks: self.marks.clone(),
            dumps: self.dumps.clone(),
        };
        let mut last = columns::column_record(BESIDE, 0);
        last.extend(serde_json::to_vec(&beside).expect("numbers and texts become JSON"));
        columns::join(&mut all, &last);
        self.kept_to = self.next;
        self.kept_bytes = Some(bytes.unwrap_or(0) + all.len());
        match bytes {
            Some(_) => keep.append(all),
            None => keep.snapshot(all),
        }
    }

    /// Takes events back. Rows follow the DOMs, so that another detector description does no harm.
    pub(super) fn take_back(&mut self, saved: &Saved) -> Result<(), String> {
        let Some(snapshot) = &saved.snapshot else {
            return Ok(());
        };
        let mut rows = Vec::new();
        let records = std::iter::once(snapshot).chain(&saved.records);
        for record in records.flat_map(|part| columns::split(part)) {
            match columns::read(record).ok_or("a kept record is damaged")? {
                Record::Ids(ids) => rows = ids.into_iter().map(|id| self.row(id)).collect(),
                Record::Column {
                    level: EVENT,
                    at_ms,
                    payload,
                } => {
                    let mut left = payload;
                    let [hits, triggered] =
                        read(&mut left, at_ms, &rows).ok_or("a kept event is damaged")?;
                    self.hits.push(Arc::new(hits));
                    self.triggered.push(Arc::new(triggered));
                    self.newest_ms = self.newest_ms.max(Some(at_ms));
                }
                Record::Column { payload, .. } => {
                    let beside: Beside =
                        serde_json::from_slice(payload).map_err(|e| e.to_string())?;
                    self.next = beside.next;
                    self.unknown_hits = beside.unknown_hits;
                    self.runs = beside.runs;
                    self.marks = beside.marks;
                    self.dumps.take_back(beside.dumps);
                }
            }
        }
        let newest = self.hits.columns().last().map_or(0, |c| c.number + 1);
        self.next = self.next.max(newest);
        Ok(())
    }

    fn row(&mut self, dom_id: u32) -> Option<u16> {
        match self.places.find(dom_id) {
            Found::Dom(rank) => u16::try_from(rank).ok(),
            Found::Base | Found::Unknown => None,
        }
    }
}

fn record(hits: &HitColumn, triggered: &HitColumn) -> Vec<u8> {
    let mut record = columns::column_record(EVENT, hits.at_ms);
    record.extend(hits.number.to_le_bytes());
    put(&mut record, hits.note.len());
    record.extend(hits.note.as_bytes());
    for column in [hits, triggered] {
        put(&mut record, column.rows.len());
        record.extend(column.rows.iter().flat_map(|row| row.to_le_bytes()));
        record.extend(column.counts.iter().flat_map(|count| count.to_le_bytes()));
    }
    record
}

/// Writes a length; rows and notes have far fewer than 65536.
fn put(record: &mut Vec<u8>, length: usize) {
    record.extend(u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
}

fn read(left: &mut &[u8], at_ms: i64, places: &[Option<u16>]) -> Option<[HitColumn; 2]> {
    let (number, rest) = left.split_first_chunk::<8>()?;
    *left = rest;
    let number = u64::from_le_bytes(*number);
    let length = usize::from(read_u16(left)?);
    let (note, rest) = left.split_at_checked(length)?;
    *left = rest;
    let note = String::from_utf8_lossy(note).into_owned();
    let mut column = || {
        let length = usize::from(read_u16(left)?);
        let rows = read_all(left, length)?;
        let counts = read_all(left, length)?;
        let mut cells: Vec<(u16, u16)> = rows
            .into_iter()
            .zip(counts)
            .filter_map(|(row, count)| Some(((*places.get(usize::from(row))?)?, count)))
            .collect();
        cells.sort_unstable();
        Some(HitColumn {
            number,
            at_ms,
            note: note.clone(),
            rows: cells.iter().map(|cell| cell.0).collect(),
            counts: cells.iter().map(|cell| cell.1).collect(),
        })
    };
    Some([column()?, column()?])
}

fn read_u16(left: &mut &[u8]) -> Option<u16> {
    let (number, rest) = left.split_first_chunk::<2>()?;
    *left = rest;
    Some(u16::from_le_bytes(*number))
}

fn read_all(left: &mut &[u8], count: usize) -> Option<Vec<u16>> {
    (0..count).map(|_| read_u16(left)).collect()
}
