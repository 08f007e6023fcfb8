//! The file or data base with times of arrival: asked as one table, or module by module, as the
//! stream `toashort` of the data base wants it, with the runs of the time wanted.

use std::collections::VecDeque;

use fathom_formats::km3net::{Arrival, DomId};
use fathom_kernel::{Content, Fetch, FetchError, Fetched, Location, Outputs, Setup};

use super::Config;
use super::table;
use crate::clock::{is_due, ms_of};
use crate::run_table::{NO_RUN, RUN_TABLE, RunTable};

/// What the fetch of arrivals is called; that of one module has its id behind it.
const ARRIVALS: &str = "arrivals";
/// What stands for a module in the place of the source.
pub(super) const DOM_ID: &str = "{dom_id}";
/// What stands for the lowest and the highest run.
pub(super) const RUNS: [&str; 2] = ["{minrun}", "{maxrun}"];
/// Modules asked for at a time.
const ASKED_MAX: usize = 8;

/// The source, and what is being asked of it.
#[derive(Debug)]
pub(super) struct Source {
    pattern: String,
    config: Config,
    detector: i32,
    /// All modules of the detector, when they are asked for one by one.
    modules: Option<Vec<u32>>,
    runs: Option<RunTable>,
    asked_ms: Option<i64>,
    /// The place with its times and runs filled in, and the modules that are still to be asked for.
    place: String,
    waiting: VecDeque<u32>,
    under_way: usize,
    version: Option<String>,
    /// Why something was not had in this round, and in the last complete one.
    round_fault: Option<String>,
    fault: Option<String>,
}

/// What an answer brought.
#[derive(Debug, Default)]
pub(super) struct Brought {
    pub(super) arrivals: Vec<Arrival>,
    /// Lines that are no ping.
    pub(super) bad_lines: u64,
}

impl Source {
    /// The source of the options, if there is one.
    pub(super) fn new(config: &Config, setup: &Setup) -> Option<Self> {
        let pattern = config.source.as_ref()?.whole();
        let described = setup.detector.as_ref();
        let detector = described.map_or(0, |d| d.id.0);
        let ids = || described.map_or(Vec::new(), |d| d.modules().iter().map(|m| m.id.0).collect());
        Some(Self {
            config: config.clone(),
            detector,
            modules: pattern.contains(DOM_ID).then(ids),
            runs: config
                .runs
                .as_ref()
                .map(|from| RunTable::new(from, detector)),
            asked_ms: None,
            place: String::new(),
            waiting: VecDeque::new(),
            under_way: 0,
            version: None,
            round_fault: None,
            fault: None,
            pattern,
        })
    }

    /// Returns why something could not be had of late.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Asks now and then for the arrivals of the last cycles. A round that is not over is not begun
    /// anew: a slow data base is not asked faster than it answers.
    pub(super) fn tick(&mut self, data_ms: i64, host_ms: i64, out: &mut Outputs) {
        if let Some(runs) = &mut self.runs {
            runs.tick(host_ms, out);
        }
        let is_idle = self.under_way == 0 && self.waiting.is_empty();
        if !is_idle || !is_due(self.config.source_every, self.asked_ms, host_ms) {
            return;
        }
        let reach_ms = 2 * (ms_of(self.config.period) + ms_of(self.config.delay));
        let Some(place) = self.place_of(data_ms - reach_ms, data_ms) else {
            if self.runs.as_ref().is_some_and(RunTable::is_read) {
                self.fault = Some(NO_RUN.to_owned());
            }
            return;
        };
        self.asked_ms = Some(host_ms);
        self.place = place;
        if let Some(modules) = &self.modules {
            self.waiting.extend(modules);
            return self.ask(out);
        }
        // An unchanged table is not sent again, where the place is always the same.
        let known = self.version.clone().filter(|_| self.place == self.pattern);
        let fetch = Fetch::new(ARRIVALS, Location::from(self.place.clone()));
        out.fetch(fetch.unless(known));
        self.under_way = 1;
    }

    /// Fills in times and runs; `None` while the runs are not known.
    fn place_of(&self, from_ms: i64, to_ms: i64) -> Option<String> {
        let place = self
            .pattern
            .replace("{from}", &(from_ms / 1000).to_string())
            .replace("{to}", &(to_ms / 1000).to_string())
            .replace("{detector}", &self.detector.to_string());
        let Some(runs) = &self.runs else {
            return Some(place);
        };
        let (low, high) = runs.between(from_ms, to_ms)?;
        let [min, max] = RUNS;
        let place = place.replace(min, &low.to_string());
        Some(place.replace(max, &high.to_string()))
    }

    fn ask(&mut self, out: &mut Outputs) {
        while self.under_way < ASKED_MAX {
            let Some(id) = self.waiting.pop_front() else {
                return;
            };
            let place = self.place.replace(DOM_ID, &id.to_string());
            let name = format!("{ARRIVALS}:{id}");
            out.fetch(Fetch::new(name, Location::from(place)));
            self.under_way += 1;
        }
    }

    /// Takes an answer.
    pub(super) fn take(&mut self, fetched: Fetched, host_ms: i64, out: &mut Outputs) -> Brought {
        if fetched.name == RUN_TABLE {
            let taken = self.runs.as_mut().map(|runs| runs.take(fetched, host_ms));
            if let Some(Err(why)) = taken {
                out.bad("table of runs not readable");
                self.fault = Some(why);
            }
            return Brought::default();
        }
        let module = fetched
            .name
            .split_once(':')
            .and_then(|(_, id)| id.parse().ok());
        let brought = match self.read(fetched.content, module) {
            Ok(brought) => brought,
            Err(why) => {
                out.bad("source not readable");
                self.round_fault = Some(why);
                Brought::default()
            }
        };
        self.under_way = self.under_way.saturating_sub(1);
        self.ask(out);
        if self.under_way == 0 {
            self.fault = self.round_fault.take();
        }
        brought
    }

    fn read(
        &mut self,
        content: Result<Content, FetchError>,
        module: Option<u32>,
    ) -> Result<Brought, String> {
        let Content::Bytes(bytes, version) = content.map_err(|error| error.to_string())? else {
            return Ok(Brought::default());
        };
        if module.is_none() {
            self.version = version;
        }
        let read = table::read(&String::from_utf8_lossy(&bytes), module.map(DomId))?;
        Ok(Brought {
            arrivals: read.arrivals,
            bad_lines: read.bad,
        })
    }

    /// Returns roughly how much memory the tables take.
    pub(super) fn memory_bytes(&self) -> usize {
        self.runs.as_ref().map_or(0, RunTable::memory_bytes)
    }
}
