//! `k40_calibration`: time offset, spread and efficiency of every PMT against the others of its module,
//! from coincidences of potassium-40 decays in `IO_TSL1` and singles rates in `IO_MONIT`.
//!
//! Each module counts into a table of its own (see [`crate::k40`]) for one cycle; then some modules per
//! tick are calibrated and begin anew, so that neither a second set of tables nor a pause is needed: the
//! cycle of a module begins and ends with its turn. Times are those of the detector file unless
//! told otherwise: time offsets of several ns between the PMTs of a module would hide the
//! coincidences.
//!
//! Memory per module, made when it is first seen: 19.5 kB of counts at 10 ns, 1.2 kB of medians,
//! 11 kB of the last result, 0.5 kB of times and 1.9 kB if a PMT was in veto; 34 kB, or 140 MB for
//! 4,140 modules. A checkpoint is as large. During a round the files of the cycle take 3 kB per module more.

mod config;
mod dom;
mod export;
mod keep;
mod outputs;
mod requests;
mod round;
mod singles;
mod tally;
mod views;

use fathom_formats::km3net::{Header, SuperFrame, TimeSlice, Tmch};
use fathom_kernel::{
    Claim, Event, Frame, Limits, Monitor, Outputs, Persist, Recalled, Saved, Setup, Timestamp,
    Topics, tags,
};
use serde_json::Value;

use self::dom::{Dom, Known};
use self::export::Export;
use self::keep::Head;
use self::tally::Tally;
use crate::clock::{is_due, ms_of_header};
use crate::columns;
use crate::faulty::Faulty;
use crate::k40::Counter;
use crate::places::{Found, Places, Strangers};
use crate::timeline::{Fit, TOLERANCE_MS, Timeline};

pub use config::{Background, Config, Mask, Stream, Times, Weights};

/// State up to this is kept whenever asked for, more only now and then and at the end (bytes).
const KEEP_ALWAYS_MAX: usize = 4 << 20;

/// The monitor.
pub struct K40Calibration {
    config: Config,
    setup: Setup,
    places: Places,
    strangers: Strangers,
    timeline: Timeline,
    faulty: Faulty,
    counter: Counter,
    /// By rank; made when first seen.
    doms: Vec<Option<Box<Dom>>>,
    phase: Phase,
    tally: Tally,
    /// Detector id in the data.
    detector_id: Option<i32>,
    /// A message came since the last modules were calibrated.
    was_heard: bool,
    /// Data time of the newest slice of this start (ms).
    newest_ms: Option<i64>,
    /// Data time to which the last round counted (ms).
    calibrated_ms: Option<i64>,
    /// What was kept was taken back, and its alarms are not said again yet.
    is_restored: bool,
    shown: Shown,
    redraw: Redraw,
    progress_ms: Option<i64>,
    host_ms: i64,
    /// Host time of the last checkpoint (ms).
    kept_ms: Option<i64>,
}

/// Where in its cycle the monitor is.
enum Phase {
    /// Nothing was counted yet.
    Waiting,
    /// Counting since this data time (ms).
    Counting { since_ms: i64 },
    /// Calibrating module after module.
    Calibrating(Round),
}

/// A pass over all modules.
struct Round {
    /// Begin of the cycle, and of this pass, in data time (ms).
    since_ms: i64,
    until_ms: i64,
    /// Rank of the next module.
    next: usize,
    /// Ticks since the last modules were calibrated.
    idle_ticks: u32,
    /// The data time has jumped: nothing is counted for a module before its turn.
    is_cut: bool,
    export: Export,
}

/// Which modules are drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shown {
    Dus(Vec<i32>),
    Doms(Vec<u32>),
}

/// What is to be drawn anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Redraw {
    Nothing,
    /// Other modules are shown.
    Grids,
    /// A round has ended.
    Round,
    /// The results were kept over a restart.
    All,
}

impl Monitor for K40Calibration {
    type Config = Config;
    const TOPICS: Topics = Topics::frames(&[tags::IO_TSL1, tags::IO_TSL0, tags::IO_MONIT]);
    const QUESTIONS: &'static [&'static str] = &["bad", "dom", "counts", "intradom"];
    const TICK: std::time::Duration = std::time::Duration::from_millis(200);
    const LIMITS: Limits = Limits {
        messages: 400_000,
        bytes: 256 << 20,
    };

    fn check(config: &Config, setup: &Setup) -> Result<(), String> {
        config.check(setup)
    }

    fn claims(_: &Config) -> Vec<Claim> {
        vec![Claim::file("files/k40calib.json", "")]
    }

    fn new(config: Config, setup: &Setup) -> Self {
        Self {
            counter: Counter::new(config.tmax),
            shown: Shown::Dus(config.shown.clone()),
            setup: setup.clone(),
            places: Places::of(setup),
            config,
            strangers: Strangers::of(setup),
            timeline: Timeline::default(),
            faulty: Faulty::default(),
            doms: Vec::new(),
            phase: Phase::Waiting,
            tally: Tally::default(),
            detector_id: None,
            was_heard: false,
            newest_ms: None,
            calibrated_ms: None,
            is_restored: false,
            redraw: Redraw::Nothing,
            progress_ms: None,
            host_ms: 0,
            kept_ms: None,
        }
    }

    fn on_event(&mut self, event: &Event, out: &mut Outputs) {
        let Event::Frame(frame) = event else { return };
        self.was_heard = true;
        let level = self.config.stream.level();
        if frame.tag == tags::IO_MONIT {
            match Tmch::decode(&frame.body) {
                Ok(packet) => self.take_singles(&packet),
                Err(error) => self.faulty.saw(frame, &error, out),
            }
        } else if frame.tag == level.tag() {
            match TimeSlice::decode(level, &frame.body) {
                Ok(slice) => {
                    self.strangers.look_at(&slice.header, out);
                    self.take_slice(frame, &slice);
                }
                Err(error) => self.faulty.saw(frame, &error, out),
            }
        }
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Outputs) {
        self.timeline.tick();
        self.host_ms = now.as_millisecond();
        let data_ms = self.timeline.at(self.host_ms);
        if std::mem::take(&mut self.is_restored) {
            self.say_again(out);
        }
        self.end_cycle_if_due(data_ms);
        self.go_on_with_round(data_ms, out);
        self.draw(data_ms, out);
    }

    fn is_busy(&self) -> bool {
        matches!(self.phase, Phase::Calibrating(_))
    }

    fn reset(&mut self) {
        *self = Self::new(self.config.clone(), &self.setup.clone());
    }

    fn on_request(&mut self, verb: &str, args: &Value) -> Result<Value, String> {
        match verb {
            "dom" => self.answer_dom(args),
            "counts" => self.answer_counts(args),
            "intradom" => self.answer_intradom(args),
            "show" => self.answer_show(args),
            "calibrate" => self.answer_calibrate(),
            _ => self
                .faulty
                .answer(verb, args, ", dom, counts, intradom, show, calibrate"),
        }
    }

    fn persist(&mut self, keep: &mut Persist) {
        let is_small = self.counts_bytes() <= KEEP_ALWAYS_MAX;
        let is_due = is_due(self.config.checkpoint, self.kept_ms, self.host_ms);
        if !is_small && !is_due && !keep.is_last() {
            return;
        }
        self.kept_ms = Some(self.host_ms);
        let mut snapshot = Vec::new();
        columns::join(&mut snapshot, &keep::head_record(&self.head()));
        for (place, dom) in self.places.list().iter().zip(&self.doms) {
            if let Some(dom) = dom {
                columns::join(&mut snapshot, &keep::dom_record(place.dom_id, dom));
            }
        }
        keep.snapshot(snapshot);
    }

    fn recall(&mut self, rule: &str, subject: &str) -> Recalled {
        let ("k40_t0_shift", Some((_, rank))) = (rule, self.places.of_subject(subject)) else {
            return match rule {
                "k40_t0_shift" => Recalled::Gone,
                _ => Recalled::Unknown,
            };
        };
        let dom = rank.and_then(|rank| self.doms.get_mut(rank)?.as_mut());
        match dom.filter(|dom| dom.last.is_some()) {
            Some(dom) => {
                dom.is_alarming = true;
                Recalled::Holds
            }
            // It was found with other options or another detector file, and may not hold by these.
            None => Recalled::Unknown,
        }
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), String> {
        let Some(snapshot) = &saved.snapshot else {
            return Ok(());
        };
        let mut records = columns::split(snapshot);
        let head = records.next().and_then(keep::read_head);
        let head = head.ok_or("the kept state does not begin as expected")?;
        if !head.fits(&self.head()) {
            return Err("kept with other options".to_owned());
        }
        for record in records {
            let Some(dom_id) = keep::read_id(record) else {
                continue;
            };
            let Found::Dom(rank) = self.places.find(dom_id) else {
                continue;
            };
            let known = Known::of(dom_id, &self.setup, &self.config);
            if let Some(dom) = keep::read_dom(record, known, self.config.tmax) {
                self.make_room(rank);
                self.doms[rank] = Some(Box::new(dom));
            }
        }
        if let Some(since_ms) = head.since_ms {
            self.phase = Phase::Counting { since_ms };
        }
        self.calibrated_ms = head.calibrated_ms;
        self.redraw = Redraw::All;
        self.is_restored = true;
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.counts_bytes() + self.faulty.memory_bytes()
    }
}

impl K40Calibration {
    fn counts_bytes(&self) -> usize {
        let doms = self.doms.iter().flatten();
        doms.map(|dom| dom.memory_bytes()).sum::<usize>() + self.doms.len() * 8
    }

    fn head(&self) -> Head {
        Head {
            version: keep::VERSION,
            stream: self.config.stream,
            times: self.config.times,
            tmax_ns: self.config.tmax,
            since_ms: match &self.phase {
                Phase::Waiting => None,
                Phase::Counting { since_ms } => Some(*since_ms),
                Phase::Calibrating(round) => Some(round.since_ms),
            },
            calibrated_ms: self.calibrated_ms,
        }
    }

    fn take_singles(&mut self, packet: &Tmch<'_>) {
        self.tally.packets += 1;
        // Modules that were not seen in slices are of no interest, base modules and strangers even less.
        let rank = self.places.rank(packet.dom_id().0);
        if let Some(Some(dom)) = rank.and_then(|rank| self.doms.get_mut(rank)) {
            dom.singles.add(packet);
        }
    }

    fn take_slice(&mut self, frame: &Frame, slice: &TimeSlice<'_>) {
        let data_ms = ms_of_header(&slice.header);
        match self.timeline.saw(data_ms, frame.received.as_millisecond()) {
            Fit::Near => self.newest_ms = self.newest_ms.max(Some(data_ms)),
            Fit::Set => self.set_clock(data_ms),
            Fit::Stray => {
                self.tally.strays += 1;
                return;
            }
        }
        self.look_at_detector(&slice.header, data_ms);
        self.tally.slices += 1;
        if matches!(self.phase, Phase::Waiting) {
            self.phase = Phase::Counting { since_ms: data_ms };
        }
        for frame in slice.frames() {
            self.count(&frame, data_ms);
        }
    }

    /// The data time begins, or has jumped: what was counted before it is calibrated at once.
    fn set_clock(&mut self, data_ms: i64) {
        let is_back = match &self.phase {
            Phase::Counting { since_ms } => data_ms < since_ms - TOLERANCE_MS,
            _ => false,
        };
        if self.newest_ms.is_some() || is_back {
            self.cut_cycle();
        }
        self.newest_ms = Some(data_ms);
        let doms = self.doms.iter_mut().flatten();
        doms.for_each(|dom| dom.forget_times());
    }

    fn look_at_detector(&mut self, header: &Header, data_ms: i64) {
        let id = header.detector_id.0;
        if self.detector_id.is_some_and(|before| before != id) {
            // The files of what was counted name the detector that it was counted of.
            self.cut_cycle();
            self.newest_ms = Some(data_ms);
        }
        self.detector_id = Some(id);
    }

    /// Ends the cycle now, without anything of what comes next.
    fn cut_cycle(&mut self) {
        match &mut self.phase {
            Phase::Waiting => {}
            Phase::Calibrating(round) => round.is_cut = true,
            Phase::Counting { since_ms } => {
                let since_ms = *since_ms;
                let until_ms = self.newest_ms.unwrap_or(since_ms);
                self.begin_round(since_ms, until_ms, true);
            }
        }
    }

    fn count(&mut self, frame: &SuperFrame<'_>, data_ms: i64) {
        let dom_id = frame.dom_id.0;
        let rank = match self.places.find(dom_id) {
            Found::Dom(rank) => rank,
            Found::Base | Found::Unknown => return self.strangers.saw(dom_id, data_ms),
        };
        if let Phase::Calibrating(round) = &self.phase
            && round.is_cut
            && rank >= round.next
        {
            self.tally.between += 1;
            return;
        }
        self.make_room(rank);
        let dom = self.doms[rank].get_or_insert_with(|| {
            let known = Known::of(dom_id, &self.setup, &self.config);
            Box::new(Dom::new(known, self.config.tmax))
        });
        if dom.has_counted(data_ms) {
            self.tally.again += 1;
            return;
        }
        match self.counter.count(frame, &dom.known.live, &mut dom.table) {
            Ok(()) => {
                dom.remember(data_ms);
                self.tally.frames += 1;
                let silent = frame.status.hrv_bits() | frame.status.fifo_bits();
                self.tally.partly += u64::from(silent & dom.known.live.channels() != 0);
                dom.since_ms.get_or_insert(data_ms);
            }
            Err(why) => self.tally.left_out(why),
        }
    }

    /// Without detector description the list grows as modules come.
    fn make_room(&mut self, rank: usize) {
        if rank >= self.doms.len() {
            let number = self.places.list().len().max(rank + 1);
            self.doms.resize_with(number, || None);
        }
    }
}
