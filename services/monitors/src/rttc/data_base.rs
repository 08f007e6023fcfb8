//! What was normal, from the values that the data base keeps: for the module in the base of each DU
//! those of the runs of the last day, asked for DU by DU and parameter by parameter.

use std::collections::VecDeque;
use std::ops::Range;

use fathom_formats::detx::Module;
use fathom_kernel::{
    Content, Fetch, FetchError, Fetched, Location, Outputs, Setup, without_passwords,
};

use super::Config;
use super::baseline::Baseline;
use crate::clock::ms_of;
use crate::rounds::{Round, Rounds};
use crate::run_table::{NO_RUN, RUN_TABLE, RunTable};
use crate::stream_table::StreamTable;

/// The parameters in the order of [`super::baseline::Values`].
const PARAMETERS: [&str; 5] = [
    "wr_mu",
    "wr_delta[0]",
    "wr_delta[1]",
    "wr_delta[2]",
    "wr_delta[3]",
];
/// What stands in the place of the values for the DU: its number, and product id and DOM id of the
/// module in its base.
const DU: &str = "{du}";
const UPI: &str = "{upi}";
const DOM_ID: &str = "{dom_id}";
const PARAMETER: &str = "{parameter}";
const RUNS: [&str; 2] = ["{minrun}", "{maxrun}"];
/// Column with the values, and those that tell the parameters apart.
const VALUE: &str = "DATA_VALUE";
const NAME: &str = "PARAMETER_NAME";
/// Beginning of the names of our fetches.
const VALUES: &str = "values";
/// Tables asked for at a time.
const ASKED_MAX: usize = 4;
/// Largest table.
const BYTES_MAX: usize = 16 << 20;

/// The data base, and what is being asked of it.
#[derive(Debug)]
pub(super) struct DataBase {
    pattern: String,
    rounds: Rounds<(usize, Range<usize>)>,
    span_ms: i64,
    detector: i32,
    runs: Option<RunTable>,
    dus: Vec<Unit>,
    /// The place with its runs filled in, and what is still to be asked for: DU and parameters.
    place: String,
    waiting: VecDeque<(usize, Range<usize>)>,
    under_way: usize,
    round_fault: Option<String>,
    fault: Option<String>,
}

/// A DU, as the data base knows it.
#[derive(Debug)]
struct Unit {
    number: u32,
    upi: Option<String>,
    dom_id: Option<u32>,
    /// Values of the round under way, by parameter; `None` for what is not there yet.
    values: [Option<Vec<f64>>; 5],
    /// What was normal, and when that was found out (ms).
    baseline: Option<(Baseline, i64)>,
}

impl DataBase {
    /// The data base of the options, if there is one.
    pub(super) fn new(config: &Config, dus: &[u32], setup: &Setup) -> Option<Self> {
        let pattern = config.data_base.as_ref()?.whole();
        let described = setup.detector.as_ref();
        let unit = |&number: &u32| {
            let base = described.and_then(|detector| detector.module_at(number, 0));
            let upi = |base: &Module| described?.upi(base.id).map(str::to_owned);
            Unit {
                number,
                upi: base.and_then(upi),
                dom_id: base.map(|base| base.id.0),
                values: Default::default(),
                baseline: None,
            }
        };
        let detector = described.map_or(0, |detector| detector.id.0);
        let runs = config.runs.as_ref();
        Some(Self {
            pattern,
            rounds: Rounds::new(ms_of(config.data_base_every)),
            span_ms: ms_of(config.baseline),
            detector,
            runs: runs.map(|from| RunTable::new(from, detector)),
            dus: dus.iter().map(unit).collect(),
            place: String::new(),
            waiting: VecDeque::new(),
            under_way: 0,
            round_fault: None,
            fault: None,
        })
    }

    /// Says what is wrong with the options.
    pub(super) fn check(config: &Config) -> Result<(), String> {
        let Some(pattern) = config.data_base.as_ref().map(Location::whole) else {
            return Ok(());
        };
        if ![DU, UPI, DOM_ID].iter().any(|what| pattern.contains(what)) {
            return Err(format!(
                "data_base is {pattern:?}, expected {DU}, {UPI} or {DOM_ID} in it"
            ));
        }
        if RUNS.iter().any(|what| pattern.contains(what)) && config.runs.is_none() {
            return Err("data_base asks by runs: name a table with runs".to_owned());
        }
        Ok(())
    }

    /// Returns where it is, for people.
    pub(super) fn shown(&self) -> String {
        without_passwords(&self.pattern).into_owned()
    }

    /// Returns why something could not be had of late.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Returns what was normal for a DU, unless that was too long ago.
    pub(super) fn baseline(&self, n: usize, now_ms: i64) -> Option<Baseline> {
        let (baseline, at_ms) = self.dus.get(n)?.baseline?;
        (now_ms.saturating_sub(at_ms) <= self.span_ms).then_some(baseline)
    }

    /// Asks now and then for the values of the last day.
    pub(super) fn tick(&mut self, now_ms: i64, out: &mut Outputs) {
        if let Some(runs) = &mut self.runs {
            runs.tick(now_ms, out);
        }
        let is_idle = self.under_way == 0 && self.waiting.is_empty();
        if !is_idle || !self.rounds.is_due(now_ms) {
            return;
        }
        let Some(place) = self.place_of(now_ms) else {
            if self.runs.as_ref().is_some_and(RunTable::is_read) {
                self.fault = Some(NO_RUN.to_owned());
            }
            return;
        };
        self.place = place;
        let Some(round) = self.rounds.begin(now_ms) else {
            return;
        };
        self.begin(&round);
        self.ask(out);
        self.conclude(now_ms);
    }

    /// Begins a round: for all there is, or for what failed in the last one.
    fn begin(&mut self, round: &Round<(usize, Range<usize>)>) {
        let wanted = |which: &(usize, Range<usize>)| match round {
            Round::All => true,
            Round::Failed(failed) => failed.contains(which),
        };
        let step = match self.pattern.contains(PARAMETER) {
            true => 1,
            false => PARAMETERS.len(),
        };
        for (n, unit) in self.dus.iter_mut().enumerate() {
            if *round == Round::All {
                unit.values = Default::default();
            }
            let lacks = |what: &str, is_there: bool| self.pattern.contains(what) && !is_there;
            if lacks(UPI, unit.upi.is_some()) || lacks(DOM_ID, unit.dom_id.is_some()) {
                let number = unit.number;
                let why = format!("the detector description does not have the base of DU {number}");
                self.round_fault = Some(why);
                continue;
            }
            let parts = (0..PARAMETERS.len()).step_by(step);
            let parts = parts.map(|k| (n, k..k + step)).filter(wanted);
            self.waiting.extend(parts);
        }
    }

    fn place_of(&self, now_ms: i64) -> Option<String> {
        let place = self
            .pattern
            .replace("{detector}", &self.detector.to_string());
        let Some(runs) = &self.runs else {
            return Some(place);
        };
        let (low, high) = runs.between(now_ms.saturating_sub(self.span_ms), now_ms)?;
        let [min, max] = RUNS;
        let place = place.replace(min, &low.to_string());
        Some(place.replace(max, &high.to_string()))
    }

    fn ask(&mut self, out: &mut Outputs) {
        while self.under_way < ASKED_MAX {
            let Some((n, which)) = self.waiting.pop_front() else {
                return;
            };
            let unit = &self.dus[n];
            let dom_id = unit.dom_id.map(|id| id.to_string());
            let place = self
                .place
                .replace(DU, &unit.number.to_string())
                .replace(UPI, unit.upi.as_deref().unwrap_or_default())
                .replace(DOM_ID, &dom_id.unwrap_or_default())
                .replace(PARAMETER, PARAMETERS[which.start]);
            let name = format!("{VALUES}:{n}:{}:{}", which.start, which.end);
            let mut fetch = Fetch::new(name, Location::from(place));
            fetch.bytes_max = BYTES_MAX;
            out.fetch(fetch);
            self.under_way += 1;
        }
    }

    /// Tells whether an answer is one of ours.
    pub(super) fn knows(name: &str) -> bool {
        name == RUN_TABLE || name.starts_with(VALUES)
    }

    /// Takes an answer; tells whether anything that is shown has changed.
    pub(super) fn take(&mut self, fetched: Fetched, now_ms: i64, out: &mut Outputs) -> bool {
        if fetched.name == RUN_TABLE {
            let taken = self.runs.as_mut().map(|runs| runs.take(fetched, now_ms));
            let Some(Err(why)) = taken else { return false };
            out.bad("table of runs not readable");
            self.fault = Some(why);
            return true;
        }
        let Some((n, which)) = key_of(&fetched.name, self.dus.len()) else {
            return false;
        };
        let is_new = match read(fetched.content, which.clone()) {
            Ok(values) => {
                let unit = &mut self.dus[n];
                for (slot, values) in unit.values[which].iter_mut().zip(values) {
                    *slot = Some(values);
                }
                unit.conclude(now_ms)
            }
            Err(why) => {
                out.bad("data base not readable");
                self.rounds.failed((n, which));
                self.round_fault = Some(why);
                false
            }
        };
        self.under_way = self.under_way.saturating_sub(1);
        self.ask(out);
        self.conclude(now_ms) || is_new
    }

    /// At the end of a round what went wrong in it is what is told, and asked for again soon; tells
    /// whether what is told has changed.
    fn conclude(&mut self, now_ms: i64) -> bool {
        if self.under_way > 0 {
            return false;
        }
        self.rounds.end(now_ms);
        let fault = self.round_fault.take();
        let changed = fault != self.fault;
        self.fault = fault;
        changed
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let values = self
            .dus
            .iter()
            .flat_map(|unit| unit.values.iter().flatten());
        self.runs.as_ref().map_or(0, RunTable::memory_bytes)
            + self.dus.len() * size_of::<Unit>()
            + values
                .map(|values| values.len() * size_of::<f64>())
                .sum::<usize>()
    }
}

impl Unit {
    /// Once all parameters are there, what is normal follows from them.
    fn conclude(&mut self, now_ms: i64) -> bool {
        if self.values.iter().any(Option::is_none) {
            return false;
        }
        let values = std::mem::take(&mut self.values).map(Option::unwrap_or_default);
        let Some(baseline) = Baseline::of_parameters(&values) else {
            return false;
        };
        self.baseline = Some((baseline, now_ms));
        true
    }
}

/// Returns the values of the parameters that were asked for; rows without a number are left out, as
/// the data base has some.
fn read(
    content: Result<Content, FetchError>,
    which: Range<usize>,
) -> Result<Vec<Vec<f64>>, String> {
    let bytes = match content.map_err(|error| error.to_string())? {
        Content::Bytes(bytes, _) => bytes,
        Content::Unchanged => return Err("unchanged, though nothing was known".to_owned()),
    };
    let text = String::from_utf8_lossy(&bytes);
    let table = StreamTable::read(&text)?;
    let value = table.column(VALUE, "values")?;
    let name = match which.len() {
        1 => table.place(NAME),
        _ => Some(table.column(NAME, "values")?),
    };
    let mut all = vec![Vec::new(); which.len()];
    for row in table.rows() {
        let number = row.get(value).and_then(|cell| cell.parse::<f64>().ok());
        let own = match name {
            None => Some(which.start),
            Some(at) => PARAMETERS.iter().position(|name| row.get(at) == Some(name)),
        };
        let own = own.and_then(|own| all.get_mut(own.checked_sub(which.start)?));
        if let (Some(own), Some(number)) = (own, number.filter(|number| number.is_finite())) {
            own.push(number);
        }
    }
    Ok(all)
}

fn key_of(name: &str, dus: usize) -> Option<(usize, Range<usize>)> {
    let mut parts = name
        .split(':')
        .skip(1)
        .map(|part| part.parse::<usize>().ok());
    let mut next = || parts.next().flatten();
    let (n, start, end) = (next()?, next()?, next()?);
    (n < dus && start < end && end <= PARAMETERS.len()).then_some((n, start..end))
}
