//! Priorities to conditions: each service after those of the next lower priority.

use std::collections::BTreeMap;

use super::outcome::Service;

/// Most names in one condition list; more would be a file that nobody reads.
const NAMES_MAX: usize = 64;

/// What a service waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Waits {
    /// Conditions as they are written.
    pub(super) after: Vec<String>,
    /// There would have been too many.
    pub(super) cut: bool,
}

/// Services of one group and one priority that others can wait for.
type Members<'a> = BTreeMap<&'a str, Vec<&'a Service>>;

/// Returns what each service waits for. Transitive: the next lower priority waits for those below it
/// itself. supervisord only keeps the order, and goes on when a program cannot be started: so it is
/// enough that a start is over.
pub(super) fn order(services: &[Service]) -> Vec<Waits> {
    let mut groups: BTreeMap<i64, Members<'_>> = BTreeMap::new();
    let mut inside: BTreeMap<(&str, i64), Vec<&Service>> = BTreeMap::new();
    for service in services {
        let (of_group, own) = service.priority;
        let members = groups.entry(of_group).or_default();
        members.entry(&service.group).or_default().push(service);
        let key = (service.group.as_str(), own);
        inside.entry(key).or_default().push(service);
    }
    let waits = services.iter().map(|service| {
        let (of_group, own) = service.priority;
        let group = service.group.as_str();
        let mut names: Vec<String> = Vec::new();
        let lower = groups.range(..of_group).next_back();
        for (name, members) in lower.map(|(_, members)| members).into_iter().flatten() {
            if members.iter().any(|m| m.group != m.name) {
                names.push(format!("{name}:*=settled"));
            } else {
                names.extend(members.iter().take(NAMES_MAX + 1).map(|m| settled(m)));
            }
            if names.len() > NAMES_MAX {
                break;
            }
        }
        let before = inside.range((group, i64::MIN)..(group, own)).next_back();
        let before = before.map(|(_, members)| members).into_iter().flatten();
        names.extend(before.take(NAMES_MAX + 1).map(|member| settled(member)));
        let cut = names.len() > NAMES_MAX;
        names.truncate(NAMES_MAX);
        Waits { after: names, cut }
    });
    waits.collect()
}

fn settled(service: &Service) -> String {
    format!("{}=settled", service.full_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, priority: (i64, i64)) -> Service {
        let (group, name) = name.split_once(':').unwrap_or((name, name));
        Service {
            section: String::new(),
            name: name.to_owned(),
            group: group.to_owned(),
            alone: group == name,
            priority,
            fields: Vec::new(),
        }
    }

    fn after(services: &[Service]) -> Vec<String> {
        let waits = order(services).into_iter();
        waits.map(|waits| waits.after.join(" ")).collect()
    }

    #[test]
    fn each_group_waits_for_the_next_lower_priority() {
        let services = [
            service("logging:dump", (1, 999)),
            service("logging:web", (1, 999)),
            service("monitoring:a", (2, 1)),
            service("monitoring:b", (2, 5)),
            service("alone", (2, 2)),
            service("alerts:mail", (999, 999)),
        ];
        assert_eq!(
            after(&services),
            [
                "",
                "",
                "logging:*=settled",
                "logging:*=settled monitoring:a=settled",
                "logging:*=settled",
                "alone=settled monitoring:*=settled",
            ]
        );
    }

    #[test]
    fn long_lists_are_cut() {
        let mut services: Vec<_> = (0..100)
            .map(|n| service(&format!("a{n}"), (1, 1)))
            .collect();
        services.push(service("last", (2, 2)));
        let waits = order(&services);
        assert_eq!(waits[100].after.len(), NAMES_MAX);
        assert!(waits[100].cut);
    }
}
