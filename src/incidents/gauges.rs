//! Figures of running services, taken now and then: memory, threads, open files, waiting messages.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fathom_kernel::{Bus, SubscriberStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Time between two looks at the queues.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks between two looks at a process; each costs tens of microseconds per child.
const LOOKS_PER_PROCESS: u64 = 15;

/// The highest figures seen, and the last queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Peaks {
    /// Looks at the process; 0 when it did not live long enough, or has none of its own.
    pub looks: u64,
    /// Most resident memory [bytes].
    pub rss_bytes: u64,
    /// Most threads.
    pub threads: u64,
    /// Most open files.
    pub open_files: u64,
    /// Messages that waited for the service when it was last looked at, at most a second before its
    /// end.
    pub queued: Option<u64>,
    /// Their bytes.
    pub queued_bytes: Option<u64>,
}

/// The figures of all services of one stack. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Gauges(Arc<Mutex<HashMap<Arc<str>, Gauge>>>);

#[derive(Debug)]
struct Gauge {
    pid: u32,
    /// Name of what runs; its queues bear it, whatever the service is called by now.
    called: Arc<str>,
    peaks: Peaks,
}

impl Gauges {
    /// Begins to look at a service; pid 0 for one without a process.
    pub fn begin(&self, service: &Arc<str>, pid: u32) {
        let gauge = Gauge {
            pid,
            called: service.clone(),
            peaks: Peaks::default(),
        };
        self.lock().insert(service.clone(), gauge);
    }

    /// Ends looking at a service and returns what was seen.
    pub fn end(&self, service: &str) -> Peaks {
        let gauge = self.lock().remove(service);
        gauge.map(|gauge| gauge.peaks).unwrap_or_default()
    }

    /// Goes on looking at a service under its new name.
    pub fn rename(&self, from: &str, to: &str) {
        let mut gauges = self.lock();
        if let Some(gauge) = gauges.remove(from) {
            gauges.insert(to.into(), gauge);
        }
    }

    /// Looks at all services until the future is dropped.
    pub async fn look_on(self, bus: Bus) {
        let mut clock = tokio::time::interval(LOOK_EVERY);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut looks = 0_u64;
        loop {
            clock.tick().await;
            looks += 1;
            self.look_at_queues(&bus.subscribers());
            let wanted = self.processes(looks.is_multiple_of(LOOKS_PER_PROCESS));
            if wanted.is_empty() {
                continue;
            }
            let gauges = self.clone();
            let looking = tokio::task::spawn_blocking(move || {
                for (service, pid) in wanted {
                    if let Some(seen) = look_at_process(pid) {
                        gauges.note(&service, pid, &seen);
                    }
                }
            });
            // A panic while looking spoils one look only.
            looking.await.ok();
        }
    }

    fn look_at_queues(&self, queues: &[SubscriberStatus]) {
        let mut gauges = self.lock();
        let mut sums: HashMap<&str, (u64, u64)> = HashMap::new();
        for queue in queues {
            let sum = sums.entry(queue.name.as_str()).or_default();
            sum.0 += queue.queued as u64;
            sum.1 += queue.queued_bytes as u64;
        }
        for gauge in gauges.values_mut() {
            // A queue that is gone leaves its last figures.
            if let Some(&(messages, bytes)) = sums.get(&*gauge.called) {
                gauge.peaks.queued = Some(messages);
                gauge.peaks.queued_bytes = Some(bytes);
            }
        }
    }

    /// Returns the processes to look at: those never looked at, or all of them.
    fn processes(&self, all: bool) -> Vec<(Arc<str>, u32)> {
        let gauges = self.lock();
        let due = gauges.iter();
        due.filter(|(_, gauge)| gauge.pid != 0 && (all || gauge.peaks.looks == 0))
            .map(|(service, gauge)| (service.clone(), gauge.pid))
            .collect()
    }

    fn note(&self, service: &str, pid: u32, seen: &Peaks) {
        // Another incarnation may stand there by now.
        if let Some(gauge) = self.lock().get_mut(service).filter(|g| g.pid == pid) {
            let peaks = &mut gauge.peaks;
            peaks.looks += 1;
            peaks.rss_bytes = peaks.rss_bytes.max(seen.rss_bytes);
            peaks.threads = peaks.threads.max(seen.threads);
            peaks.open_files = peaks.open_files.max(seen.open_files);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Gauge>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at a process; `None` when it is gone.
fn look_at_process(pid: u32) -> Option<Peaks> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    // Open files of other users cannot be counted.
    let open_files = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |files| files.count());
    Some(Peaks {
        looks: 1,
        // Counted by the kernel in kibibytes, the most there ever was.
        rss_bytes: field(&status, "VmHWM:").unwrap_or(0) << 10,
        threads: field(&status, "Threads:").unwrap_or(0),
        open_files: open_files as u64,
        queued: None,
        queued_bytes: None,
    })
}

/// Reads a number out of `/proc/PID/status`.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_threads_and_files() {
        let seen = look_at_process(std::process::id()).unwrap();
        assert!(seen.rss_bytes > 1 << 20);
        assert!(seen.threads >= 1 && seen.open_files >= 3);
        assert_eq!(look_at_process(u32::MAX), None);
    }

    #[test]
    fn the_highest_figures_stay_and_those_of_another_incarnation_do_not_count() {
        let (gauges, name) = (Gauges::default(), Arc::from("a"));
        let seen = |threads| Peaks {
            threads,
            ..Peaks::default()
        };
        gauges.begin(&name, 7);
        gauges.note("a", 7, &seen(5));
        gauges.note("a", 7, &seen(3));
        gauges.note("a", 6, &seen(9));
        let queue = SubscriberStatus {
            name: "a".to_owned(),
            queued: 4,
            queued_bytes: 400,
            delivered: 9,
            dropped: 0,
        };
        gauges.look_at_queues(&[queue.clone(), queue]);
        gauges.look_at_queues(&[]);
        let peaks = gauges.end("a");
        assert_eq!((peaks.threads, peaks.looks, peaks.queued), (5, 2, Some(8)));
        assert_eq!(gauges.end("a"), Peaks::default());
    }

    #[test]
    fn a_service_that_gets_another_name_keeps_its_figures_and_leaves_none_behind() {
        let (gauges, name) = (Gauges::default(), Arc::from("a:x"));
        gauges.begin(&name, 7);
        gauges.note("a:x", 7, &Peaks::default());
        gauges.rename("a:x", "b:x");
        // Its queue has the name of the running incarnation.
        gauges.look_at_queues(&[SubscriberStatus {
            name: "a:x".to_owned(),
            queued: 3,
            queued_bytes: 30,
            delivered: 9,
            dropped: 0,
        }]);
        assert_eq!(gauges.end("a:x"), Peaks::default());
        let peaks = gauges.end("b:x");
        assert_eq!((peaks.looks, peaks.queued), (1, Some(3)));
    }
}
