//! One child process, held by a descriptor so that its number can never mean another process.

use std::io;
use std::os::fd::OwnedFd;

use fathom_kernel::Exit;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use tokio::io::unix::AsyncFd;

use super::autopsy::{Autopsy, Spent, held_bytes};
use super::prepare;

/// A child process. Dropped before its end, it is killed.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    /// Becomes readable at the end of the process.
    end: AsyncFd<OwnedFd>,
    /// Our child; otherwise nobody tells us how it ends.
    ours: bool,
    is_over: bool,
    /// The most memory that we had held when it had its program.
    held_bytes: u64,
}

impl Process {
    /// Takes a child with its descriptor; to be called on the runtime that will wait for it.
    pub(super) fn of(pid: Pid, fd: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            pid,
            end: prepare::watch(fd)?,
            ours: true,
            is_over: false,
            held_bytes: held_bytes(),
        })
    }

    /// Takes over a process that an earlier supervisor made; to be called on the runtime.
    pub(super) fn adopted(pid: Pid) -> io::Result<Self> {
        let mut process = Self::of(pid, prepare::pidfd_open(pid)?)?;
        process.ours = false;
        Ok(process)
    }

    /// Returns its number, which is also that of its group.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits for its end and reaps it. Cancel-safe; not to be called again after it returned.
    pub(super) async fn ended(&mut self) -> (Exit, Autopsy) {
        loop {
            let reaped = match self.end.readable().await {
                Ok(_) if !self.ours => {
                    self.is_over = true;
                    return (Exit::Unknown, Autopsy::default());
                }
                Ok(_) => prepare::wait4(self.pid),
                Err(error) => return self.lost(&error),
            };
            match reaped {
                // The wish to be readable stays: the next look is at once.
                Ok(None) => {}
                Ok(Some((status, usage))) => {
                    self.is_over = true;
                    return exit_of(status, Spent::of(&usage, self.held_bytes));
                }
                Err(error) => return self.lost(&error.into()),
            }
        }
    }

    /// Sends a signal to the process alone; nothing happens when it is over.
    pub(super) fn signal(&self, signal: Signal) {
        if self.is_over {
            return;
        }
        if let Err(error) = prepare::pidfd_send_signal(self.end.get_ref(), signal)
            && error != Errno::ESRCH
        {
            tracing::warn!(pid = %self.pid, %signal, %error, "cannot signal a process");
        }
    }

    fn lost(&mut self, error: &io::Error) -> (Exit, Autopsy) {
        self.is_over = true;
        let text = format!("cannot wait for it: {error}");
        (Exit::Failed(text), Autopsy::default())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // While the runtime is being taken down, nothing of the stack shall be left.
        self.signal(Signal::SIGKILL);
    }
}

fn exit_of(status: WaitStatus, spent: Spent) -> (Exit, Autopsy) {
    let mut autopsy = Autopsy {
        spent: Some(spent),
        ..Autopsy::default()
    };
    let exit = match status {
        WaitStatus::Exited(_, code) => Exit::Code(code),
        WaitStatus::Signaled(_, signal, core) => {
            autopsy.core = core;
            Exit::Signal(signal as i32)
        }
        other => Exit::Failed(format!("unknown status {other:?}")),
    };
    (exit, autopsy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::zombie_processes, reason = "it is waited for by its number")]
    async fn end(script: &str) -> (Exit, Autopsy) {
        let child = std::process::Command::new("sh")
            .args(["-c", script])
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        let fd = prepare::pidfd_open(pid).unwrap();
        Process::of(pid, fd).unwrap().ended().await
    }

    #[tokio::test]
    async fn codes_and_signals_are_told_apart_and_use_is_counted() {
        let (exit, autopsy) = end("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 3").await;
        assert_eq!(exit, Exit::Code(3));
        let spent = autopsy.spent.unwrap();
        // Until its exec it had our memory, which is more than a shell takes.
        assert_eq!(spent.max_rss_bytes, None);
        assert!(spent.user_s + spent.system_s > 0.0);
        assert!(spent.minor_faults > 10);
        assert_eq!(end("kill -9 $$").await.0, Exit::Signal(9));
    }
}
