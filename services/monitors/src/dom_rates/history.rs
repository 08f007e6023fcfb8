//! The rate of every DOM over time: seconds, minutes and hours, each in a ring of its own.
//!
//! Memory: 6 bytes per DOM and column, 2760 columns: 16.6 kB per DOM, 69 MB for 4,140. Minutes and
//! hours survive a restart.

use std::collections::VecDeque;
use std::sync::Arc;

use fathom_hist::{LogCode, Ring};
use fathom_kernel::{Persist, Saved, view};
use serde_json::{Value, json};

use crate::columns::{self, Appended, Record};
use crate::places::{Found, Places};

/// Seconds that wait for late slices.
const OPEN_SECONDS: usize = 3;

/// Most records that wait to be kept; older ones are not kept.
const UNSAVED_MAX: usize = 200;

/// Name, length of a column (ms) and number of columns of each level.
const LEVELS: [(&str, i64, usize); 3] = [
    ("1s", 1000, 600),
    ("1min", 60_000, 1440),
    ("1h", 3_600_000, 720),
];

/// Minutes in the picture of all DOMs: 6 h, 6 MB for 4,140 DOMs.
pub(super) const PICTURE_COLUMNS: usize = 360;

/// The rates of all DOMs over time.
#[derive(Debug)]
pub(super) struct History {
    open: VecDeque<Step>,
    /// Steps of the coarser levels that are being filled.
    filling: [Option<Step>; 2],
    levels: [Ring<Column>; 3],
    /// The newest minutes, for the picture.
    picture: Ring<Arc<view::Column>>,
    pictured: bool,
    /// Records not yet handed over to be kept.
    unsaved: VecDeque<Vec<u8>>,
    appended: Appended,
}

/// A time step that is being filled.
#[derive(Debug, Clone)]
struct Step {
    start_ms: i64,
    doms: Vec<Sum>,
}

#[derive(Debug, Clone, Copy)]
struct Sum {
    count: u32,
    sum: f64,
    min: f32,
    max: f32,
}

/// A complete time step.
#[derive(Debug)]
struct Column {
    start_ms: i64,
    doms: Box<[Cell]>,
}

/// The rates of one DOM in one step (Hz).
#[derive(Debug, Clone, Copy)]
struct Cell {
    mean: LogCode,
    min: LogCode,
    max: LogCode,
}

impl Default for History {
    fn default() -> Self {
        Self {
            open: VecDeque::new(),
            filling: [None, None],
            levels: LEVELS.map(|(_, _, columns)| Ring::new(columns)),
            picture: Ring::new(PICTURE_COLUMNS),
            pictured: false,
            unsaved: VecDeque::new(),
            appended: Appended::default(),
        }
    }
}

impl History {
    /// Returns roughly how much memory the history takes.
    pub(super) fn memory_bytes(&self) -> usize {
        let steps = self.open.iter().chain(self.filling.iter().flatten());
        let sums: usize = steps.map(|step| step.doms.len()).sum();
        let columns = self.levels.iter().flat_map(Ring::iter);
        let cells: usize = columns.map(|column| column.doms.len()).sum();
        let pictured = self.picture.iter();
        let values: usize = pictured.map(|column| column.values.len()).sum();
        sums * size_of::<Sum>()
            + cells * size_of::<Cell>()
            + values * size_of::<f32>()
            + self.unsaved.iter().map(Vec::len).sum::<usize>()
    }

    /// Data of this time have come: seconds that ended some time ago are complete.
    pub(super) fn advance(&mut self, data_ms: i64) {
        let [(_, width_ms, _), ..] = LEVELS;
        let start_ms = data_ms.div_euclid(width_ms) * width_ms;
        if self.open.back().is_none_or(|step| step.start_ms < start_ms) {
            self.open.push_back(Step::new(start_ms));
        }
        while self.open.len() > OPEN_SECONDS {
            self.close_second();
        }
    }

    /// Adds the rate of a DOM. What comes too late for its second counts for the oldest open one.
    pub(super) fn add(&mut self, rank: usize, khz: f64, data_ms: i64) {
        let step = self.open.iter().rposition(|step| step.start_ms <= data_ms);
        if let Some(step) = self.open.get_mut(step.unwrap_or(0)) {
            step.add(rank, khz);
        }
    }

    /// The clock was set to a time: what was open is complete, but for the minute and the hour that this
    /// time belongs to. After a restart the clock is set as well, and the hour goes on.
    pub(super) fn jump(&mut self, data_ms: i64) {
        while !self.open.is_empty() {
            self.close_second();
        }
        for level in [1, 2] {
            let (_, width_ms, _) = LEVELS[level];
            let start_ms = data_ms.div_euclid(width_ms) * width_ms;
            let filling = self.filling[level - 1].as_ref();
            if filling.is_some_and(|step| step.start_ms != start_ms) {
                self.close_filling(level);
            }
        }
    }

    fn close_second(&mut self) {
        if let Some(step) = self.open.pop_front() {
            self.fill(1, &step);
            self.levels[0].push(step.column());
        }
    }

    /// Adds a complete step to the one of a coarser level.
    fn fill(&mut self, level: usize, step: &Step) {
        let (_, width_ms, _) = LEVELS[level];
        let start_ms = step.start_ms.div_euclid(width_ms) * width_ms;
        if self.filling[level - 1]
            .as_ref()
            .is_some_and(|f| f.start_ms != start_ms)
        {
            self.close_filling(level);
        }
        let filling = self.filling[level - 1].get_or_insert_with(|| Step::new(start_ms));
        for (rank, sum) in step.doms.iter().enumerate() {
            filling.dom(rank).merge(sum);
        }
    }

    fn close_filling(&mut self, level: usize) {
        let Some(step) = self.filling[level - 1].take() else {
            return;
        };
        let column = step.column();
        if level + 1 < LEVELS.len() {
            // All minutes of an hour count the same: of those from before a restart only means are known.
            self.fill(level + 1, &column.step());
        }
        // A replay of days at full speed closes many columns before they are handed over.
        if self.unsaved.len() >= UNSAVED_MAX {
            self.unsaved.pop_front();
        }
        self.unsaved.push_back(column.record(level));
        if level == 1 {
            self.picture.push(Arc::new(column.picture()));
            self.pictured = true;
        }
        self.levels[level].push(column);
    }

    /// Answers `{"dom_id": id | "du": du, "floor": floor, "level": "1s"|"1min"|"1h", "from_ms": t,
    /// "to_ms": t}`.
    pub(super) fn answer(&self, args: &Value, places: &Places) -> Result<Value, String> {
        let number = |name: &str| args.get(name).and_then(Value::as_i64);
        let matching = |place: &&crate::places::Place| match number("dom_id") {
            Some(id) => i64::from(place.dom_id) == id,
            None => {
                number("du") == Some(place.du.into()) && number("floor") == Some(place.floor.into())
            }
        };
        let place = places.list().iter().find(matching);
        let place = place.ok_or("no such DOM, expected dom_id, or du and floor")?;
        let rank = places.rank(place.dom_id).ok_or("no such DOM")?;
        let wanted = args.get("level").and_then(Value::as_str).unwrap_or("1min");
        let level = LEVELS.iter().position(|(name, ..)| *name == wanted);
        let level = level.ok_or_else(|| format!("level is {wanted}, expected 1s, 1min or 1h"))?;
        let from_ms = number("from_ms").unwrap_or(i64::MIN);
        let to_ms = number("to_ms").unwrap_or(i64::MAX);
        let columns = self.levels[level].iter();
        let cells: Vec<_> = columns
            .filter(|column| (from_ms..=to_ms).contains(&column.start_ms))
            .filter_map(|column| Some((column.start_ms, *column.doms.get(rank)?)))
            .collect();
        let khz = |code: fn(&Cell) -> LogCode| -> Value {
            cells
                .iter()
                .map(|(_, cell)| json!(code(cell).value() / 1000.0))
                .collect()
        };
        Ok(json!({
            "dom_id": place.dom_id, "du": place.du, "floor": place.floor, "level": wanted,
            "times_ms": cells.iter().map(|(at, _)| at).collect::<Vec<_>>(),
            "mean_khz": khz(|cell| cell.mean),
            "min_khz": khz(|cell| cell.min),
            "max_khz": khz(|cell| cell.max),
        }))
    }

    /// Hands over what is new; everything, when much has gathered.
    pub(super) fn persist(&mut self, places: &Places, keep: &mut Persist) {
        if self.unsaved.is_empty() {
            return;
        }
        let ids = places.list().iter().map(|place| place.dom_id);
        let new = self.unsaved.drain(..).collect();
        let levels = self.levels.iter().enumerate().skip(1);
        let everything =
            levels.flat_map(|(level, ring)| ring.iter().map(move |column| column.record(level)));
        self.appended.hand_over(ids, new, everything, keep);
    }

    /// Takes back what was kept; DOMs may have moved since.
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
                Record::Column {
                    level,
                    at_ms,
                    payload,
                } => {
                    let level = usize::from(level);
                    let ring = self.levels.get_mut(level).filter(|_| level > 0);
                    let ring = ring.ok_or("a kept column is of an unknown level")?;
                    ring.push(Column::read(at_ms, payload, &ranks, places.list().len()));
                }
            }
        }
        self.appended.resume(saved);
        for minute in self.levels[1].iter() {
            self.picture.push(Arc::new(minute.picture()));
            self.pictured = true;
        }
        self.resume_hour();
        Ok(())
    }

    /// Iterates over the minutes: start (ms) and mean rates of the DOMs (kHz).
    pub(super) fn minutes(&self) -> impl Iterator<Item = (i64, Vec<f64>)> {
        let khz = |cell: &Cell| cell.mean.value() / 1000.0;
        let minutes = self.levels[1].iter();
        minutes.map(move |column| (column.start_ms, column.doms.iter().map(khz).collect()))
    }

    /// Returns the newest minutes of all DOMs when there is a new one.
    pub(super) fn picture_if_changed(&mut self) -> Option<Vec<Arc<view::Column>>> {
        let changed = std::mem::take(&mut self.pictured);
        changed.then(|| self.picture.iter().cloned().collect())
    }

    /// Fills the hour that was under way from its minutes.
    fn resume_hour(&mut self) {
        let (_, hour_ms, _) = LEVELS[2];
        let Some(newest) = self.levels[1].newest() else {
            return;
        };
        let start_ms = newest.start_ms.div_euclid(hour_ms) * hour_ms;
        if self.levels[2]
            .newest()
            .is_some_and(|hour| hour.start_ms >= start_ms)
        {
            return;
        }
        let minutes: Vec<Step> = self.levels[1]
            .iter()
            .filter(|column| column.start_ms >= start_ms)
            .map(Column::step)
            .collect();
        for minute in &minutes {
            self.fill(2, minute);
        }
    }
}

impl Step {
    fn new(start_ms: i64) -> Self {
        Self {
            start_ms,
            doms: Vec::new(),
        }
    }

    fn dom(&mut self, rank: usize) -> &mut Sum {
        if rank >= self.doms.len() {
            self.doms.resize(rank + 1, Sum::NONE);
        }
        &mut self.doms[rank]
    }

    fn add(&mut self, rank: usize, khz: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "six digits are enough here"
        )]
        let shown = khz as f32;
        self.dom(rank).merge(&Sum {
            count: 1,
            sum: khz,
            min: shown,
            max: shown,
        });
    }

    fn column(&self) -> Column {
        let cell = |sum: &Sum| match sum.count {
            0 => Cell::NOTHING,
            count => Cell {
                mean: LogCode::of(1000.0 * sum.sum / f64::from(count)),
                min: LogCode::of(1000.0 * f64::from(sum.min)),
                max: LogCode::of(1000.0 * f64::from(sum.max)),
            },
        };
        Column {
            start_ms: self.start_ms,
            doms: self.doms.iter().map(cell).collect(),
        }
    }
}

impl Sum {
    const NONE: Self = Self {
        count: 0,
        sum: 0.0,
        min: f32::INFINITY,
        max: f32::NEG_INFINITY,
    };

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

impl Cell {
    const NOTHING: Self = Self {
        mean: LogCode::NOTHING,
        min: LogCode::NOTHING,
        max: LogCode::NOTHING,
    };
    const BYTES: usize = 6;

    fn bytes(self) -> impl Iterator<Item = u8> {
        [self.mean, self.min, self.max]
            .into_iter()
            .flat_map(|code| code.0.to_le_bytes())
    }

    fn of_bytes([a, b, c, d, e, f]: [u8; Self::BYTES]) -> Self {
        let code = |low, high| LogCode(u16::from_le_bytes([low, high]));
        Self {
            mean: code(a, b),
            min: code(c, d),
            max: code(e, f),
        }
    }
}

impl Column {
    /// Returns the mean rates (kHz), one row per DOM.
    fn picture(&self) -> view::Column {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "six digits are enough here"
        )]
        let khz = |cell: &Cell| (cell.mean.value() / 1000.0) as f32;
        let [_, (_, width_ms, _), _] = LEVELS;
        view::Column {
            at_ms: self.start_ms + width_ms,
            values: self.doms.iter().map(khz).collect(),
            overlay: Box::default(),
        }
    }

    fn record(&self, level: usize) -> Vec<u8> {
        let level = u8::try_from(level).expect("there are three levels");
        let mut record = columns::column_record(level, self.start_ms);
        record.extend(self.doms.iter().flat_map(|cell| cell.bytes()));
        record
    }

    fn read(start_ms: i64, payload: &[u8], ranks: &[Option<usize>], doms: usize) -> Self {
        let mut cells = vec![Cell::NOTHING; doms];
        let (kept, _) = payload.as_chunks::<{ Cell::BYTES }>();
        for (bytes, rank) in kept.iter().zip(ranks) {
            if let Some(cell) = rank.and_then(|rank| cells.get_mut(rank)) {
                *cell = Cell::of_bytes(*bytes);
            }
        }
        Self {
            start_ms,
            doms: cells.into(),
        }
    }

    fn step(&self) -> Step {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "six digits are enough here"
        )]
        let khz = |code: LogCode| (code.value() / 1000.0) as f32;
        let sum = |cell: &Cell| match cell.mean {
            LogCode::NOTHING => Sum::NONE,
            mean => Sum {
                count: 1,
                sum: mean.value() / 1000.0,
                min: khz(cell.min),
                max: khz(cell.max),
            },
        };
        Step {
            start_ms: self.start_ms,
            doms: self.doms.iter().map(sum).collect(),
        }
    }
}
