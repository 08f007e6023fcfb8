//! The orientations of all modules over the last days, one column per time step.
//!
//! A column takes 6 bytes per module. The step follows from the time that is shown, the number of
//! modules and the memory.

use std::collections::VecDeque;

use fathom_kernel::{Persist, Saved};

use super::angle::{AngleCode, Circle};
use super::orientation::Orientation;
use super::windows::WINDOW_MS;
use crate::columns::{self, Appended, Record};
use crate::places::{Found, Places};

/// Steps between two points, from which one is chosen (ms).
const STEPS_MS: [i64; 9] = [
    10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_200_000, 1_800_000, 3_600_000,
];
/// Most points of a curve.
const POINTS_MAX: i64 = 1000;
/// Bytes of a module in a column: the column itself, and the curves on the board.
const POINT_BYTES: usize = Cell::BYTES + 24;
/// Time steps open at once: the present one, and those that wait for late windows.
const OPEN_MAX: usize = 3;
/// Most columns handed over to be kept at once; older ones are not kept.
const UNSAVED_MAX: usize = 100;

/// The orientation of one module in one time step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) yaw: AngleCode,
    pub(super) pitch: AngleCode,
    pub(super) roll: AngleCode,
}

/// A complete time step.
#[derive(Debug)]
struct Column {
    /// Its end (ms).
    at_ms: i64,
    cells: Box<[Cell]>,
}

/// A time step that is being filled.
#[derive(Debug)]
struct Open {
    start_ms: i64,
    /// Yaw, pitch and roll by rank.
    sums: Vec<[Circle; 3]>,
}

/// All columns.
#[derive(Debug)]
pub(super) struct History {
    step_ms: i64,
    range_ms: i64,
    columns: VecDeque<Column>,
    open: VecDeque<Open>,
    /// Newest columns not kept yet.
    unsaved: usize,
    appended: Appended,
    pub(super) late: u64,
}

impl History {
    /// Makes an empty history of this length (ms) for so many modules within a memory [bytes].
    pub(super) fn new(range_ms: i64, modules: usize, memory: usize) -> Self {
        let fits = |step_ms: &i64| {
            let points = range_ms / step_ms + 1;
            let bytes = usize::try_from(points).map(|n| n.saturating_mul(modules * POINT_BYTES));
            points <= POINTS_MAX && bytes.is_ok_and(|bytes| bytes <= memory)
        };
        let [.., coarsest] = STEPS_MS;
        Self {
            step_ms: STEPS_MS.into_iter().find(fits).unwrap_or(coarsest),
            range_ms,
            columns: VecDeque::new(),
            open: VecDeque::new(),
            unsaved: 0,
            appended: Appended::default(),
            late: 0,
        }
    }

    /// Returns the time between two points (ms).
    pub(super) fn step_ms(&self) -> i64 {
        self.step_ms
    }

    /// Adds what a module read in a window.
    pub(super) fn add(&mut self, rank: usize, window_ms: i64, orientation: &Orientation) {
        let start_ms = window_ms.div_euclid(self.step_ms) * self.step_ms;
        let newest_ms = self.open.back().map(|open| open.start_ms);
        if newest_ms.is_none_or(|newest_ms| newest_ms < start_ms) {
            let sums = Vec::new();
            self.open.push_back(Open { start_ms, sums });
            while self.open.len() > OPEN_MAX {
                self.close_oldest();
            }
        }
        let mut open = self.open.iter_mut();
        let Some(open) = open.find(|open| open.start_ms == start_ms) else {
            self.late += 1;
            return;
        };
        if open.sums.len() <= rank {
            open.sums.resize(rank + 1, [Circle::default(); 3]);
        }
        let [yaw, pitch, roll] = &mut open.sums[rank];
        yaw.add(orientation.yaw_deg);
        pitch.add(orientation.pitch_deg);
        roll.add(orientation.roll_deg);
    }

    /// Ends the time steps for which nothing comes any more.
    pub(super) fn close(&mut self, until_ms: i64) {
        let start_max_ms = until_ms.saturating_sub(self.step_ms + WINDOW_MS);
        let ended = |open: &Open| open.start_ms <= start_max_ms;
        while self.open.front().is_some_and(ended) {
            self.close_oldest();
        }
    }

    /// The clock was set to another time: everything open is complete.
    pub(super) fn jump(&mut self) {
        while !self.open.is_empty() {
            self.close_oldest();
        }
    }

    fn close_oldest(&mut self) {
        let Some(open) = self.open.pop_front() else {
            return;
        };
        let at_ms = open.start_ms + self.step_ms;
        let newest_ms = self.columns.back().map(|column| column.at_ms);
        if newest_ms.is_some_and(|newest_ms| newest_ms + self.step_ms < at_ms) {
            // Curves are interrupted where there was nothing.
            let at_ms = newest_ms.unwrap_or(0) + self.step_ms;
            self.push(Column {
                at_ms,
                cells: Box::default(),
            });
            self.unsaved = (self.unsaved + 1).min(UNSAVED_MAX);
        }
        self.push(Column {
            at_ms,
            cells: open.sums.iter().map(Cell::of).collect(),
        });
        self.unsaved = (self.unsaved + 1).min(UNSAVED_MAX);
    }

    /// Appends a column. When the clock was set back, those of the future go.
    fn push(&mut self, column: Column) {
        let at_ms = column.at_ms;
        while self.columns.back().is_some_and(|c| c.at_ms >= at_ms) {
            self.columns.pop_back();
        }
        self.columns.push_back(column);
        let too_old = |c: &Column| c.at_ms <= at_ms.saturating_sub(self.range_ms);
        let most = usize::try_from(POINTS_MAX).unwrap_or(usize::MAX);
        while self.columns.len() > most || self.columns.front().is_some_and(too_old) {
            self.columns.pop_front();
        }
    }

    /// Returns the ends of all time steps; the last one is still open (ms).
    pub(super) fn times_ms(&self) -> Vec<i64> {
        let open = self.shown_open().map(|open| open.start_ms + self.step_ms);
        let columns = self.columns.iter().map(|column| column.at_ms);
        columns.chain(open).collect()
    }

    /// Returns one component of a module at all these times.
    pub(super) fn curve(&self, rank: usize, value: impl Fn(Cell) -> f64) -> Vec<f64> {
        let cell = |column: &Column| column.cells.get(rank).copied().unwrap_or(Cell::NOTHING);
        let open = self.shown_open().map(|open| {
            let sums = open.sums.get(rank);
            sums.map_or(Cell::NOTHING, Cell::of)
        });
        let cells = self.columns.iter().map(cell).chain(open);
        cells.map(value).collect()
    }

    /// The newest open time step, if it is newer than the columns.
    fn shown_open(&self) -> Option<&Open> {
        let newest_ms = self.columns.back().map_or(i64::MIN, |column| column.at_ms);
        self.open.back().filter(|open| open.start_ms >= newest_ms)
    }

    /// Iterates over the yaw of a module in the last columns: end (ms) and angle (deg).
    pub(super) fn yaws(&self, rank: usize, since_ms: i64) -> impl Iterator<Item = (i64, f64)> {
        let from = self.columns.partition_point(|c| c.at_ms <= since_ms);
        self.columns.range(from..).filter_map(move |column| {
            let yaw_deg = column.cells.get(rank)?.yaw.deg();
            yaw_deg.is_finite().then_some((column.at_ms, yaw_deg))
        })
    }

    /// Returns the end of the newest complete time step (ms).
    pub(super) fn newest_ms(&self) -> Option<i64> {
        self.columns.back().map(|column| column.at_ms)
    }

    /// Returns the memory of all columns [bytes].
    pub(super) fn memory_bytes(&self) -> usize {
        let cells = self.columns.iter().map(|column| column.cells.len());
        let sums = self.open.iter().map(|open| open.sums.len());
        cells.sum::<usize>() * Cell::BYTES + sums.sum::<usize>() * size_of::<[Circle; 3]>()
    }

    /// Hands over the new columns; all of them, when much has gathered.
    pub(super) fn persist(&mut self, places: &Places, keep: &mut Persist) {
        let unsaved = std::mem::take(&mut self.unsaved).min(self.columns.len());
        if unsaved == 0 {
            return;
        }
        let ids = places.list().iter().map(|place| place.dom_id);
        let new = self.columns.range(self.columns.len() - unsaved..);
        let new = new.map(Column::record).collect();
        let everything = self.columns.iter().map(Column::record);
        self.appended.hand_over(ids, new, everything, keep);
    }

    /// Takes back what was kept; modules may have moved since.
    pub(super) fn restore(&mut self, saved: &Saved, places: &mut Places) -> Result<(), String> {
        let snapshot = columns::split(saved.snapshot.as_deref().unwrap_or_default());
        let mut ranks: Vec<Option<usize>> = Vec::new();
        for record in snapshot.chain(saved.records.iter().map(Vec::as_slice)) {
            match columns::read(record).ok_or("a kept record is damaged")? {
                Record::Ids(ids) => {
                    let rank = |id| match places.find(id) {
                        Found::Dom(rank) => Some(rank),
                        Found::Base | Found::Unknown => None,
                    };
                    ranks = ids.into_iter().map(rank).collect();
                }
                Record::Column { at_ms, payload, .. } => {
                    let modules = places.list().len();
                    self.push(Column::read(at_ms, payload, &ranks, modules));
                }
            }
        }
        self.appended.resume(saved);
        Ok(())
    }
}

impl Cell {
    const NOTHING: Self = Self {
        yaw: AngleCode::NOTHING,
        pitch: AngleCode::NOTHING,
        roll: AngleCode::NOTHING,
    };
    const BYTES: usize = 6;

    fn of([yaw, pitch, roll]: &[Circle; 3]) -> Self {
        Self {
            yaw: yaw.code(),
            pitch: pitch.code(),
            roll: roll.code(),
        }
    }
}

impl Column {
    fn record(&self) -> Vec<u8> {
        let mut record = columns::column_record(0, self.at_ms);
        for cell in &self.cells {
            for code in [cell.yaw, cell.pitch, cell.roll] {
                record.extend(code.0.to_le_bytes());
            }
        }
        record
    }

    fn read(at_ms: i64, payload: &[u8], ranks: &[Option<usize>], modules: usize) -> Self {
        let (kept, _) = payload.as_chunks::<{ Cell::BYTES }>();
        // A gap has no cells at all.
        let modules = if kept.is_empty() { 0 } else { modules };
        let mut cells = vec![Cell::NOTHING; modules];
        for ([a, b, c, d, e, f], rank) in kept.iter().zip(ranks) {
            let code = |low: &u8, high: &u8| AngleCode(u16::from_le_bytes([*low, *high]));
            if let Some(cell) = rank.and_then(|rank| cells.get_mut(rank)) {
                *cell = Cell {
                    yaw: code(a, b),
                    pitch: code(c, d),
                    roll: code(e, f),
                };
            }
        }
        Self {
            at_ms,
            cells: cells.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NORTH: Orientation = Orientation {
        yaw_deg: 0.0,
        pitch_deg: 1.0,
        roll_deg: -2.0,
    };

    #[test]
    fn the_step_fits_the_range_the_memory_and_two_blocks() {
        let step_s = |hours: i64, modules, mib: usize| {
            let history = History::new(hours * 3_600_000, modules, mib << 20);
            history.step_ms() / 1000
        };
        assert_eq!(step_s(1, 76, 128), 10);
        assert_eq!(step_s(72, 456, 128), 300);
        // 865 points of 4,140 modules at 30 bytes: 102.5 MiB.
        assert_eq!(step_s(72, 4140, 128), 300);
        assert_eq!(step_s(72, 4140, 102), 600);
        assert_eq!(step_s(10_000, 4140, 1), 3600);
    }

    #[test]
    fn a_gap_interrupts_the_curves_and_a_clock_set_back_takes_the_future_away() {
        let mut history = History::new(3_600_000, 1, 1 << 20);
        for window in [0, 1, 2, 50, 51] {
            history.add(0, window * WINDOW_MS, &NORTH);
            history.close((window + 1) * WINDOW_MS);
        }
        history.jump();
        let times: Vec<_> = history.times_ms().iter().map(|t| t / 1000).collect();
        assert_eq!(times, [10, 20, 30, 40, 510, 520]);
        let pitch = history.curve(0, |cell| cell.pitch.signed_deg());
        assert!(pitch[3].is_nan() && (pitch[4] - 1.0).abs() < 0.003);
        history.add(0, 2 * WINDOW_MS, &NORTH);
        history.jump();
        assert_eq!(history.times_ms(), [10_000, 20_000, 30_000]);
    }
}
