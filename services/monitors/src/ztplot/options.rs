//! Options of `ztplot`, and what is wrong with some.

use fathom_kernel::{Location, Output, Setup, Span};
use schemars::JsonSchema;
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::page_name;
use super::row::Category;

/// Most places of a category.
const BEST_MAX: usize = 100;
/// Most places of a category and a day or run.
const BEST_PER_MAX: usize = 20;

/// Options of `ztplot`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Least number of DUs that took part in the trigger.
    pub min_dus: usize,
    /// Least number of DOMs that took part in the trigger.
    pub min_doms: usize,
    /// Name of the output with the event drawn last; those with numbers begin with it as well. Two
    /// `ztplot` of one stack need different ones.
    pub output: String,
    /// Distance between two ticks of the height axis.
    #[schemars(extend("unit" = "m"))]
    pub ytick_distance: f64,
    /// Most DUs drawn, those with the most hits first; 0 draws all that have hits.
    pub dus_max: usize,
    /// Data time between two drawn events, when none of them is a record.
    pub interval: Span,
    #[doc(hidden)]
    #[schemars(skip)]
    #[serde(deserialize_with = "moved")]
    pub logbook: (),
    /// Tell of new events of the top 10: raise the condition `top10_event`, which `alarm_elog` enters
    /// into its logbook. (`logbook` in the same section of km3mon's pipeline.toml is read by
    /// `alarm_elog`.)
    pub elog: bool,
    /// Name of the table with all selected events; those by category begin with it as well. Rows that
    /// the table of this name has in the file of `local_db`, such as km3mon's, take part. Two `ztplot`
    /// of one stack need different tables. Payloads and pictures lie in `files/event_selection`, those of
    /// a table of another name in `files/event_selection/TABLE`.
    pub event_selection_table: String,
    /// Events kept of each category: overlays, hits, triggered hits.
    #[schemars(range(min = 1, max = 100))]
    pub best: usize,
    /// Events also kept of each category and UTC day, for the last 30 days with events; 0 for none.
    #[schemars(range(max = 20))]
    pub best_per_day: usize,
    /// Events also kept of each category and run, for the last 30 runs with events; 0 for none.
    #[schemars(range(max = 20))]
    pub best_per_run: usize,
    /// Beginnings of the setup names of runs that take part in the selection, such as `PHYS`; all
    /// take part when empty. Needs `runs`.
    pub run_types: Vec<String>,
    /// Table of runs, a file or web address: tab-separated, with `RUN` and `RUNSETUPNAME` in its
    /// first line. Events of a run that is not in it take part until it is.
    pub runs: Option<Location>,
    /// Folders that hold the files of runs, for the paths shown beside the best events.
    pub archives: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            min_dus: 1,
            min_doms: 4,
            output: "ztplot".into(),
            ytick_distance: 200.0,
            dus_max: 0,
            interval: Span::from_secs(60),
            logbook: (),
            elog: false,
            event_selection_table: "event_selection".into(),
            best: 10,
            best_per_day: 0,
            best_per_run: 0,
            run_types: Vec::new(),
            runs: None,
            archives: vec![
                "/in2p3/km3net/data/raw/sea".into(),
                "root://ccxroot:1999//hpss/in2p3.fr/group/km3net/data/raw/sea".into(),
            ],
        }
    }
}

/// Refuses a key of km3mon that belongs to another kind here.
fn moved<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    IgnoredAny::deserialize(deserializer)?;
    Err(D::Error::custom(
        "`logbook` is an option of the service of kind `alarm_elog`, which writes the entries",
    ))
}

impl Config {
    /// Says what makes no sense.
    pub(super) fn check(&self, setup: &Setup) -> Result<(), String> {
        if !setup.has_detector() {
            return Err("needs to know where the PMTs are: add a section [detector]".into());
        }
        if !self.ytick_distance.is_finite() || self.ytick_distance <= 0.0 {
            return Err("ytick_distance must be a number above 0".into());
        }
        // The longest name that is made of it must be fit for an output as well.
        let longest = page_name(&self.event_selection_table, Category::TriggeredHits);
        if self.event_selection_table.is_empty() || !Output::is_valid_name(&longest) {
            let name = &self.event_selection_table;
            let text = "expected letters, digits, `_`, `-` and `.`, 80 at most";
            return Err(format!("event_selection_table is {name:?}, {text}"));
        }
        if self.output.is_empty() || !Output::is_valid_name(&format!("{}_unknown", self.output)) {
            let text = "expected letters, digits, `_`, `-` and `.`, 80 at most";
            return Err(format!("output is {:?}, {text}", self.output));
        }
        if !(1..=BEST_MAX).contains(&self.best) {
            return Err(format!("best is {}, expected 1 to {BEST_MAX}", self.best));
        }
        if self.best_per_day.max(self.best_per_run) > BEST_PER_MAX {
            return Err(format!(
                "expected best_per_day and best_per_run up to {BEST_PER_MAX}"
            ));
        }
        if !self.run_types.is_empty() && self.runs.is_none() {
            return Err("run_types needs to know the types: name a table with runs".into());
        }
        Ok(())
    }
}
