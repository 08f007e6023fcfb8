//! `dom_rates`: the light rate of every DOM, from every `IO_SUM` message.
//!
//! The map shows the mean over an interval, with the extremes, the rate without the channels whose
//! rate is an extrapolation (high-rate veto, full FIFO) and the number of channels that count.

mod alarms;
mod frame;
mod history;

use fathom_formats::km3net::{SummaryFrame, SummarySlice};
use fathom_hist::{Ring, Stat, median, quantile};
use fathom_kernel::view::{Colours, Curve, Detail, Image, Marker, Series, View};
use fathom_kernel::{
    Event, Frame, Monitor, Output, Outputs, Persist, Recalled, Saved, Setup, Span, Timestamp,
    Topics, tags,
};
use schemars::JsonSchema;
use serde::Deserialize;

use self::alarms::RateAlarms;
use self::frame::{ALL_CHANNELS, FrameRates};
use self::history::History;
use crate::clock::{is_due, ms_of_header, timestamp};
use crate::faulty::Faulty;
use crate::places::{Found, Places, Strangers};
use crate::timeline::{Fit, Timeline};

/// Shown when the detector description says so of any PMT.
const OFF: &str = "PMTs off by the detector file";
/// Points of the trend of all DOMs.
const TREND_POINTS: usize = 1440;

/// Options of `dom_rates`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Start of the colour scale.
    #[schemars(extend("unit" = "kHz"))]
    pub lowest_rate: f64,
    /// End of the colour scale.
    #[schemars(extend("unit" = "kHz"))]
    pub highest_rate: f64,
    /// Time between two maps; each shows the mean over it.
    pub interval: Span,
    /// Alarm when the mean rate of a DOM over this time is outside of the scale; `0s` switches it off.
    pub alarm_over: Span,
    /// Keep the history of every DOM: seconds for 10 minutes, minutes for a day, hours for 30 days.
    /// It takes 17 kB per DOM (69 MB for 4,140).
    pub history: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lowest_rate: 200.0,
            highest_rate: 400.0,
            interval: Span::from_secs(5),
            alarm_over: Span::from_secs(60),
            history: true,
        }
    }
}

/// What one DOM sent in the interval.
#[derive(Debug, Clone, Copy)]
struct Dom {
    /// Sum over all channels (kHz).
    all_khz: Stat,
    /// The same in the newest slice (kHz), and its time (ms): with several data filters the last one
    /// to come is not the newest.
    newest_khz: f64,
    newest_ms: i64,
    /// Sum over the channels in neither veto nor FIFO-full (kHz).
    live_khz: Stat,
    live_channels: Stat,
    hrv_channels: Stat,
    fifo_channels: Stat,
    out_of_sync: u64,
    incomplete: u64,
}

impl Dom {
    const SILENT: Self = Self {
        all_khz: Stat::NONE,
        newest_khz: f64::NAN,
        newest_ms: i64::MIN,
        live_khz: Stat::NONE,
        live_channels: Stat::NONE,
        hrv_channels: Stat::NONE,
        fifo_channels: Stat::NONE,
        out_of_sync: 0,
        incomplete: 0,
    };
}

/// The rates of all DOMs at one time.
#[derive(Debug, Clone, Copy)]
struct TrendPoint {
    at_ms: i64,
    median_khz: f64,
    low_khz: f64,
    high_khz: f64,
    live_fraction: f64,
}

/// The monitor.
pub struct DomRates {
    config: Config,
    setup: Setup,
    places: Places,
    strangers: Strangers,
    doms: Vec<Dom>,
    alarms: RateAlarms,
    /// Slices of the interval.
    slices: u64,
    timeline: Timeline,
    history: Option<History>,
    trend: Ring<TrendPoint>,
    newest_ms: Option<i64>,
    drawn_ms: Option<i64>,
    faulty: Faulty,
}

impl Monitor for DomRates {
    type Config = Config;
    const TOPICS: Topics = Topics::frames(&[tags::IO_SUM]);
    const QUESTIONS: &'static [&'static str] = &["bad", "history"];

    fn check(config: &Config, _: &Setup) -> Result<(), String> {
        let Config {
            lowest_rate: low,
            highest_rate: high,
            ..
        } = config;
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err(format!(
                "lowest_rate is {low} and highest_rate {high}, expected the first to be smaller"
            ));
        }
        Ok(())
    }

    fn new(config: Config, setup: &Setup) -> Self {
        let places = Places::of(setup);
        Self {
            history: config.history.then(History::default),
            config,
            setup: setup.clone(),
            doms: vec![Dom::SILENT; places.list().len()],
            places,
            strangers: Strangers::of(setup),
            alarms: RateAlarms::default(),
            slices: 0,
            timeline: Timeline::default(),
            trend: Ring::new(TREND_POINTS),
            newest_ms: None,
            drawn_ms: None,
            faulty: Faulty::default(),
        }
    }

    fn on_event(&mut self, event: &Event, out: &mut Outputs) {
        let Event::Frame(frame) = event else { return };
        match SummarySlice::decode(&frame.body) {
            Ok(slice) => {
                self.strangers.look_at(&slice.header, out);
                self.take(frame, &slice);
            }
            Err(error) => self.faulty.saw(frame, &error, out),
        }
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Outputs) {
        self.timeline.tick();
        let now_ms = now.as_millisecond();
        let due = is_due(self.config.interval, self.drawn_ms, now_ms);
        // Without any slice the last map stays, and its age shows.
        if due && (self.slices > 0 || self.drawn_ms.is_none()) {
            self.drawn_ms = Some(now_ms);
            self.draw(out);
        }
        self.alarms.judge(&self.config, &self.places, now, out);
        self.draw_history(out);
    }

    fn reset(&mut self) {
        *self = Self::new(self.config.clone(), &self.setup.clone());
    }

    fn on_request(
        &mut self,
        verb: &str,
        args: &serde_json::Value,
    ) -> Result<serde_json::Value, String> {
        match (verb, &self.history) {
            ("history", Some(history)) => history.answer(args, &self.places),
            ("history", None) => Err("no history is kept (option history)".into()),
            _ => self.faulty.answer(verb, args, ", history"),
        }
    }

    fn memory_bytes(&self) -> usize {
        let history = self.history.as_ref().map_or(0, History::memory_bytes);
        self.places.memory_bytes()
            + self.doms.len() * size_of::<Dom>()
            + self.alarms.memory_bytes()
            + self.trend.len() * size_of::<TrendPoint>()
            + history
            + self.faulty.memory_bytes()
    }

    fn persist(&mut self, keep: &mut Persist) {
        if let Some(history) = &mut self.history {
            history.persist(&self.places, keep);
        }
    }

    fn recall(&mut self, rule: &str, subject: &str) -> Recalled {
        match (rule, self.places.of_subject(subject)) {
            ("dom_rate", Some((_, Some(rank)))) if !self.config.alarm_over.is_zero() => {
                self.alarms.recall(rank);
                Recalled::Holds
            }
            ("dom_rate", _) => Recalled::Gone,
            _ => Recalled::Unknown,
        }
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), String> {
        match &mut self.history {
            Some(history) => history.restore(saved, &mut self.places)?,
            None => return Ok(()),
        }
        self.trend_from_history();
        Ok(())
    }
}

impl DomRates {
    fn take(&mut self, frame: &Frame, slice: &SummarySlice<'_>) {
        let data_ms = ms_of_header(&slice.header);
        let fit = self.timeline.saw(data_ms, frame.received.as_millisecond());
        if fit == Fit::Set {
            self.newest_ms = None;
            if let Some(history) = &mut self.history {
                history.jump(data_ms);
            }
        }
        self.slices += 1;
        if fit != Fit::Stray {
            self.newest_ms = self.newest_ms.max(Some(data_ms));
            if let Some(history) = &mut self.history {
                history.advance(data_ms);
            }
        }
        for frame in slice.frames {
            let dom_id = frame.dom_id().0;
            let Found::Dom(rank) = self.places.find(dom_id) else {
                self.strangers.saw(dom_id, data_ms);
                continue;
            };
            let off = self.places.channels_off(&self.places.list()[rank]);
            let rates = FrameRates::of(frame, off);
            if rank >= self.doms.len() {
                self.doms.resize(rank + 1, Dom::SILENT);
            }
            self.doms[rank].add(frame, rates, data_ms);
            if off.count_ones() < ALL_CHANNELS {
                self.alarms.add(rank, rates.used_khz);
            }
            if let (true, Some(history)) = (fit != Fit::Stray, &mut self.history) {
                history.add(rank, rates.all_khz, data_ms);
            }
        }
    }

    fn draw(&mut self, out: &mut Outputs) {
        self.doms.resize(self.places.list().len(), Dom::SILENT);
        let details = self.details();
        let means: Vec<_> = self.doms.iter().map(|dom| dom.all_khz.mean()).collect();
        self.add_to_trend(&means);
        let map = self.places.map(means, details, self.colours());
        let title = match &self.setup.detector {
            Some(detector) => format!("DOM Rates for DetID-{} - via Summary Slices", detector.id),
            None => "DOM Rates - via Summary Slices".to_owned(),
        };
        self.put("dom_rates", &title, map, out);
        self.put(
            "dom_rates_trend",
            "DOM rates over time",
            self.trend_view(),
            out,
        );
        let title = "DOMs not in the detector description";
        self.strangers.put_if_changed(
            "dom_rates_unknown",
            title,
            self.newest_ms.map(timestamp),
            out,
        );
        self.doms.fill(Dom::SILENT);
        self.slices = 0;
    }

    fn colours(&self) -> Colours {
        Colours {
            map: "coolwarm".into(),
            low: self.config.lowest_rate,
            high: self.config.highest_rate,
            log: false,
            under: Some("darkorchid".into()),
            over: Some("deeppink".into()),
            missing: "black".into(),
            label: "rate [kHz]".into(),
        }
    }

    /// Puts the picture of all DOMs over the last hours when a minute has ended.
    fn draw_history(&mut self, out: &mut Outputs) {
        let history = self.history.as_mut();
        let Some(columns) = history.and_then(History::picture_if_changed) else {
            return;
        };
        let rows = u32::try_from(self.places.list().len()).unwrap_or(u32::MAX);
        let image = Image {
            rows,
            column_s: 60.0,
            columns_max: u32::try_from(history::PICTURE_COLUMNS).unwrap_or(u32::MAX),
            row_labels: self.places.du_labels(),
            columns,
            colours: self.colours(),
            overlay_threshold: 1.0,
            overlay_colour: "red".into(),
            overlay_label: String::new(),
        };
        let title = "Rates of all DOMs, minute by minute";
        let datum = self.newest_ms.map(timestamp);
        out.put(
            Output::new("dom_rates_history", title, image)
                .at(datum)
                .every(60.0),
        );
    }

    fn details(&self) -> Vec<Detail> {
        let of = |number: &dyn Fn(&Dom) -> f64| self.doms.iter().map(number).collect::<Vec<_>>();
        #[expect(clippy::cast_precision_loss, reason = "slices of one interval")]
        let details: [(&str, Vec<f64>); 10] = [
            ("newest [kHz]", of(&|dom| dom.newest_khz)),
            ("min [kHz]", of(&|dom| dom.all_khz.smallest())),
            ("max [kHz]", of(&|dom| dom.all_khz.largest())),
            (
                "without vetoed channels [kHz]",
                of(&|dom| dom.live_khz.mean()),
            ),
            ("live channels", of(&|dom| dom.live_channels.mean())),
            (
                "channels in high-rate veto",
                of(&|dom| dom.hrv_channels.mean()),
            ),
            (
                "channels with full FIFO",
                of(&|dom| dom.fifo_channels.mean()),
            ),
            ("slices", of(&|dom| dom.all_khz.count as f64)),
            ("slices out of sync", of(&|dom| dom.out_of_sync as f64)),
            ("incomplete slices", of(&|dom| dom.incomplete as f64)),
        ];
        let off = self
            .places
            .list()
            .iter()
            .map(|p| self.places.channels_off(p));
        let off: Vec<_> = off.map(|off| f64::from(off.count_ones())).collect();
        let off = off.iter().any(|&off| off > 0.0).then_some((OFF, off));
        let all = details.into_iter().chain(off);
        all.map(|(name, values)| Detail {
            name: name.to_owned(),
            values,
        })
        .collect()
    }

    fn add_to_trend(&mut self, means: &[f64]) {
        let finite = || means.iter().copied();
        let (Some(median_khz), Some(at_ms)) = (median(finite()), self.newest_ms) else {
            return;
        };
        let mut live = Stat::default();
        for (dom, place) in self.doms.iter().zip(self.places.list()) {
            let used = ALL_CHANNELS - self.places.channels_off(place).count_ones();
            if dom.live_channels.count > 0 && used > 0 {
                live.add(dom.live_channels.mean() / f64::from(used));
            }
        }
        // After the clock was set back what is later is of another time.
        self.trend.retain(|point| point.at_ms < at_ms);
        self.trend.push(TrendPoint {
            at_ms,
            median_khz,
            low_khz: quantile(finite(), 0.1).unwrap_or(f64::NAN),
            high_khz: quantile(finite(), 0.9).unwrap_or(f64::NAN),
            live_fraction: live.mean(),
        });
    }

    /// Continues the trend from the minutes that were kept; the live channels were not.
    fn trend_from_history(&mut self) {
        let Some(history) = &self.history else { return };
        for (at_ms, khz) in history.minutes() {
            self.trend.retain(|point| point.at_ms < at_ms);
            let quantile = |fraction| quantile(khz.iter().copied(), fraction).unwrap_or(f64::NAN);
            self.trend.push(TrendPoint {
                at_ms,
                median_khz: median(khz.iter().copied()).unwrap_or(f64::NAN),
                low_khz: quantile(0.1),
                high_khz: quantile(0.9),
                live_fraction: f64::NAN,
            });
        }
    }

    fn trend_view(&self) -> Series {
        let curve = |name: &str, colour: &str, value: fn(&TrendPoint) -> f64| Curve {
            name: name.to_owned(),
            colour: colour.to_owned(),
            marker: Marker::None,
            values: self.trend.iter().map(value).collect(),
            errors: Vec::new(),
        };
        Series {
            y_label: "rate [kHz], live channels [%]".into(),
            times_ms: self.trend.iter().map(|point| point.at_ms).collect(),
            curves: vec![
                curve("median of DOMs", "#006BA4", |p| p.median_khz),
                curve("10 % below", "#A2C8EC", |p| p.low_khz),
                curve("10 % above", "#FFBC79", |p| p.high_khz),
                curve("live channels [%]", "#595959", |p| 100.0 * p.live_fraction),
            ],
            ..Series::default()
        }
    }

    fn put(&self, name: &str, title: &str, view: impl Into<View>, out: &mut Outputs) {
        let output = Output::new(name, title, view)
            .at(self.newest_ms.map(timestamp))
            .every(self.config.interval.seconds());
        out.put(output);
    }
}

impl Dom {
    fn add(&mut self, frame: &SummaryFrame, rates: FrameRates, data_ms: i64) {
        let status = frame.status();
        self.all_khz.add(rates.all_khz);
        if data_ms >= self.newest_ms {
            (self.newest_khz, self.newest_ms) = (rates.all_khz, data_ms);
        }
        self.live_khz.add(rates.live_khz);
        self.live_channels.add(f64::from(rates.live_channels));
        self.hrv_channels
            .add(f64::from(status.hrv_bits().count_ones()));
        self.fifo_channels
            .add(f64::from(status.fifo_bits().count_ones()));
        self.out_of_sync += u64::from(!status.white_rabbit_ok());
        self.incomplete += u64::from(!status.is_complete());
    }
}
