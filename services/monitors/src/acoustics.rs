//! `acoustics`: which autonomous beacons each module heard in the last ten minutes.
//!
//! Times of arrival come as `IO_TOA` messages, from a file, or from the data base by HTTP. Every cycle
//! of data time is judged once, when late arrivals have had their time: all emitters of every module,
//! base modules included. State: arrivals of the cycles not yet judged (32 bytes each, at most 20000
//! per module) and the results of a day (16 bytes per module, emitter and cycle: 28 MB for 4,140
//! modules and three beacons).

mod beacons;
mod cycle;
mod kept;
mod pending;
mod source;
mod table;
mod views;

use std::collections::BTreeSet;

use fathom_formats::km3net::Arrival;
use fathom_kernel::view::View;
use fathom_kernel::{
    Event, Fetched, Frame, Location, Monitor, Output, Outputs, Persist, Saved, Setup, Severity,
    Span, Timestamp, Topics, tags,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use self::cycle::{Cycle, History};
use self::kept::OnDisk;
use self::pending::Pending;
use self::source::{DOM_ID, RUNS, Source};
use crate::clock::{is_due, ms_of, seconds, text_of_ms, timestamp};
use crate::faulty::Faulty;
use crate::places::{Places, Strangers};
use crate::timeline::{Fit, TOLERANCE_MS, Timeline};

/// Options of `acoustics`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Length of a cycle; cycles begin at whole multiples of it in data time.
    pub period: Span,
    /// How long after its end a cycle waits for late arrivals before it is judged.
    pub delay: Span,
    /// File or web address with times of arrival, beside those that come as messages: JSON lines or a
    /// table with a header. `{from}` and `{to}` stand for the times wanted (seconds since 1970),
    /// `{minrun}` and `{maxrun}` for the runs of that time, `{detector}` for the detector id; with
    /// `{dom_id}` every module of the detector description is asked for on its own.
    pub source: Option<Location>,
    /// Table of runs, a file or web address: tab-separated, with `RUN` and `UNIXSTARTTIME` (ms) in its
    /// first line. `{detector}` stands for the detector id.
    pub runs: Option<Location>,
    /// Time between two looks at it.
    pub source_every: Span,
    /// How long results are kept.
    pub history: Span,
    /// A beacon that so many modules heard with more than 3 pings is known; when fewer do, it is lost.
    #[schemars(range(min = 1, max = 10000))]
    pub beacon_doms: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            period: Span::from_secs(600),
            delay: Span::from_secs(600),
            source: None,
            runs: None,
            source_every: Span::from_secs(60),
            history: Span::from_secs(86_400),
            beacon_doms: 3,
        }
    }
}

impl Config {
    fn cycles(&self) -> usize {
        let fitting = ms_of(self.history) / ms_of(self.period);
        usize::try_from(fitting)
            .unwrap_or(usize::MAX)
            .clamp(2, 2000)
    }
}

/// Time between two versions of the counts while a cycle goes on.
const COUNTS_EVERY: Span = Span::from_secs(10);

/// What came and what could not be used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Counts {
    messages: u64,
    arrivals: u64,
    late: u64,
    strays: u64,
    bad_lines: u64,
}

/// The monitor.
pub struct Acoustics {
    config: Config,
    setup: Setup,
    places: Places,
    strangers: Strangers,
    timeline: Timeline,
    pending: Pending,
    history: History,
    /// Number of the cycle that was judged last.
    judged: Option<i64>,
    /// Since when we listen, in data time (ms).
    since_ms: Option<i64>,
    host_ms: i64,
    newest_ms: Option<i64>,
    lost: BTreeSet<i32>,
    without_data: bool,
    /// What was kept was taken back, and what of it is alarming is not said again yet.
    is_restored: bool,
    counts: Counts,
    /// The counts that are shown, and since when (host time, ms).
    counted: (Counts, Option<i64>),
    /// Recorded data have ended: nothing more will come for the cycles under way.
    has_ended: bool,
    source: Option<Source>,
    redraw: bool,
    kept: OnDisk,
    faulty: Faulty,
}

impl Monitor for Acoustics {
    type Config = Config;
    const TOPICS: Topics = Topics::frames(&[tags::IO_TOA]);
    const QUESTIONS: &'static [&'static str] = &["bad", "history"];

    fn check(config: &Config, setup: &Setup) -> Result<(), String> {
        if ms_of(config.period) < 10_000 {
            return Err(format!("period is {}, expected 10s or more", config.period));
        }
        if config.beacon_doms == 0 {
            return Err("beacon_doms is 0, expected a number from 1".into());
        }
        let source = config.source.as_ref().map(Location::whole);
        let names = |what: &str| source.as_ref().is_some_and(|source| source.contains(what));
        if RUNS.into_iter().any(names) && config.runs.is_none() {
            return Err("source asks by runs: name a table with runs".into());
        }
        if names(DOM_ID) && !setup.has_detector() {
            return Err("source asks by module, expected a [detector]".into());
        }
        Ok(())
    }

    fn new(config: Config, setup: &Setup) -> Self {
        Self {
            places: Places::with_bases(setup),
            setup: setup.clone(),
            strangers: Strangers::default(),
            timeline: Timeline::default(),
            pending: Pending::default(),
            history: History::new(config.cycles()),
            judged: None,
            since_ms: None,
            host_ms: 0,
            newest_ms: None,
            lost: BTreeSet::new(),
            without_data: false,
            is_restored: false,
            counts: Counts::default(),
            counted: (Counts::default(), None),
            has_ended: false,
            source: Source::new(&config, setup),
            redraw: true,
            kept: OnDisk::default(),
            faulty: Faulty::default(),
            config,
        }
    }

    fn on_event(&mut self, event: &Event, out: &mut Outputs) {
        let Event::Frame(frame) = event else { return };
        match Arrival::decode(&frame.body) {
            Ok(arrivals) => self.take_message(frame, &arrivals),
            Err(error) => self.faulty.saw(frame, &error, out),
        }
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Outputs) {
        self.timeline.tick();
        self.host_ms = now.as_millisecond();
        let data_ms = self.data_ms();
        if let Some(source) = &mut self.source {
            let before = source.fault().is_some();
            source.tick(data_ms, self.host_ms, out);
            self.redraw |= source.fault().is_some() != before;
        }
        if std::mem::take(&mut self.is_restored) {
            self.say_again(now, out);
        }
        self.judge(data_ms, out);
        if std::mem::take(&mut self.redraw) {
            self.draw(out);
        }
        let (shown, at_ms) = self.counted;
        if shown != self.counts && is_due(COUNTS_EVERY, at_ms, self.host_ms) {
            self.put_counts(out);
        }
    }

    fn on_end(&mut self) {
        self.has_ended = true;
    }

    fn on_fetched(&mut self, fetched: Fetched, out: &mut Outputs) {
        let Some(source) = &mut self.source else {
            return;
        };
        let before = source.fault().is_some();
        let brought = source.take(fetched, self.host_ms, out);
        self.redraw |= source.fault().is_some() != before;
        self.counts.bad_lines += brought.bad_lines;
        for _ in 0..brought.bad_lines.min(100) {
            out.bad("line is no ping");
        }
        self.take_table(&brought.arrivals);
    }

    fn reset(&mut self) {
        *self = Self::new(self.config.clone(), &self.setup.clone());
    }

    fn on_request(&mut self, verb: &str, args: &Value) -> Result<Value, String> {
        match verb {
            "history" => self.history_of(args),
            _ => self.faulty.answer(
                verb,
                args,
                ", history {\"dom_id\": ID} or {\"du\": N, \"floor\": N}",
            ),
        }
    }

    fn persist(&mut self, keep: &mut Persist) {
        self.keep(keep);
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), String> {
        self.take_back(saved)
    }

    fn memory_bytes(&self) -> usize {
        self.pending.memory_bytes()
            + self.history.memory_bytes()
            + self.faulty.memory_bytes()
            + self.source.as_ref().map_or(0, Source::memory_bytes)
    }
}

impl Acoustics {
    /// Returns the time of the data: that of the host, since minutes pass between two series of pings,
    /// or the one of a replay.
    fn data_ms(&self) -> i64 {
        match self.timeline.ahead_ms() {
            Some(ahead_ms) if ahead_ms.abs() > TOLERANCE_MS => self.timeline.at(self.host_ms),
            _ => self.host_ms,
        }
    }

    /// Takes the arrivals of a message; the newest one moves the clock.
    fn take_message(&mut self, frame: &Frame, arrivals: &[Arrival]) {
        self.counts.messages += 1;
        let host_ms = frame.received.as_millisecond();
        self.take(arrivals, host_ms);
    }

    /// Takes the arrivals of a file or data base, where most of them were there before.
    fn take_table(&mut self, arrivals: &[Arrival]) {
        self.take(arrivals, self.host_ms);
    }

    fn take(&mut self, arrivals: &[Arrival], host_ms: i64) {
        let Some(newest_ms) = arrivals.iter().map(ms_of_arrival).max() else {
            return;
        };
        match self.timeline.saw(newest_ms, host_ms) {
            Fit::Stray => {
                self.counts.strays += arrivals.len() as u64;
                return;
            }
            Fit::Set if !self.goes_on(newest_ms) => {
                self.pending.clear();
                self.judged = None;
                self.since_ms = None;
                self.newest_ms = None;
            }
            Fit::Set | Fit::Near => {}
        }
        self.newest_ms = self.newest_ms.max(Some(newest_ms));
        let closed_ms = self.judged.map_or(i64::MIN, |judged| self.end_ms(judged));
        let oldest_ms = closed_ms.max(newest_ms - ms_of(self.config.history));
        for arrival in arrivals {
            if ms_of_arrival(arrival) < oldest_ms {
                self.counts.late += 1;
            } else if self.pending.add(arrival) {
                self.counts.arrivals += 1;
            }
        }
    }

    /// Tells whether a time follows what was judged before, as after a restart; otherwise a replay
    /// has begun or ended.
    fn goes_on(&self, data_ms: i64) -> bool {
        self.judged.is_none_or(|judged| {
            let end_ms = self.end_ms(judged);
            (end_ms - ms_of(self.config.period)..end_ms + ms_of(self.config.history))
                .contains(&data_ms)
        })
    }

    /// Returns the end of a cycle (ms).
    fn end_ms(&self, cycle: i64) -> i64 {
        (cycle + 1).saturating_mul(ms_of(self.config.period))
    }

    fn cycle_of(&self, data_ms: i64) -> i64 {
        data_ms.div_euclid(ms_of(self.config.period))
    }

    /// Judges the cycles whose time has come.
    fn judge(&mut self, data_ms: i64, out: &mut Outputs) {
        let since_ms = *self.since_ms.get_or_insert(data_ms);
        let newest = match self.newest_ms.filter(|_| self.has_ended) {
            Some(newest_ms) => self.cycle_of(newest_ms),
            None => self.cycle_of(data_ms - ms_of(self.config.delay)) - 1,
        };
        // Before anything was judged, arrivals say where to begin, or the first whole cycle in which we
        // listened.
        let oldest = self
            .pending
            .oldest_s()
            .map(|s| self.cycle_of(ms_of_seconds(s)));
        let first = match self.judged {
            Some(judged) => judged + 1,
            None => oldest.unwrap_or(i64::MAX).min(self.cycle_of(since_ms) + 1),
        };
        let kept = i64::try_from(self.history.capacity()).unwrap_or(i64::MAX);
        for number in first.max(newest.saturating_sub(kept) + 1)..=newest {
            let end_ms = self.end_ms(number);
            let start_ms = end_ms - ms_of(self.config.period);
            // In a cycle that began before we listened silence means nothing; a source tells of the
            // past as well.
            let is_whole = start_ms >= since_ms || self.config.source.is_some();
            let has_any = || self.pending.any((seconds(start_ms), seconds(end_ms)));
            if start_ms >= since_ms || has_any() {
                self.judge_cycle((number, is_whole), out);
            }
            self.judged = Some(number);
        }
    }

    fn judge_cycle(&mut self, (number, is_whole): (i64, bool), out: &mut Outputs) {
        let end_ms = self.end_ms(number);
        let window = (seconds(end_ms - ms_of(self.config.period)), seconds(end_ms));
        let known = (&mut self.places, &mut self.strangers);
        let cycle = Cycle::judge((number, is_whole), window, &self.pending, known);
        self.pending.forget_before(window.1);
        self.redraw = true;
        let at = timestamp(end_ms);
        let without_data = !cycle.has_data;
        if without_data != self.without_data {
            self.without_data = without_data;
            let text = match without_data {
                true => format!("no times of arrival until {} UTC", text_of_ms(end_ms)),
                false => "times of arrival come again".to_owned(),
            };
            let about = ("acoustics_no_data", "IO_TOA");
            out.alarm(about, Severity::Warning, without_data, text, at);
        }
        // Without any data no beacon can be said to be lost.
        if cycle.has_data {
            let lost = {
                let doms = self.config.beacon_doms;
                self.history.lost(&cycle, &self.lost, doms)
            };
            for &emitter in lost.symmetric_difference(&self.lost) {
                let is_lost = lost.contains(&emitter);
                let doms = cycle.doms_that_heard(emitter);
                let text = match is_lost {
                    true => format!("beacon {emitter} is lost: {doms} modules heard it"),
                    false => format!("beacon {emitter}: {doms} modules heard it"),
                };
                let about = ("beacon_lost", format!("beacon {emitter}"));
                out.alarm(about, Severity::Warning, is_lost, text, at);
            }
            self.lost = lost;
        }
        self.history.push(cycle);
    }

    /// After a restart: until the next cycle is judged more time passes than the alarm engine waits.
    fn say_again(&self, now: Timestamp, out: &mut Outputs) {
        for emitter in &self.lost {
            let about = ("beacon_lost", format!("beacon {emitter}"));
            let text = format!("beacon {emitter} was lost before the restart");
            out.alarm(about, Severity::Warning, true, text, now);
        }
        if self.without_data {
            let about = ("acoustics_no_data", "IO_TOA");
            let text = "no times of arrival before the restart";
            out.alarm(about, Severity::Warning, true, text, now);
        }
    }

    /// Returns the pings of one module in all cycles that are kept.
    fn history_of(&self, args: &Value) -> Result<Value, String> {
        let rank = self.places.asked(args)?;
        let place = &self.places.list()[rank];
        let cycles = self.history.of(rank, |number| self.end_ms(number));
        Ok(json!({
            "dom_id": place.dom_id,
            "du": place.du,
            "floor": place.floor,
            "cycles": cycles,
        }))
    }

    fn put(&self, name: &str, title: &str, view: impl Into<View>, out: &mut Outputs) {
        let datum = self
            .history
            .newest()
            .map(|cycle| timestamp(self.end_ms(cycle.number)));
        let output = Output::new(name, title, view)
            .at(datum)
            .every(self.config.period.seconds());
        out.put(output);
    }
}

/// Returns the time base of an arrival (ms).
fn ms_of_arrival(arrival: &Arrival) -> i64 {
    ms_of_seconds(arrival.time_base_s)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a time too far off saturates"
)]
fn ms_of_seconds(time_s: f64) -> i64 {
    (time_s * 1000.0).floor() as i64
}
