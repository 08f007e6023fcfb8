//! `royfit`: fits a straight muon to the hits of each DU, from every `IO_EVT` message, and keeps the
//! time residuals of the hits.
//!
//! Each DU with triggered hits is fitted on its own: a string tells distance, height, zenith angle
//! and time of a track, not its azimuth. Hits on one side of the closest point only lie on a straight
//! line that two zenith angles explain almost equally well; the fit takes the smaller Q.
//!
//! State for 230 DUs of 18 floors: the sums of the residuals take 4 MB, the cells of 120 minutes at
//! most 71 MB (147,456 a minute; 3 MB at 10 fits a second); what waits to be kept over a restart at
//! most 16 MB, everything else below 1 MB.

mod counts;
mod csv;
pub(crate) mod event;
mod extras;
mod fit;
mod history;
mod intake;
mod keep;
mod model;
mod offsets;
mod outputs;
mod panels;
mod picture;
mod residuals;
mod select;

use std::sync::Arc;

use fathom_formats::km3net::Event as Payload;
use fathom_kernel::{
    Claim, Event, Monitor, Outputs, Persist, Recalled, Saved, Setup, Size, Span, Timestamp, Topics,
    tags,
};
use schemars::JsonSchema;
use serde::Deserialize;

pub use fit::{LineFit, first_guess, fit_line, q_sum};
pub use model::LineTrack;
pub use select::{Selection, seed_hits, select_hits};

use self::counts::Counts;
use self::csv::Csv;
use self::event::{EventFits, Fitter, Wanted};
use self::history::{History, MINUTE_MS};
use self::keep::{Doms, Keeper};
use self::offsets::{Limits, Offsets};
use self::picture::{Drawn, Paper};
use self::residuals::Residuals;
use crate::clock::{is_due, ms_of, timestamp};
use crate::faulty::Faulty;
use crate::places::{Places, Strangers};
use crate::timeline::Timeline;

/// Speed of light in vacuum (m/ns).
const LIGHT_M_PER_NS: f64 = 0.299_792_458;
/// Refractive index of deep sea water, as the line fit has it.
const REFRACTIVE_INDEX: f64 = 1.380_085_128_2;
/// Longest window of the residuals and of the rates [minutes].
const MINUTES_MAX: i64 = 10_080;

/// Options of `royfit`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Triggered DOMs that an event needs to be fitted.
    pub min_doms: usize,
    /// Hits on one line that a DU needs, one per floor; fewer do not tell a track.
    #[schemars(range(min = 2))]
    pub min_hits: usize,
    /// Hits of a DOM that make a coincidence, from which the selection of hits starts.
    #[schemars(range(min = 2))]
    pub multiplicity: usize,
    /// Longest time between neighbours of a coincidence; also how far from its expectation a hit of
    /// the line may be.
    #[schemars(extend("unit" = "ns"))]
    pub coincidence_window: f64,
    /// Hits of a DOM no later than this after the first are one group, whose photoelectrons count
    /// together.
    #[schemars(extend("unit" = "ns"))]
    pub multiplicity_window: f64,
    /// Events are drawn when the sum of the qualities of their DUs is below this; small is good.
    pub picture_q: f64,
    /// Triggered DOMs that an event needs to be drawn.
    pub picture_doms: usize,
    /// Fitted DUs that an event needs to be drawn.
    pub picture_dus: usize,
    /// Draw one panel per DU instead of all in one.
    pub split_dus: bool,
    /// Time between two versions of tables, distributions and residuals.
    pub interval: Span,
    /// Residuals older than this leave the histograms.
    pub residual_window: Span,
    /// Residuals of DUs with a larger quality do not count; 0 counts all.
    pub residual_q: f64,
    /// Correct the residuals of the histograms for slewing; km3mon does not.
    pub slewing: bool,
    /// A DOM whose median residual is further from zero is listed and raises an alarm.
    #[schemars(extend("unit" = "ns"))]
    pub offset_limit: f64,
    /// Residuals of a DOM that such a judgement needs.
    pub offset_residuals: u64,
    /// Time shown by the rates.
    pub history: Span,
    /// Append a line per selected hit to `files/reco_timeres.csv`.
    pub csv: bool,
    /// Size at which the file becomes `reco_timeres.1.csv`, in place of the one before, and a new
    /// one is begun.
    pub csv_size: Size,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            min_doms: 4,
            min_hits: 3,
            multiplicity: 3,
            coincidence_window: 10.0,
            multiplicity_window: 10.0,
            picture_q: 200.0,
            picture_doms: 7,
            picture_dus: 2,
            split_dus: false,
            interval: Span::from_secs(60),
            residual_window: Span::from_secs(7200),
            residual_q: 0.0,
            slewing: true,
            offset_limit: 3.0,
            offset_residuals: 100,
            history: Span::from_secs(86_400),
            csv: true,
            csv_size: Size::from_mib(64),
        }
    }
}

impl Config {
    /// Returns what of an event is fitted.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            doms_min: self.min_doms,
            hits_min: self.min_hits,
            multiplicity: self.multiplicity,
            window_ns: self.coincidence_window,
            group_ns: self.multiplicity_window,
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            offset_ns: self.offset_limit,
            residuals_min: self.offset_residuals,
        }
    }

    fn is_drawn(&self, fits: &EventFits) -> bool {
        fits.dus.len() >= self.picture_dus.max(1)
            && fits.triggered_doms >= self.picture_doms
            && fits.q() < self.picture_q
    }

    fn fault(&self) -> Option<String> {
        let numbers = [
            ("coincidence_window", self.coincidence_window),
            ("multiplicity_window", self.multiplicity_window),
            ("picture_q", self.picture_q),
            ("residual_q", self.residual_q),
            ("offset_limit", self.offset_limit),
        ];
        let wrong = numbers.iter().find(|(_, n)| !(n.is_finite() && *n >= 0.0));
        if let Some((name, number)) = wrong {
            return Some(format!("{name} is {number}, expected a number from 0"));
        }
        if self.min_hits < 2 || self.multiplicity < 2 {
            return Some("expected min_hits and multiplicity of at least 2".into());
        }
        let spans = [
            ("residual_window", self.residual_window),
            ("history", self.history),
        ];
        let wrong = spans
            .iter()
            .find(|(_, span)| !(1..=MINUTES_MAX).contains(&minutes_of(*span)));
        if let Some((name, span)) = wrong {
            return Some(format!("{name} is {span}, expected 1m to 7d"));
        }
        let interval = self.interval;
        (ms_of(interval) < 1000).then(|| format!("interval is {interval}, expected 1s or more"))
    }
}

fn minutes_of(span: Span) -> i64 {
    ms_of(span) / MINUTE_MS
}

/// The monitor.
pub struct Royfit {
    config: Config,
    setup: Setup,
    fitter: Option<Fitter>,
    paper: Option<Paper>,
    places: Places,
    /// How each DOM is calibrated, by rank.
    calibrations: Vec<u32>,
    strangers: Strangers,
    timeline: Timeline,
    residuals: Residuals,
    offsets: Offsets,
    history: History,
    csv: Csv,
    keeper: Keeper,
    counts: Counts,
    /// The newest event that is good enough for the picture.
    next_picture: Option<Drawn>,
    newest_ms: Option<i64>,
    put_ms: Option<i64>,
    faulty: Faulty,
}

impl Monitor for Royfit {
    type Config = Config;
    const TOPICS: Topics = Topics::frames(&[tags::IO_EVT]);
    const QUESTIONS: &'static [&'static str] = Faulty::QUESTIONS;

    fn check(config: &Config, setup: &Setup) -> Result<(), String> {
        if !setup.has_detector() {
            return Err("needs to know where the PMTs are: add a section [detector]".into());
        }
        config.fault().map_or(Ok(()), Err)
    }

    fn claims(config: &Config) -> Vec<Claim> {
        let way_out = "write csv = false in one of them";
        let claim = || Claim::file("files/reco_timeres.csv", way_out);
        config.csv.then(claim).into_iter().collect()
    }

    fn new(config: Config, setup: &Setup) -> Self {
        let detector = setup.detector.as_ref();
        let places = Places::of(setup);
        let doms = places.list().len();
        Self {
            fitter: detector.map(|d| Fitter::new(Arc::clone(d), config.wanted())),
            paper: detector.map(|detector| Paper::new(detector, config.split_dus)),
            residuals: Residuals::new(doms, minutes_of(config.residual_window)),
            history: History::new(minutes_of(config.history)),
            csv: Csv::new(config.csv_size.bytes()),
            calibrations: detector
                .map(|detector| keep::calibrations(detector, &places))
                .unwrap_or_default(),
            setup: setup.clone(),
            places,
            config,
            strangers: Strangers::of(setup),
            timeline: Timeline::default(),
            offsets: Offsets::default(),
            keeper: Keeper::default(),
            counts: Counts::default(),
            next_picture: None,
            newest_ms: None,
            put_ms: None,
            faulty: Faulty::default(),
        }
    }

    fn on_event(&mut self, event: &Event, out: &mut Outputs) {
        let Event::Frame(frame) = event else { return };
        match Payload::decode(&frame.body) {
            Ok(payload) => {
                self.strangers.look_at(&payload.header, out);
                self.take(frame, &payload, out);
            }
            Err(error) => self.faulty.saw(frame, &error, out),
        }
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Outputs) {
        self.timeline.tick();
        let now_ms = now.as_millisecond();
        let data_ms = self.timeline.at(now_ms);
        self.residuals.set_clock(data_ms.div_euclid(MINUTE_MS));
        self.history.cover(data_ms);
        if let (Some(drawn), Some(paper)) = (self.next_picture.take(), &self.paper) {
            let view = paper.draw(&drawn);
            self.put("ztplot_roy", &drawn.title, view, out);
        }
        if is_due(self.config.interval, self.put_ms, now_ms) {
            self.put_ms = Some(now_ms);
            self.put_all(timestamp(data_ms), out);
        }
    }

    fn reset(&mut self) {
        let fresh = Self::new(self.config.clone(), &self.setup);
        let old = std::mem::replace(self, fresh);
        // Alarms that fire are still to be ended, and the file goes on.
        (self.offsets, self.csv) = (old.offsets, old.csv);
    }

    fn on_request(
        &mut self,
        verb: &str,
        args: &serde_json::Value,
    ) -> Result<serde_json::Value, String> {
        self.faulty.answer(verb, args, "")
    }

    fn persist(&mut self, keep: &mut Persist) {
        let numbers = self.numbers();
        let doms = Doms {
            places: &self.places,
            calibrations: &self.calibrations,
        };
        self.keeper
            .persist(&numbers, (&doms, &mut self.residuals), keep);
    }

    fn recall(&mut self, rule: &str, subject: &str) -> Recalled {
        match (rule, self.places.of_subject(subject)) {
            ("dom_time_offset", Some((_, Some(rank)))) => {
                self.offsets.recall(self.places.list()[rank].dom_id);
                Recalled::Holds
            }
            ("dom_time_offset", _) => Recalled::Gone,
            _ => Recalled::Unknown,
        }
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), String> {
        self.take_back(saved)
    }

    fn memory_bytes(&self) -> usize {
        self.residuals.memory_bytes()
            + self.keeper.memory_bytes()
            + self.history.memory_bytes()
            + self.fitter.as_ref().map_or(0, Fitter::memory_bytes)
            + self.faulty.memory_bytes()
    }
}
