//! Who may start, and who must end because of another: read from the states of all services.

use super::observed::Observed;
use super::phase::{Block, Phase};
use super::regroup::View;
use super::status::is_finished;
use crate::config::plan::{Plan, ServicePlan, Until};

/// Returns something that a waiting service has to wait for; what has failed for good comes first.
pub(super) fn blocker(plan: &Plan, view: View<'_>, index: usize) -> Option<Block> {
    let (service, observed) = (&plan.services[index], view.observed);
    let unfulfilled = needs(service).filter(|(name, until)| !reached(plan, view, name, *until));
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
    index_of(plan, name).is_some_and(|at| matches!(observed[at].phase, Phase::Fatal { .. }))
}

/// Returns the name of a service that this running one is bound to and that has ended.
pub(super) fn lost_bond<'a>(
    plan: &'a Plan,
    observed: &[Observed],
    index: usize,
) -> Option<&'a str> {
    let service = &plan.services[index];
    let ended = |name: &str| index_of(plan, name).is_some_and(|at| !observed[at].phase.is_alive());
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

fn reached(plan: &Plan, view: View<'_>, name: &str, until: Until) -> bool {
    let Some(at) = index_of(plan, name) else {
        return false;
    };
    let observed = &view.observed[at];
    let phase = &observed.phase;
    match until {
        Until::Started => matches!(phase, Phase::Warming { .. } | Phase::Up { .. }),
        Until::Ready => matches!(phase, Phase::Up { .. }),
        // Without rules, all of them are fulfilled.
        Until::Flowing => matches!(phase, Phase::Up { .. }) && observed.flowing,
        Until::Done => is_finished(observed, &plan.services[at].exit_ok),
        Until::Settled => has_settled(plan, view, at),
    }
}

/// Tells whether the start of a service is over, whatever came of it.
fn has_settled(plan: &Plan, view: View<'_>, index: usize) -> bool {
    match &view.observed[index].phase {
        Phase::Warming { .. }
        | Phase::Up { .. }
        | Phase::Delay { .. }
        | Phase::Lost { .. }
        | Phase::Done
        | Phase::Fatal { .. } => true,
        // Unless it was just told to start.
        Phase::Idle => view.is_settled(index),
        // Whatever waits for something that will not come has as good as failed.
        Phase::Waiting(Some(block)) => index_of(plan, &block.on)
            .is_some_and(|on| !view.observed[on].phase.is_alive() && has_settled(plan, view, on)),
        Phase::Waiting(None) | Phase::Spawning { .. } | Phase::Term { .. } | Phase::Kill { .. } => {
            false
        }
    }
}

fn index_of(plan: &Plan, name: &str) -> Option<usize> {
    plan.services.iter().position(|other| *other.name == *name)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use fathom_kernel::Timestamp;

    use super::*;
    use crate::actors::observed::Window;
    use crate::config::{Origin, load};

    fn plan() -> Plan {
        let text = r#"
            [service.a]
            command = "true"
            [service.b]
            command = "true"
            after = ["a"]
            [service.c]
            command = "true"
            after = ["b=settled"]
        "#;
        let origin = Origin {
            text: Some(text.to_owned()),
            ..Origin::default()
        };
        load(&origin).map(|loaded| loaded.plan).ok().unwrap()
    }

    /// Tells whether `c` may start beside others in these phases; `sent` are orders under way.
    fn is_free(a: Phase, b: Phase, sent: u64) -> bool {
        let observed = [a, b, Phase::Waiting(None)].map(|phase| Observed {
            phase,
            ..Window::new(Timestamp::UNIX_EPOCH).look()
        });
        let view = View {
            observed: &observed,
            sent: &[0, sent, 0],
        };
        blocker(&plan(), view, 2).is_none()
    }

    #[test]
    fn one_that_fails_does_not_keep_back_for_ever_who_only_keeps_the_order() {
        let now = Instant::now();
        let up = || Phase::Up {
            pid: 7,
            stable_at: None,
        };
        for over in [
            up(),
            Phase::Delay { retry_at: now },
            Phase::Fatal { retry_at: None },
            Phase::Done,
            Phase::Idle,
        ] {
            assert!(is_free(up(), over.clone(), 0), "{over:?}");
        }
        let spawning = Phase::Spawning { ready_by: now };
        for under_way in [spawning, Phase::Waiting(None)] {
            assert!(!is_free(up(), under_way.clone(), 0), "{under_way:?}");
        }
        assert!(!is_free(up(), Phase::Idle, 1), "it was told to start");
        // Who waits for what has failed does not start either.
        let waiting = |fatal| {
            let on = "a".to_owned();
            Phase::Waiting(Some(Block { on, fatal }))
        };
        assert!(is_free(Phase::Fatal { retry_at: None }, waiting(true), 0));
        assert!(!is_free(up(), waiting(false), 0));
    }
}
