//! What `royfit` keeps over a restart: numbers as JSON, residuals as cells of their minutes.
//!
//! Records are those of `columns`: the ids of the DOMs, how each is calibrated (level 3), the JSON
//! (level 1), the cells of a minute (level 0), and behind the snapshot the keys of single residuals
//! (level 2). All numbers of levels 0, 2 and 3 are u32, little-endian.

use std::hash::{DefaultHasher, Hash, Hasher};

use fathom_formats::detx::Detector;
use fathom_kernel::{Persist, Saved};
use serde::{Deserialize, Serialize};

use super::Royfit;
use super::history::{Listed, Minute, Shape};
use super::residuals::{CODES, Residuals, parts};
use crate::columns::{APPENDED_MAX, Record, column_record, ids_record, join, read, split};
use crate::places::Places;

const KEPT_VERSION: u32 = 1;
const CELLS: u8 = 0;
const NUMBERS: u8 = 1;
const KEYS: u8 = 2;
const CALIBRATIONS: u8 = 3;
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

/// The DOMs that residuals belong to, by rank.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doms<'a> {
    pub(super) places: &'a Places,
    /// A number for times and positions of each one's PMTs: residuals of another calibration do not
    /// mix with today's.
    pub(super) calibrations: &'a [u32],
}

/// Returns that number for every DOM.
pub(super) fn calibrations(detector: &Detector, places: &Places) -> Vec<u32> {
    let number = |dom_id: u32| {
        let module = detector.module(dom_id.into())?;
        let mut hasher = DefaultHasher::new();
        for pmt in &module.pmts {
            pmt.t0_ns.to_bits().hash(&mut hasher);
            pmt.position_m.map(f64::to_bits).hash(&mut hasher);
        }
        u32::try_from(hasher.finish() >> 32).ok()
    };
    let ids = places.list().iter().map(|place| place.dom_id);
    ids.map(|dom_id| number(dom_id).unwrap_or(0)).collect()
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
        (doms, residuals): (&Doms<'_>, &mut Residuals),
        keep: &mut Persist,
    ) {
        let mut json = column_record(NUMBERS, numbers.newest_ms.unwrap_or(0));
        json.extend(serde_json::to_vec(numbers).expect("numbers and texts become JSON"));
        if self.snapshot_due || self.appended > APPENDED_MAX {
            keep.snapshot(snapshot(&json, doms, residuals));
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

fn snapshot(json: &[u8], doms: &Doms<'_>, residuals: &mut Residuals) -> Vec<u8> {
    let mut snapshot = Vec::new();
    let ids = doms.places.list().iter().map(|place| place.dom_id);
    join(&mut snapshot, &ids_record(ids));
    let mut calibrations = column_record(CALIBRATIONS, 0);
    calibrations.extend(
        doms.calibrations
            .iter()
            .flat_map(|number| number.to_le_bytes()),
    );
    join(&mut snapshot, &calibrations);
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

/// A record of what was kept, with the time of its column.
fn columns(saved: &Saved) -> impl Iterator<Item = Option<Record<'_>>> {
    let snapshot = saved.snapshot.as_deref().unwrap_or_default();
    let records = split(snapshot).chain(saved.records.iter().map(Vec::as_slice));
    records.map(read)
}

/// Reads the numbers, and the newest minute with residuals; `None` when nothing was kept.
///
/// # Errors
/// When a record is damaged.
fn newest(saved: &Saved) -> Result<Option<(Numbers, Option<i64>)>, String> {
    let (mut numbers, mut newest) = (None, None);
    for record in columns(saved) {
        match record.ok_or("a record is damaged")? {
            Record::Ids(_)
            | Record::Column {
                level: CALIBRATIONS,
                ..
            } => {}
            Record::Column {
                level: NUMBERS,
                payload,
                ..
            } => numbers = Some(payload),
            Record::Column { at_ms, .. } => newest = newest.max(Some(at_ms)),
        }
    }
    match (numbers, saved.snapshot.is_some()) {
        (Some(numbers), _) => {
            let numbers = serde_json::from_slice(numbers).map_err(|e| e.to_string())?;
            Ok(Some((numbers, newest)))
        }
        (None, true) => Err("the numbers are missing".into()),
        (None, false) => Ok(None),
    }
}

/// Adds the residuals that were kept, with the ranks of today's DOMs; those of a DOM that is
/// calibrated in another way now are left out.
fn put_back(saved: &Saved, doms: &Doms<'_>, residuals: &mut Residuals) {
    let mut ranks: Vec<Option<usize>> = Vec::new();
    for record in columns(saved).flatten() {
        match record {
            Record::Ids(ids) => ranks = ids.into_iter().map(|id| doms.places.rank(id)).collect(),
            Record::Column { level: NUMBERS, .. } => {}
            Record::Column {
                level: CALIBRATIONS,
                payload,
                ..
            } => {
                let mut before = numbers_of(payload);
                for rank in &mut ranks {
                    let (before, now) =
                        (before.next(), rank.and_then(|r| doms.calibrations.get(r)));
                    *rank = rank.filter(|_| before.is_some() && before.as_ref() == now);
                }
            }
            Record::Column {
                level,
                at_ms,
                payload,
            } => {
                for number in numbers_of(payload) {
                    let (key, count) = match level {
                        KEYS => (number as usize, 1),
                        _ => parts(number),
                    };
                    let rank = ranks.get(key / CODES).copied().flatten();
                    let key = rank.map(|rank| rank * CODES + key % CODES);
                    if let Some(key) = key.and_then(|key| u32::try_from(key).ok()) {
                        residuals.add_cell(at_ms, key, count);
                    }
                }
            }
        }
    }
}

fn numbers_of(payload: &[u8]) -> impl Iterator<Item = u32> {
    let numbers = payload.as_chunks::<4>().0.iter();
    numbers.map(|bytes| u32::from_le_bytes(*bytes))
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

    pub(super) fn take_back(&mut self, saved: &Saved) -> Result<(), String> {
        let Some((numbers, newest)) = newest(saved)? else {
            return Ok(());
        };
        if numbers.version != KEPT_VERSION {
            return Err(format!(
                "kept with version {}, now {KEPT_VERSION}",
                numbers.version
            ));
        }
        self.timeline.resume(numbers.ahead_ms);
        self.newest_ms = numbers.newest_ms;
        self.counts = numbers.counts;
        self.csv.written = numbers.csv_bytes;
        self.offsets.put_back(numbers.off, &self.places);
        self.history
            .put_back(numbers.listed, numbers.shapes, numbers.minutes);
        // Residuals that were counted in another way do not mix with today's.
        if let Some(newest) = newest.filter(|_| numbers.slewing == self.config.slewing) {
            self.residuals.set_clock(newest);
            let doms = Doms {
                places: &self.places,
                calibrations: &self.calibrations,
            };
            put_back(saved, &doms, &mut self.residuals);
        }
        Ok(())
    }
}
