//! Finds out what is left of an incarnation whose process has ended, and signals what escaped.
//!
//! A process that outlives its parent becomes a child of this one when this one is a subreaper. Then
//! a look at our own children answers in microseconds; otherwise all processes are looked at, once
//! for all who ask at the same time.

use std::collections::{HashMap, HashSet};
use std::time::Duration;
use std::{fs, io};

use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::strays::{is_over, mark_of, processes, stat_of};

/// Most questions waiting; further ones wait.
const WAITING_MAX: usize = 256;

/// An ended process that nobody of ours waits for within this time was left behind by others.
const REAP_AFTER: Duration = Duration::from_secs(1);

/// Rounds of killing what is left at the end, each of which may lay open children of the killed; and
/// the time between two.
const SWEEPS_MAX: u32 = 50;
const SWEEP_EVERY: Duration = Duration::from_millis(10);

/// What is left of an incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing that runs.
    Nothing,
    /// Members of its group.
    Group,
    /// So many processes outside of its group.
    Marked(usize),
}

/// Whose remains are looked for.
#[derive(Debug, Clone)]
pub(super) struct Whose {
    /// Its process group; the leader is reaped.
    pub(super) group: Pid,
    /// The mark of all its processes.
    pub(super) marker: String,
    /// Our child, not one taken over from an earlier supervisor.
    pub(super) ours: bool,
}

/// A signal to the marked processes outside of the group, if they get one now.
type Blow = Option<Signal>;

type Question = ((Whose, Blow), oneshot::Sender<Left>);

/// Looks for remains. Clones ask the same task.
#[derive(Debug, Clone)]
pub struct Remains {
    to: mpsc::Sender<Question>,
    /// This process is the parent of all that outlive theirs.
    is_subreaper: bool,
}

impl Remains {
    /// Starts the task that looks; with `subreaper`, orphans become children of this process, which
    /// must belong to the stack alone. To be called on the runtime.
    pub fn start(subreaper: bool) -> io::Result<Self> {
        let is_subreaper = subreaper && adopts_orphans();
        if is_subreaper {
            tokio::spawn(reap_orphans(signal(SignalKind::child())?));
        }
        let (to, mut questions) = mpsc::channel::<Question>(WAITING_MAX);
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while questions.recv_many(&mut batch, WAITING_MAX).await > 0 {
                let (asked, replies): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
                // A panic while looking is not a reason to wait for ever.
                let found = tokio::task::spawn_blocking(move || look(&asked));
                let found = found.await.unwrap_or_default();
                for (reply, left) in replies.into_iter().zip(found) {
                    // Nobody needs to know when the stack ends.
                    reply.send(left).ok();
                }
            }
        });
        Ok(Self { to, is_subreaper })
    }

    /// Looks what is left, and signals what left its group once nothing is in there. Cancel-safe.
    pub(super) async fn of(&self, whose: &Whose, blow: Blow) -> Left {
        if whose.ours {
            reap_group(whose.group);
        }
        let is_empty = killpg(whose.group, None) == Err(Errno::ESRCH);
        if is_empty && self.is_subreaper && whose.ours && orphans().is_some_and(|o| o.is_empty()) {
            return Left::Nothing;
        }
        let (reply, left) = oneshot::channel();
        match self.to.send(((whose.clone(), blow), reply)).await {
            Ok(()) => left.await.unwrap_or(Left::Nothing),
            Err(_) => Left::Nothing,
        }
    }
}

impl Remains {
    /// Kills whoever is still there when all services have ended: what hid its mark and left its group
    /// is nobody's any more, but a child of this process, which is about to go.
    pub async fn sweep(&self) {
        if !self.is_subreaper {
            return;
        }
        for _ in 0..SWEEPS_MAX {
            let orphans = orphans().unwrap_or_default();
            let left: Vec<_> = orphans.into_iter().filter(|pid| !reaped(*pid)).collect();
            if left.is_empty() {
                return;
            }
            tracing::warn!(pids = ?left, "killed processes that no service answers for");
            for pid in left {
                strike(pid, Some(Signal::SIGKILL));
            }
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    }
}

/// Reaps an orphan; tells whether it had ended.
fn reaped(pid: Pid) -> bool {
    match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
        Ok(status) => status != WaitStatus::StillAlive,
        Err(_) => true,
    }
}

/// Makes this process the parent of all that outlive theirs, if it can see them.
fn adopts_orphans() -> bool {
    match set_child_subreaper(true) {
        Ok(()) => orphans().is_some(),
        Err(error) => {
            tracing::warn!(%error, "cannot become the parent of orphans");
            false
        }
    }
}

/// Returns the children of the main thread: orphans come to it, and our own children are made by
/// other threads. `None` when the kernel does not tell.
fn orphans() -> Option<Vec<Pid>> {
    let main = std::process::id();
    let list = fs::read_to_string(format!("/proc/self/task/{main}/children")).ok()?;
    let pids = list.split_ascii_whitespace();
    Some(
        pids.filter_map(|pid| Some(Pid::from_raw(pid.parse().ok()?)))
            .collect(),
    )
}

/// Reaps members of a group whose parent has ended before them.
fn reap_group(group: Pid) {
    let any = Pid::from_raw(-group.as_raw());
    while let Ok(status) = waitpid(any, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            return;
        }
    }
}

/// Reaps orphans that have ended. Each is left alone for some time, in case a part of this process
/// waits for it after all: children of a thread that has ended look like orphans.
async fn reap_orphans(mut ends: tokio::signal::unix::Signal) {
    let mut seen = HashSet::new();
    loop {
        if seen.is_empty() && ends.recv().await.is_none() {
            return;
        }
        tokio::time::sleep(REAP_AFTER).await;
        let over = orphans().unwrap_or_default().into_iter();
        let over: HashSet<Pid> = over
            .filter(|pid| stat_of(*pid).is_some_and(|stat| is_over(stat.state)))
            .collect();
        for pid in over.intersection(&seen) {
            if let Ok(status) = waitpid(*pid, Some(WaitPidFlag::WNOHANG)) {
                tracing::debug!(?status, "reaped an orphan");
            }
        }
        seen = over.difference(&seen).copied().collect();
    }
}

/// Looks at all processes for all who ask.
fn look(asked: &[(Whose, Blow)]) -> Vec<Left> {
    let mut groups = HashSet::new();
    let mut living = Vec::new();
    for pid in processes() {
        if let Some(stat) = stat_of(pid).filter(|stat| !is_over(stat.state)) {
            groups.insert(stat.group);
            living.push(pid);
        }
    }
    let mut marked: HashMap<&str, (Blow, usize)> = asked
        .iter()
        .filter(|(whose, _)| !groups.contains(&whose.group))
        .map(|(whose, blow)| (whose.marker.as_str(), (*blow, 0)))
        .collect();
    if !marked.is_empty() {
        for pid in living {
            let of_whom = mark_of(pid).and_then(|mark| marked.get_mut(mark.as_str()));
            if let Some((blow, count)) = of_whom {
                *count += 1;
                strike(pid, *blow);
            }
        }
    }
    let left = asked
        .iter()
        .map(|(whose, _)| match marked.get(whose.marker.as_str()) {
            None => Left::Group,
            Some((_, 0)) => Left::Nothing,
            Some((_, count)) => Left::Marked(*count),
        });
    left.collect()
}

fn strike(pid: Pid, blow: Blow) {
    if let Some(signal) = blow
        && let Err(error) = kill(pid, signal)
        && error != Errno::ESRCH
    {
        tracing::warn!(%pid, %signal, %error, "cannot signal a stray process");
    }
}
