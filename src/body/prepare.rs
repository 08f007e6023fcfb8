//! What a child does between its birth and its exec, and the few calls that nobody wraps safely. With
//! `birth` the only unsafe code of the supervisor.
#![allow(unsafe_code, reason = "running code between birth and exec")]

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::WaitStatus;
use nix::unistd::{Gid, Pid, Uid, getppid, setsid, write};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What is to be done in the child.
#[derive(Debug, Default)]
pub(super) struct Preparation {
    /// A session of its own, not only a process group.
    pub(super) session: bool,
    /// Ends with the thread that made it.
    pub(super) dies_with_us: bool,
    /// Limits, soft and hard.
    pub(super) limits: Vec<(Resource, u64, u64)>,
    /// Priority.
    pub(super) nice: Option<i32>,
    /// Digits for `/proc/self/oom_score_adj`.
    pub(super) oom_score_adj: Option<String>,
    /// `cgroup.procs` of the group to join.
    pub(super) cgroup: Option<File>,
    /// Permission bits taken from new files.
    pub(super) umask: Option<u32>,
    /// Another user, when wanted.
    pub(super) identity: Option<Identity>,
    /// A descriptor to be inherited.
    pub(super) inherit: Option<Inherited>,
}

/// A descriptor to be inherited under a number.
#[derive(Debug)]
pub(super) struct Inherited {
    fd: OwnedFd,
    number: RawFd,
    /// Device and inode of what stood at this number of ours, if that was not free.
    occupant: Option<(u64, u64)>,
}

impl Inherited {
    /// Prepares it. If the number is free here, it is taken until the child is made.
    pub(super) fn new(fd: OwnedFd, number: RawFd) -> std::io::Result<Self> {
        let taken = fcntl(&fd, FcntlArg::F_DUPFD_CLOEXEC(number))?;
        // SAFETY: the call has just made this descriptor, and nobody else knows of it.
        let fd = unsafe { OwnedFd::from_raw_fd(taken) };
        let occupant = match taken == number {
            true => None,
            false => identity_of(number).ok(),
        };
        Ok(Self {
            fd,
            number,
            occupant,
        })
    }

    /// Puts it at its number, in the child.
    fn put(&self) -> Result<(), Errno> {
        let same = self.fd.as_raw_fd() == self.number;
        // Somebody may have closed what stood there, and another thing has come in its place: then this
        // start fails, and the next one will do.
        if !same
            && self
                .occupant
                .is_none_or(|was| identity_of(self.number) != Ok(was))
        {
            return Err(Errno::EBUSY);
        }
        // SAFETY: the child owns all its descriptors, and nothing in it uses this number: whatever
        // stood there is closed by the exec anyhow.
        // Equal numbers need the close-on-exec mark taken away, which `dup2` does for others.
        let result = unsafe {
            match same {
                true => nix::libc::fcntl(self.number, nix::libc::F_SETFD, 0),
                false => nix::libc::dup2(self.fd.as_raw_fd(), self.number),
            }
        };
        Errno::result(result).map(drop)
    }
}

/// Returns device and inode of what stands at a number.
fn identity_of(number: RawFd) -> Result<(u64, u64), Errno> {
    let mut stat = MaybeUninit::<nix::libc::stat>::uninit();
    // SAFETY: writes one `stat`, which lives as long as the call; any number may be asked about.
    Errno::result(unsafe { nix::libc::fstat(number, stat.as_mut_ptr()) })?;
    // SAFETY: the call has succeeded, so it was written.
    let stat = unsafe { stat.assume_init() };
    Ok((stat.st_dev, stat.st_ino))
}

/// As whom to run.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) user: Uid,
    pub(super) group: Gid,
    /// Supplementary groups.
    pub(super) groups: Vec<Gid>,
}

/// Prepares the child of `parent`, in the child; system calls only.
pub(super) fn in_child(parent: Pid, preparation: &Preparation) -> Result<(), Errno> {
    if preparation.session {
        setsid()?;
    }
    default_handlers();
    for (resource, soft, hard) in &preparation.limits {
        setrlimit(*resource, *soft, *hard)?;
    }
    if let Some(nice) = preparation.nice {
        // SAFETY: takes three numbers and touches no memory.
        let result = unsafe { nix::libc::setpriority(nix::libc::PRIO_PROCESS, 0, nice) };
        Errno::result(result)?;
    }
    if let Some(score) = &preparation.oom_score_adj {
        let file = open(c"/proc/self/oom_score_adj", OFlag::O_WRONLY, Mode::empty())?;
        write(&file, score.as_bytes())?;
    }
    if let Some(procs) = &preparation.cgroup {
        // Zero stands for the process that writes.
        write(procs, b"0")?;
    }
    if let Some(mask) = preparation.umask {
        umask(Mode::from_bits_truncate(mask));
    }
    if let Some(identity) = &preparation.identity {
        become_user(identity)?;
    }
    close_on_exec()?;
    if let Some(inherited) = &preparation.inherit {
        inherited.put()?;
    }
    if preparation.dies_with_us {
        // After the change of user, which would take it back.
        set_pdeathsig(Signal::SIGTERM)?;
        // The parent may have ended before the line above.
        if getppid() != parent {
            return Err(Errno::ECHILD);
        }
    }
    Ok(())
}

/// Takes another user. The functions of the C library would change all threads of the process, which
/// are those of the parent while the child shares its memory.
fn become_user(identity: &Identity) -> Result<(), Errno> {
    let (groups, group, user) = (&identity.groups, identity.group, identity.user);
    // SAFETY: reads a list of as many numbers as it is told, which lives as long as the call.
    let result =
        unsafe { nix::libc::syscall(nix::libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    Errno::result(result)?;
    // SAFETY: takes a number and touches no memory.
    let result = unsafe { nix::libc::syscall(nix::libc::SYS_setgid, group.as_raw()) };
    Errno::result(result)?;
    // SAFETY: the same.
    let result = unsafe { nix::libc::syscall(nix::libc::SYS_setuid, user.as_raw()) };
    Errno::result(result).map(drop)
}

/// Makes the child treat every signal as a fresh process does; those that we ignore would stay
/// ignored over the exec. The mask is emptied by the library.
fn default_handlers() {
    let last = nix::libc::SIGRTMAX();
    for number in 1..=last {
        // SAFETY: sets the default action, so no code of ours is named; numbers that cannot be
        // changed give an error, which changes nothing.
        unsafe { nix::libc::signal(number, nix::libc::SIG_DFL) };
    }
}

/// Marks every descriptor above standard error to be closed by the exec; some may have been
/// inherited by the supervisor itself without that mark.
fn close_on_exec() -> Result<(), Errno> {
    // SAFETY: takes three numbers and touches no memory; the mark takes effect at the exec.
    let result = unsafe {
        nix::libc::syscall(
            nix::libc::SYS_close_range,
            3_u32,
            u32::MAX,
            nix::libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    match Errno::result(result) {
        // Kernels before 5.11 do not know it; our own descriptors carry the mark from the start.
        Ok(_) | Err(Errno::ENOSYS | Errno::EINVAL) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens a descriptor of a child that becomes readable at its end.
pub(super) fn pidfd_open(pid: Pid) -> Result<OwnedFd, Errno> {
    // SAFETY: takes two numbers and touches no memory.
    let fd = unsafe { nix::libc::syscall(nix::libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = RawFd::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel just made this descriptor, so nobody else owns it; it closes on exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal to the process of a descriptor, never to another one of the same number.
pub(super) fn pidfd_send_signal(process: &OwnedFd, signal: Signal) -> Result<(), Errno> {
    let (fd, number) = (process.as_raw_fd(), signal as i32);
    // SAFETY: takes numbers and no address, since there is nothing to tell beside the signal.
    let result = unsafe {
        let nothing = std::ptr::null::<nix::libc::siginfo_t>();
        nix::libc::syscall(nix::libc::SYS_pidfd_send_signal, fd, number, nothing, 0)
    };
    Errno::result(result).map(drop)
}

/// Registers a descriptor with the runtime, to hear when it is readable.
pub(super) fn watch(fd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor names the same open file until it is dropped, with the `AsyncFd`.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}

/// Reaps a child if it has ended, with what it used.
pub(super) fn wait4(pid: Pid) -> Result<Option<(WaitStatus, nix::libc::rusage)>, Errno> {
    let mut status = 0;
    let mut usage = MaybeUninit::<nix::libc::rusage>::zeroed();
    // SAFETY: both places live until the call returns, and it writes to nothing else.
    let reaped = unsafe {
        nix::libc::wait4(
            pid.as_raw(),
            &raw mut status,
            nix::libc::WNOHANG,
            usage.as_mut_ptr(),
        )
    };
    match Errno::result(reaped)? {
        0 => Ok(None),
        // SAFETY: a struct of integers; zeroed at first, then filled by the kernel.
        _ => Ok(Some((WaitStatus::from_raw(pid, status)?, unsafe {
            usage.assume_init()
        }))),
    }
}
