//! `dom_activity`: how long ago every DOM was last heard of, from every `IO_SUM` message.
//!
//! Last times are kept over restarts, so that a DOM that went silent yesterday is not taken for one
//! that was never there. State: 16 bytes per DOM.

use std::collections::{BTreeMap, BTreeSet};

use fathom_formats::km3net::SummarySlice;
use fathom_kernel::view::{Colours, Detail, Scalar, View};
use fathom_kernel::{
    Event, Frame, Monitor, Output, Outputs, Persist, Recalled, Saved, Setup, Severity, Span,
    Timestamp, Topics, tags,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::{is_due, ms_of, ms_of_header, seconds, timestamp};
use crate::faulty::Faulty;
use crate::places::{Found, Place, Places, Strangers};
use crate::timeline::{Fit, TOLERANCE_MS, Timeline};

/// Without any slice for so long the source is silent, and single DOMs are not judged (ms).
const SILENT_AFTER_MS: i64 = 30_000;
/// Slices no further off the clock are shown all the same (ms).
const AHEAD_SHOWN_MS: u64 = 60_000;
/// DOMs are judged only after listening for so long: the first slice need not hold all of them (ms).
const LISTEN_FIRST_MS: i64 = 10_000;

/// Options of `dom_activity`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Time between two maps.
    pub interval: Span,
    /// What ages are counted against: the host's clock, or the newest data (for replays).
    pub reference: Reference,
    /// Clock of the data acquisition minus the host's clock, taken out of the ages. 37 s when the
    /// data carry TAI.
    #[schemars(extend("unit" = "s"))]
    pub clock_offset: f64,
    /// Ages down to minus this are jitter and shown as 0; below it is a clock problem.
    #[schemars(extend("unit" = "s"))]
    pub clock_tolerance: f64,
    /// A DOM silent for longer is inactive and raises an alarm.
    pub inactive_after: Span,
    /// Alarm when more than this fraction of the DOMs of a DU that were ever heard of are inactive; 1
    /// switches it off.
    pub inactive_fraction: f64,
    /// End of the colour scale.
    #[schemars(extend("unit" = "s"))]
    pub highest_age: f64,
}

/// What ages are counted against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reference {
    /// The clock of this machine.
    Host,
    /// The newest data, running on with the clock of this machine when they stop.
    Data,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Span::from_secs(5),
            reference: Reference::Host,
            clock_offset: 0.0,
            clock_tolerance: 5.0,
            inactive_after: Span::from_secs(300),
            inactive_fraction: 0.25,
            highest_age: 900.0,
        }
    }
}

/// What is known of one DOM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Dom {
    /// Newest frame start, if it was ever heard of (ms).
    last_ms: Option<i64>,
    inactive: bool,
}

/// The monitor.
pub struct DomActivity {
    config: Config,
    setup: Setup,
    places: Places,
    strangers: Strangers,
    doms: Vec<Dom>,
    timeline: Timeline,
    /// Slices far off the clock.
    strays: u64,
    detector_id: Option<i32>,
    newest_ms: Option<i64>,
    /// First tick, from which silence counts when nothing ever came, host time (ms).
    started_ms: Option<i64>,
    /// Arrival of the newest slice, host time (ms).
    arrived_ms: Option<i64>,
    silent: bool,
    /// DUs with too many inactive DOMs.
    bad_dus: BTreeSet<i32>,
    /// Arrival of the first slice since the start or the last silence, host time (ms).
    listening_since_ms: Option<i64>,
    drawn_ms: Option<i64>,
    faulty: Faulty,
}

/// What is kept over a restart.
#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    ahead_ms: Option<i64>,
    last_ms: Vec<(u32, i64)>,
}

const KEPT_VERSION: u32 = 1;

impl Monitor for DomActivity {
    type Config = Config;
    const TOPICS: Topics = Topics::frames(&[tags::IO_SUM]);
    const QUESTIONS: &'static [&'static str] = Faulty::QUESTIONS;

    fn check(config: &Config, _: &Setup) -> Result<(), String> {
        let numbers = [
            config.clock_offset,
            config.clock_tolerance,
            config.highest_age,
        ];
        if numbers.iter().any(|n| !n.is_finite()) || config.highest_age <= 0.0 {
            return Err("expected numbers, and highest_age above 0".into());
        }
        if !(0.0..=1.0).contains(&config.inactive_fraction) {
            return Err(format!(
                "inactive_fraction is {}, expected 0 to 1",
                config.inactive_fraction
            ));
        }
        Ok(())
    }

    fn new(config: Config, setup: &Setup) -> Self {
        let places = Places::of(setup);
        Self {
            config,
            setup: setup.clone(),
            doms: vec![Dom::default(); places.list().len()],
            places,
            strangers: Strangers::of(setup),
            timeline: Timeline::default(),
            strays: 0,
            detector_id: setup.detector.as_ref().map(|d| d.id.0),
            newest_ms: None,
            started_ms: None,
            arrived_ms: None,
            silent: false,
            bad_dus: BTreeSet::new(),
            listening_since_ms: None,
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
        self.judge(now_ms, out);
        let due = is_due(self.config.interval, self.drawn_ms, now_ms);
        if due {
            self.drawn_ms = Some(now_ms);
            self.draw(now_ms, out);
        }
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
        self.places.memory_bytes() + self.doms.len() * size_of::<Dom>() + self.faulty.memory_bytes()
    }

    fn persist(&mut self, keep: &mut Persist) {
        let doms = self.places.list().iter().zip(&self.doms);
        let kept = Kept {
            version: KEPT_VERSION,
            ahead_ms: self.timeline.ahead_ms(),
            last_ms: doms
                .filter_map(|(place, dom)| Some((place.dom_id, dom.last_ms?)))
                .collect(),
        };
        keep.json(&kept);
    }

    fn recall(&mut self, rule: &str, subject: &str) -> Recalled {
        match (rule, self.places.of_subject(subject)) {
            ("no_summary_slices", _) => self.silent = true,
            ("dom_inactive", Some((_, Some(rank)))) => self.dom(rank).inactive = true,
            ("du_inactive", Some((du, None))) => {
                self.bad_dus.insert(du);
            }
            ("dom_inactive" | "du_inactive", _) => return Recalled::Gone,
            _ => return Recalled::Unknown,
        }
        Recalled::Holds
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), String> {
        let Some(kept) = saved.json::<Kept>()? else {
            return Ok(());
        };
        if kept.version != KEPT_VERSION {
            return Err(format!(
                "kept with version {}, expected {KEPT_VERSION}",
                kept.version
            ));
        }
        self.timeline.resume(kept.ahead_ms);
        for (dom_id, last_ms) in kept.last_ms {
            if let Found::Dom(rank) = self.places.find(dom_id) {
                self.dom(rank).last_ms = Some(last_ms);
                self.newest_ms = self.newest_ms.max(Some(last_ms));
            }
        }
        Ok(())
    }
}

impl DomActivity {
    fn take(&mut self, frame: &Frame, slice: &SummarySlice<'_>) {
        let data_ms = ms_of_header(&slice.header);
        let host_ms = frame.received.as_millisecond();
        self.arrived_ms = Some(host_ms);
        match self.timeline.saw(data_ms, host_ms) {
            Fit::Near => self.newest_ms = self.newest_ms.max(Some(data_ms)),
            Fit::Set => self.newest_ms = Some(data_ms),
            // One broken time must not make DOMs look alive for years; a little ahead shows as what it
            // is, a problem of a clock.
            Fit::Stray => {
                self.strays += 1;
                if data_ms.abs_diff(self.timeline.at(host_ms)) > AHEAD_SHOWN_MS {
                    return;
                }
            }
        }
        self.listening_since_ms.get_or_insert(host_ms);
        self.detector_id.get_or_insert(slice.header.detector_id.0);
        for frame in slice.frames {
            let dom_id = frame.dom_id().0;
            match self.places.find(dom_id) {
                Found::Dom(rank) => {
                    let dom = self.dom(rank);
                    // A last time far ahead is from before the clock was set back, by a replay.
                    let kept = dom.last_ms.filter(|last| last - data_ms <= TOLERANCE_MS);
                    dom.last_ms = kept.max(Some(data_ms));
                }
                Found::Base | Found::Unknown => self.strangers.saw(dom_id, data_ms),
            }
        }
    }

    /// Returns the state of a DOM; without detector description the list grows as they come.
    fn dom(&mut self, rank: usize) -> &mut Dom {
        if rank >= self.doms.len() {
            self.doms.resize(rank + 1, Dom::default());
        }
        &mut self.doms[rank]
    }

    /// Returns the time that ages are counted against, in data time (ms).
    fn reference_ms(&self, now_ms: i64) -> i64 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float too large saturates"
        )]
        let offset_ms = (self.config.clock_offset * 1000.0) as i64;
        match self.config.reference {
            Reference::Host => now_ms.saturating_add(offset_ms),
            Reference::Data => self.timeline.at(now_ms),
        }
    }

    /// Returns the age of a DOM (s), NaN when it was never heard of.
    fn age_s(&self, dom: Dom, reference_ms: i64) -> f64 {
        let Some(last_ms) = dom.last_ms else {
            return f64::NAN;
        };
        let age_s = seconds(reference_ms.saturating_sub(last_ms));
        if (-self.config.clock_tolerance..0.0).contains(&age_s) {
            0.0
        } else {
            age_s
        }
    }

    /// Raises and clears alarms. When no slices come at all, that is the alarm, and not every DOM.
    fn judge(&mut self, now_ms: i64, out: &mut Outputs) {
        let silent_ms = ms_of(self.config.inactive_after).min(SILENT_AFTER_MS);
        let started_ms = *self.started_ms.get_or_insert(now_ms);
        let silent = match self.arrived_ms {
            Some(at) => now_ms - at > silent_ms,
            // Since the start there was nothing, and what was silent before it still is.
            None => self.silent || now_ms - started_ms > silent_ms,
        };
        let at = timestamp(now_ms);
        if silent != self.silent {
            self.silent = silent;
            let text = match silent {
                true => format!("no summary slices for {} s", silent_ms / 1000),
                false => "summary slices come again".to_owned(),
            };
            out.alarm(
                ("no_summary_slices", "IO_SUM"),
                Severity::Alert,
                silent,
                text,
                at,
            );
        }
        if silent {
            self.listening_since_ms = None;
        }
        let listening = self
            .listening_since_ms
            .is_some_and(|at| now_ms - at >= LISTEN_FIRST_MS);
        if listening {
            self.judge_doms(now_ms, out);
            self.judge_dus(now_ms, out);
        }
    }

    /// Raises and clears the alarms of whole DUs.
    fn judge_dus(&mut self, now_ms: i64, out: &mut Outputs) {
        // Known and inactive DOMs of each DU.
        let mut dus: BTreeMap<i32, (u32, u32)> = BTreeMap::new();
        let places = self.places.list().iter();
        let used = self.doms.iter().zip(places);
        for (dom, place) in used.filter(|(_, place)| !self.places.is_disabled(place)) {
            let (known, inactive) = dus.entry(place.du).or_default();
            *known += u32::from(dom.last_ms.is_some());
            *inactive += u32::from(dom.inactive);
        }
        for (du, (known, inactive)) in dus {
            let fraction = f64::from(inactive) / f64::from(known.max(1));
            let is_bad = fraction > self.config.inactive_fraction;
            let changed = match is_bad {
                true => self.bad_dus.insert(du),
                false => self.bad_dus.remove(&du),
            };
            if changed {
                let text = format!("{inactive} of {known} DOMs of DU {du} are inactive");
                let about = ("du_inactive", format!("DU {du}"));
                out.alarm(about, Severity::Alert, is_bad, text, timestamp(now_ms));
            }
        }
    }

    fn judge_doms(&mut self, now_ms: i64, out: &mut Outputs) {
        // A pause of the whole stream is held against no DOM.
        let reference_ms = self.reference_ms(self.arrived_ms.unwrap_or(now_ms));
        let limit_s = self.config.inactive_after.seconds();
        for rank in 0..self.doms.len().min(self.places.list().len()) {
            let age_s = self.age_s(self.doms[rank], reference_ms);
            let inactive = age_s > limit_s;
            let is_disabled = self.places.is_disabled(&self.places.list()[rank]);
            if inactive == self.doms[rank].inactive || is_disabled {
                continue;
            }
            self.doms[rank].inactive = inactive;
            let Place { du, floor, dom_id } = self.places.list()[rank];
            let what = if inactive { "inactive" } else { "active again" };
            let text = format!("DOM {dom_id} is {what}, last seen {age_s:.0} s ago");
            let about = ("dom_inactive", format!("DU {du} floor {floor}"));
            out.alarm(about, Severity::Warning, inactive, text, timestamp(now_ms));
        }
    }

    fn draw(&mut self, now_ms: i64, out: &mut Outputs) {
        let reference_ms = self.reference_ms(now_ms);
        self.doms.resize(self.places.list().len(), Dom::default());
        let ages = self.doms.iter().map(|&dom| self.age_s(dom, reference_ms));
        let ages: Vec<f64> = ages.collect();
        let last_s = self
            .doms
            .iter()
            .map(|dom| dom.last_ms.map_or(f64::NAN, seconds));
        let last = Detail {
            name: "last slice [s since 1970 UTC]".into(),
            values: last_s.collect(),
        };
        let colours = Colours {
            map: "cividis".into(),
            low: 0.0,
            high: self.config.highest_age,
            log: false,
            under: Some("deepskyblue".into()),
            over: Some("deeppink".into()),
            missing: "lightgrey".into(),
            label: "last activity [s]".into(),
        };
        let summary = self.summary(&ages, now_ms);
        let title = match self.detector_id {
            Some(id) => format!("DOM Activity for DetID-{id} - via Summary Slices"),
            None => "DOM Activity - via Summary Slices".to_owned(),
        };
        let map = self.places.map(ages, vec![last], colours);
        self.put("dom_activity", &title, map, out);
        self.put(
            "dom_activity_summary",
            "DOM activity in numbers",
            summary,
            out,
        );
        let ahead = Scalar {
            value: self.timeline.ahead_ms().map_or(f64::NAN, seconds),
            unit: "s".into(),
        };
        self.put(
            "dom_activity_clock",
            "Clock of the data minus clock of this host",
            ahead,
            out,
        );
        let title = "DOMs not in the detector description";
        self.strangers.put_if_changed(
            "dom_activity_unknown",
            title,
            self.newest_ms.map(timestamp),
            out,
        );
    }

    fn summary(&self, ages: &[f64], now_ms: i64) -> fathom_kernel::view::Table {
        let limit_s = self.config.inactive_after.seconds();
        let count = |fits: &dyn Fn(f64) -> bool| ages.iter().filter(|&&a| fits(a)).count();
        let newest = self.newest_ms.map(crate::clock::text_of_ms);
        let rows = [
            (
                "active",
                count(&|age| (0.0..=limit_s).contains(&age)).into(),
            ),
            ("inactive", count(&|age| age > limit_s).into()),
            ("ahead of the clock", count(&|age| age < 0.0).into()),
            ("never seen", count(&f64::is_nan).into()),
            ("slices far off the clock", self.strays.into()),
            ("newest slice [UTC]", newest.into()),
            ("host clock [UTC]", crate::clock::text_of_ms(now_ms).into()),
            (
                "configured clock offset [s]",
                self.config.clock_offset.into(),
            ),
            ("ages against", serde_json::json!(self.config.reference)),
        ];
        fathom_kernel::view::Table {
            columns: vec!["".into(), "value".into()],
            rows: rows
                .map(|(name, value): (&str, serde_json::Value)| vec![name.into(), value])
                .to_vec(),
        }
    }

    fn put(&self, name: &str, title: &str, view: impl Into<View>, out: &mut Outputs) {
        let output = Output::new(name, title, view)
            .at(self.newest_ms.map(timestamp))
            .every(self.config.interval.seconds());
        out.put(output);
    }
}
