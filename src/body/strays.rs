//! Finds processes of ours that escaped: members left in a process group, and processes whose
//! environment carries the marker of an incarnation.

use std::fs;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// Environment variable that marks every process of an incarnation.
pub(crate) const MARKER: &str = "SUITE_SERVICE";

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stat {
    /// One letter, `Z` for a zombie.
    pub(crate) state: char,
    /// Its process group.
    pub(crate) group: Pid,
    /// When it started, in clock ticks since the machine did; tells it from a later process of the
    /// same number.
    pub(crate) started_ticks: u64,
}

/// Tells whether a process group has a member that runs; zombies do not count.
pub(crate) fn group_lives(group: Pid) -> bool {
    match killpg(group, None) {
        Err(Errno::ESRCH) => false,
        // Some member exists; zombies whose parent does not reap them must not hold us up.
        Ok(()) | Err(_) => processes().any(|pid| {
            stat_of(pid).is_some_and(|stat| stat.group == group && !is_over(stat.state))
        }),
    }
}

/// Sends a signal to a process group; one that is gone needs none.
pub(crate) fn signal_group(group: Pid, signal: Signal) {
    if let Err(error) = killpg(group, signal)
        && error != Errno::ESRCH
    {
        tracing::warn!(%group, %signal, %error, "cannot signal a process group");
    }
}

/// Sends a signal to every living process whose mark is wanted; returns how many there are.
pub(crate) fn signal_marked(wanted: impl Fn(&str) -> bool, signal: Signal) -> usize {
    let mut found = 0;
    for pid in processes().filter(|pid| *pid != Pid::this()) {
        if !mark_of(pid).is_some_and(|mark| wanted(&mark))
            || stat_of(pid).is_none_or(|stat| is_over(stat.state))
        {
            continue;
        }
        found += 1;
        if let Err(error) = kill(pid, signal)
            && error != Errno::ESRCH
        {
            tracing::warn!(%pid, %signal, %error, "cannot signal a stray process");
        }
    }
    found
}

/// Returns all processes.
pub(crate) fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)))
}

/// Tells whether a process in this state has ended.
pub(crate) fn is_over(state: char) -> bool {
    matches!(state, 'Z' | 'X' | 'x')
}

/// Reads `/proc/PID/stat`; `None` when the process is gone.
pub(crate) fn stat_of(pid: Pid) -> Option<Stat> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may contain anything, more parentheses included.
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    Some(Stat {
        state: fields.next()?.chars().next()?,
        group: Pid::from_raw(fields.nth(1)?.parse().ok()?),
        started_ticks: fields.nth(16)?.parse().ok()?,
    })
}

/// Returns the mark in the environment of a process. That of other users cannot be read, and is not
/// ours.
pub(crate) fn mark_of(pid: Pid) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut variables = environment.split(|byte| *byte == 0);
    let mark = variables.find_map(|variable| {
        let value = variable.strip_prefix(MARKER.as_bytes())?;
        value.strip_prefix(b"=")
    })?;
    String::from_utf8(mark.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_zombie_does_not_keep_its_group_alive() {
        let mut child = Command::new("true").process_group(0).spawn().unwrap();
        let group = Pid::from_raw(child.id().try_into().unwrap());
        while stat_of(group).is_some_and(|stat| stat.state != 'Z') {
            std::thread::yield_now();
        }
        assert!(!group_lives(group));
        child.wait().unwrap();
    }

    #[test]
    fn marked_processes_are_found_by_their_mark() {
        let mut child = Command::new("sleep")
            .arg("60")
            .env(MARKER, "test-strays/a/1")
            .spawn()
            .unwrap();
        let with = |mark: &str| signal_marked(|found| found == mark, Signal::SIGKILL);
        assert_eq!(with("test-strays/a/2"), 0);
        assert_eq!(with("test-strays/a/1"), 1);
        assert!(!child.wait().unwrap().success());
        assert_eq!(with("test-strays/a/1"), 0);
    }
}
