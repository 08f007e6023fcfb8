//! What the supervisor and its children use, read from `/proc`.

use std::fs;

use fathom_kernel::StackStatus;

use super::wire::{Usage, UsageReport};

/// Reads what the stack uses. Blocks for a few microseconds per process.
pub(super) fn report(status: &StackStatus) -> UsageReport {
    let children = status.services.iter().filter(|s| s.pid != 0);
    UsageReport {
        supervisor: of(std::process::id()).unwrap_or_default(),
        services: children
            .filter_map(|service| Some((service.name.clone(), of(service.pid)?)))
            .collect(),
    }
}

/// Reads what one process uses; `None` when it is gone.
fn of(pid: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse(&stat, ticks_per_s(), page_bytes())
}

/// Picks the fields out of `/proc/PID/stat`; the name in the second one may contain anything.
fn parse(stat: &str, ticks_per_s: f64, page_bytes: u64) -> Option<Usage> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    // Numbers as in proc(5), which counts from 1; pid and name are cut off.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Usage {
        cpu_s: (field(14)? + field(15)?) as f64 / ticks_per_s,
        rss_bytes: field(24)? * page_bytes,
        threads: field(20)?,
    })
}

fn ticks_per_s() -> f64 {
    use nix::unistd::{SysconfVar, sysconf};
    sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100) as f64
}

fn page_bytes() -> u64 {
    use nix::unistd::{SysconfVar, sysconf};
    let bytes = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    bytes.and_then(|b| u64::try_from(b).ok()).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_after_the_name_whatever_it_contains() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 0 10 0 0 0 150 50 0 0 20 0 3 0 99 1000 25 18446744073709551615 1";
        let usage = parse(stat, 100.0, 4096).expect("complete");
        assert_eq!(usage.cpu_s, 2.0);
        assert_eq!(usage.rss_bytes, 25 * 4096);
        assert_eq!(usage.threads, 3);
        assert_eq!(parse("7 (cut) S 1", 100.0, 4096), None);
    }

    #[test]
    fn this_process_uses_memory() {
        let usage = of(std::process::id()).expect("it lives");
        assert!(usage.rss_bytes > 100_000);
    }
}
