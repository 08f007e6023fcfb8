//! Services of one kind that would write the same files, or cover each other's outputs.

use std::collections::BTreeMap;
use std::path::{Component, PathBuf};

use fathom_kernel::{Claim, Claimed};

use super::plan::Body;
use super::problem::{Gravity, Problem};
use super::resolve::Read;

/// What to do when the options of a kind do not help.
const OTHER_STACK: &str = "give one of them a stack of its own";

/// Reports whatever two services have claimed; what is no error is said once there are no others.
pub(crate) fn check(services: &[Read], problems: &mut Vec<Problem>) {
    let mut claimed: BTreeMap<(Claimed, &'static str), Vec<&Read>> = BTreeMap::new();
    for read in services {
        for Claim {
            claimed: what,
            way_out,
        } in claims(read)
        {
            claimed
                .entry((plain(what), way_out))
                .or_default()
                .push(read);
        }
    }
    let found = claimed.iter();
    let found = found.filter_map(|((what, way_out), by)| problem(what, way_out, by));
    let is_error = |problem: &Problem| problem.gravity == Gravity::Error;
    let (errors, warnings): (Vec<_>, Vec<_>) = found.partition(is_error);
    problems.extend(errors);
    if !problems.iter().any(is_error) {
        problems.extend(warnings);
    }
}

/// Returns the claims of a service. What puts up outputs under names that no option changes claims that
/// of its kind for all of them.
fn claims(read: &Read) -> Vec<Claim> {
    let Some(Body::Kind(body)) = &read.body else {
        return Vec::new();
    };
    let mut claims = (body.kind.claims)(&body.options);
    let is_output = |claim: &Claim| matches!(claim.claimed, Claimed::Output(_));
    if body.kind.by_hand.is_some() && !claims.iter().any(is_output) {
        claims.push(Claim::output(body.kind.name, ""));
    }
    claims
}

/// Leaves `.` out of a path, so that one file has one name.
fn plain(claimed: Claimed) -> Claimed {
    match claimed {
        Claimed::File(path) => {
            let parts = path.components().filter(|part| *part != Component::CurDir);
            Claimed::File(parts.collect::<PathBuf>())
        }
        Claimed::Output(name) => Claimed::Output(name),
    }
}

fn problem(claimed: &Claimed, way_out: &str, by: &[&Read]) -> Option<Problem> {
    let [first, others @ .., last] = by else {
        return None;
    };
    let names: Vec<_> = by.iter().map(|read| &*read.name).collect();
    let names = names.join(", ");
    let problem = match claimed {
        Claimed::File(path) => {
            let path = path.display();
            Problem::error(format!("more than one service writes {path}: {names}"))
        }
        Claimed::Output(name) => Problem::warning(format!(
            "outputs of the same names ({name}) come from {names}: each covers what the others show"
        )),
    };
    let help = if way_out.is_empty() {
        OTHER_STACK
    } else {
        way_out
    };
    let problem = problem.at(last.place.clone()).help(help);
    let earlier = std::iter::once(first).chain(others);
    Some(earlier.fold(problem, |problem, read| {
        problem.also(read.place.clone(), read.name.clone())
    }))
}
