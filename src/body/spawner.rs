//! Spawns children from one thread that lives as long as the stack: the signal that ends children
//! with their parent is sent when the *thread* that made them ends.

use std::io;
use std::os::fd::OwnedFd;

use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use tokio::sync::{mpsc, oneshot};

use super::birth::Program;
use super::prepare;
use super::process::Process;
use super::strays::signal_group;

/// Most programs waiting to be spawned; further ones wait.
const WAITING_MAX: usize = 64;

type Made = io::Result<(Pid, OwnedFd)>;
type Job = (Program, oneshot::Sender<Made>);

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
                while let Some((program, reply)) = jobs.blocking_recv() {
                    if let Err(Ok((pid, _))) = reply.send(spawn(program)) {
                        // Nobody waits for it: the stack is ending.
                        discard(pid);
                    }
                }
            })?;
        Ok(Self(to))
    }

    /// Spawns a child; an error of the exec comes back as the error of this call.
    pub(super) async fn spawn(&self, program: Program) -> io::Result<Process> {
        let (reply, child) = oneshot::channel();
        let gone = || io::Error::other("the stack is ending");
        self.0.send((program, reply)).await.map_err(|_| gone())?;
        let (pid, fd) = child.await.unwrap_or_else(|_| Err(gone()))?;
        Process::of(pid, fd).inspect_err(|_| discard(pid))
    }
}

/// Makes a child, with the descriptor by which it is held.
fn spawn(program: Program) -> Made {
    let pid = program.spawn()?;
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
