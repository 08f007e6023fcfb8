//! Finds processes of ours that escaped: members left in a process group, and processes whose
//! environment carries the marker of an incarnation.

use std::fs;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// Environment variable that marks every process of an incarnation.
pub(crate) const MARKER: &str = "SUITE_SERVICE";

/// Tells whether a process group has a member that runs; zombies do not count.
pub(crate) fn group_lives(group: Pid) -> bool {
    match killpg(group, None) {
        Err(Errno::ESRCH) => false,
        // Some member exists; zombies whose parent does not reap them must not hold us up.
        Ok(()) | Err(_) => processes().any(|pid| member_of(pid) == Some(group)),
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

/// Sends a signal to every process marked with a text that starts so; returns how many there are.
pub(crate) fn signal_marked(marker: &str, signal: Signal) -> usize {
    let wanted = format!("{MARKER}={marker}");
    let mut found = 0;
    for pid in processes().filter(|pid| *pid != Pid::this()) {
        if !carries(pid, wanted.as_bytes()) || state_of(pid).is_none_or(|(state, _)| is_over(state))
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

fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)))
}

/// Returns the process group of a process that runs.
fn member_of(pid: Pid) -> Option<Pid> {
    let (state, group) = state_of(pid)?;
    (!is_over(state)).then_some(group)
}

fn is_over(state: char) -> bool {
    matches!(state, 'Z' | 'X' | 'x')
}

/// Reads the state and the process group from `/proc/PID/stat`.
fn state_of(pid: Pid) -> Option<(char, Pid)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may contain anything, more parentheses included.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let group = fields.nth(1)?.parse().ok()?;
    Some((state, Pid::from_raw(group)))
}

/// Tells whether a process has a variable in its environment that starts so. Those of other users
/// cannot be read, and are not ours.
fn carries(pid: Pid, wanted: &[u8]) -> bool {
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
        environment
            .split(|byte| *byte == 0)
            .any(|v| v.starts_with(wanted))
    })
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
        while state_of(group).is_some_and(|(state, _)| state != 'Z') {
            std::thread::yield_now();
        }
        assert!(!group_lives(group));
        child.wait().unwrap();
    }

    #[test]
    fn marked_processes_are_found_by_the_start_of_their_mark() {
        let mut child = Command::new("sleep")
            .arg("60")
            .env(MARKER, "test-strays/a/1")
            .spawn()
            .unwrap();
        assert_eq!(signal_marked("test-strays/a/2", Signal::SIGKILL), 0);
        assert_eq!(signal_marked("test-strays/", Signal::SIGKILL), 1);
        assert!(!child.wait().unwrap().success());
        assert_eq!(signal_marked("test-strays/", Signal::SIGKILL), 0);
    }
}
