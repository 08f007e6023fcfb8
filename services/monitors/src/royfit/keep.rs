//! What `royfit` keeps over a restart: numbers as JSON, residuals as cells of their minutes.
//!
//! Records are those of `columns`: the ids of the DOMs, the JSON (level 1), the cells of a minute
//! (level 0), and behind the snapshot the keys of single residuals (level 2). All numbers of levels 0
//! and 2 are u32, little-endian.

use fathom_kernel::{Persist, Saved};
use serde::{Deserialize, Serialize};

use super::Royfit;
use super::history::{Listed, Minute, Shape};
use super::residuals::{CODES, Residuals, parts};
use crate::columns::{APPENDED_MAX, Record, column_record, ids_record, join, read, split};
use crate::places::Places;
use crate::timeline::Timeline;

const KEPT_VERSION: u32 = 1;
const CELLS: u8 = 0;
const NUMBERS: u8 = 1;
const KEYS: u8 = 2;
/// Most bytes of cells in a snapshot: the newest minutes.
const CELLS_BYTES_MAX: usize = 48 << 20;
/// Most residuals that wait to be kept; more make a new snapshot.
const WAITING_MAX: usize = 1 << 20;

/// The numbers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Numbers {
    pub(super) version: u32,
    /// Whether residuals are corrected for slewing.
    pub(super) slewing: bool,
    pub(super) ahead_ms: Option<i64>,
    pub(super) newest_ms: Option<i64>,
    pub(super) counts: super::counts::Counts,
    pub(super) csv_bytes: u64,
    pub(super) off: Vec<u32>,
    pub(super) listed: Vec<Listed>,
    pub(super) shapes: Vec<Shape>,
    pub(super) minutes: Vec<(i64, Minute)>,
}

/// What is still to be kept.
#[derive(Debug)]
pub(super) struct Keeper {
    /// Minute and key of residuals since the last time.
    waiting: Vec<(i64, u32)>,
    appended: usize,
    snapshot_due: bool,
}

impl Default for Keeper {
    fn default() -> Self {
        Self {
            waiting: Vec::new(),
            appended: 0,
            snapshot_due: true,
        }
    }
}

impl Keeper {
    /// A residual is to be kept.
    pub(super) fn saw(&mut self, minute: i64, key: u32) {
        if self.snapshot_due {
            return;
        }
        if self.waiting.len() >= WAITING_MAX {
            self.snapshot_due = true;
            self.waiting = Vec::new();
            return;
        }
        self.waiting.push((minute, key));
    }

    pub(super) fn persist(
        &mut self,
        numbers: &Numbers,
        (places, residuals): (&Places, &mut Residuals),
        keep: &mut Persist,
    ) {
        let mut json = column_record(NUMBERS, numbers.newest_ms.unwrap_or(0));
        json.extend(serde_json::to_vec(numbers).expect("numbers and texts become JSON"));
        if self.snapshot_due || self.appended > APPENDED_MAX {
            keep.snapshot(snapshot(&json, places, residuals));
            *self = Self {
                snapshot_due: false,
                ..Self::default()
            };
            return;
        }
        self.waiting.sort_unstable();
        for minute in self.waiting.chunk_by(|a, b| a.0 == b.0) {
            let Some((at, _)) = minute.first() else {
                continue;
            };
            let mut record = column_record(KEYS, *at);
            record.extend(minute.iter().flat_map(|(_, key)| key.to_le_bytes()));
            self.appended += record.len();
            keep.append(record);
        }
        self.waiting.clear();
        self.appended += json.len();
        keep.append(json);
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.waiting.capacity() * size_of::<(i64, u32)>()
    }
}

fn snapshot(json: &[u8], places: &Places, residuals: &mut Residuals) -> Vec<u8> {
    let mut snapshot = Vec::new();
    let ids = places.list().iter().map(|place| place.dom_id);
    join(&mut snapshot, &ids_record(ids));
    join(&mut snapshot, json);
    for (minute, cells) in residuals.cells() {
        if snapshot.len() + cells.len() * 4 > CELLS_BYTES_MAX {
            break;
        }
        let mut record = column_record(CELLS, minute);
        record.extend(cells.iter().flat_map(|cell| cell.to_le_bytes()));
        join(&mut snapshot, &record);
    }
    snapshot
}

/// What was read back.
#[derive(Debug, Default)]
pub(super) struct Restored {
    pub(super) numbers: Option<Numbers>,
    /// Minute, key and count of residuals, with the ranks of today's DOMs.
    pub(super) cells: Vec<(i64, u32, u32)>,
}

/// Reads what was kept; what is damaged is left out.
pub(super) fn restore(saved: &Saved, places: &Places) -> Result<Restored, String> {
    let mut restored = Restored::default();
    let Some(snapshot) = &saved.snapshot else {
        return Ok(restored);
    };
    let mut ranks: Vec<Option<usize>> = Vec::new();
    let records = split(snapshot).chain(saved.records.iter().map(Vec::as_slice));
    for record in records {
        match read(record).ok_or("a record is damaged")? {
            Record::Ids(ids) => ranks = ids.into_iter().map(|id| places.rank(id)).collect(),
            Record::Column {
                level: NUMBERS,
                payload,
                ..
            } => {
                restored.numbers = Some(serde_json::from_slice(payload).map_err(|e| e.to_string())?)
            }
            Record::Column {
                level,
                at_ms,
                payload,
            } => {
                let numbers = payload.as_chunks::<4>().0.iter();
                let cells = numbers.map(|bytes| u32::from_le_bytes(*bytes));
                let cells = cells.map(|number| match level {
                    KEYS => (number as usize, 1),
                    _ => parts(number),
                });
                let cells = cells.filter_map(|(key, count)| {
                    let rank = (*ranks.get(key / CODES)?)?;
                    let key = u32::try_from(rank * CODES + key % CODES).ok()?;
                    Some((at_ms, key, count))
                });
                restored.cells.extend(cells);
            }
        }
    }
    Ok(restored)
}

impl Royfit {
    pub(super) fn numbers(&self) -> Numbers {
        Numbers {
            version: KEPT_VERSION,
            slewing: self.config.slewing,
            ahead_ms: self.timeline.ahead_ms(),
            newest_ms: self.newest_ms,
            counts: self.counts,
            csv_bytes: self.csv.written,
            off: self.offsets.list(),
            listed: self.history.listed().cloned().collect(),
            shapes: self.history.shapes().copied().collect(),
            minutes: self.history.minutes().collect(),
        }
    }

    pub(super) fn take_back(
        &mut self,
        numbers: Numbers,
        cells: Vec<(i64, u32, u32)>,
    ) -> Result<(), String> {
        if numbers.version != KEPT_VERSION {
            return Err(format!(
                "kept with version {}, now {KEPT_VERSION}",
                numbers.version
            ));
        }
        if let Some(ahead_ms) = numbers.ahead_ms {
            self.timeline = Timeline::resumed(ahead_ms);
        }
        self.newest_ms = numbers.newest_ms;
        self.counts = numbers.counts;
        self.csv.written = numbers.csv_bytes;
        self.offsets.put_back(numbers.off);
        self.history
            .put_back(numbers.listed, numbers.shapes, numbers.minutes);
        let newest = cells.iter().map(|(minute, ..)| *minute).max();
        // Residuals that were counted in another way do not mix with today's.
        if let Some(newest) = newest.filter(|_| numbers.slewing == self.config.slewing) {
            self.residuals.set_clock(newest);
            for (minute, key, count) in cells {
                self.residuals.add_cell(minute, key, count);
            }
        }
        Ok(())
    }
}
