//! What is known of the end of an incarnation beside its exit: what it used, and why it died.

use std::io::{self, ErrorKind};
use std::time::Duration;

use fathom_kernel::Exit;
use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known of an end beside its exit. A task of this process leaves its backtrace at most.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Autopsy {
    /// What the process used in its life.
    pub spent: Option<Spent>,
    /// It left a core file.
    pub core: bool,
    /// The kernel killed it for want of memory.
    pub oom: bool,
    /// Name of the error that kept it from starting: `ENOENT`.
    pub errno: Option<String>,
    /// Where a task of this process panicked.
    #[serde(default)]
    pub backtrace: Option<String>,
}

/// What a process used in its whole life, as the kernel counted it; with children it waited for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spent {
    /// Most memory it held at once (bytes). Unknown when it was less than the supervisor held: the
    /// kernel counts that for the child as well, which had its memory until the exec.
    pub max_rss_bytes: Option<u64>,
    /// Most memory of the whole control group, when it had one of its own (bytes).
    pub memory_peak_bytes: Option<u64>,
    /// Time computing in its own code (s).
    pub user_s: f64,
    /// Time computing in the kernel (s).
    pub system_s: f64,
    /// Page faults served from memory.
    pub minor_faults: u64,
    /// Page faults served from disk.
    pub major_faults: u64,
    /// Times it waited of its own accord.
    pub voluntary_switches: u64,
    /// Times another process took its place.
    pub involuntary_switches: u64,
}

impl Autopsy {
    /// Looks at an error that kept a process from starting.
    pub(super) fn of_error(error: &io::Error) -> Self {
        let errno = match (error.raw_os_error(), error.kind()) {
            (Some(number), _) => Some(Errno::from_raw(number)),
            // Put in words already.
            (None, ErrorKind::NotFound) => Some(Errno::ENOENT),
            (None, ErrorKind::PermissionDenied) => Some(Errno::EACCES),
            (None, _) => None,
        };
        Self {
            errno: errno.map(|errno| format!("{errno:?}")),
            ..Self::default()
        }
    }

    /// Returns the end in one short word for incidents: `exit:3`, `signal:SEGV core`, `oom`,
    /// `spawn:ENOENT`, `panic`, `error`, `aborted`, `unknown`.
    pub fn reason(&self, exit: &Exit) -> String {
        match exit {
            _ if self.oom => "oom".to_owned(),
            Exit::Signal(number) => {
                let name = Signal::try_from(*number).map(Signal::as_str);
                let name = name.map_or_else(|_| number.to_string(), short);
                let core = if self.core { " core" } else { "" };
                format!("signal:{name}{core}")
            }
            Exit::NotStarted(_) => match &self.errno {
                Some(errno) => format!("spawn:{errno}"),
                None => "spawn".to_owned(),
            },
            Exit::Panicked(_) => "panic".to_owned(),
            Exit::Failed(_) => "error".to_owned(),
            Exit::Code(_) | Exit::Aborted | Exit::Unknown => exit.to_string(),
        }
    }
}

impl Spent {
    /// Reads what the kernel counted of a child; `held_bytes` is the most that the supervisor had
    /// held when the child had its program.
    pub(super) fn of(usage: &nix::libc::rusage, held_bytes: u64) -> Self {
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let seconds = |time: nix::libc::timeval| {
            let micros = count(time.tv_sec) * 1_000_000 + count(time.tv_usec);
            Duration::from_micros(micros).as_secs_f64()
        };
        Self {
            // Linux counts kibibytes here.
            max_rss_bytes: own_peak(count(usage.ru_maxrss) << 10, held_bytes),
            memory_peak_bytes: None,
            user_s: seconds(usage.ru_utime),
            system_s: seconds(usage.ru_stime),
            minor_faults: count(usage.ru_minflt),
            major_faults: count(usage.ru_majflt),
            voluntary_switches: count(usage.ru_nvcsw),
            involuntary_switches: count(usage.ru_nivcsw),
        }
    }
}

/// Returns the most memory that this process has ever held (bytes).
pub(super) fn held_bytes() -> u64 {
    // Not known means that nothing can be said of children either.
    getrusage(UsageWho::RUSAGE_SELF).map_or(u64::MAX, |usage| {
        u64::try_from(usage.max_rss()).map_or(u64::MAX, |kibibytes| kibibytes << 10)
    })
}

/// Each processor counts pages for itself for a while, so that figures of one moment differ by some.
const BLUR_BYTES: u64 = 1 << 20;

/// Returns what the kernel counted for a child if that can only be the child's own.
fn own_peak(counted: u64, held: u64) -> Option<u64> {
    (counted > held.saturating_add(BLUR_BYTES)).then_some(counted)
}

fn short(signal: &str) -> String {
    signal.strip_prefix("SIG").unwrap_or(signal).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_the_supervisor_is_not_that_of_a_small_child() {
        let mib = |n: u64| n << 20;
        assert_eq!(own_peak(mib(80), mib(80)), None);
        assert_eq!(own_peak(mib(80) + 4096, mib(80)), None);
        assert_eq!(own_peak(mib(120), mib(80)), Some(mib(120)));
        assert_eq!(own_peak(mib(120), u64::MAX), None);
        assert!(held_bytes() > 1 << 20 && held_bytes() < u64::MAX);
    }

    #[test]
    fn reasons_are_short_words() {
        let plain = Autopsy::default();
        let core = Autopsy {
            core: true,
            ..Autopsy::default()
        };
        let oom = Autopsy {
            oom: true,
            ..Autopsy::default()
        };
        let missing = Autopsy::of_error(&io::Error::from_raw_os_error(2));
        let not_started = Exit::NotStarted("can't find command 'x'".to_owned());
        for (autopsy, exit, expected) in [
            (&plain, Exit::Code(3), "exit:3"),
            (&plain, Exit::Signal(15), "signal:TERM"),
            (&core, Exit::Signal(11), "signal:SEGV core"),
            (&plain, Exit::Signal(64), "signal:64"),
            (&oom, Exit::Signal(9), "oom"),
            (&missing, not_started.clone(), "spawn:ENOENT"),
            (&plain, not_started, "spawn"),
            (&plain, Exit::Panicked("boom".to_owned()), "panic"),
            (&plain, Exit::Unknown, "unknown"),
        ] {
            assert_eq!(autopsy.reason(&exit), expected);
        }
    }
}
