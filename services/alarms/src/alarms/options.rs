//! Options of `alarms`.

use std::path::PathBuf;

use fathom_kernel::{Severity, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::engine::{Bounds, Damping, House, Pattern, Policies, RuleEntry};

/// Options of `alarms`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// Most alarms at a time, resolved ones included; the oldest resolved go first.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) alarms_max: usize,
    /// A condition has to stay away for so long before its alarm is resolved.
    pub(crate) calm: Span,
    /// Time between two looks at the services, the disks and the outputs.
    pub(crate) check_interval: Span,
    /// An alarm is taken for over when its service was started anew and has not said it again for
    /// so long.
    pub(crate) confirm_within: Span,
    /// Fraction of a disk in use that needs an operator.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) disk_alert: f64,
    /// Fraction of a disk in use that is worth a warning.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) disk_warning: f64,
    /// Further folders whose disks are watched, beside the data folder of the stack.
    pub(crate) disks: Vec<PathBuf>,
    /// Messages dropped within this time are an alarm.
    pub(crate) drop_window: Span,
    /// After so many beginnings within `flap_window`, an alarm is resolved only when its condition
    /// stayed away for all of that time; 0 is never.
    #[schemars(range(max = 20))]
    pub(crate) flaps: usize,
    /// Time over which beginnings are counted.
    pub(crate) flap_window: Span,
    /// Rows of the history.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) history: usize,
    /// How long a resolved alarm is shown.
    pub(crate) keep_resolved: Span,
    /// Failures of a service within this time are an alarm.
    pub(crate) restart_window: Span,
    /// So many failures within `restart_window`.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) restarts: usize,
    /// What is done about which conditions. For each key, the first entry decides whose `rule`,
    /// `subject` and `service` fit.
    pub(crate) rules: Vec<RuleEntry>,
    /// A broker or mirror without data for so long is an alarm.
    pub(crate) silent_after: Span,
    /// Outputs (single numbers, and the last points of curves) that raise an alarm. A limit that no
    /// output has to keep is told as well, as `threshold_unused`.
    pub(crate) thresholds: Vec<Threshold>,
}

/// Limits of an output.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Threshold {
    /// Name of the output; `*` stands for any characters.
    pub(crate) output: Pattern,
    /// Which of its curves.
    #[serde(default)]
    pub(crate) curve: Pattern,
    /// Alarm above this.
    pub(crate) above: Option<f64>,
    /// Alarm below this.
    pub(crate) below: Option<f64>,
    /// Name of the rule.
    #[serde(default = "threshold_rule")]
    pub(crate) rule: String,
    /// How bad it is.
    #[serde(default = "threshold_severity")]
    pub(crate) severity: Severity,
}

fn threshold_rule() -> String {
    "output_outside".to_owned()
}

fn threshold_severity() -> Severity {
    Severity::Warning
}

impl Default for Options {
    fn default() -> Self {
        Self {
            alarms_max: 10_000,
            calm: Span::from_secs(10),
            check_interval: Span::from_secs(5),
            confirm_within: Span::from_secs(600),
            disk_alert: 0.97,
            disk_warning: 0.9,
            disks: Vec::new(),
            drop_window: Span::from_secs(60),
            flaps: 4,
            flap_window: Span::from_secs(600),
            history: 2000,
            keep_resolved: Span::from_secs(3600),
            restart_window: Span::from_secs(300),
            restarts: 1,
            rules: Vec::new(),
            silent_after: Span::from_secs(120),
            thresholds: Vec::new(),
        }
    }
}

impl Options {
    /// Says what is wrong with them, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        let outside = |name: &str, value: usize, low: usize, high: usize| {
            let fits = (low..=high).contains(&value);
            (!fits).then(|| format!("{name} is {value}, expected {low} to {high}"))
        };
        let fraction = |name: &str, value: f64| {
            let fits = (0.0..=1.0).contains(&value);
            (!fits).then(|| format!("{name} is {value}, expected 0 to 1"))
        };
        outside("alarms_max", self.alarms_max, 1, 100_000)
            .or_else(|| outside("history", self.history, 1, 100_000))
            .or_else(|| outside("flaps", self.flaps, 0, 20))
            .or_else(|| outside("restarts", self.restarts, 1, 100))
            .or_else(|| fraction("disk_warning", self.disk_warning))
            .or_else(|| fraction("disk_alert", self.disk_alert))
            .or_else(|| {
                let is_zero = self.check_interval.is_zero();
                is_zero.then(|| "check_interval is 0s, expected some time".to_owned())
            })
            .or_else(|| self.thresholds.iter().find_map(Threshold::problem))
    }

    /// Returns the rules and limits of the engine.
    pub(crate) fn house(&self) -> House {
        House {
            policies: Policies::new(self.rules.clone()),
            damping: Damping {
                calm: self.calm.duration(),
                flaps: self.flaps,
                window: self.flap_window.duration(),
            },
            bounds: Bounds {
                alarms: self.alarms_max,
                history: self.history,
                resolved: self.keep_resolved.duration(),
            },
        }
    }
}

impl Threshold {
    fn problem(&self) -> Option<String> {
        let limits: Vec<f64> = self.above.into_iter().chain(self.below).collect();
        if limits.is_empty() || limits.iter().any(|limit| !limit.is_finite()) {
            let output = &self.output;
            return Some(format!(
                "threshold of {output}: expected `above`, `below` or both"
            ));
        }
        None
    }
}
