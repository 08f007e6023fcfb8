//! Ends processes that nobody watches over any more.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tracing::warn;

use super::strays::{is_over, mark_of, processes, stat_of};

/// How much time processes have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Between TERM and KILL, and again to be gone.
    pub(crate) grace: Duration,
    /// Between two looks whether they are gone.
    pub(crate) look_every: Duration,
}

/// Ends all members of process groups and all processes whose mark is condemned. Each hears TERM
/// once, as soon as it is found: many a program takes a second one as the order to leave its work at
/// once. Blocks until all are gone; returns `false` when some are still there in the end.
pub(crate) fn end_all(groups: &[Pid], condemned: impl Fn(&str) -> bool, pace: Pace) -> bool {
    let began = Instant::now();
    // By when they started, too: a number may come to mean another one.
    let mut told = HashSet::new();
    loop {
        let living = living(groups, &condemned);
        if living.is_empty() {
            return true;
        }
        if began.elapsed() < pace.grace {
            for one in living {
                if told.insert(one) {
                    send(kill(one.0, Signal::SIGTERM), one.0);
                }
            }
        } else {
            // As one, so that nobody is born meanwhile.
            for group in groups {
                send(killpg(*group, Signal::SIGKILL), *group);
            }
            for (pid, _) in living {
                send(kill(pid, Signal::SIGKILL), pid);
            }
        }
        if began.elapsed() >= pace.grace * 2 {
            return false;
        }
        std::thread::sleep(pace.look_every);
    }
}

/// Returns those that are to be ended and live, each with when it started.
fn living(groups: &[Pid], condemned: &impl Fn(&str) -> bool) -> Vec<(Pid, u64)> {
    let others = processes().filter(|pid| *pid != Pid::this());
    let living = others.filter_map(|pid| {
        let stat = stat_of(pid).filter(|stat| !is_over(stat.state))?;
        let meant =
            groups.contains(&stat.group) || mark_of(pid).is_some_and(|mark| condemned(&mark));
        meant.then_some((pid, stat.started_ticks))
    });
    living.collect()
}

fn send(sent: Result<(), Errno>, to: Pid) {
    if let Err(error) = sent
        && error != Errno::ESRCH
    {
        warn!(%to, %error, "cannot signal a process that is left over");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    use super::super::strays::MARKER;
    use super::*;

    const PACE: Pace = Pace {
        grace: Duration::from_millis(500),
        look_every: Duration::from_millis(10),
    };

    /// Starts a shell that notes every TERM in a file and goes on.
    fn stubborn(heard: &std::path::Path, mark: &str) -> Child {
        let text = "exec 2> /dev/null; trap 'echo TERM >> \"$0\"' TERM; echo > \"$0.on\"; while :; do sleep 0.01; done";
        let mut command = Command::new("sh");
        command.args(["-c", text]).arg(heard).env(MARKER, mark);
        let child = command.process_group(0).spawn().unwrap();
        while !heard.with_extension("on").exists() {
            std::thread::yield_now();
        }
        child
    }

    #[test]
    fn whoever_is_left_hears_term_once_and_is_killed_when_its_time_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let heard = ["group", "mark"].map(|name| folder.path().join(name));
        let mut children = [
            stubborn(&heard[0], "test-ending/a/1"),
            stubborn(&heard[1], "test-ending/b/1"),
        ];
        let group = Pid::from_raw(children[0].id().try_into().unwrap());
        // The first is found both ways.
        let condemned = |mark: &str| mark.starts_with("test-ending/");
        assert!(end_all(&[group], condemned, PACE));
        for (child, heard) in children.iter_mut().zip(heard) {
            assert!(!child.wait().unwrap().success());
            assert_eq!(std::fs::read_to_string(heard).unwrap(), "TERM\n");
        }
    }

    #[test]
    fn who_has_another_mark_is_left_alone() {
        let mark = "test-others/a/1";
        let mut child = Command::new("sleep");
        let mut child = child.arg("60").env(MARKER, mark).spawn().unwrap();
        assert!(end_all(&[], |found| found == "test-others/a/2", PACE));
        assert!(child.try_wait().unwrap().is_none());
        assert!(end_all(&[], |found| found == mark, PACE));
        assert!(!child.wait().unwrap().success());
    }
}
