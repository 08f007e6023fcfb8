//! The guardian: a small process that outlives the supervisor by a moment and ends everything the
//! supervisor started, should it die without a word (`kill -9`).
//!
//! It reads lines from a pipe whose other end only the supervisor holds: `+ GROUP` and `- GROUP` for
//! process groups that come and go, `~ MARK` and `! MARK` for incarnations that shall go on without
//! the supervisor, `socket` for the control socket that is there from now on, `goodbye` for an ordered
//! end. The end of the pipe without a goodbye is the death of the supervisor.

use std::collections::BTreeSet;
use std::io::{self, BufRead, PipeWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{Pid, setsid};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tracing::{error, warn};

use crate::body::ending::{Pace, end_all};

/// How much time processes have.
const PACE: Pace = Pace {
    grace: Duration::from_secs(5),
    look_every: Duration::from_millis(20),
};

/// Time that the guardian has to end after the goodbye.
const GONE_WITHIN: Duration = Duration::from_secs(1);

/// Pause before a lost guardian is replaced.
const REPLACE_AFTER: Duration = Duration::from_millis(200);

/// The line that tells of the control socket: whose it is when the supervisor is dead cannot be found out
/// any more.
const SOCKET: &str = "socket\n";

/// The supervisor's side: tells the guardian which process groups exist.
#[derive(Clone, Default)]
pub struct Guard(Option<Arc<Mutex<Told>>>);

struct Told {
    groups: BTreeSet<i32>,
    spared: BTreeSet<String>,
    pipe: Option<PipeWriter>,
    keeping: Option<JoinHandle<()>>,
}

impl Guard {
    /// Starts a guardian and keeps one running: `program guard BOOT_ID SOCKET`.
    pub fn start(program: PathBuf, boot_id: Arc<str>, socket: PathBuf) -> io::Result<Self> {
        let told = Arc::new(Mutex::new(Told {
            groups: BTreeSet::new(),
            spared: BTreeSet::new(),
            pipe: None,
            keeping: None,
        }));
        let first = launch(&told, &program, &boot_id, &socket)?;
        let keeping = tokio::spawn(keep(told.clone(), first, program, boot_id, socket));
        told.lock().unwrap_or_else(PoisonError::into_inner).keeping = Some(keeping);
        Ok(Self(Some(told)))
    }

    /// Says that the control socket is there.
    pub(crate) fn opened(&self) {
        self.tell(|_| SOCKET.to_owned());
    }

    /// Says that a process group exists now.
    pub(crate) fn came(&self, group: Pid) {
        self.tell(|told| {
            told.groups.insert(group.as_raw());
            format!("+ {group}\n")
        });
    }

    /// Says that a process group is gone.
    pub(crate) fn went(&self, group: Pid) {
        self.tell(|told| {
            told.groups.remove(&group.as_raw());
            format!("- {group}\n")
        });
    }

    /// Says that what carries this mark shall go on without the supervisor.
    pub(crate) fn spare(&self, mark: &str) {
        self.tell(|told| {
            told.spared.insert(mark.to_owned());
            format!("~ {mark}\n")
        });
    }

    /// Says that what carries this mark is gone.
    pub(crate) fn forget(&self, mark: &str) {
        self.tell(|told| {
            told.spared.remove(mark);
            format!("! {mark}\n")
        });
    }

    /// Lets the guardian go and waits until it has: the stack ends in order and leaves nothing.
    /// Should something be left all the same, the guardian is not told so, and ends it.
    pub async fn goodbye(&self) {
        let Some(told) = &self.0 else {
            return;
        };
        let keeping = told.lock().unwrap_or_else(PoisonError::into_inner).part();
        if let Some(keeping) = keeping
            && tokio::time::timeout(GONE_WITHIN, keeping).await.is_err()
        {
            warn!("the guardian does not end");
        }
    }

    fn tell(&self, news: impl FnOnce(&mut Told) -> String) {
        let Some(told) = &self.0 else {
            return;
        };
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        let line = news(&mut told);
        told.write(&line);
    }
}

impl Told {
    /// Says goodbye, or hangs up while process groups are left. Returns what ends with the guardian,
    /// if it ends at once.
    fn part(&mut self) -> Option<JoinHandle<()>> {
        if self.groups.is_empty() {
            self.write("goodbye\n");
            return self.keeping.take();
        }
        error!(groups = ?self.groups, "processes are left, the guardian goes on ending them");
        self.pipe = None;
        None
    }

    /// Writes without waiting. A guardian that does not read for 64 KiB of lines is as good as none.
    fn write(&mut self, line: &str) {
        if let Some(pipe) = &mut self.pipe
            && let Err(error) = pipe.write_all(line.as_bytes())
        {
            warn!(%error, "the guardian does not listen");
        }
    }
}

fn launch(told: &Mutex<Told>, program: &Path, boot_id: &str, socket: &Path) -> io::Result<Child> {
    let (reader, writer) = io::pipe()?;
    let child = Command::new(program)
        .arg("guard")
        .arg(boot_id)
        .arg(socket)
        .stdin(Stdio::from(reader))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()?;
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    // A guardian that hangs must not hang the supervisor.
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    told.pipe = Some(writer);
    let mut all = SOCKET.to_owned();
    all.extend(told.groups.iter().map(|g| format!("+ {g}\n")));
    all.extend(told.spared.iter().map(|mark| format!("~ {mark}\n")));
    told.write(&all);
    Ok(child)
}

/// Replaces the guardian whenever it ends before the supervisor.
async fn keep(
    told: Arc<Mutex<Told>>,
    mut child: Child,
    program: PathBuf,
    boot_id: Arc<str>,
    socket: PathBuf,
) {
    loop {
        match child.wait().await {
            Ok(status) if status.success() => return,
            Ok(status) => warn!(%status, "the guardian has ended, replacing it"),
            Err(error) => warn!(%error, "cannot wait for the guardian"),
        }
        tokio::time::sleep(REPLACE_AFTER).await;
        child = match launch(&told, &program, &boot_id, &socket) {
            Ok(child) => child,
            Err(error) => return error!(%error, "there is no guardian any more"),
        };
    }
}

/// Is the guardian: reads lines until the end and does what has to be done then.
pub fn run(lines: impl BufRead, boot_id: &str, socket: &Path) {
    // A session of its own, so that no terminal's signal reaches it.
    setsid().ok();
    let (mut groups, mut spared) = (BTreeSet::new(), BTreeSet::new());
    let mut ours = None;
    for line in lines.lines() {
        let Ok(line) = line else {
            break;
        };
        ours = ours.or_else(|| number_of(socket));
        match line.split_once(' ') {
            Some(("+", group)) => groups.extend(group.parse::<i32>()),
            Some(("-", group)) => groups.retain(|known| known.to_string() != group),
            Some(("~", mark)) => spared.extend([mark.to_owned()]),
            Some(("!", mark)) => spared.retain(|known| known != mark),
            _ if line == "goodbye" => return,
            _ => {}
        }
    }
    // Never a number that means everybody, or ourselves.
    let groups: Vec<Pid> = groups
        .into_iter()
        .filter(|g| *g > 1)
        .map(Pid::from_raw)
        .collect();
    // First, since the end of the processes takes time. A new supervisor may have made a socket of
    // its own meanwhile.
    if ours.is_some() && ours == number_of(socket) {
        std::fs::remove_file(socket).ok();
    }
    let prefix = format!("{boot_id}/");
    let condemned = |mark: &str| mark.starts_with(&prefix) && !spared.contains(mark);
    // Nobody is there who could be told of one that stays.
    end_all(&groups, condemned, PACE);
}

/// Returns what tells a file from others of the same name.
fn number_of(path: &Path) -> Option<(u64, u64)> {
    let about = std::fs::metadata(path).ok()?;
    Some((about.dev(), about.ino()))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn heard(groups: &[i32]) -> String {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut told = Told {
            groups: groups.iter().copied().collect(),
            spared: BTreeSet::new(),
            pipe: Some(writer),
            keeping: None,
        };
        assert!(told.part().is_none());
        told.pipe = None;
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn the_goodbye_is_said_only_when_nothing_is_left() {
        assert_eq!(heard(&[]), "goodbye\n");
        assert_eq!(heard(&[4711]), "");
    }
}
