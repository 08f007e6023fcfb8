//! The columns of all DUs at several resolutions, and how they are kept over a restart.

use std::sync::Arc;

use fathom_formats::km3net::{CHANNEL_ROWS, CHANNELS};
use fathom_hist::{LogCode, Ring};
use fathom_kernel::view::{Colours, Column, Image, RowLabel};
use fathom_kernel::{Persist, Saved};

use super::Config;
use super::kept::{kept_column, veto_of};
use super::steps::{Dom, Step};
use crate::columns::{self, Appended, Record};
use crate::places::{Found, Places};

/// Bytes of a pixel in memory: a rate and a veto fraction.
pub(super) const PIXEL_BYTES: usize = 5;
/// Bytes of a pixel of the veto's own picture.
pub(super) const VETO_PIXEL_BYTES: usize = 4;
/// Level that has pictures of the veto.
const VETO_LEVEL: usize = 0;
/// Time between two packets of a DOM (ms).
const PACKET_MS: i64 = 100;
/// Bytes of a DOM in a kept column.
pub(super) const KEPT_DOM_BYTES: usize = 3 * CHANNELS;
/// Level of a kept record that is no column, but a step that was open.
const OPEN: u8 = 3;
/// Most columns handed over to be kept at once; older ones are not kept.
const UNSAVED_MAX: usize = 100;

/// One resolution.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) width_ms: i64,
    columns: Ring<Moment>,
    /// Newest columns not kept yet.
    unsaved: usize,
    /// Columns that a snapshot keeps.
    kept_max: usize,
}

/// One time step of all DUs.
#[derive(Debug)]
struct Moment {
    at_ms: i64,
    /// By DU; none for a DU that was never heard of.
    columns: Vec<Option<Arc<Column>>>,
    /// The same for the veto alone; empty where it has no pictures.
    vetoes: Vec<Option<Arc<Column>>>,
}

/// A detection unit and the ranks of its DOMs.
#[derive(Debug, Clone)]
pub(super) struct Du {
    pub(super) number: i32,
    pub(super) floors: usize,
    /// Rank and first row of each DOM.
    pub(super) doms: Vec<(usize, usize)>,
    pub(super) seen: bool,
}

/// All columns of all DUs.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) dus: Vec<Du>,
    pub(super) levels: [Level; 3],
    threshold: f64,
    veto_pictures: bool,
    /// DOMs that `dus` knows of.
    placed: usize,
    appended: Appended,
}

impl Picture {
    /// Makes an empty picture of levels of these widths (ms) and numbers of columns.
    pub(super) fn new(config: &Config, levels: [(i64, usize); 3], places: &Places) -> Self {
        let mut picture = Self {
            dus: Vec::new(),
            levels: levels.map(|(width_ms, columns)| Level {
                width_ms,
                columns: Ring::new(columns),
                unsaved: 0,
                kept_max: columns,
            }),
            threshold: config.hrv_ratio_threshold,
            veto_pictures: config.hrv_pictures,
            placed: 0,
            appended: Appended::default(),
        };
        picture.place(places);
        let columns: usize = levels.iter().map(|(_, columns)| columns).sum();
        let bytes = columns * KEPT_DOM_BYTES * places.list().len();
        for level in &mut picture.levels {
            let share = level.columns.capacity() as u64 * config.keep.bytes();
            let fitting = share.checked_div(bytes as u64).unwrap_or(u64::MAX);
            let fitting = usize::try_from(fitting).unwrap_or(usize::MAX);
            level.kept_max = level.columns.capacity().min(fitting);
        }
        picture
    }

    /// Takes up modules that were placed since.
    pub(super) fn place(&mut self, places: &Places) {
        if self.placed == places.list().len() {
            return;
        }
        for (rank, place) in places.list().iter().enumerate().skip(self.placed) {
            let floor = usize::try_from(place.floor - 1).unwrap_or(0);
            let at = self.dus.binary_search_by_key(&place.du, |du| du.number);
            let at = at.unwrap_or_else(|at| {
                let du = Du {
                    number: place.du,
                    floors: places.floors_without_description(),
                    doms: Vec::new(),
                    seen: false,
                };
                self.dus.insert(at, du);
                at
            });
            let du = &mut self.dus[at];
            du.floors = du.floors.max(floor + 1);
            du.doms.push((rank, floor * CHANNELS));
        }
        self.placed = places.list().len();
    }

    /// Adds a complete step to a level. Every DU that was heard of gets a column, if need be an
    /// empty one.
    pub(super) fn push(&mut self, level: usize, step: &Step) {
        let at_ms = step.start_ms + self.levels[level].width_ms;
        let sent = |&(rank, _): &(usize, usize)| step.doms.get(rank).is_some_and(|d| d.packets > 0);
        for du in &mut self.dus {
            du.seen |= du.doms.iter().any(sent);
        }
        let column = |du: &Du| du.seen.then(|| Arc::new(self.column(du, step, at_ms)));
        let columns: Vec<_> = self.dus.iter().map(column).collect();
        let vetoes = match self.veto_pictures && level == VETO_LEVEL {
            true => {
                let column = |du: &Du| du.seen.then(|| Arc::new(du.veto_column(step, at_ms)));
                self.dus.iter().map(column).collect()
            }
            false => Vec::new(),
        };
        let level = &mut self.levels[level];
        level.columns.push(Moment {
            at_ms,
            columns,
            vetoes,
        });
        level.unsaved = (level.unsaved + 1).min(UNSAVED_MAX).min(level.kept_max);
    }

    fn column(&self, du: &Du, step: &Step, at_ms: i64) -> Column {
        let mut column = Column {
            at_ms,
            values: vec![f32::NAN; du.floors * CHANNELS].into(),
            overlay: Box::default(),
        };
        for &(rank, row) in &du.doms {
            let Some(dom) = step.doms.get(rank).filter(|dom| dom.packets > 0) else {
                continue;
            };
            for (channel, above) in CHANNEL_ROWS.iter().enumerate() {
                let row = row + usize::from(*above);
                #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
                let rate_hz = dom.rate_hz(channel) as f32;
                column.values[row] = rate_hz;
                let veto = self.veto_byte(dom.veto_fraction(channel));
                if veto > 0 {
                    set_overlay(&mut column, row, veto);
                }
            }
        }
        column
    }

    /// Returns a fraction in 1/255, on the side of the threshold where the fraction is.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "both are between 0 and 255"
    )]
    fn veto_byte(&self, fraction: f64) -> u8 {
        let nearest = (fraction.clamp(0.0, 1.0) * 255.0).round() as u8;
        let limit = (self.threshold.clamp(0.0, 1.0) * 255.0).floor() as u8;
        if fraction > self.threshold {
            nearest.max(limit.saturating_add(1))
        } else {
            nearest.min(limit)
        }
    }

    /// Returns the picture of a DU at a level.
    pub(super) fn image(&self, level: usize, du: usize, colours: Colours) -> Option<Image> {
        let unit = self.dus.get(du).filter(|du| du.seen)?;
        let level = &self.levels[level];
        let columns = level.columns.iter();
        let columns = columns.filter_map(|moment| moment.columns.get(du)?.clone());
        let label = |floor: usize| RowLabel {
            row: as_u32(floor * CHANNELS),
            text: format!("Floor {}", floor + 1),
        };
        Some(Image {
            rows: as_u32(unit.floors * CHANNELS),
            column_s: crate::clock::seconds(level.width_ms),
            columns_max: as_u32(level.columns.capacity()),
            row_labels: (0..unit.floors).map(label).collect(),
            columns: columns.collect(),
            colours,
            overlay_threshold: self.threshold,
            overlay_colour: "red".into(),
            overlay_label: "HRV".into(),
        })
    }

    /// Returns the picture of the veto of a DU at a level, where there is one.
    pub(super) fn veto_image(&self, level: usize, du: usize) -> Option<Image> {
        if !self.veto_pictures || level != VETO_LEVEL {
            return None;
        }
        let colours = Colours {
            map: "cividis".into(),
            low: 0.0,
            high: 1.0,
            log: false,
            under: None,
            over: None,
            missing: "white".into(),
            label: "fraction of time in high-rate veto".into(),
        };
        let image = self.image(level, du, colours)?;
        let columns = self.levels[level].columns.iter();
        let columns = columns.filter_map(|moment| moment.vetoes.get(du)?.clone());
        Some(Image {
            columns: columns.collect(),
            // There is nothing over a picture of the veto itself.
            overlay_threshold: 1.0,
            overlay_label: String::new(),
            ..image
        })
    }

    /// Returns the memory of all columns [bytes].
    pub(super) fn memory_bytes(&self) -> usize {
        let moments = self.levels.iter().flat_map(|level| level.columns.iter());
        let columns =
            moments.flat_map(|moment| moment.columns.iter().chain(&moment.vetoes).flatten());
        columns
            .map(|column| 4 * column.values.len() + column.overlay.len())
            .sum()
    }

    /// Hands over the new columns and, at the end, the steps that are `open`; all that shall be kept,
    /// when much has gathered.
    pub(super) fn persist(&mut self, places: &Places, open: &[&Step], keep: &mut Persist) {
        let open = open.iter().map(|step| {
            let mut record = columns::column_record(OPEN, step.start_ms);
            step.write(&mut record);
            record
        });
        let open: Vec<_> = open.collect();
        let mut records = Vec::new();
        for level in 0..self.levels.len() {
            records.extend(self.newest(level, self.levels[level].unsaved));
            self.levels[level].unsaved = 0;
        }
        records.extend(open.iter().cloned());
        if records.is_empty() {
            return;
        }
        let ids = places.list().iter().map(|place| place.dom_id);
        let mut appended = std::mem::take(&mut self.appended);
        let levels = self.levels.iter().enumerate();
        let everything = levels.flat_map(|(level, of)| self.newest(level, of.kept_max));
        appended.hand_over(ids, records, everything.chain(open), keep);
        self.appended = appended;
    }

    /// Iterates over the newest columns of a level as records.
    fn newest(&self, level: usize, columns: usize) -> impl Iterator<Item = Vec<u8>> {
        let ring = &self.levels[level].columns;
        let number = u8::try_from(level).expect("there are three levels");
        ring.iter()
            .skip(ring.len().saturating_sub(columns))
            .map(move |moment| self.record(number, moment))
    }

    fn record(&self, level: u8, moment: &Moment) -> Vec<u8> {
        let mut record = columns::column_record(level, moment.at_ms);
        let start = record.len();
        for _ in 0..self.placed * CHANNELS {
            record.extend(LogCode::NOTHING.0.to_le_bytes());
            record.push(0);
        }
        for (du, column) in self.dus.iter().zip(&moment.columns) {
            let Some(column) = column else { continue };
            for &(rank, row) in &du.doms {
                for channel in 0..CHANNELS {
                    let row = row + channel;
                    let Some(&rate_hz) = column.values.get(row) else {
                        continue;
                    };
                    let at = start + rank * KEPT_DOM_BYTES + 3 * channel;
                    let [low, high] = LogCode::of(f64::from(rate_hz)).0.to_le_bytes();
                    let veto = column.overlay.get(row).copied().unwrap_or(0);
                    record[at..at + 3].copy_from_slice(&[low, high, veto]);
                }
            }
        }
        record
    }

    /// Takes back what was kept; DOMs may have moved since. Returns the steps that were open at the end.
    pub(super) fn restore(
        &mut self,
        saved: &Saved,
        places: &mut Places,
    ) -> Result<Vec<Step>, String> {
        let mut open: Vec<Step> = Vec::new();
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
                    self.place(places);
                }
                Record::Column {
                    level: OPEN,
                    at_ms,
                    payload,
                } => {
                    // It was open at more than one restart: the last one counts.
                    open.retain(|step| step.start_ms != at_ms);
                    open.push(Step::read(at_ms, payload, &ranks));
                }
                Record::Column {
                    level,
                    at_ms,
                    payload,
                } => {
                    self.put_back(usize::from(level), at_ms, payload, &ranks)?;
                    // After an earlier restart it went on and has become a column.
                    open.retain(|step| step.start_ms >= at_ms);
                }
            }
        }
        self.appended.resume(saved);
        open.sort_by_key(|step| step.start_ms);
        Ok(open)
    }

    /// Returns the columns of a level that begin within the coarser step of that width in which the
    /// newest one does, as parts of it.
    pub(super) fn parts_of_newest(&self, level: usize, coarse_ms: i64) -> Vec<Step> {
        let level = &self.levels[level];
        let start_ms = |moment: &Moment| moment.at_ms - level.width_ms;
        let Some(newest_ms) = level.columns.newest().map(start_ms) else {
            return Vec::new();
        };
        let coarse = newest_ms.div_euclid(coarse_ms);
        let parts = level.columns.iter();
        let parts = parts.filter(|moment| start_ms(moment).div_euclid(coarse_ms) == coarse);
        parts
            .map(|moment| self.step_of(moment, level.width_ms))
            .collect()
    }

    /// Makes the step of a column, as if every DOM had sent all of its packets.
    fn step_of(&self, moment: &Moment, width_ms: i64) -> Step {
        let packets = u32::try_from(width_ms / PACKET_MS).unwrap_or(u32::MAX);
        let mut step = Step::new(moment.at_ms - width_ms, self.placed);
        for (du, column) in self.dus.iter().zip(&moment.columns) {
            let Some(column) = column else { continue };
            for &(rank, row) in &du.doms {
                let means = |channel: usize| {
                    let row = row + usize::from(CHANNEL_ROWS[channel]);
                    let rate_hz = column.values.get(row).copied().unwrap_or(f32::NAN);
                    let veto = column.overlay.get(row).copied().unwrap_or(0);
                    (f64::from(rate_hz), f64::from(veto) / 255.0)
                };
                if let Some(dom) = step.doms.get_mut(rank).filter(|_| means(0).0.is_finite()) {
                    *dom = Dom::of_means(packets, means);
                }
            }
        }
        step
    }

    fn put_back(
        &mut self,
        level: usize,
        at_ms: i64,
        payload: &[u8],
        ranks: &[Option<usize>],
    ) -> Result<(), String> {
        let (doms, _) = payload.as_chunks::<KEPT_DOM_BYTES>();
        let mut by_rank: Vec<Option<&[u8; KEPT_DOM_BYTES]>> = vec![None; self.placed];
        for (dom, rank) in doms.iter().zip(ranks) {
            let is_known = dom
                .as_chunks::<3>()
                .0
                .iter()
                .any(|[a, b, _]| [*a, *b] != [0xff; 2]);
            if let Some(slot) = rank
                .and_then(|rank| by_rank.get_mut(rank))
                .filter(|_| is_known)
            {
                *slot = Some(dom);
            }
        }
        let columns = self.dus.iter_mut().map(|du| {
            du.seen |= du.doms.iter().any(|&(rank, _)| by_rank[rank].is_some());
            du.seen.then(|| Arc::new(kept_column(du, &by_rank, at_ms)))
        });
        let columns: Vec<Option<Arc<Column>>> = columns.collect();
        let vetoes = match self.veto_pictures && level == VETO_LEVEL {
            true => columns
                .iter()
                .map(|c| Some(Arc::new(veto_of(c.as_ref()?))))
                .collect(),
            false => Vec::new(),
        };
        let level = self.levels.get_mut(level);
        let level = level.ok_or("a kept column is of an unknown level")?;
        level.columns.push(Moment {
            at_ms,
            columns,
            vetoes,
        });
        Ok(())
    }
}

impl Du {
    /// Makes the column of the veto alone: its fraction of the time, 0 to 1.
    fn veto_column(&self, step: &Step, at_ms: i64) -> Column {
        let mut values = vec![f32::NAN; self.floors * CHANNELS];
        for &(rank, row) in &self.doms {
            let Some(dom) = step.doms.get(rank).filter(|dom| dom.packets > 0) else {
                continue;
            };
            for (channel, above) in CHANNEL_ROWS.iter().enumerate() {
                #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
                let fraction = dom.veto_fraction(channel) as f32;
                values[row + usize::from(*above)] = fraction;
            }
        }
        Column {
            at_ms,
            values: values.into(),
            overlay: Box::default(),
        }
    }
}

/// Sets a veto fraction; a column without any has no overlay at all.
pub(super) fn set_overlay(column: &mut Column, row: usize, veto: u8) {
    if column.overlay.is_empty() {
        column.overlay = vec![0; column.values.len()].into();
    }
    column.overlay[row] = veto;
}

fn as_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
