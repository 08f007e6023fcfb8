//! What a new plan would change in the one in force: pure, nothing is done here.

use std::collections::HashMap;
use std::sync::Arc;

use fathom_kernel::{Changes, Consequence, FieldChange, GroupChange, ServiceChange};

use super::plan::{Body, OnFatal, Plan, ServicePlan};
use super::sheet::{Sheet, worst};

/// What becomes of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// Its place in the old plan.
    pub(crate) old: Option<usize>,
    /// Its place in the new plan.
    pub(crate) new: Option<usize>,
    /// What it means for it.
    pub(crate) consequence: Consequence,
    /// The keys that differ.
    pub(crate) fields: Vec<FieldChange>,
}

/// Everything that differs between two plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diff {
    /// One for each service of either plan: removed ones first, then in the order of the new plan.
    pub(crate) steps: Vec<Step>,
    /// Groups that differ, by name.
    pub(crate) groups: Vec<GroupChange>,
    /// Keys of the whole stack that differ.
    pub(crate) stack: Vec<FieldChange>,
}

/// Compares two plans. A service is the same one when its full name is, or else when the part after
/// the group's colon is: then it moves to another group.
pub(crate) fn diff(old: &Plan, new: &Plan) -> Diff {
    let pairs = pairs(&old.services, &new.services);
    let gone = (0..old.services.len()).filter(|index| !pairs.values().any(|o| o == index));
    let removed = gone.map(|index| Step {
        old: Some(index),
        new: None,
        consequence: Consequence::Remove,
        fields: Vec::new(),
    });
    let detectors = (detector(old), detector(new));
    let kept = new.services.iter().enumerate().map(|(index, service)| {
        let before = pairs.get(&index).copied();
        let fields = before.map_or_else(Vec::new, |before| {
            changes(&old.services[before], service, &detectors)
        });
        Step {
            old: before,
            new: Some(index),
            consequence: match before {
                None => Consequence::Add,
                Some(_) => worst(&fields),
            },
            fields,
        }
    });
    Diff {
        steps: removed.chain(kept).collect(),
        groups: groups(old, new),
        stack: Sheet::stack(old).changes(&Sheet::stack(new)),
    }
}

impl Diff {
    /// Returns the changes for people and programs.
    pub(crate) fn changes(&self, old: &Plan, new: &Plan) -> Changes {
        let steps = self.steps.iter();
        let steps = steps.filter(|step| step.consequence != Consequence::None);
        Changes {
            running: old.services.len(),
            stack: self.stack.clone(),
            groups: self.groups.clone(),
            services: steps.filter_map(|step| step.shown(old, new)).collect(),
            ..Changes::default()
        }
    }

    /// Tells whether nothing is left that could be put in force without a new start of the
    /// supervisor.
    pub(crate) fn is_settled(&self) -> bool {
        let steps = self.steps.iter().map(|step| step.consequence);
        let stack = self.stack.iter().map(|field| field.consequence);
        let open = |c| !matches!(c, Consequence::None | Consequence::Relaunch);
        self.groups.is_empty() && !steps.chain(stack).any(open)
    }
}

impl Step {
    fn shown(&self, old: &Plan, new: &Plan) -> Option<ServiceChange> {
        let before = self.old.and_then(|index| old.services.get(index));
        let after = self.new.and_then(|index| new.services.get(index));
        let now = after.or(before)?;
        let was = before.filter(|before| before.name != now.name);
        let essential = |plan: &ServicePlan| plan.on_fatal == OnFatal::Shutdown;
        Some(ServiceChange {
            name: now.name.to_string(),
            was: was.map(|was| was.name.to_string()),
            group: now.group.to_string(),
            consequence: self.consequence,
            essential: before.is_some_and(essential) || after.is_some_and(essential),
            fields: self.fields.clone(),
        })
    }
}

/// Returns, for places in the new list, the place of the same service in the old one.
pub(crate) fn pairs(old: &[ServicePlan], new: &[ServicePlan]) -> HashMap<usize, usize> {
    let by_name: HashMap<&str, usize> = old.iter().map(|s| &*s.name).zip(0..).collect();
    let mut pairs: HashMap<usize, usize> = new
        .iter()
        .enumerate()
        .filter_map(|(index, service)| Some((index, *by_name.get(&*service.name)?)))
        .collect();
    let taken: Vec<usize> = pairs.values().copied().collect();
    let left_old = Names::of(old.iter().enumerate().filter(|(i, _)| !taken.contains(i)));
    let left_new = Names::of(
        new.iter()
            .enumerate()
            .filter(|(i, _)| !pairs.contains_key(i)),
    );
    for (name, index) in left_new.0 {
        if let (Some(index), Some(Some(before))) = (index, left_old.0.get(name)) {
            pairs.insert(index, *before);
        }
    }
    pairs
}

/// Services by the last part of their name; `None` when several have the same.
struct Names<'a>(HashMap<&'a str, Option<usize>>);

impl<'a> Names<'a> {
    fn of(services: impl Iterator<Item = (usize, &'a ServicePlan)>) -> Self {
        let mut names = HashMap::new();
        for (index, service) in services {
            let name: &str = &service.name;
            let short = name.rsplit(':').next().unwrap_or(name);
            names
                .entry(short)
                .and_modify(|found| *found = None)
                .or_insert(Some(index));
        }
        Self(names)
    }
}

/// Tells whether a keeper that goes by the one plan may go on without the other.
pub(crate) fn is_same(a: &ServicePlan, b: &ServicePlan) -> bool {
    let factories = match (&a.body, &b.body) {
        (Body::Kind(a), Body::Kind(b)) => Arc::ptr_eq(&a.factory, &b.factory),
        _ => true,
    };
    a.name == b.name && factories && Sheet::service(a) == Sheet::service(b)
}

/// Returns the keys in which two plans of the same service differ.
fn changes(
    old: &ServicePlan,
    new: &ServicePlan,
    (detector_old, detector_new): &(Option<String>, Option<String>),
) -> Vec<FieldChange> {
    let (mut before, mut after) = (Sheet::service(old), Sheet::service(new));
    // What runs without the socket can say nothing, and a rule that waits for it would wait in vain.
    if new.is_listened_to() && !old.is_listened_to() {
        after.add("NOTIFY_SOCKET", "\"given\"".into(), Consequence::Restart);
    }
    // Monitors go over to it by themselves; programs never look at it.
    for (sheet, plan, detector) in [
        (&mut before, old, detector_old),
        (&mut after, new, detector_new),
    ] {
        let (Body::Kind(body), Some(detector)) = (&plan.body, detector) else {
            continue;
        };
        if body.kind.reads_detector {
            sheet.add("detector", detector.clone(), Consequence::Restart);
        } else if body.kind.follows_detector {
            sheet.add("detector", detector.clone(), Consequence::Hot);
        }
    }
    before.changes(&after)
}

/// Returns a text that differs when the detector does.
fn detector(plan: &Plan) -> Option<String> {
    use sha2::Digest as _;
    let detector = plan.setup.detector.as_ref()?;
    let text = detector.to_detx(fathom_formats::detx::DetxVersion::V5);
    let digest = sha2::Sha256::digest(text.as_bytes());
    let short: String = digest.iter().take(4).map(|b| format!("{b:02x}")).collect();
    let (dus, modules) = (detector.dus().len(), detector.modules().len());
    let id = detector.id.0;
    Some(format!(
        "{id} ({dus} detection units, {modules} modules, {short})"
    ))
}

fn groups(old: &Plan, new: &Plan) -> Vec<GroupChange> {
    let change = |name: &str, consequence, fields| GroupChange {
        name: name.to_owned(),
        consequence,
        fields,
    };
    let before = |name: &str| old.groups.iter().find(|group| *group.name == *name);
    let mut changes: Vec<GroupChange> = Vec::new();
    for group in &new.groups {
        match before(&group.name) {
            None => changes.push(change(&group.name, Consequence::Add, Vec::new())),
            Some(old) => {
                let fields = Sheet::group(old).changes(&Sheet::group(group));
                if !fields.is_empty() {
                    changes.push(change(&group.name, Consequence::Hot, fields));
                }
            }
        }
    }
    let is_gone = |name: &str| new.groups.iter().all(|group| *group.name != *name);
    for group in old.groups.iter().filter(|group| is_gone(&group.name)) {
        changes.push(change(&group.name, Consequence::Remove, Vec::new()));
    }
    changes.sort_by(|a, b| a.name.cmp(&b.name));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::merge::{MergeError, Take, merged, without};
    use crate::config::{Origin, load};

    fn plan(text: &str) -> Plan {
        let origin = Origin {
            file: "test.toml".into(),
            text: Some(text.to_owned()),
            ..Origin::default()
        };
        match load(&origin) {
            Ok(loaded) => loaded.plan,
            Err(report) => panic!("{}", report.render(false)),
        }
    }

    /// Returns name and consequence of each step, with the keys that differ.
    fn steps(old: &Plan, new: &Plan) -> Vec<String> {
        let changes = diff(old, new).changes(old, new);
        let line = |change: &ServiceChange| {
            let fields = change.fields.iter().map(|field| {
                let side = |side: &Option<String>| side.clone().unwrap_or("-".to_owned());
                format!(
                    " {}: {} -> {}",
                    field.field,
                    side(&field.old),
                    side(&field.new)
                )
            });
            let was = change.was.iter().map(|was| format!(" (was {was})"));
            let rest: String = was.chain(fields).collect();
            format!("{} {}{rest}", change.consequence, change.name)
        };
        changes.services.iter().map(line).collect()
    }

    #[test]
    fn each_key_has_its_consequence() {
        let base = "[service.a]\ncommand = \"sleep 1\"\n";
        for (more, expected) in [
            ("", ""),
            (
                "backoff = { max = \"1m\" }",
                "hot a backoff.max: \"30s\" -> \"1m\"",
            ),
            (
                "budget = { restarts = 3 }",
                "hot a budget.restarts: 10 -> 3",
            ),
            (
                "restart = \"never\"",
                "hot a restart: \"always\" -> \"never\"",
            ),
            (
                "on_fatal = \"retry:5m\"",
                "hot a on_fatal: \"keep\" -> \"retry:5m\"",
            ),
            (
                "stop = { wait = \"1s\" }",
                "hot a stop.wait: \"10s\" -> \"1s\"",
            ),
            (
                "ready_timeout = \"1m\"",
                "hot a ready_timeout: \"30s\" -> \"1m\"",
            ),
            ("autostart = false", "hot a autostart: true -> false"),
            ("description = \"x\"", "hot a description: \"\" -> \"x\""),
            ("log = { backups = 3 }", "hot a log.backups: 10 -> 3"),
            (
                "log = { stderr = \"separate\" }",
                "restart a log.stderr: \"merge\" -> \"separate\"",
            ),
            ("env = { X = \"1\" }", "restart a env.X: - -> \"1\""),
            ("cwd = \"/\"", "restart a cwd: - -> \"/\""),
            ("user = \"nobody\"", "restart a user: - -> \"nobody\""),
            (
                "limits = { nofile = 64 }",
                "restart a limits.nofile: - -> 64",
            ),
            ("nice = 5", "restart a nice: - -> 5"),
            (
                "args = [\"2\"]",
                "restart a command: [\"sleep\", \"1\"] -> [\"sleep\", \"1\", \"2\"]",
            ),
        ] {
            let found = steps(&plan(base), &plan(&format!("{base}{more}")));
            let expected: Vec<&str> = Some(expected)
                .filter(|e| !e.is_empty())
                .into_iter()
                .collect();
            assert_eq!(found, expected, "{more}");
        }
    }

    /// Such a rule took effect at once, and the program had nothing to say it on.
    #[test]
    fn a_rule_that_waits_for_notices_needs_a_start_with_the_socket() {
        let command = "[service.a]\ncommand = \"sleep 1\"\n";
        let consequence = |old: &str, new: &str| {
            let [old, new] = [old, new].map(|rules| plan(&format!("{command}{rules}")));
            let changes = diff(&old, &new).changes(&old, &new);
            let fields = changes.services[0].fields.iter().map(|f| f.field.clone());
            (changes.services[0].consequence, fields.collect::<Vec<_>>())
        };
        let check = "check = [{ notify = true }]\n";
        let slower = "check = [{ notify = true, every = \"20s\" }]\n";
        let (restart, hot) = (Consequence::Restart, Consequence::Hot);
        let fields = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(
            consequence("", check),
            (restart, fields(&["check", "NOTIFY_SOCKET"]))
        );
        let ready = "ready = \"notify\"\n";
        assert_eq!(
            consequence("", ready),
            (restart, fields(&["ready", "NOTIFY_SOCKET"]))
        );
        assert_eq!(
            consequence(ready, &format!("{ready}{check}")),
            (hot, fields(&["check"]))
        );
        assert_eq!(consequence(check, slower), (hot, fields(&["check"])));
        assert_eq!(consequence(check, ""), (hot, fields(&["check"])));
    }

    #[test]
    fn options_need_a_restart_and_a_detector_only_for_those_who_do_not_follow_it() {
        let text = |dus: u32, rate: &str| {
            format!(
                "[detector]\ngeometry = \"orca\"\ndus = {dus}\n[service.p]\ncommand = \"true\"\n\
                 [service.f]\nkind = \"fake_detector\"\n[service.l]\nkind = \"ligier\"\n\
                 [service.d]\nkind = \"dom_rates\"\n{rate}"
            )
        };
        let old = plan(&text(2, ""));
        assert_eq!(steps(&old, &plan(&text(2, ""))), Vec::<String>::new());
        assert_eq!(
            steps(&old, &plan(&text(2, "lowest_rate = 150.0"))),
            ["restart d lowest_rate: - -> 150.0"]
        );
        let found = steps(&old, &plan(&text(3, "")));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("restart f detector: "), "{found:?}");
        assert!(found[1].starts_with("hot d detector: "), "{found:?}");
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let text = |value| {
            format!("[service.a]\ncommand = \"true\"\nenv = {{ DB_PASSWORD = \"{value}\" }}")
        };
        let found = steps(&plan(&text("hush")), &plan(&text("shh")));
        assert_eq!(
            found,
            ["restart a env.DB_PASSWORD: (not shown) -> (not shown)"]
        );
    }

    #[test]
    fn the_password_of_an_address_is_not_shown_when_it_changes() {
        let text = |address: &str| {
            format!(
                "[detector]\ngeometry = \"orca\"\ndus = 1\n\
                 [service.a]\nkind = \"acoustics\"\nsource = \"{address}\"\n"
            )
        };
        let found = |old, new| steps(&plan(&text(old)), &plan(&text(new)));
        assert_eq!(
            found("https://me:hush@db/x", "https://me:hush@db/y"),
            ["restart a source: \"https://me:***@db/x\" -> \"https://me:***@db/y\""]
        );
        // Only the password: that it changed is told all the same.
        assert_eq!(
            found("https://me:hush@db/x", "https://me:shh@db/x"),
            ["restart a source: (not shown) -> (not shown)"]
        );
    }

    const TREE: &str = "[group.g]\n[group.h]\n\
        [service.a]\ncommand = \"true\"\ngroup = \"g\"\n\
        [service.b]\ncommand = \"true\"\nafter = [\"g:a\"]\n";

    #[test]
    fn a_service_that_changes_its_group_is_the_same_one() {
        let moved = TREE.replace("group = \"g\"", "group = \"h\"");
        let (old, new) = (plan(TREE), plan(&moved.replace("g:a", "h:a")));
        assert_eq!(
            steps(&old, &new),
            [
                "hot h:a (was g:a) group: \"g\" -> \"h\"",
                "hot b after: [\"g:a\"] -> [\"h:a\"]",
            ]
        );
        // Only the move: whoever waits for it goes on waiting for the same one.
        let found = diff(&old, &new);
        let only_a = |step: &Step| step.old == Some(0);
        let take = Take {
            steps: &only_a,
            whole: false,
            gaps: false,
        };
        let merged = merged((&old, &new), &found, &take).unwrap();
        assert_eq!(&*merged.service("b").unwrap().after[0].name, "h:a");
    }

    #[test]
    fn policies_of_groups_are_no_affair_of_their_members() {
        let (old, new) = (
            plan(TREE),
            plan(&TREE.replace("[group.g]", "[group.g]\ndescription = \"x\"")),
        );
        let found = diff(&old, &new);
        assert!(
            found
                .steps
                .iter()
                .all(|s| s.consequence == Consequence::None)
        );
        assert_eq!(found.groups.len(), 1);
        assert!(!found.is_settled());
    }

    #[test]
    fn what_the_supervisor_itself_is_made_with_waits_for_its_new_start() {
        let (old, new) = (
            plan(TREE),
            plan(&format!("{TREE}[log]\nlevel = \"debug\"\n")),
        );
        let found = diff(&old, &new);
        assert_eq!(found.stack[0].consequence, Consequence::Relaunch);
        assert!(found.is_settled());
    }

    #[test]
    fn some_changes_go_only_together() {
        let old = plan(
            "[service.a]\ncommand = \"true\"\nafter = [\"b\"]\n[service.b]\ncommand = \"true\"",
        );
        let new = plan(
            "[service.a]\ncommand = \"true\"\n[service.b]\ncommand = \"true\"\nafter = [\"a\", \"c\"]\n\
             [service.c]\ncommand = \"true\"",
        );
        let found = diff(&old, &new);
        let only_b = |step: &Step| step.new.is_some_and(|i| &*new.services[i].name == "b");
        let try_b = |gaps| {
            let take = Take {
                steps: &only_b,
                whole: false,
                gaps,
            };
            merged((&old, &new), &found, &take)
        };
        let missing = MergeError::Missing {
            service: "b".to_owned(),
            missing: "c".to_owned(),
        };
        assert_eq!(try_b(false).map(|_| ()), Err(missing));
        assert!(matches!(try_b(true).map(|_| ()), Err(MergeError::Cycle(_))));
        let take = Take {
            steps: &|_| true,
            whole: true,
            gaps: false,
        };
        let whole = merged((&old, &new), &found, &take).unwrap();
        let names: Vec<&str> = whole.services.iter().map(|s| &*s.name).collect();
        assert_eq!(names, ["a", "c", "b"]);
        assert_eq!(whole.levels.len(), 2);
        let left = without(&whole, "c");
        assert!(left.service("c").is_none() && left.groups.len() == 2);
    }
}
