//! Who may start, and who must end because of another: read from the states of all services.

use super::observed::Observed;
use super::phase::{Block, Phase};
use super::status::is_finished;
use crate::config::plan::{Plan, ServicePlan, Until};

/// Returns something that a waiting service has to wait for; what has failed for good comes first.
pub(super) fn blocker(plan: &Plan, observed: &[Observed], index: usize) -> Option<Block> {
    let service = &plan.services[index];
    let unfulfilled = needs(service).filter(|(name, until)| !reached(plan, observed, name, *until));
    let blocks = unfulfilled.map(|(name, _)| Block {
        on: name.to_owned(),
        fatal: is_fatal(plan, observed, name),
    });
    if let Some(block) = blocks.min_by_key(|block| !block.fatal) {
        return Some(block);
    }
    // Whoever is bound to this one must have ended before it starts again.
    let bound = plan.services.iter().enumerate().find(|(other, candidate)| {
        candidate.bind.contains(&service.name) && observed[*other].phase.is_alive()
    });
    bound.map(|(_, other)| Block {
        on: other.name.to_string(),
        fatal: false,
    })
}

fn is_fatal(plan: &Plan, observed: &[Observed], name: &str) -> bool {
    let at = plan.services.iter().position(|other| *other.name == *name);
    at.is_some_and(|at| matches!(observed[at].phase, Phase::Fatal { .. }))
}

/// Returns the name of a service that this running one is bound to and that has ended.
pub(super) fn lost_bond<'a>(
    plan: &'a Plan,
    observed: &[Observed],
    index: usize,
) -> Option<&'a str> {
    let service = &plan.services[index];
    let ended = |name: &str| {
        let at = plan.services.iter().position(|other| *other.name == *name);
        at.is_some_and(|at| !observed[at].phase.is_alive())
    };
    let mut bonds = service.bind.iter();
    bonds.find(|name| ended(name)).map(|name| &**name)
}

/// Returns what a service needs to be started: its conditions, and whom it is bound to.
fn needs(service: &ServicePlan) -> impl Iterator<Item = (&str, Until)> {
    let after = service
        .after
        .iter()
        .map(|after| (&*after.name, after.until));
    let bonds = service.bind.iter().map(|name| (&**name, Until::Ready));
    let stated = |name: &str| service.after.iter().any(|after| *after.name == *name);
    after.chain(bonds.filter(move |(name, _)| !stated(name)))
}

fn reached(plan: &Plan, observed: &[Observed], name: &str, until: Until) -> bool {
    let Some(at) = plan.services.iter().position(|other| *other.name == *name) else {
        return false;
    };
    let phase = &observed[at].phase;
    match until {
        Until::Started => matches!(phase, Phase::Warming { .. } | Phase::Up { .. }),
        Until::Ready => matches!(phase, Phase::Up { .. }),
        // Without rules, all of them are fulfilled.
        Until::Flowing => matches!(phase, Phase::Up { .. }) && observed[at].flowing,
        Until::Done => is_finished(&observed[at], &plan.services[at].exit_ok),
    }
}
