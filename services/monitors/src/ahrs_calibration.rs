//! `ahrs_calibration`: yaw, pitch and roll of every DOM from its compass board, from every
//! `IO_MONIT` message.
//!
//! The medians of acceleration and magnetic field over ten seconds go through the calibration
//! constants of the board, which come from a file or from the tests of the boards and are read again
//! now and then. State: 3 kB per module for the readings of the open window and the last hour's
//! minutes (12 MB for 4,140), and the history of `time_range`: 6 bytes per module and point, with so
//! many points that these and the curves on the board fit into `memory`. 72 hours of two blocks are
//! 865 points, 5 minutes apart: 21 MB, and 86 MB for the curves. The history survives a restart.

mod angle;
mod board_file;
mod history;
mod module;
mod orientation;
mod supply;
mod test_xml;
mod views;
mod windows;

use std::collections::{BTreeMap, VecDeque};

use fathom_formats::detx::status_bits;
use fathom_formats::km3net::Tmch;
use fathom_kernel::{
    Event, Fetched, Frame, Limits, Location, Monitor, Outputs, Persist, Recalled, Saved, Setup,
    Severity, Size, Span, Timestamp, Topics, tags,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::history::History;
use self::module::{BaseModule, Module};
use self::supply::Supply;
use self::windows::Medians;
use crate::clock::{is_due, ms_of_ns, timestamp};
use crate::faulty::Faulty;
use crate::places::{Found, Place, Places, Strangers};
use crate::timeline::{Fit, Timeline};

pub use self::board_file::{BoardFile, BoardFileError};
pub use self::orientation::{Constants, Orientation};
pub use self::test_xml::{BoardTest, TestError};

/// Windows wait so long for late packets (ms).
const LATENESS_MS: i64 = 2000;
/// A module whose clock is further ahead of the others counts as off the clock (ms).
const CLOCK_STEP_MS: i64 = 10_000;
/// DUs whose curves are put in one tick, so that a large detector does not hold up its packets.
const DUS_PER_TICK: usize = 8;
/// Modules that memory is reckoned for without a detector description: 24 DUs.
const UNDESCRIBED_MODULES: usize = 432;
/// Length of an hour (ms).
const HOUR_MS: i64 = 3_600_000;

/// Options of `ahrs_calibration`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Time shown by the curves.
    #[schemars(extend("unit" = "h"))]
    pub time_range: f64,
    /// File or web address with the calibration constants of the boards, TOML or JSON; `data:PATH`
    /// starts at the data folder.
    #[schemars(with = "Option<String>")]
    pub constants: Option<Location>,
    /// Files or web addresses with the XML tests of the boards, in which `{dom_id}`, `{upi}`,
    /// `{clb_upi}` and `{version}` (4 to 1) are replaced: `{upi}` by the product id of the compass
    /// board, from `[upi]` in the constants file, `{clb_upi}` by that of the central logic board, from
    /// the map of boards where the detector description is one.
    pub tests: Option<String>,
    /// Time between two looks at the constants file.
    pub refresh: Span,
    /// Time between two looks at the tests; those that could not be had are asked for again after 30 s,
    /// then after twice the time each, at most 10 minutes.
    pub tests_refresh: Span,
    /// What is shown of a module without constants: "skip", nothing, or "identity", what its board
    /// reads without any correction, which can be far off.
    pub uncalibrated: Uncalibrated,
    /// Alarm when the yaw of a minute is further than this from its median over the last hour; 0
    /// switches it off.
    #[schemars(extend("unit" = "deg"))]
    pub yaw_alarm: f64,
    /// Least time between two versions of the curves.
    pub interval: Span,
    /// Most memory of the history and its curves; a large detector gets fewer points.
    pub memory: Size,
}

/// What is shown of modules without constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Uncalibrated {
    /// Nothing.
    Skip,
    /// What the board reads, without any correction.
    Identity,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            time_range: 72.0,
            constants: None,
            tests: None,
            refresh: Span::from_secs(60),
            tests_refresh: Span::from_secs(3600),
            uncalibrated: Uncalibrated::Skip,
            yaw_alarm: 10.0,
            interval: Span::from_secs(60),
            memory: Size::from_mib(128),
        }
    }
}

/// Packets since the start.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    packets: u64,
    invalid: u64,
    no_numbers: u64,
    late: u64,
    clock_off: u64,
    /// Module of the last one off the clock.
    last_off: Option<u32>,
}

/// The monitor.
pub struct AhrsCalibration {
    config: Config,
    setup: Setup,
    places: Places,
    strangers: Strangers,
    modules: Vec<Module>,
    bases: BTreeMap<u32, BaseModule>,
    /// Ranks of the modules of each DU, by floor.
    dus: BTreeMap<i32, Vec<usize>>,
    /// Modules that `dus` knows of.
    placed: usize,
    supply: Supply,
    history: History,
    timeline: Timeline,
    newest_ms: Option<i64>,
    drawn_ms: Option<i64>,
    /// DUs whose curves are to be put.
    to_draw: VecDeque<i32>,
    counts: Counts,
    faulty: Faulty,
}

impl Monitor for AhrsCalibration {
    type Config = Config;
    const TOPICS: Topics = Topics::frames(&[tags::IO_MONIT]);
    const QUESTIONS: &'static [&'static str] = Faulty::QUESTIONS;
    const LIMITS: Limits = Limits {
        messages: 400_000,
        bytes: 256 << 20,
    };

    fn check(config: &Config, _: &Setup) -> Result<(), String> {
        let (hours, alarm_deg) = (config.time_range, config.yaw_alarm);
        if !(0.1..=744.0).contains(&hours) {
            return Err(format!("time_range is {hours} h, expected 0.1 to 744"));
        }
        if !(0.0..=180.0).contains(&alarm_deg) {
            return Err(format!("yaw_alarm is {alarm_deg}, expected 0 to 180"));
        }
        let names = ["{dom_id}", "{upi}", "{clb_upi}"];
        let tests = config.tests.as_ref();
        if let Some(tests) = tests.filter(|t| !names.iter().any(|name| t.contains(name))) {
            return Err(format!(
                "tests is {tests:?}, expected {{dom_id}}, {{upi}} or {{clb_upi}} in it"
            ));
        }
        Ok(())
    }

    fn new(config: Config, setup: &Setup) -> Self {
        let places = Places::of(setup);
        let modules = match places.list().len() {
            0 => UNDESCRIBED_MODULES,
            modules => modules,
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "744 h at most by the check"
        )]
        let range_ms = (config.time_range * 3_600_000.0) as i64;
        let mut monitor = Self {
            modules: Vec::new(),
            bases: BaseModule::all(setup),
            dus: BTreeMap::new(),
            placed: 0,
            supply: Supply::new(&config, setup),
            history: History::new(range_ms, modules, config.memory.len()),
            config,
            setup: setup.clone(),
            places,
            strangers: Strangers::default(),
            timeline: Timeline::from_many(CLOCK_STEP_MS),
            newest_ms: None,
            drawn_ms: None,
            to_draw: VecDeque::new(),
            counts: Counts::default(),
            faulty: Faulty::default(),
        };
        monitor.place();
        monitor
    }

    fn on_event(&mut self, event: &Event, out: &mut Outputs) {
        let Event::Frame(frame) = event else { return };
        match Tmch::decode(&frame.body) {
            Ok(packet) => self.take(frame, &packet, out),
            Err(error) => self.faulty.saw(frame, &error, out),
        }
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Outputs) {
        self.timeline.tick();
        let now_ms = now.as_millisecond();
        let ids = self.places.list().iter().map(|place| place.dom_id);
        self.supply.tick(now_ms, ids, out);
        if self.newest_ms.is_some() {
            let until_ms = self.timeline.at(now_ms).saturating_sub(LATENESS_MS);
            for rank in 0..self.modules.len() {
                if let Some(medians) = self.modules[rank].window.close(until_ms) {
                    self.complete(rank, &medians, out);
                }
            }
            self.history.close(until_ms);
        }
        if is_due(self.config.interval, self.drawn_ms, now_ms) {
            self.drawn_ms = Some(now_ms);
            self.put_tables(out);
            self.to_draw = self.dus.keys().copied().collect();
        }
        for _ in 0..DUS_PER_TICK {
            let Some(du) = self.to_draw.pop_front() else {
                break;
            };
            self.put_curves(du, out);
        }
    }

    fn on_fetched(&mut self, fetched: Fetched, out: &mut Outputs) {
        self.supply.fetched(fetched, out);
    }

    fn reset(&mut self) {
        *self = Self::new(self.config.clone(), &self.setup.clone());
    }

    fn on_request(
        &mut self,
        verb: &str,
        args: &serde_json::Value,
    ) -> Result<serde_json::Value, String> {
        if verb == "reload" {
            self.supply.hurry();
            return Ok(json!(self.supply.places()));
        }
        self.faulty.answer(verb, args, ", reload")
    }

    fn persist(&mut self, keep: &mut Persist) {
        self.history.persist(&self.places, keep);
    }

    fn recall(&mut self, rule: &str, subject: &str) -> Recalled {
        match (rule, self.places.of_subject(subject)) {
            ("yaw_moved", Some((_, Some(rank))))
                if self.config.yaw_alarm > 0.0 && self.has_compass(rank) =>
            {
                self.place();
                self.modules[rank].moved = true;
                Recalled::Holds
            }
            ("yaw_moved", _) => Recalled::Gone,
            _ => Recalled::Unknown,
        }
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), String> {
        self.history.restore(saved, &mut self.places)?;
        self.place();
        let Some(newest_ms) = self.history.newest_ms() else {
            return Ok(());
        };
        for (rank, module) in self.modules.iter_mut().enumerate() {
            let yaws = self.history.yaws(rank, newest_ms - HOUR_MS);
            yaws.for_each(|(at_ms, yaw_deg)| module.remember(at_ms, yaw_deg));
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        let modules = self.modules.iter().map(Module::memory_bytes);
        self.places.memory_bytes()
            + modules.sum::<usize>()
            + self.history.memory_bytes()
            + self.faulty.memory_bytes()
    }
}

impl AhrsCalibration {
    fn take(&mut self, frame: &Frame, packet: &Tmch<'_>, out: &mut Outputs) {
        let mut data_ms = ms_of_ns(packet.time_ns());
        let dom_id = packet.dom_id().0;
        self.counts.packets += 1;
        let rank = match self.places.find(dom_id) {
            Found::Dom(rank) => rank,
            Found::Base => {
                if let Some(base) = self.bases.get_mut(&dom_id) {
                    base.saw(packet, data_ms);
                }
                return;
            }
            Found::Unknown => return self.strangers.saw(dom_id, data_ms),
        };
        let host_ms = frame.received.as_millisecond();
        match self.timeline.saw_from(Some(rank), data_ms, host_ms) {
            Fit::Near => self.newest_ms = self.newest_ms.max(Some(data_ms)),
            Fit::Set => {
                self.jump(out);
                self.newest_ms = Some(data_ms);
            }
            Fit::Stray => {
                self.counts.clock_off += 1;
                self.counts.last_off = Some(dom_id);
                data_ms = self.timeline.at(host_ms);
            }
        }
        if rank >= self.modules.len() {
            self.place();
        }
        let module = &mut self.modules[rank];
        module.packets += 1;
        if !packet.ahrs_valid() {
            self.counts.invalid += 1;
            return;
        }
        let ([ax, ay, az], [hx, hy, hz]) = (packet.acceleration_g(), packet.magnetic_gauss());
        let reading = [ax, ay, az, hx, hy, hz];
        if !reading.iter().all(|value| value.is_finite()) {
            self.counts.no_numbers += 1;
            return;
        }
        module.valid += 1;
        match module.window.add(data_ms, reading) {
            Ok(Some(medians)) => self.complete(rank, &medians, out),
            Ok(None) => {}
            Err(()) => self.counts.late += 1,
        }
    }

    /// The clock was set to another time: everything open is complete.
    fn jump(&mut self, out: &mut Outputs) {
        for rank in 0..self.modules.len() {
            if let Some(medians) = self.modules[rank].window.take() {
                self.complete(rank, &medians, out);
            }
        }
        self.history.jump();
    }

    /// Takes up modules that were placed since.
    fn place(&mut self) {
        let list = self.places.list();
        self.modules.resize_with(list.len(), Module::default);
        for (rank, place) in list.iter().enumerate().skip(self.placed) {
            self.dus.entry(place.du).or_default().push(rank);
        }
        self.placed = list.len();
    }

    /// A window of a module has ended: it becomes an orientation, if the board has constants.
    fn complete(&mut self, rank: usize, medians: &Medians, out: &mut Outputs) {
        let place = self.places.list()[rank];
        let Some(constants) = self.supply.of(place.dom_id) else {
            return;
        };
        let orientation = constants.orientation(medians.acceleration, medians.field);
        self.history.add(rank, medians.start_ms, &orientation);
        let limit_deg = self.config.yaw_alarm;
        let changed = self.modules[rank].point(medians.start_ms, orientation, limit_deg);
        if changed && self.has_compass(rank) {
            self.alarm(place, &self.modules[rank], medians.start_ms, out);
        }
    }

    /// Tells whether the detector description lets a compass be used.
    fn has_compass(&self, rank: usize) -> bool {
        let place = &self.places.list()[rank];
        !self.places.is_off(place, status_bits::COMPASS_OFF)
    }

    fn alarm(&self, place: Place, module: &Module, at_ms: i64, out: &mut Outputs) {
        let Place { du, floor, dom_id } = place;
        let (moved, deviation_deg) = (module.moved, module.deviation_deg);
        let what = if moved { "is" } else { "is only" };
        let text = format!(
            "yaw of DOM {dom_id} (DU {du} floor {floor}) {what} {deviation_deg:+.1} deg from its \
             median over the last hour, limit {} deg",
            self.config.yaw_alarm
        );
        let about = ("yaw_moved", format!("DU {du} floor {floor}"));
        out.alarm(about, Severity::Warning, moved, text, timestamp(at_ms));
    }
}
