//! Runs the checks of services from outside, each when it is due, one of a kind at a time.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::check::CheckResult;
use super::heartbeats::Heartbeats;
use super::heirs::Heirs;
use crate::body::errand::Surroundings;
use crate::body::knock;
use crate::config::plan::{CheckProbe, CheckRule};

/// Finds what a command needs to be run beside a service; may block.
pub(crate) type Setting = Box<dyn FnOnce() -> io::Result<Surroundings> + Send>;

/// Runs the checks of services.
#[derive(Default)]
pub struct Checks {
    slots: HashMap<(Arc<str>, usize), Slot>,
    running: JoinSet<CheckResult>,
}

struct Slot {
    incarnation: u64,
    rule: CheckRule,
    next: Instant,
    under_way: bool,
    /// Heartbeats at the last check.
    beats: u64,
}

impl Checks {
    /// Starts what is due of a service that is up; commands in the setting of that.
    pub(crate) fn start_due(
        &mut self,
        (service, incarnation): (&Arc<str>, u64),
        (rules, setting): (&[CheckRule], &dyn Fn() -> Setting),
        heartbeats: &Heartbeats,
        now: Instant,
    ) {
        for (index, rule) in rules.iter().enumerate() {
            let beats = || heartbeats.of(service).count();
            let slot = self.slots.entry((service.clone(), index));
            let slot = slot.or_insert_with(|| Slot::new(incarnation, rule, beats(), now));
            if slot.incarnation != incarnation || slot.rule != *rule {
                *slot = Slot::new(incarnation, rule, beats(), now);
            }
            if slot.under_way || slot.next > now {
                continue;
            }
            slot.under_way = true;
            // Checks that take long do not come thick and fast afterwards.
            slot.next = now + rule.every;
            let alive = beats() > slot.beats;
            slot.beats = beats();
            let (service, rule) = (service.clone(), rule.clone());
            let setting = matches!(rule.probe, CheckProbe::Exec(_)).then(setting);
            self.running.spawn(async move {
                CheckResult {
                    found: run(&rule, alive, setting).await,
                    service,
                    index,
                    incarnation,
                }
            });
        }
    }

    /// Returns the results that came in.
    pub fn results(&mut self) -> Vec<CheckResult> {
        let mut results = Vec::new();
        while let Some(ended) = self.running.try_join_next() {
            // A check that panicked is a bug of ours and says nothing of the service; its slot stays
            // taken until the service starts anew.
            let Ok(result) = ended else { continue };
            let slot = self.slots.get_mut(&(result.service.clone(), result.index));
            if let Some(slot) = slot.filter(|slot| slot.incarnation == result.incarnation) {
                slot.under_way = false;
            }
            results.push(result);
        }
        results
    }

    /// Forgets services that are no more, and follows the others to their names.
    pub fn follow(&mut self, heirs: &Heirs) {
        let before = std::mem::take(&mut self.slots).into_iter();
        self.slots
            .extend(before.filter_map(|((service, index), mut slot)| {
                let name = heirs.of(&service)?;
                // A result that is still to come has the old name; nobody waits for it any more.
                slot.under_way &= name == service;
                Some(((name, index), slot))
            }));
    }
}

impl Slot {
    fn new(incarnation: u64, rule: &CheckRule, beats: u64, now: Instant) -> Self {
        // Nobody can have said anything yet.
        let first = match rule.probe {
            CheckProbe::Notify => rule.grace.max(rule.every),
            CheckProbe::Http(_) | CheckProbe::Tcp(_) | CheckProbe::Exec(_) => rule.grace,
        };
        Self {
            incarnation,
            rule: rule.clone(),
            next: now + first,
            under_way: false,
            beats,
        }
    }
}

async fn run(rule: &CheckRule, alive: bool, setting: Option<Setting>) -> Result<(), String> {
    let check = async {
        match &rule.probe {
            CheckProbe::Http(url) => knock::http(url).await,
            CheckProbe::Tcp(address) => knock::tcp(address).await,
            CheckProbe::Exec(argv) => exec(argv, setting).await,
            CheckProbe::Notify if alive => Ok(()),
            CheckProbe::Notify => Err("no WATCHDOG=1".to_owned()),
        }
    };
    let late = || format!("no answer within {} s", rule.timeout.as_secs_f64());
    timeout(rule.timeout, check)
        .await
        .unwrap_or_else(|_| Err(late()))
}

async fn exec(argv: &[String], setting: Option<Setting>) -> Result<(), String> {
    let setting = setting.ok_or("no setting")?;
    let found = tokio::task::spawn_blocking(setting).await;
    let found = found.map_err(|error| error.to_string())?;
    let around = found.map_err(|error| error.to_string())?;
    around.succeeds(argv).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::body::{Remains, Spawner};
    use crate::config::plan::HealthAction;

    #[tokio::test]
    async fn a_check_runs_when_due_and_says_what_was_wrong() {
        let rule = CheckRule {
            probe: CheckProbe::Exec(vec!["sh".into(), "-c".into(), "exit 3".into()]),
            every: Duration::from_secs(10),
            timeout: Duration::from_secs(20),
            fails: 1,
            ok_after: 1,
            grace: Duration::ZERO,
            action: HealthAction::Restart,
        };
        let notify = CheckRule {
            probe: CheckProbe::Notify,
            ..rule.clone()
        };
        let (mut checks, beats) = (Checks::default(), Heartbeats::default());
        let (name, now, rules) = (Arc::from("a"), Instant::now(), [rule, notify]);
        let mut found = Vec::new();
        let (spawner, remains) = (Spawner::start().unwrap(), Remains::start(false).unwrap());
        let setting = || -> Setting {
            let (spawner, remains) = (spawner.clone(), remains.clone());
            Box::new(|| {
                Ok(Surroundings::bare(
                    "test-check".to_owned(),
                    spawner,
                    remains,
                ))
            })
        };
        for seconds in [0, 5, 10] {
            checks.start_due(
                (&name, 1),
                (&rules, &setting),
                &beats,
                now + Duration::from_secs(seconds),
            );
            beats.of(&name).beat();
            while !checks.running.is_empty() {
                let results = checks.results();
                found.extend(results.into_iter().map(|r| (seconds, r.index, r.found)));
                tokio::task::yield_now().await;
            }
        }
        found.sort();
        let failed = || Err("exit:3".to_owned());
        assert_eq!(
            found,
            [(0, 0, failed()), (10, 0, failed()), (10, 1, Ok(()))]
        );
    }
}
