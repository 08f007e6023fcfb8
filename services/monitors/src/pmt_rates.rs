//! `pmt_rates`: rate and high-rate veto of every PMT of all DUs over time, from every `IO_MONIT`
//! message.
//!
//! One column per interval of data time, one row per PMT; coarser levels for days, and pictures of
//! the veto alone. Memory: 5 bytes per PMT and column, 4 more where the veto has a picture of its own,
//! shared with the board, so 9.6 kB per PMT with 800 + 144 + 336 columns (129 MB for 24 DUs); for a
//! larger detector the number of columns follows from the option `memory` (the 128,340 PMTs of two
//! blocks would take 1.2 GB). Besides that 1.6 kB per DOM for the steps that are open.

mod kept;
mod outliers;
mod picture;
mod steps;
mod vetoes;

use fathom_formats::km3net::{CHANNELS, Tmch};
use fathom_kernel::view::{Colours, Table, View};
use fathom_kernel::{
    Event, Frame, Limits, Monitor, Output, Outputs, Persist, Recalled, Saved, Setup, Size, Span,
    Timestamp, Topics, tags,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use self::outliers::Outliers;
use self::picture::{PIXEL_BYTES, Picture, VETO_PIXEL_BYTES};
use self::steps::{Step, Steps};
use self::vetoes::Vetoes;
use crate::clock::{is_due, ms_of, ms_of_ns, seconds, text_of_ms, timestamp};
use crate::faulty::Faulty;
use crate::places::{Found, Places, Strangers};
use crate::timeline::{Fit, Timeline};

/// Length of a column (ms), number of columns and name of the coarser levels.
const COARSE: [(i64, usize, &str); 2] = [(600_000, 144, "10min"), (3_600_000, 336, "1h")];
/// Fewest columns, however large the detector.
const COLUMNS_MIN: usize = 30;
/// A module whose clock is further ahead of the others counts as off the clock (ms).
const CLOCK_STEP_MS: i64 = 10_000;
/// Most that fits into a checkpoint.
const KEEP_MAX: Size = Size::from_mib(240);
/// DOMs that memory is reckoned for without a detector description: 24 DUs.
const UNDESCRIBED_DOMS: usize = 432;

/// Options of `pmt_rates`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Start of the colour scale; PMTs below are listed.
    #[schemars(extend("unit" = "Hz"))]
    pub lowest_rate: f64,
    /// End of the colour scale; PMTs above are listed.
    #[schemars(extend("unit" = "Hz"))]
    pub highest_rate: f64,
    /// A PMT that is in high-rate veto for more than this fraction of an interval is drawn red.
    pub hrv_ratio_threshold: f64,
    /// Time per column, in data time.
    pub interval: Span,
    /// How long after its end an interval waits for late packets.
    pub lateness: Span,
    /// Number of columns.
    #[schemars(range(min = 30, max = 10000))]
    pub columns: usize,
    /// Draw the fraction of time in high-rate veto in pictures of its own as well.
    pub hrv_pictures: bool,
    /// Alarm when the PMTs of a DU are in high-rate veto for more than this fraction of an interval on
    /// average; 1 switches it off.
    pub hrv_alarm: f64,
    /// Most memory of all columns; a large detector gets fewer columns.
    pub memory: Size,
    /// Most that is kept of the columns over a restart: the newest ones.
    pub keep: Size,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lowest_rate: 5000.0,
            highest_rate: 15_000.0,
            hrv_ratio_threshold: 0.95,
            interval: Span::from_secs(10),
            lateness: Span::from_secs(2),
            columns: 800,
            hrv_pictures: true,
            hrv_alarm: 0.3,
            memory: Size::from_mib(512),
            keep: Size::from_mib(64),
        }
    }
}

impl Config {
    /// Returns width and number of columns of each level, within the memory.
    fn levels(&self, doms: usize) -> [(i64, usize); 3] {
        let [ten_minutes, hour] = COARSE.map(|(width_ms, columns, _)| (width_ms, columns));
        let wanted = [(ms_of(self.interval), self.columns), ten_minutes, hour];
        let columns: usize = wanted.iter().map(|(_, columns)| columns).sum();
        let of_veto = if self.hrv_pictures { self.columns } else { 0 };
        let pixel_bytes = columns * PIXEL_BYTES + of_veto * VETO_PIXEL_BYTES;
        let bytes = (doms * CHANNELS * pixel_bytes).max(1);
        wanted.map(|(width_ms, number)| {
            let share = number.saturating_mul(self.memory.len()) / bytes;
            (width_ms, number.min(share.max(COLUMNS_MIN)))
        })
    }
}

/// The monitor.
pub struct PmtRates {
    config: Config,
    setup: Setup,
    places: Places,
    strangers: Strangers,
    timeline: Timeline,
    steps: Steps,
    /// Steps of the coarser levels that are being filled.
    filling: [Option<Step>; 2],
    picture: Picture,
    /// Levels to be drawn anew.
    redraw: [bool; 3],
    newest_ms: Option<i64>,
    vetoes: Vetoes,
    counts: Counts,
    /// When it was told last that there are only unknown modules, host time (ms).
    told_ms: Option<i64>,
    faulty: Faulty,
}

/// Packets since the start.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    packets: u64,
    base: u64,
    unknown: u64,
    clock_off: u64,
    /// Module of the last one off the clock.
    last_off: Option<u32>,
}

impl Monitor for PmtRates {
    type Config = Config;
    const TOPICS: Topics = Topics::frames(&[tags::IO_MONIT]);
    const QUESTIONS: &'static [&'static str] = Faulty::QUESTIONS;
    const LIMITS: Limits = Limits {
        messages: 400_000,
        bytes: 256 << 20,
    };

    fn check(config: &Config, _: &Setup) -> Result<(), String> {
        let Config {
            lowest_rate: low,
            highest_rate: high,
            hrv_ratio_threshold: threshold,
            ..
        } = config;
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err(format!(
                "lowest_rate is {low} and highest_rate {high}, expected the first to be smaller"
            ));
        }
        if !(0.0..=1.0).contains(threshold) {
            return Err(format!(
                "hrv_ratio_threshold is {threshold}, expected 0 to 1"
            ));
        }
        if !(0.0..=1.0).contains(&config.hrv_alarm) {
            return Err(format!(
                "hrv_alarm is {}, expected 0 to 1",
                config.hrv_alarm
            ));
        }
        if !(1000..=300_000).contains(&ms_of(config.interval)) {
            return Err(format!(
                "interval is {}, expected 1s to 5m",
                config.interval
            ));
        }
        if config.keep > KEEP_MAX {
            return Err(format!(
                "keep is {}, expected at most {KEEP_MAX}",
                config.keep
            ));
        }
        if !(COLUMNS_MIN..=10_000).contains(&config.columns) {
            return Err(format!(
                "columns is {}, expected 30 to 10000",
                config.columns
            ));
        }
        Ok(())
    }

    fn new(config: Config, setup: &Setup) -> Self {
        let places = Places::of(setup);
        let doms = match places.list().len() {
            0 => UNDESCRIBED_DOMS,
            doms => doms,
        };
        let picture = Picture::new(&config, config.levels(doms), &places);
        Self {
            steps: Steps::new(ms_of(config.interval)),
            config,
            setup: setup.clone(),
            picture,
            places,
            strangers: Strangers::default(),
            timeline: Timeline::from_many(CLOCK_STEP_MS),
            filling: [None, None],
            redraw: [false; 3],
            newest_ms: None,
            vetoes: Vetoes::default(),
            counts: Counts::default(),
            told_ms: None,
            faulty: Faulty::default(),
        }
    }

    fn on_event(&mut self, event: &Event, out: &mut Outputs) {
        let Event::Frame(frame) = event else { return };
        match Tmch::decode(&frame.body) {
            Ok(packet) => self.take(frame, &packet),
            Err(error) => self.faulty.saw(frame, &error, out),
        }
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Outputs) {
        self.timeline.tick();
        if self.newest_ms.is_some() {
            let data_ms = self.timeline.at(now.as_millisecond());
            self.steps.cover(data_ms);
            let waiting_ms = i64::try_from(self.config.lateness.duration().as_millis());
            let until_ms = data_ms.saturating_sub(waiting_ms.unwrap_or(i64::MAX));
            self.steps.close(until_ms);
        }
        let mut newest = None;
        while let Some(step) = self.steps.next_done() {
            self.complete(&step);
            let limit = self.config.hrv_alarm;
            self.vetoes.judge(&step, &self.places, limit, now, out);
            newest = Some(Outliers::of(&step, &self.places, &self.config));
            self.steps.recycle(step);
        }
        let now_ms = now.as_millisecond();
        let only_strangers = self.newest_ms.is_none() && self.counts.unknown > 0;
        if let Some(outliers) = newest {
            self.put_tables(outliers, out);
        } else if only_strangers && is_due(self.config.interval, self.told_ms, now_ms) {
            self.told_ms = Some(now_ms);
            self.put_tables(Outliers::default(), out);
        }
        self.draw(out);
    }

    fn reset(&mut self) {
        *self = Self::new(self.config.clone(), &self.setup.clone());
    }

    fn on_request(
        &mut self,
        verb: &str,
        args: &serde_json::Value,
    ) -> Result<serde_json::Value, String> {
        self.faulty.answer(verb, args, "")
    }

    fn memory_bytes(&self) -> usize {
        let filling = self.filling.iter().flatten().map(Step::memory_bytes);
        self.places.memory_bytes()
            + self.steps.memory_bytes()
            + filling.sum::<usize>()
            + self.picture.memory_bytes()
            + self.faulty.memory_bytes()
    }

    fn persist(&mut self, keep: &mut Persist) {
        // While it runs on they become columns soon enough.
        let open: Vec<_> = match keep.is_last() {
            true => self.steps.open().collect(),
            false => Vec::new(),
        };
        self.picture.persist(&self.places, &open, keep);
    }

    fn recall(&mut self, rule: &str, subject: &str) -> Recalled {
        match (rule, self.places.of_subject(subject)) {
            ("hrv_fraction", Some((du, None))) => {
                self.vetoes.recall(du);
                Recalled::Holds
            }
            ("hrv_fraction", _) => Recalled::Gone,
            _ => Recalled::Unknown,
        }
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), String> {
        let open = self.picture.restore(saved, &mut self.places)?;
        self.steps.resume(open);
        self.resume_filling();
        self.redraw = [true; 3];
        Ok(())
    }
}

impl PmtRates {
    fn take(&mut self, frame: &Frame, packet: &Tmch<'_>) {
        let data_ms = ms_of_ns(packet.time_ns());
        let dom_id = packet.dom_id().0;
        self.counts.packets += 1;
        let rank = match self.places.find(dom_id) {
            Found::Dom(rank) => rank,
            Found::Base => {
                self.counts.base += 1;
                return;
            }
            Found::Unknown => {
                self.counts.unknown += 1;
                self.strangers.saw(dom_id, data_ms);
                return;
            }
        };
        let host_ms = frame.received.as_millisecond();
        let dom = match self.timeline.saw_from(Some(rank), data_ms, host_ms) {
            Fit::Near => self.steps.dom(rank, data_ms),
            Fit::Set => {
                self.steps.jump(data_ms);
                self.newest_ms = None;
                self.steps.dom(rank, data_ms)
            }
            Fit::Stray => {
                self.counts.clock_off += 1;
                self.counts.last_off = Some(dom_id);
                self.steps.newest_dom(rank, data_ms).add(packet);
                return;
            }
        };
        dom.add(packet);
        self.newest_ms = self.newest_ms.max(Some(data_ms));
    }

    /// A step has ended: it becomes a column, and a part of the coarser steps.
    fn complete(&mut self, step: &Step) {
        self.picture.place(&self.places);
        self.picture.push(0, step);
        self.redraw[0] = true;
        for (level, (width_ms, ..)) in COARSE.into_iter().enumerate() {
            let start_ms = step.start_ms.div_euclid(width_ms) * width_ms;
            let other = |filling: &Step| filling.start_ms != start_ms;
            if self.filling[level].as_ref().is_some_and(other)
                && let Some(done) = self.filling[level].take()
            {
                self.picture.push(level + 1, &done);
                self.redraw[level + 1] = true;
            }
            let filling = &mut self.filling[level];
            let filling = filling.get_or_insert_with(|| Step::new(start_ms, step.doms.len()));
            filling.merge(step);
        }
    }

    /// Fills the coarser steps that were under way from the columns that were kept: ten minutes from
    /// the finest ones, the hour from those and the ten minutes that have ended.
    fn resume_filling(&mut self) {
        let mut finer: Option<Step> = None;
        for (level, (width_ms, ..)) in COARSE.into_iter().enumerate() {
            let mut parts = self.picture.parts_of_newest(level, width_ms);
            let newest_ms = finer.as_ref().or(parts.last()).map(|part| part.start_ms);
            let Some(start_ms) = newest_ms.map(|ms| ms.div_euclid(width_ms) * width_ms) else {
                continue;
            };
            parts.retain(|part| part.start_ms >= start_ms);
            let mut filling = Step::new(start_ms, self.places.list().len());
            for part in parts.iter().chain(&finer) {
                filling.merge(part);
            }
            finer = Some(filling.clone());
            self.filling[level] = Some(filling);
        }
    }

    fn draw(&mut self, out: &mut Outputs) {
        for level in 0..self.redraw.len() {
            if !std::mem::take(&mut self.redraw[level]) {
                continue;
            }
            for du in 0..self.picture.dus.len() {
                let Some(image) = self.picture.image(level, du, self.colours()) else {
                    continue;
                };
                let number = self.picture.dus[du].number;
                let (name, title) = self.name_and_title(level, number);
                let interval_s = seconds(self.picture.levels[level].width_ms);
                let datum = image.columns.iter().rev().find(|c| has_data(c));
                let datum = datum.map(|column| timestamp(column.at_ms));
                out.put(Output::new(name, title, image).at(datum).every(interval_s));
                if let Some(image) = self.picture.veto_image(level, du) {
                    let title = format!("Fraction of time in high-rate veto, PMTs of DU {number}");
                    let output = Output::new(format!("pmt_hrv_du{number}"), title, image);
                    out.put(output.at(datum).every(interval_s));
                }
            }
        }
    }

    fn name_and_title(&self, level: usize, du: i32) -> (String, String) {
        let range = format!(
            "{} to {} kHz, red: HRV above {}",
            self.config.lowest_rate / 1000.0,
            self.config.highest_rate / 1000.0,
            self.config.hrv_ratio_threshold
        );
        match level.checked_sub(1).and_then(|coarse| COARSE.get(coarse)) {
            None => (
                format!("pmt_rates_du{du}"),
                format!("PMT rates of DU {du}: {range}"),
            ),
            Some((_, _, step)) => (
                format!("pmt_history_{step}_du{du}"),
                format!("PMT rates of DU {du} in steps of {step}: {range}"),
            ),
        }
    }

    fn colours(&self) -> Colours {
        Colours {
            map: "cividis".into(),
            low: self.config.lowest_rate,
            high: self.config.highest_rate,
            log: false,
            under: None,
            over: None,
            missing: "white".into(),
            label: "rate [Hz]".into(),
        }
    }

    fn put_tables(&mut self, outliers: Outliers, out: &mut Outputs) {
        let mut rows = vec![
            vec![json!("DOMs that sent"), json!(outliers.doms)],
            vec![json!("their PMTs"), json!(outliers.pmts)],
        ];
        for (fault, number) in outliers.counts() {
            rows.push(vec![json!(fault), json!(number)]);
        }
        for (name, number) in [
            ("packets", self.counts.packets),
            ("packets of base modules", self.counts.base),
            ("packets of unknown modules", self.counts.unknown),
            ("packets far off the clock", self.counts.clock_off),
            ("late packets", self.steps.late),
        ] {
            rows.push(vec![json!(name), json!(number)]);
        }
        rows.push(vec![
            json!("last DOM far off the clock"),
            json!(self.counts.last_off),
        ]);
        let memory_mb = self.picture.memory_bytes() / 1_000_000;
        rows.push(vec![json!("memory of the columns [MB]"), json!(memory_mb)]);
        rows.push(vec![
            json!("newest packet [UTC]"),
            json!(self.newest_ms.map(text_of_ms)),
        ]);
        let columns = vec!["last interval".to_owned(), "number".to_owned()];
        let summary = Table { columns, rows };
        self.put("pmt_rates_summary", "PMT rates in numbers", summary, out);
        self.put("pmt_outliers", "PMTs out of range", outliers.table(), out);
        let title = "Modules not in the detector description";
        self.strangers.put_if_changed(
            "pmt_rates_unknown",
            title,
            self.newest_ms.map(timestamp),
            out,
        );
    }

    fn put(&self, name: &str, title: &str, view: impl Into<View>, out: &mut Outputs) {
        let output = Output::new(name, title, view)
            .at(self.newest_ms.map(timestamp))
            .every(self.config.interval.seconds());
        out.put(output);
    }
}

fn has_data(column: &fathom_kernel::view::Column) -> bool {
    column.values.iter().any(|value| value.is_finite())
}
