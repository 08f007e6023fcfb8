//! `rttc`: cable round-trip time of every DU, asked of the Detector Manager over HTTP.
//!
//! RTTC = Cable_RTT - (TX_Slave + RX_Slave + TX_Master + RX_Master) (ps). What is normal follows from
//! the values that the data base has of the last day, or, without it, from those that were seen here:
//! the median, and the sum in quadrature of the spreads. Values that are off are alarms and do not
//! count for what is normal, until `request NAME accept`; what the data base has from before that
//! counts no more. State: 40 bytes per
//! DU and sample, 2,540 samples: 102 kB per DU (23 MB for 230); it survives a restart.

mod baseline;
mod data_base;
mod history;
mod judging;
mod manager;
mod views;

use std::collections::BTreeMap;

use fathom_kernel::view::View;
use fathom_kernel::{
    Content, Event, Fetched, Location, Monitor, Output, Outputs, Persist, Recalled, Saved, Setup,
    Span, Timestamp, Topics,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use self::baseline::Baseline;
use self::data_base::DataBase;
use self::history::{Column, History};
use self::judging::{MANAGER, NOT_HEARD_MS};
use self::manager::{Answer, Manager};
use crate::clock::{is_due, ms_of, timestamp};

pub use self::baseline::rttc_ps;

/// Options of `rttc`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address of the Detector Manager, or `service:NAME` for one of this stack.
    pub url: String,
    /// DUs to be asked for; all of the detector when none is given.
    pub dus: Vec<u32>,
    /// Time between two questions.
    pub interval: Span,
    /// Samples shown.
    #[schemars(range(min = 10, max = 10000))]
    pub samples: usize,
    /// Time from which the normal value follows.
    pub baseline: Span,
    /// File or web address with the values of the data base, from which the normal value follows: a
    /// table with tabs and a column `DATA_VALUE`. `{upi}`, `{dom_id}` or `{du}` stands for the module
    /// in the base of a DU, `{parameter}` for `wr_mu` and `wr_delta[0]` to `wr_delta[3]` (without it a
    /// column `PARAMETER_NAME` tells them apart), `{minrun}` and `{maxrun}` for the runs of the time
    /// of `baseline`, `{detector}` for the detector id.
    pub data_base: Option<Location>,
    /// Time between two looks at the data base; what could not be had is asked for again after 30 s,
    /// then after twice the time each, at most 10 minutes.
    pub data_base_every: Span,
    /// Table of runs, a file or web address: tab-separated, with `RUN` and `UNIXSTARTTIME` (ms) in its
    /// first line. `{detector}` stands for the detector id.
    pub runs: Option<Location>,
    /// Normal values that are known: `given = { 3 = { median_ps = 5.4e8, sigma_ps = 300.0 } }`.
    pub given: BTreeMap<String, Given>,
    /// Least deviation from the median that is an alarm, if five standard deviations are less.
    #[schemars(extend("unit" = "ps"))]
    pub limit: f64,
    /// Longest pause between two attempts to subscribe; the first is 1 s, each further one twice as
    /// long.
    pub retry_most: Span,
    /// Alarm when the Detector Manager tells nothing for so long.
    pub silent_after: Span,
}

/// The normal value of a DU.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Median of the round-trip time (ps).
    pub median_ps: f64,
    /// Its standard deviation (ps).
    pub sigma_ps: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:1302".to_owned(),
            dus: Vec::new(),
            interval: Span::from_secs(10),
            samples: 1000,
            baseline: Span::from_secs(86_400),
            data_base: None,
            data_base_every: Span::from_secs(3600),
            runs: None,
            given: BTreeMap::new(),
            limit: 1000.0,
            retry_most: Span::from_secs(300),
            silent_after: Span::from_secs(60),
        }
    }
}

impl Config {
    /// Returns the DUs, ascending.
    fn dus(&self, setup: &Setup) -> Vec<u32> {
        let mut dus = match (&setup.detector, self.dus.is_empty()) {
            (Some(detector), true) => detector.dus().to_vec(),
            _ => self.dus.clone(),
        };
        dus.sort_unstable();
        dus.dedup();
        dus
    }
}

/// What is known of one DU.
#[derive(Debug, Clone, Copy, Default)]
struct Du {
    baseline: Option<Baseline>,
    /// Newest value and its time [ps, ms].
    latest: Option<(f64, i64)>,
    /// It is further from the median than the limit.
    shifted: bool,
    /// The manager answers, but has had no value of it for too long.
    missing: bool,
}

/// The monitor.
pub struct Rttc {
    config: Config,
    setup: Setup,
    numbers: Vec<u32>,
    dus: Vec<Du>,
    manager: Manager,
    data_base: Option<DataBase>,
    history: History,
    /// The poll under way.
    open: Option<Column>,
    polled_ms: Option<i64>,
    /// Time of the last tick (ms).
    now_ms: i64,
    /// Time of the first tick, then of the last value (ms).
    heard_ms: Option<i64>,
    silent: bool,
    /// Time of the first tick (ms).
    began_ms: Option<i64>,
    /// Time of the last answer that could be read, with values or without (ms).
    answered_ms: Option<i64>,
    /// Something has changed since the last drawing.
    changed: bool,
}

impl Monitor for Rttc {
    type Config = Config;
    const TOPICS: Topics = Topics::frames(&[]);

    fn check(config: &Config, setup: &Setup) -> Result<(), String> {
        if config.dus(setup).is_empty() && !setup.detector_comes {
            return Err("no DUs, expected a [detector] or `dus`".to_owned());
        }
        let is_web = ["http://", "https://", "service:"];
        if !is_web.iter().any(|start| config.url.starts_with(start)) {
            return Err(format!(
                "url is {:?}, expected http://HOST:PORT or service:NAME",
                config.url
            ));
        }
        if !(10..=10_000).contains(&config.samples) {
            return Err(format!(
                "samples is {}, expected 10 to 10000",
                config.samples
            ));
        }
        if !(config.limit.is_finite() && config.limit > 0.0) {
            return Err(format!("limit is {}, expected more than 0", config.limit));
        }
        let baseline_ms = ms_of(config.baseline);
        if !(600_000..=7 * 86_400_000).contains(&baseline_ms) {
            return Err(format!(
                "baseline is {}, expected 10m to 7d",
                config.baseline
            ));
        }
        for (du, given) in &config.given {
            let right = given.median_ps.is_finite() && given.sigma_ps >= 0.0;
            if du.parse::<u32>().is_err() || !right {
                return Err(format!(
                    "given.{du}: expected a DU with a median and a spread"
                ));
            }
        }
        DataBase::check(config)
    }

    fn new(config: Config, setup: &Setup) -> Self {
        let numbers = config.dus(setup);
        let given = |du: &u32| {
            let given = config.given.get(&du.to_string());
            given.map(Baseline::given)
        };
        let dus = numbers.iter().map(|du| Du {
            baseline: given(du),
            ..Du::default()
        });
        Self {
            dus: dus.collect(),
            manager: Manager::new(&config.url, &numbers, ms_of(config.retry_most)),
            data_base: DataBase::new(&config, &numbers, setup),
            history: History::new(config.samples, ms_of(config.baseline)),
            numbers,
            setup: setup.clone(),
            open: None,
            polled_ms: None,
            now_ms: 0,
            heard_ms: None,
            silent: false,
            began_ms: None,
            answered_ms: None,
            changed: true,
            config,
        }
    }

    fn on_event(&mut self, _: &Event, _: &mut Outputs) {}

    fn on_tick(&mut self, now: Timestamp, out: &mut Outputs) {
        self.now_ms = now.as_millisecond();
        self.heard_ms.get_or_insert(self.now_ms);
        self.began_ms.get_or_insert(self.now_ms);
        self.manager.subscribe(self.now_ms, out);
        if let Some(data_base) = &mut self.data_base {
            data_base.tick(self.now_ms, out);
        }
        if is_due(self.config.interval, self.polled_ms, self.now_ms) {
            self.polled_ms = Some(self.now_ms);
            self.complete(out);
            if self.manager.poll(out) {
                let values = vec![[f64::NAN; 5]; self.numbers.len()].into();
                self.open = Some(Column {
                    at_ms: self.now_ms,
                    values,
                });
            }
        }
        self.judge_silence(out);
        if std::mem::take(&mut self.changed) {
            self.draw(out);
        }
    }

    fn on_fetched(&mut self, fetched: Fetched, out: &mut Outputs) {
        if DataBase::knows(&fetched.name) {
            let data_base = self.data_base.as_mut();
            if data_base.is_some_and(|base| base.take(fetched, self.now_ms, out)) {
                self.learn();
                self.changed = true;
            }
            return;
        }
        let content = match fetched.content {
            Ok(Content::Bytes(bytes, _)) => Ok(bytes),
            Ok(Content::Unchanged) => Err("unchanged, though nothing was known".to_owned()),
            Err(error) => Err(manager::without_query(&error.to_string())),
        };
        match self.manager.answered(&fetched.name, content, self.now_ms) {
            Answer::Nothing => {}
            Answer::Failed => {
                out.bad("Detector Manager not understood");
                self.changed = true;
            }
            Answer::Values { first, values } => {
                self.answered_ms = Some(self.now_ms);
                if let Some(open) = &mut self.open {
                    let places = open.values.iter_mut().skip(first);
                    places.zip(values).for_each(|(place, value)| *place = value);
                }
            }
        }
        if self.manager.is_polled() {
            self.complete(out);
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
        if verb != "accept" {
            return Err(format!(
                "unknown request {verb:?}, expected reset or accept"
            ));
        }
        let wanted = args.get("du").unwrap_or(args).as_u64();
        let at = |du: &u32| wanted.is_none_or(|wanted| u64::from(*du) == wanted);
        let (mut accepted, mut given) = (Vec::new(), Vec::new());
        for (n, du) in self.numbers.iter().enumerate().filter(|(_, du)| at(du)) {
            if self.config.given.contains_key(&du.to_string()) {
                given.push(*du);
                continue;
            }
            self.history.forget(n, self.now_ms);
            self.dus[n].baseline = None;
            accepted.push(*du);
        }
        match (accepted.is_empty(), given.is_empty()) {
            (false, _) => Ok(json!({ "accepted": accepted })),
            (true, false) => Err(format!(
                "the option `given` says what is normal for DU {given:?}; change it there"
            )),
            (true, true) => Err(format!("no such DU, expected one of {:?}", self.numbers)),
        }
    }

    fn persist(&mut self, keep: &mut Persist) {
        self.history.persist(&self.numbers, keep);
    }

    fn recall(&mut self, rule: &str, subject: &str) -> Recalled {
        match (rule, subject) {
            ("rttc_unavailable", MANAGER) => {
                self.silent = true;
                self.heard_ms = Some(NOT_HEARD_MS);
                return Recalled::Holds;
            }
            ("rttc_shift" | "rttc_unavailable", _) => {}
            _ => return Recalled::Unknown,
        }
        let is_it = |du: &u32| format!("DU {du}") == subject;
        let Some(n) = self.numbers.iter().position(is_it) else {
            return Recalled::Gone;
        };
        match rule {
            "rttc_shift" => self.dus[n].shifted = true,
            _ => self.dus[n].missing = true,
        }
        Recalled::Holds
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), String> {
        self.history.restore(saved, &self.numbers)?;
        self.learn();
        self.changed = true;
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.history.memory_bytes() + self.data_base.as_ref().map_or(0, DataBase::memory_bytes)
    }
}

impl Rttc {
    /// Takes what the poll brought.
    fn complete(&mut self, out: &mut Outputs) {
        let Some(column) = self.open.take() else {
            return;
        };
        if column.values.iter().flatten().all(|value| value.is_nan()) {
            return;
        }
        self.changed = true;
        self.heard_ms = Some(self.now_ms);
        let values = column.values.iter().map(rttc_ps).collect::<Vec<_>>();
        for (n, value_ps) in values.into_iter().enumerate() {
            if value_ps.is_finite() {
                self.dus[n].latest = Some((value_ps, column.at_ms));
                self.judge(n, value_ps, column.at_ms, out);
            }
        }
        let normal = |n: usize| !self.dus[n].shifted;
        if self.history.push(column, normal) {
            self.learn();
        }
    }

    /// Finds what is normal from what the data base has, or from what was kept.
    fn learn(&mut self) {
        for (n, du) in self.numbers.iter().enumerate() {
            if self.config.given.contains_key(&du.to_string()) {
                continue;
            }
            let data_base = self.data_base.as_ref();
            let told = data_base.and_then(|base| base.baseline(n, self.now_ms));
            let told = told.filter(|_| !self.history.is_accepted_of_late(n, self.now_ms));
            self.dus[n].baseline = told.or_else(|| Baseline::of(&self.history.normal(n)));
        }
    }

    fn put(&self, name: &str, title: &str, view: impl Into<View>, out: &mut Outputs) {
        let newest_ms = self.dus.iter().filter_map(|du| Some(du.latest?.1)).max();
        let output = Output::new(name, title, view)
            .at(newest_ms.map(timestamp))
            .every(self.config.interval.seconds());
        out.put(output);
    }
}
