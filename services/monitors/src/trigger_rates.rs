//! `trigger_rates`: events per second by trigger, from every `IO_EVT` message.
//!
//! Counts fall into bins of data time that start at whole multiples of the interval, so that late
//! events land where they belong. An interval without events is a zero, one in which the monitor did
//! not run is a gap. State: at most `2 * points` bins of about 120 bytes (0.7 MB for 2880 points).

mod alarms;
mod bin;
mod counter;
mod kept;
mod views;

use std::collections::BTreeMap;
use std::path::Path;

use fathom_formats::km3net::{Event as Payload, TriggerMask};
use fathom_hist::H1;
use fathom_kernel::view::{Histogram, Marker, View};
use fathom_kernel::{
    Claim, Event, FileLine, Frame, Monitor, Output, Outputs, Persist, Recalled, Saved, Setup, Span,
    Timestamp, Topics, tags,
};
use schemars::JsonSchema;
use serde::Deserialize;

use self::alarms::{Closed, RateAlarms};
use self::bin::Bin;
use self::counter::{Counter, Sequence};
use self::views::Counts;
use crate::bins::Bins;
use crate::clock::{ms_of, ms_of_header, seconds, timestamp};
use crate::curves::{self, Wanted};
use crate::faulty::Faulty;
use crate::places::Strangers;
use crate::runs::{Run, Runs};
use crate::timeline::{Fit, TOLERANCE_MS, Timeline};

/// km3mon's triggers, in the order of its CSV file.
const TRIGGERS: [(&str, u32); 3] = [
    ("3DMuon", TriggerMask::MUON_3D_BIT),
    ("MXShower", TriggerMask::SHOWER_MX_BIT),
    ("3DShower", TriggerMask::SHOWER_3D_BIT),
];
const CSV_FILE: &str = "trigger_rates.csv";
const CSV_HEADER: &str = "timestamp,Overall,3DMuon,MXShower,3DShower";
/// Most triggers of the configuration.
const FURTHER_MAX: usize = 16;

/// Options of `trigger_rates`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Length of an interval; intervals start at whole multiples of it in data time.
    pub interval: Span,
    /// Draw minor ticks on the time axis.
    pub with_minor_ticks: bool,
    /// How long after its end an interval waits for late events before its point is drawn and its
    /// line goes to the CSV file. Events that come later still correct the point.
    pub lateness: Span,
    /// Time shown by the curves.
    pub history: Span,
    /// Most points per curve; a short interval shortens the time shown.
    #[schemars(range(min = 10, max = 20000))]
    pub points_max: usize,
    /// Further triggers: name and number of its bit in the trigger mask, such as `NB = 5`.
    pub further_triggers: BTreeMap<String, u32>,
    /// Alarm when the overall rate is below this fraction of its running median; 0 switches it off.
    pub low_fraction: f64,
    /// Alarm when the overall rate is above this multiple of its running median; 0 switches it off.
    pub high_fraction: f64,
    /// Number of intervals that make the running median.
    #[schemars(range(min = 3, max = 10000))]
    pub median_bins: usize,
    /// Append a line per interval to `files/trigger_rates.csv`.
    pub csv: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Span::from_secs(300),
            with_minor_ticks: false,
            lateness: Span::from_secs(2),
            history: Span::from_secs(86_400),
            points_max: 2880,
            further_triggers: BTreeMap::new(),
            low_fraction: 0.5,
            high_fraction: 2.0,
            median_bins: 12,
            csv: true,
        }
    }
}

impl Config {
    /// Returns the number of points: a day of intervals, 288 for 300 s.
    fn points(&self) -> usize {
        let fitting = ms_of(self.history) / ms_of(self.interval);
        usize::try_from(fitting)
            .unwrap_or(usize::MAX)
            .clamp(1, self.points_max)
    }
}

/// The monitor.
pub struct TriggerRates {
    config: Config,
    setup: Setup,
    strangers: Strangers,
    triggers: Vec<(String, u32)>,
    timeline: Timeline,
    bins: Bins<Bin>,
    runs: Runs,
    counter: Counter,
    alarms: RateAlarms,
    total: Bin,
    late: u64,
    stray: u64,
    repeated: u64,
    newest_ms: Option<i64>,
    multiplicity: H1,
    faulty: Faulty,
    /// Something to be drawn has changed: the curves, the table.
    redraw: bool,
    recount: bool,
}

impl Monitor for TriggerRates {
    type Config = Config;
    const TOPICS: Topics = Topics::frames(&[tags::IO_EVT]);
    const QUESTIONS: &'static [&'static str] = Faulty::QUESTIONS;

    fn check(config: &Config, _: &Setup) -> Result<(), String> {
        if ms_of(config.interval) < 1000 {
            return Err(format!(
                "interval is {}, expected 1s or more",
                config.interval
            ));
        }
        if config.further_triggers.len() > FURTHER_MAX {
            return Err(format!("expected at most {FURTHER_MAX} further triggers"));
        }
        for (name, bit) in &config.further_triggers {
            if *bit > 63 {
                return Err(format!("trigger {name} has bit {bit}, expected 0 to 63"));
            }
            if name == "Overall" || TRIGGERS.iter().any(|(known, _)| known == name) {
                return Err(format!("trigger {name} is there already"));
            }
        }
        let fractions = [config.low_fraction, config.high_fraction];
        if fractions.iter().any(|f| !f.is_finite() || *f < 0.0) {
            return Err("low_fraction and high_fraction must be numbers from 0".into());
        }
        if config.points_max < 10 || config.median_bins < 3 {
            return Err("expected points_max of at least 10 and median_bins of at least 3".into());
        }
        Ok(())
    }

    fn claims(config: &Config) -> Vec<Claim> {
        let path = Path::new("files").join(CSV_FILE);
        let claim = || Claim::file(path, "write csv = false in one of them");
        config.csv.then(claim).into_iter().collect()
    }

    fn new(config: Config, setup: &Setup) -> Self {
        let own = TRIGGERS.map(|(name, bit)| (name.to_owned(), bit));
        let further = config.further_triggers.clone();
        let triggers: Vec<_> = own.into_iter().chain(further).collect();
        Self {
            setup: setup.clone(),
            strangers: Strangers::of(setup),
            timeline: Timeline::default(),
            bins: Bins::new(ms_of(config.interval), config.points()),
            runs: Runs::default(),
            counter: Counter::default(),
            alarms: RateAlarms::new(&config),
            total: Bin {
                by_trigger: vec![0; triggers.len()],
                ..Bin::default()
            },
            late: 0,
            stray: 0,
            repeated: 0,
            newest_ms: None,
            multiplicity: H1::new(100, 0.0, 500.0).expect("the range is a constant"),
            faulty: Faulty::default(),
            redraw: true,
            recount: true,
            triggers,
            config,
        }
    }

    fn on_event(&mut self, event: &Event, out: &mut Outputs) {
        let Event::Frame(frame) = event else { return };
        match Payload::decode(&frame.body) {
            Ok(payload) => {
                self.strangers.look_at(&payload.header, out);
                self.count(frame, &payload);
            }
            Err(error) => self.faulty.saw(frame, &error, out),
        }
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Outputs) {
        self.timeline.tick();
        let data_ms = self.timeline.at(now.as_millisecond());
        self.bins.cover(data_ms);
        let waiting_ms = i64::try_from(self.config.lateness.duration().as_millis());
        let until_ms = data_ms.saturating_sub(waiting_ms.unwrap_or(i64::MAX));
        for index in self.bins.close(until_ms) {
            self.closed(index, out);
        }
        // The picture never goes back, even when slow data hold the clock back.
        let data_ms = data_ms.max(self.bins.covered_to_ms());
        if std::mem::take(&mut self.redraw) {
            self.draw(data_ms, out);
        }
        if std::mem::take(&mut self.recount) {
            self.put_counts(data_ms, out);
        }
        let title = "Events of other detectors";
        self.strangers
            .put_if_changed("trigger_unknown", title, self.newest_ms.map(timestamp), out);
    }

    fn on_end(&mut self) {
        self.bins.end(self.newest_ms);
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

    fn persist(&mut self, keep: &mut Persist) {
        keep.json(&self.kept());
    }

    fn recall(&mut self, rule: &str, _subject: &str) -> Recalled {
        self.alarms.remind(rule)
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), String> {
        self.take_back(saved)
    }

    fn memory_bytes(&self) -> usize {
        self.bins.len() * (size_of::<Bin>() + self.triggers.len() * 8 + 40)
            + self.faulty.memory_bytes()
    }
}

impl TriggerRates {
    fn count(&mut self, frame: &Frame, payload: &Payload<'_>) {
        let data_ms = ms_of_header(&payload.header);
        let host_ms = frame.received.as_millisecond();
        let fit = self.timeline.saw(data_ms, host_ms);
        if fit == Fit::Set {
            let is_replay = data_ms.abs_diff(host_ms) > TOLERANCE_MS.unsigned_abs();
            self.bins.jump(data_ms, is_replay);
            self.runs.jump();
            self.newest_ms = None;
        }
        let run = Run::of(&payload.header);
        if fit == Fit::Stray {
            self.stray += 1;
        } else {
            self.runs.saw(run, data_ms);
            self.newest_ms = self.newest_ms.max(Some(data_ms));
        }
        #[expect(clippy::cast_precision_loss, reason = "a message has far fewer hits")]
        self.multiplicity.fill(payload.triggered.len() as f64, 1.0);

        // The time of a stray is wrong: it belongs to no interval. That others are missing before it is
        // noticed now.
        let is_stray = fit == Fit::Stray;
        let index = self.bins.index(match is_stray {
            true => self.timeline.at(host_ms),
            false => data_ms,
        });
        let mut one = self.one_event(payload);
        match self.counter.saw(run, payload.trigger_counter, index) {
            Sequence::After(missing) => one.lost = missing,
            Sequence::Found(noticed) => {
                self.total.lost = self.total.lost.saturating_sub(1);
                if let Some(bin) = self.bins.existing(noticed) {
                    bin.lost = bin.lost.saturating_sub(1);
                }
            }
            Sequence::Old => self.repeated += 1,
        }
        let (bin, closed) = self.bins.bin(index);
        match is_stray {
            true => bin.lost += one.lost,
            false => bin.merge(&one),
        }
        self.total.merge(&one);
        self.late += u64::from(closed && !is_stray);
        self.redraw |= closed;
        self.recount = true;
    }

    fn one_event(&self, payload: &Payload<'_>) -> Bin {
        let fired = |&(_, bit): &(String, u32)| u64::from(payload.trigger_mask.has(bit));
        Bin {
            events: 1,
            by_trigger: self.triggers.iter().map(fired).collect(),
            overlays: u64::try_from(payload.overlays).unwrap_or(0),
            triggered_hits: payload.triggered.len() as u64,
            snapshot_hits: payload.snapshot.len() as u64,
            ..Bin::default()
        }
    }

    /// An interval has ended: its line for the file, its judgement.
    fn closed(&mut self, index: i64, out: &mut Outputs) {
        self.redraw = true;
        self.recount = true;
        let Some(bin) = self.bins.get(index) else {
            return;
        };
        let complete = self.bins.is_complete(bin);
        if self.config.csv && (complete || bin.events > 0) {
            out.line(self.csv_line(index, bin));
        }
        if complete {
            let closed = Closed {
                end_ms: self.bins.end_ms(index),
                events: bin.events,
                rate_hz: self.bins.rate_hz(bin, bin.events).0,
                interval_s: seconds(self.bins.interval_ms),
            };
            self.alarms.judge(closed, out);
        }
    }

    fn csv_line(&self, index: i64, bin: &Bin) -> FileLine {
        let count = |rank| bin.of_trigger(rank).unwrap_or(0);
        let counts = std::iter::once(bin.events).chain((0..TRIGGERS.len()).map(count));
        let rates = counts.map(|count| self.bins.rate_hz(bin, count).0);
        let numbers: Vec<_> = std::iter::once(seconds(self.bins.end_ms(index)))
            .chain(rates)
            .map(|number| format!("{number:?}"))
            .collect();
        FileLine {
            file: CSV_FILE,
            header: CSV_HEADER,
            line: numbers.join(","),
        }
    }

    fn draw(&self, data_ms: i64, out: &mut Outputs) {
        let rates: Vec<_> = std::iter::once(self.overall())
            .chain((0..self.triggers.len()).filter_map(|rank| self.trigger(rank)))
            .collect();
        let mut rate = curves::series(
            (&self.bins, &self.runs),
            data_ms,
            "trigger rate [Hz]",
            &rates,
        );
        rate.x_minor_ticks = self.config.with_minor_ticks;
        self.put("trigger_rates_lin", "Trigger rates", rate.clone(), out);
        rate.y_log = true;
        self.put("trigger_rates", "Trigger rates", rate, out);
        let plain = |name, colour, sum: fn(&Bin) -> u64| Wanted {
            name,
            colour,
            marker: Marker::None,
            reading: Box::new(move |bin| (per_event(sum(bin), bin.events), f64::NAN)),
        };
        let hits = [
            plain("triggered hits", "tomato", |bin| bin.triggered_hits),
            plain("snapshot hits", "dodgerblue", |bin| bin.snapshot_hits),
        ];
        let hits = curves::series((&self.bins, &self.runs), data_ms, "hits per event", &hits);
        self.put("trigger_hits", "Hits per event", hits, out);
        let overlays = [plain("overlays", "#006BA4", |bin| bin.overlays)];
        let overlays = curves::series(
            (&self.bins, &self.runs),
            data_ms,
            "overlays per event",
            &overlays,
        );
        self.put("trigger_overlays", "Overlays per event", overlays, out);
        let lost = [Wanted {
            name: "lost events",
            colour: "#C85200",
            marker: Marker::None,
            reading: Box::new(|bin| (self.bins.rate_hz(bin, bin.lost).0, f64::NAN)),
        }];
        let lost = curves::series((&self.bins, &self.runs), data_ms, "lost events [Hz]", &lost);
        self.put(
            "trigger_lost",
            "Events missing in the trigger counter",
            lost,
            out,
        );
    }

    fn overall(&self) -> Wanted<'_, Bin> {
        Wanted {
            name: "Overall",
            colour: "tomato",
            marker: Marker::Diamond,
            reading: Box::new(|bin| self.bins.rate_hz(bin, bin.events)),
        }
    }

    fn trigger(&self, rank: usize) -> Option<Wanted<'_, Bin>> {
        let (name, _) = self.triggers.get(rank)?;
        let (colour, marker) = views::look(rank);
        Some(Wanted {
            name,
            colour,
            marker,
            reading: Box::new(move |bin| match bin.of_trigger(rank) {
                Some(count) => self.bins.rate_hz(bin, count),
                None => (f64::NAN, f64::NAN),
            }),
        })
    }

    fn put_counts(&self, data_ms: i64, out: &mut Outputs) {
        let names: Vec<_> = self.triggers.iter().map(|(name, _)| &**name).collect();
        let run = self.runs.current().map_or(0, |r| i64::from(r.run));
        let counts = Counts {
            names: &names,
            total: &self.total,
            others: [
                ("late events", self.late),
                ("events far off the clock", self.stray),
                ("repeated counters", self.repeated),
                ("current run", u64::try_from(run).unwrap_or(0)),
            ],
        };
        let table = views::table(&self.bins, data_ms, &counts);
        self.put("trigger_counts", "Trigger counts", table, out);
        let multiplicity = Histogram {
            x_label: "triggered hits".into(),
            y_label: "events".into(),
            y_log: true,
            edges: self.multiplicity.edges(),
            counts: self.multiplicity.counts().to_vec(),
            underflow: self.multiplicity.underflow(),
            overflow: self.multiplicity.overflow(),
        };
        self.put(
            "trigger_multiplicity",
            "Triggered hits per event",
            multiplicity,
            out,
        );
    }

    fn put(&self, name: &str, title: &str, view: impl Into<View>, out: &mut Outputs) {
        let datum = self.newest_ms.map(timestamp);
        let interval_s = seconds(self.bins.interval_ms);
        out.put(Output::new(name, title, view).at(datum).every(interval_s));
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn per_event(sum: u64, events: u64) -> f64 {
    if events == 0 {
        f64::NAN
    } else {
        sum as f64 / events as f64
    }
}
