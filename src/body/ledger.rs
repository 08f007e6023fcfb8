//! The book of living incarnations, on disk: by it the next supervisor finds what this one left
//! behind when it was killed.
//!
//! One JSON line for each incarnation that comes and for each that goes; written anew at the start,
//! and when what has gone makes up most of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::strays::{is_over, mark_of, stat_of};

/// Name of the book in the folder `run` of the data folder.
const NAME: &str = "processes";

/// A book of this size is written anew when most of it is history [bytes].
const REWRITE_AT: usize = 1 << 20;

/// One incarnation that has a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Name of the service.
    pub(crate) service: String,
    /// Its incarnation.
    pub(crate) incarnation: u64,
    /// Its process, which leads a group of the same number.
    pub(crate) pid: i32,
    /// When that started, in clock ticks since the machine did.
    pub(crate) started_ticks: u64,
    /// Which start of the machine that was.
    pub(crate) machine: String,
    /// The mark of all its processes.
    pub(crate) marker: String,
    /// Stands for what it runs, when it is to be taken over; another program is not.
    pub(crate) adopt: Option<u64>,
    /// Pipes with names that it writes to: standard output, and standard error if it is separate.
    pub(crate) pipes: Vec<PathBuf>,
}

impl Entry {
    /// Tells whether its process still exists and is the same.
    pub(crate) fn lives(&self) -> bool {
        let pid = Pid::from_raw(self.pid);
        self.pid > 1
            && self.machine == machine()
            && stat_of(pid).is_some_and(|stat| {
                stat.started_ticks == self.started_ticks && !is_over(stat.state)
            })
            && mark_of(pid).is_some_and(|mark| mark == self.marker)
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    /// A supervisor whose marks begin so.
    Stack(String),
    Came(Entry),
    /// The mark of what has gone.
    Went(String),
}

/// What an earlier supervisor wrote.
#[derive(Debug, Default)]
pub(crate) struct Former {
    /// How the marks of its processes begin.
    pub(crate) boot_id: Option<String>,
    /// What had come and not gone, by mark.
    pub(crate) entries: BTreeMap<String, Entry>,
}

/// The book of this supervisor. Clones write to the same.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Mutex<Book>>);

#[derive(Debug)]
struct Book {
    path: PathBuf,
    boot_id: String,
    /// `None` after it could not be written.
    file: Option<File>,
    bytes: usize,
    living: BTreeMap<String, Entry>,
}

impl Ledger {
    /// Begins a book with what was taken over from the former one.
    pub(crate) fn begin(
        data_dir: &Path,
        boot_id: &str,
        taken_over: Vec<Entry>,
    ) -> io::Result<Self> {
        let path = path(data_dir);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let living = taken_over.into_iter();
        let mut book = Book {
            path,
            boot_id: boot_id.to_owned(),
            file: None,
            bytes: 0,
            living: living.map(|entry| (entry.marker.clone(), entry)).collect(),
        };
        book.rewrite()?;
        Ok(Self(Arc::new(Mutex::new(book))))
    }

    /// Writes down an incarnation.
    pub(super) fn came(&self, entry: Entry) {
        self.change(|book| {
            book.living.insert(entry.marker.clone(), entry.clone());
            Line::Came(entry)
        });
    }

    /// Writes down that nothing of an incarnation is left.
    pub(super) fn went(&self, marker: &str) {
        self.change(|book| {
            book.living.remove(marker);
            Line::Went(marker.to_owned())
        });
    }

    fn change(&self, change: impl FnOnce(&mut Book) -> Line) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = change(&mut book);
        if let Err(error) = book.write(&line) {
            book.file = None;
            warn!(%error, path = %book.path.display(), "cannot write down which processes live");
        }
    }
}

impl Book {
    fn write(&mut self, line: &Line) -> io::Result<()> {
        // All lines are about as long as those of the living.
        let history = self.bytes > REWRITE_AT && self.bytes / 512 > self.living.len() * 4;
        match &mut self.file {
            Some(file) if !history => {
                let line = text(line)?;
                self.bytes += line.len();
                file.write_all(line.as_bytes())
            }
            _ => self.rewrite(),
        }
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let mut all = text(&Line::Stack(self.boot_id.clone()))?;
        for entry in self.living.values() {
            all.push_str(&text(&Line::Came(entry.clone()))?);
        }
        crate::files::replace(&self.path, &[all.as_bytes()])?;
        self.bytes = all.len();
        self.file = Some(File::options().append(true).open(&self.path)?);
        Ok(())
    }
}

/// Reads the book of the former supervisor. What cannot be read is left out: the last line may have
/// been cut.
pub(crate) fn former(data_dir: &Path) -> io::Result<Former> {
    let file = match File::open(path(data_dir)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Former::default()),
        Err(error) => return Err(error),
    };
    let mut former = Former::default();
    for line in BufReader::new(file).split(b'\n') {
        match serde_json::from_slice(&line?) {
            Ok(Line::Stack(boot_id)) => former.boot_id = Some(boot_id),
            Ok(Line::Came(entry)) => {
                former.entries.insert(entry.marker.clone(), entry);
            }
            Ok(Line::Went(marker)) => {
                former.entries.remove(&marker);
            }
            Err(error) => warn!(%error, "a line about former processes cannot be read"),
        }
    }
    Ok(former)
}

/// Returns what tells this start of the machine from others; empty when nothing does.
pub(crate) fn machine() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map(|id| id.trim().to_owned()).unwrap_or_default()
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("run").join(NAME)
}

fn text(line: &Line) -> io::Result<String> {
    let mut text = serde_json::to_string(line).map_err(io::Error::other)?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(service: &str, pid: i32) -> Entry {
        Entry {
            service: service.to_owned(),
            incarnation: 1,
            pid,
            started_ticks: 7,
            machine: machine(),
            marker: format!("b/{service}/1"),
            adopt: None,
            pipes: Vec::new(),
        }
    }

    #[test]
    fn the_book_says_who_came_and_has_not_gone_and_bears_a_cut() {
        let folder = tempfile::tempdir().unwrap();
        assert!(former(folder.path()).unwrap().entries.is_empty());
        let ledger = Ledger::begin(folder.path(), "b", vec![entry("old", 5)]).unwrap();
        ledger.came(entry("a", 6));
        ledger.came(entry("c", 7));
        ledger.went("b/a/1");
        let book = path(folder.path());
        let mut file = File::options().append(true).open(book).unwrap();
        file.write_all(b"{\"went\":\"b/c").unwrap();
        let read = former(folder.path()).unwrap();
        assert_eq!(read.boot_id.as_deref(), Some("b"));
        let marks: Vec<&str> = read.entries.keys().map(String::as_str).collect();
        assert_eq!(marks, ["b/c/1", "b/old/1"]);
    }

    #[test]
    fn a_book_that_is_mostly_history_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::begin(folder.path(), "b", Vec::new()).unwrap();
        for _ in 0..10_000 {
            ledger.came(entry("a", 6));
            ledger.went("b/a/1");
        }
        let bytes = fs::metadata(path(folder.path())).unwrap().len();
        assert!(bytes < REWRITE_AT as u64 + 1024, "{bytes}");
        assert!(former(folder.path()).unwrap().entries.is_empty());
    }

    #[test]
    fn another_process_of_the_same_number_is_not_meant() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(!entry("a", me).lives());
        assert!(!entry("a", 0).lives());
    }
}
