//! Makes a child without a copy of our memory: it borrows ours until its exec, as `posix_spawn` does,
//! which takes as long for a large supervisor as for a small one.
//!
//! Between birth and exec the child shares every byte with threads that run on, so it makes system
//! calls only: it allocates nothing, takes no lock, and calls nothing of the C library that keeps
//! state of the process, such as its `setuid`, which tells all threads.
#![allow(unsafe_code, reason = "a child that shares memory until its exec")]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;

use nix::errno::Errno;
use nix::libc::{self, c_char};
use nix::sched::{CloneFlags, clone};
use nix::sys::signal::SigSet;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, setpgid};

use super::prepare::{Preparation, in_child};

/// Stack of a child until its exec; the deepest thing it does is to open a file.
const STACK_BYTES: usize = 64 << 10;

/// What runs a script that does not say what runs it.
const SHELL: &CStr = c"/bin/sh";

/// A program to be run, with its surroundings.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    argv: Vec<OsString>,
    /// Set, or taken away, against our own environment.
    env: BTreeMap<OsString, Option<OsString>>,
    folder: Option<PathBuf>,
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    preparation: Preparation,
}

impl Program {
    /// A program under its own name, with our environment, folder and standard descriptors.
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            argv: vec![path.clone().into_os_string()],
            path,
            env: BTreeMap::new(),
            folder: None,
            stdin: None,
            stdout: None,
            stderr: None,
            preparation: Preparation::default(),
        }
    }

    /// Replaces its arguments, of which the first is its name.
    pub(super) fn argv<T: AsRef<OsStr>>(&mut self, argv: impl IntoIterator<Item = T>) {
        self.argv = argv.into_iter().map(|a| a.as_ref().to_owned()).collect();
    }

    /// Sets a variable.
    pub(super) fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        let value = value.as_ref().to_owned();
        self.env.insert(name.as_ref().to_owned(), Some(value));
        self
    }

    /// Takes a variable away.
    pub(super) fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.env.insert(name.as_ref().to_owned(), None);
        self
    }

    /// Sets the folder it starts in.
    pub(super) fn folder(&mut self, folder: &Path) {
        self.folder = Some(folder.to_owned());
    }

    /// Sets its standard input.
    pub(super) fn stdin(&mut self, fd: impl Into<OwnedFd>) {
        self.stdin = Some(fd.into());
    }

    /// Sets its standard output.
    pub(super) fn stdout(&mut self, fd: impl Into<OwnedFd>) {
        self.stdout = Some(fd.into());
    }

    /// Sets its standard error.
    pub(super) fn stderr(&mut self, fd: impl Into<OwnedFd>) {
        self.stderr = Some(fd.into());
    }

    /// Says what is done in the child before its exec.
    pub(super) fn prepare(&mut self, preparation: Preparation) {
        self.preparation = preparation;
    }

    /// Makes the child; the calling thread waits until its exec. Our copies of what it inherits are
    /// closed before this returns.
    pub(super) fn spawn(self) -> io::Result<Pid> {
        let image = Image::of(&self)?;
        let parent = Pid::this();
        let mut failed = Errno::UnknownErrno;
        let mut stack = vec![0_u8; STACK_BYTES];
        // A handler of ours must not run in a child that has our memory.
        let mask = SigSet::all().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK)?;
        let born = {
            let failed = &mut failed;
            let be_born = Box::new(|| {
                *failed = self.become_it(&image, parent);
                127
            });
            let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
            // SAFETY: the closure makes system calls only and reads what lives until this call
            // returns, which is after the exec or the end of the child; its stack is its own.
            unsafe { clone(be_born, &mut stack, flags, Some(libc::SIGCHLD)) }
        };
        mask.thread_set_mask()?;
        let pid = born?;
        if failed == Errno::UnknownErrno {
            return Ok(pid);
        }
        waitpid(pid, None)?;
        Err(failed.into())
    }

    /// Turns the child into the program; returns why not.
    fn become_it(&self, image: &Image, parent: Pid) -> Errno {
        match self.arrange(image, parent) {
            Ok(()) => image.exec(),
            Err(error) => error,
        }
    }

    fn arrange(&self, image: &Image, parent: Pid) -> Result<(), Errno> {
        if let Some(fd) = &self.stdin {
            dup2_stdin(fd)?;
        }
        if let Some(fd) = &self.stdout {
            dup2_stdout(fd)?;
        }
        if let Some(fd) = &self.stderr {
            dup2_stderr(fd)?;
        }
        image.enter_folder()?;
        if !self.preparation.session {
            setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
        }
        in_child(parent, &self.preparation)?;
        // No handler of ours is left that could run now.
        SigSet::empty().thread_set_mask()
    }
}

/// Everything that the exec needs, made before the child is.
struct Image {
    path: CString,
    folder: Option<CString>,
    argv: Strings,
    /// The same for the shell.
    script: Strings,
    env: Strings,
}

impl Image {
    fn of(program: &Program) -> io::Result<Self> {
        let path = text(program.path.as_os_str())?;
        let argv = program.argv.iter().map(|arg| text(arg));
        let argv = argv.collect::<io::Result<Vec<_>>>()?;
        let behind = argv.iter().skip(1).cloned();
        let script = [SHELL.to_owned(), path.clone()].into_iter().chain(behind);
        let folder = program.folder.as_deref().map(Path::as_os_str);
        Ok(Self {
            folder: folder.map(text).transpose()?,
            script: Strings::new(script.collect()),
            argv: Strings::new(argv),
            env: Strings::new(environment(&program.env)?),
            path,
        })
    }

    fn enter_folder(&self) -> Result<(), Errno> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        // SAFETY: reads one text that ends with NUL, as a `CString` does.
        Errno::result(unsafe { libc::chdir(folder.as_ptr()) }).map(drop)
    }

    /// Returns only when there is no exec.
    fn exec(&self) -> Errno {
        let error = exec(&self.path, &self.argv, &self.env);
        match error {
            Errno::ENOEXEC => exec(SHELL, &self.script, &self.env),
            _ => error,
        }
    }
}

fn exec(path: &CStr, argv: &Strings, env: &Strings) -> Errno {
    // SAFETY: texts end with NUL and lists with a null pointer; all of them live in the parent, which
    // waits.
    unsafe { libc::execve(path.as_ptr(), argv.pointers.as_ptr(), env.pointers.as_ptr()) };
    Errno::last()
}

/// Texts as the kernel takes them.
struct Strings {
    /// Into `_texts`, with null behind the last.
    pointers: Vec<*const c_char>,
    _texts: Vec<CString>,
}

impl Strings {
    fn new(texts: Vec<CString>) -> Self {
        let pointers = texts.iter().map(|text| text.as_ptr());
        Self {
            pointers: pointers.chain([ptr::null()]).collect(),
            _texts: texts,
        }
    }
}

/// Returns our environment with the changes of a program.
fn environment(changes: &BTreeMap<OsString, Option<OsString>>) -> io::Result<Vec<CString>> {
    let kept = std::env::vars_os().filter(|(name, _)| !changes.contains_key(name));
    let set = changes.iter().filter_map(|(name, value)| {
        let value = value.as_ref()?;
        Some((name.clone(), value.clone()))
    });
    let line = |(mut name, value): (OsString, OsString)| {
        name.push("=");
        name.push(value);
        text(&name)
    };
    kept.chain(set).map(line).collect()
}

fn text(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn said(mut program: Program) -> String {
        let (mut reader, writer) = io::pipe().unwrap();
        program.stdout(writer);
        let pid = program.spawn().unwrap();
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        waitpid(pid, None).unwrap();
        said
    }

    #[test]
    fn a_program_has_its_arguments_folder_and_environment() {
        let mut program = Program::new("/bin/sh");
        program.argv(["name", "-c", "echo $0 $A ${HOME-none}; pwd; ps -o pgid= $$"]);
        program.env("A", "b c").env_remove("HOME");
        program.folder(Path::new("/usr"));
        let said = said(program);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[..2], ["name b c none", "/usr"]);
        assert_ne!(lines[2].trim(), nix::unistd::getpgrp().to_string());
    }

    #[test]
    fn a_script_that_names_nobody_is_run_by_the_shell() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        std::fs::write(&script, "echo $1 by $0").unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
        let mut program = Program::new(&script);
        program.argv(["other", "run"]);
        assert_eq!(said(program), format!("run by {}\n", script.display()));
    }

    #[test]
    fn what_cannot_be_run_is_an_error_and_leaves_no_child() {
        let error = Program::new("/no/such/program").spawn().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let error = Program::new("/etc").spawn().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let mut program = Program::new("/bin/true");
        program.folder(Path::new("/no/such/folder"));
        let error = program.spawn().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let mut program = Program::new("/bin/true");
        program.env("A", "b\0c");
        let error = program.spawn().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
