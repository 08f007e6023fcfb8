//! What the life cycle needs to know of the configuration of one service.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::plan::{Backoff, Budget, OnFatal, Ready, Restart, ServicePlan};

/// Time from the kill until a service counts as lost.
pub(super) const KILL_WAIT: Duration = Duration::from_secs(5);

/// What makes a started service count as ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// That it exists.
    Spawned,
    /// That it lived for some time.
    Alive(Duration),
    /// That it, or a probe, says so.
    Told,
}

/// Everything the life cycle needs to know of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// When it is started again.
    pub restart: Restart,
    /// Exit codes that are no failure.
    pub exit_ok: Vec<i32>,
    /// Delays between attempts.
    pub backoff: Backoff,
    /// Failures borne.
    pub budget: Budget,
    /// What follows when the budget is used up.
    pub on_fatal: OnFatal,
    /// Others wait until it has done its work.
    pub awaited: bool,
    /// Rules judge its health; failures are forgotten only after it was found well.
    pub judged: bool,
    /// What makes it ready.
    pub readiness: Readiness,
    /// Longest time from its start until it is ready.
    pub ready_timeout: Duration,
    /// Time from the stop signal to the kill.
    pub stop_wait: Duration,
    /// Time from the kill until it counts as lost.
    pub kill_wait: Duration,
}

impl Policy {
    /// Takes from a service's plan what the life cycle needs; `awaited` tells whether others wait
    /// until it has done its work.
    pub fn of(plan: &ServicePlan, awaited: bool) -> Self {
        Self {
            restart: plan.restart,
            exit_ok: plan.exit_ok.clone(),
            backoff: plan.backoff.clone(),
            budget: plan.budget.clone(),
            on_fatal: plan.on_fatal,
            awaited,
            judged: !plan.flow.is_empty() || !plan.check.is_empty(),
            readiness: match plan.ready {
                Ready::Spawn => Readiness::Spawned,
                Ready::Secs(time) => Readiness::Alive(time),
                Ready::Notify
                | Ready::Fd(_)
                | Ready::Tcp(_)
                | Ready::Http(_)
                | Ready::Exec(_)
                | Ready::Log(_)
                | Ready::File(_)
                | Ready::Flow => Readiness::Told,
            },
            ready_timeout: plan.ready_timeout,
            stop_wait: plan.stop.wait,
            kill_wait: KILL_WAIT,
        }
    }
}

/// Returns the delay before the restart after the `streak`-th failure in a row; `chance` lies in
/// -1..=1.
pub fn delay(backoff: &Backoff, streak: u32, chance: f64) -> Duration {
    if streak <= 1 {
        return backoff.first.duration();
    }
    // Beyond this exponent any growing delay has reached its maximum.
    let exponent = i32::try_from(streak - 2).unwrap_or(i32::MAX).min(64);
    let grown = backoff.base.duration().as_secs_f64() * backoff.factor.powi(exponent);
    let max = backoff.max.duration();
    let delay = grown.min(max.as_secs_f64()) * (1.0 + backoff.jitter * chance);
    Duration::try_from_secs_f64(delay.max(0.0)).unwrap_or(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_from_nothing_to_half_a_minute() {
        let backoff = Backoff::default();
        let delays: Vec<u128> = (1..=11)
            .map(|n| delay(&backoff, n, 0.0).as_millis())
            .collect();
        let expected = [
            0, 250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000,
        ];
        assert_eq!(delays, expected);
        assert_eq!(delay(&backoff, 3, 1.0).as_millis(), 550);
        assert_eq!(delay(&backoff, 3, -1.0).as_millis(), 450);
        assert_eq!(delay(&backoff, u32::MAX, 0.0), Duration::from_secs(30));
    }
}
