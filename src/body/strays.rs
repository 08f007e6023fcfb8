//! Finds processes of ours that escaped: members left in a process group, and processes whose
//! environment carries the marker of an incarnation.

use std::fs;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
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

/// Sends a signal to a process group; one that is gone needs none.
pub(crate) fn signal_group(group: Pid, signal: Signal) {
    if let Err(error) = killpg(group, signal)
        && error != Errno::ESRCH
    {
        tracing::warn!(%group, %signal, %error, "cannot signal a process group");
    }
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
