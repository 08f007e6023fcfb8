//! How results and pending arrivals survive a restart: each once, appended to a snapshot that is made
//! anew now and then.
//!
//! ```text
//! cycle     flags u8: 1 has data, 2 not heard as a whole | n * (rank in the list of ids u32 | emitter i32 | pings u32 | quality f32)
//! arrivals  n * (DOM id u32 | emitter i32 | quality f64 | time base f64 | time of arrival f64)
//! lost      n * emitter i32; the last record counts
//! ```

use fathom_formats::km3net::{Arrival, DomId};
use fathom_kernel::{Persist, Saved};

use super::Acoustics;
use super::cycle::{Cycle, Result};
use crate::columns::{self, Record};
use crate::places::Found;

/// Levels of the records.
const CYCLE: u8 = 0;
const ARRIVALS: u8 = 1;
const LOST: u8 = 2;

/// Flags of a cycle.
const HAS_DATA: u8 = 1;
const IS_PART: u8 = 2;

const RESULT_BYTES: usize = 16;
const ARRIVAL_BYTES: usize = 32;

impl Acoustics {
    /// Appends what is new since the last time, or writes everything when too much was appended.
    pub(super) fn keep(&mut self, keep: &mut Persist) {
        let bytes = self
            .kept
            .bytes
            .filter(|bytes| *bytes <= columns::APPENDED_MAX);
        let newest = self.history.newest().map(|cycle| cycle.number);
        let fresh = std::mem::take(&mut self.pending.fresh);
        if bytes.is_some() && fresh.is_empty() && newest == self.kept.cycle {
            return;
        }
        let (arrivals, after) = match bytes {
            Some(_) => (fresh, self.kept.cycle),
            None => (self.pending.all().collect(), None),
        };
        let mut all = Vec::new();
        let ids = self.places.list().iter().map(|place| place.dom_id);
        columns::join(&mut all, &columns::ids_record(ids));
        for cycle in self
            .history
            .iter()
            .filter(|cycle| Some(cycle.number) > after)
        {
            columns::join(&mut all, &record_of_cycle(cycle));
        }
        columns::join(&mut all, &record_of_arrivals(&arrivals));
        // It changes with a cycle only.
        let mut lost = columns::column_record(LOST, 0);
        lost.extend(self.lost.iter().flat_map(|emitter| emitter.to_le_bytes()));
        columns::join(&mut all, &lost);
        self.kept.cycle = newest;
        self.kept.bytes = Some(bytes.unwrap_or(0) + all.len());
        match bytes {
            Some(_) => keep.append(all),
            None => keep.snapshot(all),
        }
    }

    /// Takes it back. Results follow the modules, so that another detector description does no harm.
    pub(super) fn take_back(&mut self, saved: &Saved) -> std::result::Result<(), String> {
        let Some(snapshot) = &saved.snapshot else {
            return Ok(());
        };
        let mut ranks = Vec::new();
        let mut arrivals = Vec::new();
        let records = std::iter::once(snapshot).chain(&saved.records);
        for record in records.flat_map(|part| columns::split(part)) {
            match columns::read(record).ok_or("a kept record is damaged")? {
                Record::Ids(ids) => ranks = ids.into_iter().map(|id| self.rank(id)).collect(),
                Record::Column {
                    level: CYCLE,
                    at_ms,
                    payload,
                } => {
                    let cycle =
                        read_cycle(at_ms, payload, &ranks).ok_or("a kept cycle is damaged")?;
                    self.judged = self.judged.max(Some(cycle.number));
                    self.history.push(cycle);
                }
                Record::Column {
                    level: LOST,
                    payload,
                    ..
                } => {
                    let (list, []) = payload.as_chunks::<4>() else {
                        return Err("a kept beacon is damaged".into());
                    };
                    let emitters = list.iter().map(|bytes| i32::from_le_bytes(*bytes));
                    self.lost = emitters.collect();
                }
                Record::Column { payload, .. } => {
                    let (list, []) = payload.as_chunks::<ARRIVAL_BYTES>() else {
                        return Err("a kept arrival is damaged".into());
                    };
                    arrivals.extend(list.iter().filter_map(read_arrival));
                }
            }
        }
        let closed_ms = self.judged.map_or(i64::MIN, |judged| self.end_ms(judged));
        for arrival in arrivals
            .iter()
            .filter(|a| super::ms_of_arrival(a) >= closed_ms)
        {
            self.pending.add(arrival);
        }
        self.pending.fresh.clear();
        let newest = self.history.newest();
        self.without_data = newest.is_some_and(|cycle| !cycle.has_data);
        self.is_restored = true;
        Ok(())
    }

    fn rank(&mut self, dom_id: u32) -> Option<u32> {
        match self.places.find(dom_id) {
            Found::Dom(rank) => u32::try_from(rank).ok(),
            Found::Base | Found::Unknown => None,
        }
    }
}

/// What is on disk already.
#[derive(Debug, Default)]
pub(super) struct OnDisk {
    cycle: Option<i64>,
    bytes: Option<usize>,
}

fn record_of_cycle(cycle: &Cycle) -> Vec<u8> {
    let mut record = columns::column_record(CYCLE, cycle.number);
    let has_data = u8::from(cycle.has_data) * HAS_DATA;
    record.push(has_data + u8::from(!cycle.is_whole) * IS_PART);
    for result in &cycle.results {
        record.extend(result.rank.to_le_bytes());
        record.extend(result.emitter.to_le_bytes());
        record.extend(result.pings.to_le_bytes());
        record.extend(result.quality.to_le_bytes());
    }
    record
}

fn read_cycle(number: i64, payload: &[u8], ranks: &[Option<u32>]) -> Option<Cycle> {
    let (&flags, rest) = payload.split_first()?;
    let (list, []) = rest.as_chunks::<RESULT_BYTES>() else {
        return None;
    };
    let read = |bytes: &[u8; RESULT_BYTES]| {
        let [rank, emitter, pings, quality] = words(bytes)?;
        Some(Result {
            rank: (*ranks.get(u32::from_le_bytes(rank) as usize)?)?,
            emitter: i32::from_le_bytes(emitter),
            pings: u32::from_le_bytes(pings),
            quality: f32::from_le_bytes(quality),
        })
    };
    let mut results: Vec<_> = list.iter().filter_map(read).collect();
    results.sort_by_key(|result| result.rank);
    Some(Cycle {
        number,
        has_data: flags & HAS_DATA != 0,
        is_whole: flags & IS_PART == 0,
        results,
        unknown: 0,
    })
}

fn record_of_arrivals(arrivals: &[Arrival]) -> Vec<u8> {
    let mut record = columns::column_record(ARRIVALS, 0);
    for arrival in arrivals {
        record.extend(arrival.dom_id.0.to_le_bytes());
        record.extend(arrival.emitter.to_le_bytes());
        for number in [arrival.quality, arrival.time_base_s, arrival.toa_s] {
            record.extend(number.to_le_bytes());
        }
    }
    record
}

fn read_arrival(bytes: &[u8; ARRIVAL_BYTES]) -> Option<Arrival> {
    let [dom_id, emitter, q0, q1, b0, b1, t0, t1] = words(bytes)?;
    let double = |low: [u8; 4], high: [u8; 4]| {
        let (low, high) = (u32::from_le_bytes(low), u32::from_le_bytes(high));
        f64::from_bits(u64::from(high) << 32 | u64::from(low))
    };
    Some(Arrival {
        dom_id: DomId(u32::from_le_bytes(dom_id)),
        emitter: i32::from_le_bytes(emitter),
        quality: double(q0, q1),
        time_base_s: double(b0, b1),
        toa_s: double(t0, t1),
    })
}

/// Cuts a record into words of 4 bytes.
fn words<const N: usize>(bytes: &[u8]) -> Option<[[u8; 4]; N]> {
    let (words, []) = bytes.as_chunks::<4>() else {
        return None;
    };
    words.try_into().ok()
}
