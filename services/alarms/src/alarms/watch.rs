//! What the engine finds out itself: the state of the services and of the disks.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fathom_kernel::{Health, ServiceStatus, Severity, StackStatus, State};
use jiff::Timestamp;

use super::Options;

/// Kinds whose messages all others live on.
const BROKERS: [&str; 3] = ["ligier", "ligiermirror", "ligier_source"];

/// Most failures remembered of one service.
const FAILURES_MAX: usize = 100;

/// What was found about one subject of one rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    pub(crate) rule: String,
    pub(crate) subject: String,
    pub(crate) verdict: Verdict,
}

/// Whether a condition holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// It holds: how bad it is, in words.
    Bad(Severity, String),
    /// It does not.
    Good,
    /// It is too early to say; what was said before stays.
    Unknown,
}

/// How full a disk is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Disk {
    pub(crate) folder: PathBuf,
    /// Fraction in use, of what is not reserved for the superuser.
    pub(crate) used: f64,
    pub(crate) free_bytes: u64,
}

/// Remembers what the services counted before.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    seen: HashMap<String, Seen>,
}

/// What was seen of one service.
#[derive(Debug)]
struct Seen {
    first: Timestamp,
    received: u64,
    /// When something was received last, or when it was seen first.
    heard: Timestamp,
    restarts: u64,
    failures: VecDeque<Timestamp>,
    dropped: u64,
    /// Drops with the time at which they were noticed.
    drops: VecDeque<(Timestamp, u64)>,
}

fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

fn finding(rule: &str, subject: &str, verdict: Verdict) -> Finding {
    Finding {
        rule: rule.to_owned(),
        subject: subject.to_owned(),
        verdict,
    }
}

impl Watch {
    /// Judges every service. A service that is not part of the stack any more is not mentioned.
    pub(crate) fn services(
        &mut self,
        status: &StackStatus,
        options: &Options,
        now: Timestamp,
    ) -> Vec<Finding> {
        self.seen
            .retain(|name, _| status.services.iter().any(|service| service.name == *name));
        let mut findings = Vec::new();
        for service in &status.services {
            let seen = self.seen.entry(service.name.clone());
            let seen = seen.or_insert_with(|| Seen::first(service, now));
            seen.learn(service, options, now);
            findings.extend(seen.judge(service, options, now));
        }
        findings
    }
}

impl Seen {
    fn first(service: &ServiceStatus, now: Timestamp) -> Self {
        Self {
            first: now,
            received: service.counters.received,
            heard: now,
            restarts: service.restarts,
            failures: VecDeque::new(),
            dropped: service.counters.dropped,
            drops: VecDeque::new(),
        }
    }

    fn learn(&mut self, service: &ServiceStatus, options: &Options, now: Timestamp) {
        let counters = &service.counters;
        if counters.received != self.received || service.state != State::Running {
            (self.received, self.heard) = (counters.received, now);
        }
        let failures = service.restarts.saturating_sub(self.restarts);
        self.restarts = service.restarts;
        let failures = usize::try_from(failures).unwrap_or(FAILURES_MAX);
        self.failures
            .extend(std::iter::repeat_n(now, failures.min(FAILURES_MAX)));
        let surplus = self.failures.len().saturating_sub(FAILURES_MAX);
        self.failures.drain(..surplus);
        self.failures
            .retain(|at| since(*at, now) <= options.restart_window.duration());
        let drops = counters.dropped.saturating_sub(self.dropped);
        self.dropped = counters.dropped;
        if drops > 0 {
            self.drops.push_back((now, drops));
        }
        self.drops
            .retain(|(at, _)| since(*at, now) <= options.drop_window.duration());
    }

    fn judge(
        &self,
        service: &ServiceStatus,
        options: &Options,
        now: Timestamp,
    ) -> impl Iterator<Item = Finding> {
        let name = &*service.name;
        let seen_for = since(self.first, now);
        let early = |window: Duration| match seen_for < window {
            true => Verdict::Unknown,
            false => Verdict::Good,
        };
        let restarting = match self.failures.len() >= options.restarts {
            true => Verdict::Bad(
                Severity::Warning,
                restarting_text(service, self.failures.len()),
            ),
            false => early(options.restart_window.duration()),
        };
        let drops: u64 = self.drops.iter().map(|(_, count)| count).sum();
        let dropped = match drops {
            0 => early(options.drop_window.duration()),
            _ => Verdict::Bad(
                Severity::Warning,
                format!("{name} dropped {drops} messages"),
            ),
        };
        let is_broker = service
            .kind
            .as_deref()
            .is_some_and(|kind| BROKERS.contains(&kind));
        let silent = is_broker.then(|| self.silent(service, options, now));
        let findings = [
            ("service_fatal", fatal(service)),
            ("service_restarting", restarting),
            ("service_lagging", lagging(service)),
            ("service_failing", failing(service)),
            ("messages_dropped", dropped),
        ];
        let findings = findings.map(|(rule, verdict)| finding(rule, name, verdict));
        let silent = silent.map(|verdict| finding("broker_silent", name, verdict));
        findings.into_iter().chain(silent)
    }

    fn silent(&self, service: &ServiceStatus, options: &Options, now: Timestamp) -> Verdict {
        let quiet = since(self.heard, now);
        if service.state != State::Running {
            return Verdict::Good;
        }
        match quiet >= options.silent_after.duration() {
            true => Verdict::Bad(
                Severity::Alert,
                format!("{} has had no data for {} s", service.name, quiet.as_secs()),
            ),
            // Never heard of since it was first looked at: nobody knows yet.
            false if self.heard == self.first => Verdict::Unknown,
            false => Verdict::Good,
        }
    }
}

fn restarting_text(service: &ServiceStatus, failures: usize) -> String {
    let times = match failures {
        1 => "once".to_owned(),
        more => format!("{more} times"),
    };
    let why = service.last_exit.as_deref().unwrap_or("reason unknown");
    format!(
        "{} failed {times} lately and was restarted, {why}",
        service.name
    )
}

fn fatal(service: &ServiceStatus) -> Verdict {
    if service.state != State::Fatal {
        return Verdict::Good;
    }
    let why = service.trouble.as_deref().or(service.last_exit.as_deref());
    let why = why.unwrap_or("reason unknown");
    Verdict::Bad(
        Severity::Alert,
        format!("{} is FATAL and is not restarted: {why}", service.name),
    )
}

fn lagging(service: &ServiceStatus) -> Verdict {
    if service.health != Health::Lagging {
        return Verdict::Good;
    }
    let queued: usize = service.queues.iter().map(|queue| queue.queued).sum();
    let text = format!("{} does not keep up, {queued} messages wait", service.name);
    Verdict::Bad(Severity::Warning, text)
}

fn failing(service: &ServiceStatus) -> Verdict {
    if service.health != Health::Failing {
        return Verdict::Good;
    }
    let troubles = service.watch.rules.iter();
    let trouble = troubles.filter_map(|rule| rule.trouble.as_deref()).next();
    let text = format!(
        "{} fails its check: {}",
        service.name,
        trouble.unwrap_or("no reason")
    );
    Verdict::Bad(Severity::Warning, text)
}

/// Judges the disks.
pub(crate) fn disks(disks: &[Disk], options: &Options) -> Vec<Finding> {
    let judge = |disk: &Disk| {
        let severity = match disk.used {
            used if used >= options.disk_alert => Some(Severity::Alert),
            used if used >= options.disk_warning => Some(Severity::Warning),
            _ => None,
        };
        let folder = disk.folder.display();
        let verdict = severity.map_or(Verdict::Good, |severity| {
            let (percent, free_mib) = (disk.used * 100.0, disk.free_bytes >> 20);
            let text =
                format!("the disk of {folder} is {percent:.1} % full, {free_mib} MiB are free");
            Verdict::Bad(severity, text)
        });
        finding("disk_full", &folder.to_string(), verdict)
    };
    disks.iter().map(judge).collect()
}

/// Looks how full the disk of a folder is. Blocks.
pub(crate) fn look_at_disk(folder: &Path) -> Result<Disk, nix::errno::Errno> {
    let found = nix::sys::statvfs::statvfs(folder)?;
    let used = found.blocks().saturating_sub(found.blocks_free());
    let usable = used.saturating_add(found.blocks_available());
    #[expect(
        clippy::cast_precision_loss,
        reason = "a fraction needs no more digits"
    )]
    let fraction = match usable {
        0 => 0.0,
        usable => used as f64 / usable as f64,
    };
    Ok(Disk {
        folder: folder.to_owned(),
        used: fraction,
        free_bytes: found
            .blocks_available()
            .saturating_mul(found.fragment_size()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn stack(services: &[serde_json::Value]) -> StackStatus {
        let services: Vec<serde_json::Value> = services
            .iter()
            .map(|special| {
                let mut service = json!({
                    "name": "m", "group": "g", "kind": "dom_rates", "run": "actor",
                    "state": "RUNNING", "description": "", "want": "up", "health": "ok", "pid": 0,
                    "incarnation": 1, "restarts": 0, "since": at(0).to_string(), "last_exit": null,
                    "after": [], "counters": {}, "queues": [],
                });
                let special = special.as_object().unwrap().clone();
                service.as_object_mut().unwrap().extend(special);
                service
            })
            .collect();
        serde_json::from_value(json!({
            "version": "0", "pid": 1, "started": at(0).to_string(), "stack": "t", "events": 0,
            "services": services,
        }))
        .unwrap()
    }

    fn verdict(findings: &[Finding], rule: &str) -> Verdict {
        let found = findings.iter().find(|finding| finding.rule == rule);
        found.unwrap().verdict.clone()
    }

    fn is_bad(findings: &[Finding], rule: &str) -> bool {
        matches!(verdict(findings, rule), Verdict::Bad(..))
    }

    #[test]
    fn a_fatal_service_is_an_alert_with_its_reason() {
        let status = stack(&[json!({ "state": "FATAL", "trouble": "exit:3" })]);
        let findings = Watch::default().services(&status, &Options::default(), at(0));
        let Verdict::Bad(Severity::Alert, text) = verdict(&findings, "service_fatal") else {
            panic!("{findings:?}")
        };
        assert!(text.contains("exit:3"), "{text}");
    }

    #[test]
    fn a_failure_is_an_alarm_for_five_minutes_and_an_operator_is_none() {
        let (mut watch, options) = (Watch::default(), Options::default());
        let mut look = |restarts: u64, incarnation: u64, second| {
            let status = stack(&[json!({ "restarts": restarts, "incarnation": incarnation })]);
            let findings = watch.services(&status, &options, at(second));
            verdict(&findings, "service_restarting")
        };
        assert_eq!(look(7, 8, 0), Verdict::Unknown);
        assert_eq!(look(7, 9, 300), Verdict::Good);
        assert!(matches!(look(8, 10, 305), Verdict::Bad(..)));
        assert!(matches!(look(8, 10, 605), Verdict::Bad(..)));
        assert_eq!(look(8, 10, 606), Verdict::Good);
    }

    #[test]
    fn a_broker_without_data_is_an_alarm_after_two_minutes() {
        let (mut watch, options) = (Watch::default(), Options::default());
        let mut look = |received: u64, second| {
            let counters = json!({ "received": received });
            let status = stack(&[json!({ "kind": "ligier", "counters": counters })]);
            let findings = watch.services(&status, &options, at(second));
            verdict(&findings, "broker_silent")
        };
        assert_eq!(look(5, 0), Verdict::Unknown);
        assert_eq!(look(5, 119), Verdict::Unknown);
        assert!(matches!(look(5, 120), Verdict::Bad(Severity::Alert, _)));
        assert_eq!(look(6, 125), Verdict::Good);
        assert_eq!(look(6, 244), Verdict::Good);
        assert!(matches!(look(6, 245), Verdict::Bad(..)));
    }

    #[test]
    fn a_monitor_without_data_is_no_silent_broker() {
        let findings = Watch::default().services(&stack(&[json!({})]), &Options::default(), at(0));
        assert!(
            findings
                .iter()
                .all(|finding| finding.rule != "broker_silent")
        );
    }

    #[test]
    fn drops_and_lag_are_told_and_pass() {
        let (mut watch, options) = (Watch::default(), Options::default());
        let mut look = |dropped: u64, health: &str, second| {
            let status = stack(&[json!({ "counters": { "dropped": dropped }, "health": health })]);
            watch.services(&status, &options, at(second))
        };
        look(100, "ok", 0);
        let findings = look(150, "lagging", 5);
        assert!(is_bad(&findings, "messages_dropped") && is_bad(&findings, "service_lagging"));
        let Verdict::Bad(_, text) = verdict(&findings, "messages_dropped") else {
            panic!("{findings:?}")
        };
        assert!(text.contains(" 50 messages"), "{text}");
        let findings = look(150, "failing", 66);
        assert_eq!(verdict(&findings, "messages_dropped"), Verdict::Good);
        assert!(is_bad(&findings, "service_failing"));
    }

    #[test]
    fn disks_warn_at_ninety_and_alert_at_ninety_seven_percent() {
        let disk = |used| Disk {
            folder: "/data".into(),
            used,
            free_bytes: 5 << 20,
        };
        let judge = |used| disks(&[disk(used)], &Options::default()).remove(0).verdict;
        assert_eq!(judge(0.899), Verdict::Good);
        let warning = "the disk of /data is 90.0 % full, 5 MiB are free".to_owned();
        assert_eq!(judge(0.9), Verdict::Bad(Severity::Warning, warning));
        assert!(matches!(judge(0.97), Verdict::Bad(Severity::Alert, _)));
    }

    #[test]
    fn the_disk_of_a_folder_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let disk = look_at_disk(folder.path()).unwrap();
        assert!((0.0..=1.0).contains(&disk.used), "{disk:?}");
        assert!(look_at_disk(&folder.path().join("none")).is_err());
    }
}
