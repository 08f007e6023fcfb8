//! The first process of a container: passes signals on to the real supervisor, reaps every orphan,
//! ends with the supervisor's status. One thread, no runtime: it must not fail.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::Context;
use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

/// Tells the supervisor below that there is an init already.
const BELOW: &str = "FATHOM_BELOW_INIT";

/// Signals that are passed on.
const PASSED_ON: [Signal; 6] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// Tells whether this process has to be an init: it is the first of its container, or was asked to.
pub fn is_needed(asked: bool) -> bool {
    std::env::var_os(BELOW).is_none() && (asked || getpid().as_raw() == 1)
}

/// Runs the same command line again as a child and stays as its init. To be called before there is
/// any other thread.
pub fn run() -> anyhow::Result<ExitCode> {
    set_child_subreaper(true).context("cannot become the parent of orphans")?;
    // Blocked before the child exists, so that none is lost; it unblocks them by `listen_again`.
    let mut signals = SigSet::from_iter(PASSED_ON);
    signals.add(Signal::SIGCHLD);
    signals.thread_block().context("cannot block signals")?;
    let mut command = Command::new("/proc/self/exe");
    command.args(std::env::args_os().skip(1)).env(BELOW, "1");
    // A group of its own: Ctrl-C on a terminal reaches it once, through us.
    command.process_group(0);
    let child = command.spawn().context("cannot run the supervisor")?;
    let child = Pid::from_raw(i32::try_from(child.id()).context("process id")?);
    loop {
        match signals.wait().context("cannot wait for signals")? {
            Signal::SIGCHLD => {
                if let Some(code) = reap(child) {
                    return Ok(ExitCode::from(code));
                }
            }
            signal => {
                // It may have ended just now; then SIGCHLD follows.
                kill(child, signal).ok();
            }
        }
    }
}

/// Undoes in the supervisor what its init did to the signals before it made it.
pub fn listen_again() -> anyhow::Result<()> {
    SigSet::all()
        .thread_unblock()
        .context("cannot unblock signals")
}

/// Reaps all that have ended; returns the exit code once the supervisor is among them.
fn reap(child: Pid) -> Option<u8> {
    let mut ended = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => {
                ended = Some(u8::try_from(code).unwrap_or(u8::MAX));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                ended = Some(u8::try_from(128 + signal as i32).unwrap_or(u8::MAX));
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return ended,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return ended,
        }
    }
}
