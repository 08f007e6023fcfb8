//! `online_reco`: zenith angle and quality of the online reconstruction, from every `IO_OLINE`
//! message.
//!
//! The histograms of the current run stand against a reference: the run before, or a file. State: two
//! sets of four histograms (560 numbers each) and `2 * points` intervals of 80 bytes.

mod histograms;
mod trend;

use fathom_formats::km3net::{Fit as Reconstructed, OnlineReco as Payload};
use fathom_kernel::view::{Marker, Panels, Series, Table, View};
use fathom_kernel::{
    Content, Event, Fetch, Fetched, Frame, Location, Monitor, Output, Outputs, Persist, Saved,
    Setup, Span, Timestamp, Topics, tags,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::histograms::{Histograms, Ranges, cos_zenith};
use self::trend::Interval;
use crate::bins::Bins;
use crate::clock::{is_due, ms_of, seconds, timestamp};
use crate::curves::{self, Wanted};
use crate::faulty::Faulty;
use crate::places::Strangers;
use crate::runs::{Run, Runs};
use crate::timeline::{Fit, TOLERANCE_MS, Timeline};

/// Time between two looks at the file with the reference (ms).
const REFERENCE_EVERY: Span = Span::from_secs(600);
/// What the fetch of that file is called.
const REFERENCE: &str = "reference";
/// A run with fewer tracks is no reference for the next one.
const REFERENCE_TRACKS_MIN: f64 = 100.0;

/// Options of `online_reco`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Time between two versions of the histograms.
    pub interval: Span,
    /// Status of the tracks that are taken.
    pub track_status: i32,
    /// Status of the showers that are taken; without it all that were fitted.
    pub shower_status: Option<i32>,
    /// Range of the histograms of the quality.
    pub quality_range: [f64; 2],
    /// File or web address with the histograms of a good run, as `request NAME histograms` gives
    /// them; without it the run before is the reference.
    pub reference: Option<Location>,
    /// Length of the intervals of the trends.
    pub trend_interval: Span,
    /// Time shown by the trends.
    pub history: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Span::from_secs(10),
            track_status: 1,
            shower_status: None,
            quality_range: [-100.0, 400.0],
            reference: None,
            trend_interval: Span::from_secs(60),
            history: Span::from_secs(86_400),
        }
    }
}

impl Config {
    fn ranges(&self) -> Ranges {
        Ranges {
            quality: self.quality_range,
        }
    }

    fn points(&self) -> usize {
        let fitting = ms_of(self.history) / ms_of(self.trend_interval);
        usize::try_from(fitting)
            .unwrap_or(usize::MAX)
            .clamp(10, 20_000)
    }
}

/// Events by what became of them.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Counts {
    events: u64,
    tracks: u64,
    showers: u64,
    /// Fits that were accepted but have no direction or no number for their quality.
    senseless: u64,
    strays: u64,
}

/// The monitor.
pub struct OnlineReco {
    config: Config,
    setup: Setup,
    strangers: Strangers,
    timeline: Timeline,
    runs: Runs,
    now: Histograms,
    before: Option<Histograms>,
    /// What the file says, its version, and why it could not be read.
    file: Option<Histograms>,
    file_version: Option<String>,
    file_fault: Option<String>,
    asked_ms: Option<i64>,
    bins: Bins<Interval>,
    counts: Counts,
    newest_ms: Option<i64>,
    drawn_ms: Option<i64>,
    changed: bool,
    redraw_trends: bool,
    faulty: Faulty,
}

/// What is kept over a restart.
#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    trend_interval_ms: i64,
    ahead_ms: Option<i64>,
    newest_ms: Option<i64>,
    runs: Runs,
    now: Histograms,
    before: Option<Histograms>,
    counts: Counts,
    bins: Vec<(i64, bool, Interval)>,
}

const KEPT_VERSION: u32 = 1;

impl Monitor for OnlineReco {
    type Config = Config;
    const TOPICS: Topics = Topics::frames(&[tags::IO_OLINE]);
    const QUESTIONS: &'static [&'static str] = &["bad", "histograms"];

    fn check(config: &Config, _: &Setup) -> Result<(), String> {
        let [low, high] = config.quality_range;
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err("quality_range must be two numbers, the first one smaller".into());
        }
        if ms_of(config.trend_interval) < 1000 {
            return Err("expected a trend_interval of 1s or more".into());
        }
        Ok(())
    }

    fn new(config: Config, setup: &Setup) -> Self {
        Self {
            setup: setup.clone(),
            strangers: Strangers::of(setup),
            timeline: Timeline::default(),
            runs: Runs::default(),
            now: Histograms::new(config.ranges()),
            before: None,
            file: None,
            file_version: None,
            file_fault: None,
            asked_ms: None,
            bins: Bins::new(ms_of(config.trend_interval), config.points()),
            counts: Counts::default(),
            newest_ms: None,
            drawn_ms: None,
            changed: true,
            redraw_trends: true,
            faulty: Faulty::default(),
            config,
        }
    }

    fn on_event(&mut self, event: &Event, out: &mut Outputs) {
        let Event::Frame(frame) = event else { return };
        match Payload::decode(&frame.body) {
            Ok(payload) => {
                let at_ms = ms_of_payload(&payload);
                self.strangers.look_at_id(payload.detector_id, at_ms, out);
                self.take(frame, &payload);
            }
            Err(error) => self.faulty.saw(frame, &error, out),
        }
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Outputs) {
        self.timeline.tick();
        let now_ms = now.as_millisecond();
        let data_ms = self.timeline.at(now_ms);
        self.bins.cover(data_ms);
        self.redraw_trends |= !self.bins.close(data_ms).is_empty();
        self.ask(now_ms, out);
        if std::mem::take(&mut self.redraw_trends) {
            self.draw_trends(data_ms.max(self.bins.covered_to_ms()), out);
        }
        if is_due(self.config.interval, self.drawn_ms, now_ms) && std::mem::take(&mut self.changed)
        {
            self.drawn_ms = Some(now_ms);
            self.draw(out);
        }
        let title = "Events of other detectors";
        self.strangers
            .put_if_changed("reco_unknown", title, self.newest_ms.map(timestamp), out);
    }

    fn on_fetched(&mut self, fetched: Fetched, out: &mut Outputs) {
        let read = match fetched.content {
            Ok(Content::Unchanged) => return,
            Ok(Content::Bytes(bytes, version)) => {
                self.file_version = version;
                Histograms::read(&bytes, self.config.ranges())
            }
            Err(error) => Err(error.to_string()),
        };
        self.changed = true;
        match read {
            Ok(histograms) => {
                self.file = Some(histograms);
                self.file_fault = None;
            }
            Err(fault) => {
                out.bad("reference not readable");
                self.file_fault = Some(fault);
            }
        }
    }

    fn on_end(&mut self) {
        self.bins.end(self.newest_ms);
    }

    fn reset(&mut self) {
        *self = Self::new(self.config.clone(), &self.setup.clone());
    }

    fn on_request(&mut self, verb: &str, args: &Value) -> Result<Value, String> {
        match verb {
            "histograms" => serde_json::to_value(&self.now).map_err(|e| e.to_string()),
            _ => self.faulty.answer(verb, args, ", histograms"),
        }
    }

    fn persist(&mut self, keep: &mut Persist) {
        let kept = Kept {
            version: KEPT_VERSION,
            trend_interval_ms: self.bins.interval_ms,
            ahead_ms: self.timeline.ahead_ms(),
            newest_ms: self.newest_ms,
            runs: self.runs.clone(),
            now: self.now.clone(),
            before: self.before.clone(),
            counts: self.counts,
            bins: self.bins.all().map(|(i, open, b)| (i, open, *b)).collect(),
        };
        keep.json(&kept);
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), String> {
        let Some(kept) = saved.json::<Kept>()? else {
            return Ok(());
        };
        if kept.version != KEPT_VERSION || kept.trend_interval_ms != self.bins.interval_ms {
            return Err("kept with another version or trend_interval".into());
        }
        if !kept.now.fits(&self.now) {
            return Err("kept with another quality_range".into());
        }
        self.timeline.resume(kept.ahead_ms);
        self.newest_ms = kept.newest_ms;
        self.runs = kept.runs;
        self.now = kept.now;
        self.before = kept.before;
        self.counts = kept.counts;
        for (index, open, bin) in kept.bins {
            self.bins.put_back(index, open, bin);
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.bins.len() * (size_of::<Interval>() + 40)
            + 3 * Histograms::BYTES
            + self.faulty.memory_bytes()
    }
}

impl OnlineReco {
    fn take(&mut self, frame: &Frame, payload: &Payload) {
        self.counts.events += 1;
        self.changed = true;
        let data_ms = ms_of_payload(payload);
        let host_ms = frame.received.as_millisecond();
        let run = Run {
            detector: payload.detector_id.0,
            run: payload.run.0,
        };
        let fit = self.timeline.saw(data_ms, host_ms);
        match fit {
            Fit::Stray => self.counts.strays += 1,
            Fit::Near | Fit::Set => {
                if fit == Fit::Set {
                    let is_replay = data_ms.abs_diff(host_ms) > TOLERANCE_MS.unsigned_abs();
                    self.bins.jump(data_ms, is_replay);
                    self.runs.jump();
                    self.newest_ms = None;
                }
                self.newest_ms = self.newest_ms.max(Some(data_ms));
                if self.runs.saw(run, data_ms) {
                    self.change_run(run);
                }
            }
        }
        // The time of a stray is wrong: it belongs to no interval.
        let index = (fit != Fit::Stray).then(|| self.bins.index(data_ms));
        let mut bin = index.map(|index| self.bins.bin(index).0);
        if let Some(bin) = &mut bin {
            bin.events += 1;
        }
        let status = self.config.shower_status;
        let showers = |fit: &Reconstructed| {
            fit.is_fitted() && status.is_none_or(|status| fit.status == status)
        };
        let is_track = payload.track.status == self.config.track_status;
        let accepted = [
            is_track.then_some(&payload.track),
            Some(&payload.shower).filter(|fit| showers(fit)),
        ];
        let into = match &mut self.before {
            Some(before) if self.now.run != Some(run) && before.run == Some(run) => before,
            _ => &mut self.now,
        };
        for (kind, fit) in accepted.into_iter().enumerate() {
            let Some((cos, quality)) = fit.map(|fit| (cos_zenith(fit), fit.quality)) else {
                continue;
            };
            let Some(cos) = cos.filter(|_| quality.is_finite()) else {
                self.counts.senseless += 1;
                continue;
            };
            into.fill(kind, cos, quality);
            if let Some(bin) = &mut bin {
                bin.add(kind, quality);
            }
            match kind {
                histograms::TRACK => self.counts.tracks += 1,
                _ => self.counts.showers += 1,
            }
        }
    }

    /// The histograms of the run that ended become the reference of the next one.
    fn change_run(&mut self, run: Run) {
        let next = Histograms::of(self.config.ranges(), run);
        if self.now.run.is_none() {
            self.now.run = Some(run);
            return;
        }
        let ended = std::mem::replace(&mut self.now, next);
        if ended.entries(histograms::TRACK) >= REFERENCE_TRACKS_MIN || self.before.is_none() {
            self.before = Some(ended);
        }
    }

    /// Asks for the reference now and then.
    fn ask(&mut self, now_ms: i64, out: &mut Outputs) {
        let Some(from) = &self.config.reference else {
            return;
        };
        if is_due(REFERENCE_EVERY, self.asked_ms, now_ms) {
            self.asked_ms = Some(now_ms);
            let fetch = Fetch::new(REFERENCE, from.clone());
            out.fetch(fetch.unless(self.file_version.clone()));
        }
    }

    fn reference(&self) -> Option<&Histograms> {
        match self.config.reference {
            Some(_) => self.file.as_ref(),
            None => self.before.as_ref(),
        }
    }

    fn draw(&self, out: &mut Outputs) {
        let reference = self.reference();
        let zenith = self.now.zenith(reference);
        self.put(
            "reco_zenith",
            "Zenith angle of the online reconstruction",
            zenith,
            out,
        );
        let quality: Panels = self.now.quality(reference);
        self.put(
            "reco_quality",
            "Quality of the online reconstruction",
            quality,
            out,
        );
        self.put(
            "reco_counts",
            "Online reconstruction in numbers",
            self.table(),
            out,
        );
    }

    fn draw_trends(&self, data_ms: i64, out: &mut Outputs) {
        let mut rates = self.trend(data_ms, "reconstructed events [Hz]", |bin, kind| {
            self.bins.rate_hz(bin, bin.fits(kind))
        });
        rates.y_log = true;
        self.put("reco_rates", "Reconstructed events", rates, out);
        let quality = self.trend(data_ms, "mean quality", Interval::mean_quality);
        self.put(
            "reco_quality_trend",
            "Mean quality of the reconstruction",
            quality,
            out,
        );
    }

    fn trend(
        &self,
        data_ms: i64,
        y_label: &str,
        reading: impl Fn(&Interval, usize) -> (f64, f64),
    ) -> Series {
        let reading = &reading;
        let looks = [
            ("JGandalf", "tomato", Marker::Diamond),
            ("shower", "dodgerblue", Marker::Cross),
        ];
        let wanted = looks
            .into_iter()
            .enumerate()
            .map(|(kind, (name, colour, marker))| Wanted {
                name,
                colour,
                marker,
                reading: Box::new(move |bin: &Interval| reading(bin, kind)),
            });
        let wanted: Vec<_> = wanted.collect();
        curves::series((&self.bins, &self.runs), data_ms, y_label, &wanted)
    }

    fn table(&self) -> Table {
        let reference = self.reference();
        let [zenith, quality] = self.now.differences(reference);
        let name = |histograms: &Histograms| histograms.run.map(|run| run.run);
        let counts = &self.counts;
        let rows = [
            ("events", json!(counts.events)),
            ("tracks accepted", json!(counts.tracks)),
            ("showers accepted", json!(counts.showers)),
            (
                "accepted without direction or quality",
                json!(counts.senseless),
            ),
            ("events far off the clock", json!(counts.strays)),
            ("current run", json!(name(&self.now))),
            (
                "tracks of the current run",
                json!(self.now.entries(histograms::TRACK)),
            ),
            ("run of the reference", json!(reference.and_then(name))),
            (
                "chi2 / ndf of cos(zenith) against the reference",
                json!(zenith),
            ),
            (
                "chi2 / ndf of the quality against the reference",
                json!(quality),
            ),
            ("reference file", json!(self.file_fault)),
        ];
        Table {
            columns: vec!["".into(), "value".into()],
            rows: rows.map(|(name, value)| vec![json!(name), value]).to_vec(),
        }
    }

    fn put(&self, name: &str, title: &str, view: impl Into<View>, out: &mut Outputs) {
        let output = Output::new(name, title, view)
            .at(self.newest_ms.map(timestamp))
            .every(seconds(self.bins.interval_ms));
        out.put(output);
    }
}

fn ms_of_payload(payload: &Payload) -> i64 {
    i64::from(payload.utc_seconds) * 1000
}
