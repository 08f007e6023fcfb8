//! Spawns children from one thread that lives as long as the stack: the signal that ends children
//! with their parent is sent when the *thread* that made them ends.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Command;

use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use tokio::sync::{mpsc, oneshot};

use super::prepare;
use super::process::Process;
use super::strays::signal_group;

/// Most commands waiting to be spawned; further ones wait.
const WAITING_MAX: usize = 64;

type Made = io::Result<(Pid, OwnedFd)>;
type Job = (Command, oneshot::Sender<Made>);

/// Spawns children. Clones use the same thread.
#[derive(Debug, Clone)]
pub struct Spawner(mpsc::Sender<Job>);

impl Spawner {
    /// Starts the thread; it ends with the last clone.
    pub fn start() -> io::Result<Self> {
        let (to, mut jobs) = mpsc::channel::<Job>(WAITING_MAX);
        std::thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(move || {
                while let Some((command, reply)) = jobs.blocking_recv() {
                    if let Err(Ok((pid, _))) = reply.send(spawn(command)) {
                        // Nobody waits for it: the stack is ending.
                        discard(pid);
                    }
                }
            })?;
        Ok(Self(to))
    }

    /// Spawns a child; an error of the exec comes back as the error of this call.
    pub(super) async fn spawn(&self, command: Command) -> io::Result<Process> {
        let (reply, child) = oneshot::channel();
        let gone = || io::Error::other("the stack is ending");
        self.0.send((command, reply)).await.map_err(|_| gone())?;
        let (pid, fd) = child.await.unwrap_or_else(|_| Err(gone()))?;
        Process::of(pid, fd).inspect_err(|_| discard(pid))
    }
}

/// Makes a child. Our copies of what it inherits are closed before this returns.
fn spawn(mut command: Command) -> Made {
    let child = command.spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    // It cannot be reaped by anybody else, so the number is still its own.
    match prepare::pidfd_open(pid) {
        Ok(fd) => Ok((pid, fd)),
        Err(error) => {
            discard(pid);
            Err(error.into())
        }
    }
}

/// Ends a child that nobody is going to keep.
fn discard(pid: Pid) {
    signal_group(pid, Signal::SIGKILL);
    if let Err(error) = waitpid(pid, None) {
        tracing::warn!(%pid, %error, "cannot reap a child");
    }
}
