//! One check of a service from outside: failures in a row, successes in a row.

use std::time::Instant;

use fathom_kernel::{Health, RuleStatus};

use crate::config::plan::CheckRule;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckResult {
    /// Name of the service.
    pub service: std::sync::Arc<str>,
    /// Which of its checks.
    pub index: usize,
    /// Which start of it was checked.
    pub incarnation: u64,
    /// What was wrong, if anything.
    pub found: Result<(), String>,
}

/// The results of one check so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Check {
    fails: u32,
    oks: u32,
    failing: bool,
    trouble: Option<String>,
    succeeded: Option<Instant>,
}

impl Check {
    /// Takes a result.
    pub(super) fn take(&mut self, rule: &CheckRule, found: &Result<(), String>, now: Instant) {
        match found {
            Ok(()) => {
                self.fails = 0;
                self.oks = self.oks.saturating_add(1);
                self.succeeded = Some(now);
                if self.oks >= rule.ok_after {
                    self.failing = false;
                    self.trouble = None;
                }
            }
            Err(why) => {
                self.oks = 0;
                self.fails = self.fails.saturating_add(1);
                self.trouble = Some(why.clone());
                self.failing |= self.fails >= rule.fails;
            }
        }
    }

    /// Forgets failures that may not be the fault of the service.
    pub(super) fn forgive(&mut self) {
        self.fails = 0;
        self.failing = false;
    }

    /// Returns what the check says.
    pub(super) fn health(&self) -> Health {
        match (self.failing, self.succeeded) {
            (true, _) => Health::Failing,
            (false, Some(_)) => Health::Ok,
            (false, None) => Health::Unknown,
        }
    }

    /// Returns what was wrong last, while it is.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref().filter(|_| self.fails > 0)
    }

    /// Shows the check.
    pub(super) fn status(&self, rule: &CheckRule, now: Instant) -> RuleStatus {
        RuleStatus {
            rule: name(rule),
            health: self.health(),
            output_age_s: self
                .succeeded
                .map(|at| now.saturating_duration_since(at).as_secs_f64()),
            fails: self.fails,
            trouble: self.trouble.clone(),
            ..RuleStatus::default()
        }
    }
}

/// Returns the name of a check, as in the reason of a restart.
pub(super) fn name(rule: &CheckRule) -> String {
    format!("check:{}", rule.probe)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::plan::{CheckProbe, HealthAction};

    #[test]
    fn failures_in_a_row_fail_and_successes_in_a_row_mend() {
        let rule = CheckRule {
            probe: CheckProbe::Notify,
            every: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            fails: 3,
            ok_after: 2,
            grace: Duration::ZERO,
            action: HealthAction::Restart,
        };
        let (mut check, now) = (Check::default(), Instant::now());
        let mut health = Vec::new();
        for ok in [true, false, false, true, false, false, false, true, true] {
            let found = if ok { Ok(()) } else { Err("no".to_owned()) };
            check.take(&rule, &found, now);
            health.push(check.health());
        }
        use Health::{Failing, Ok as Fine};
        let expected = [Fine, Fine, Fine, Fine, Fine, Fine, Failing, Failing, Fine];
        assert_eq!(health, expected);
        assert_eq!(check.trouble, None);
    }
}
