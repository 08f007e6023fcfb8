//! Which services a target means: `service`, `group:service`, `group`, `group:*` or `all`. A group
//! means the groups within it as well.

use std::collections::BTreeSet;

use fathom_kernel::ControlError;

use crate::config::is_within;
use crate::config::plan::{Plan, Until};

/// Returns the indexes of the services that targets mean, in start order, each once.
pub(super) fn resolve(plan: &Plan, targets: &[String]) -> Result<Vec<usize>, ControlError> {
    let mut chosen = BTreeSet::new();
    for target in targets {
        let before = chosen.len();
        let meant = plan
            .services
            .iter()
            .enumerate()
            .filter(|(_, service)| means(target, &service.name, &service.group))
            .map(|(index, _)| index);
        let meant: Vec<usize> = meant.collect();
        let known = !meant.is_empty() || target == "all";
        chosen.extend(meant);
        if !known && chosen.len() == before {
            return Err(ControlError::NoSuchName(target.clone()));
        }
    }
    Ok(chosen.into_iter().collect())
}

/// Tells whether a target means a service of this full name and group.
pub(super) fn means(target: &str, name: &str, group: &str) -> bool {
    let meant = target.strip_suffix(":*").unwrap_or(target);
    target == "all"
        || target == name
        || is_within(group, meant)
        || target
            .split_once(':')
            .is_some_and(|(g, s)| g == s && g == name)
}

/// Tells whether any service waits until this one has done its work.
pub(super) fn is_awaited(plan: &Plan, name: &str) -> bool {
    let mut after = plan.services.iter().flat_map(|service| &service.after);
    after.any(|after| after.until == Until::Done && *after.name == *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_means_a_service_its_group_or_all() {
        for target in ["all", "g:s", "g", "g:*"] {
            assert!(means(target, "g:s", "g"), "{target}");
        }
        for target in ["s", "g:", "*", "h:*", "g:t"] {
            assert!(!means(target, "g:s", "g"), "{target}");
        }
        for target in ["a", "a:*", "a.b", "a.b:*"] {
            assert!(means(target, "a.b:s", "a.b"), "{target}");
        }
        assert!(!means("a:s", "a.b:s", "a.b") && !means("a.", "ab:s", "ab"));
        assert!(means("web", "web", "web"));
        assert!(means("web:web", "web", "web"));
    }
}
