//! Where the reports are: one file each, a limited number of each service.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

use super::gather::gather;
use super::report::{Case, Incident, Summary};
use crate::chronicle::{Chronicle, IncidentNote, What};
use crate::files;
use crate::telemetry::Records;

/// Reports kept of each service.
const KEPT_MAX: usize = 100;

/// Most cases waiting to be written; further ones are not.
const WAITING_MAX: usize = 256;

/// Most reports kept in memory while the disk takes none; then the oldest of them is lost.
const UNWRITTEN_MAX: usize = 16;

/// Time between two attempts to write what the disk did not take.
const RETRY: Duration = Duration::from_secs(5);

/// Largest report that is read [bytes].
const REPORT_MAX: u64 = 8 << 20;

/// Longest wait for the disk at the end.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// Time between two attempts to get a place in a full queue at the end.
const CLOSE_LOOK: Duration = Duration::from_millis(10);

/// Where a report gets its lines and events from, and who hears of it.
#[derive(Clone)]
pub struct Sources {
    /// The last lines of every service.
    pub records: Records,
    /// The event log.
    pub chronicle: Chronicle,
}

/// The reports of one stack. Clones share them.
#[derive(Clone)]
pub struct Shelf(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    next: AtomicU64,
    index: Mutex<Index>,
    to: SyncSender<Job>,
}

/// Which reports there are.
#[derive(Default)]
struct Index {
    /// File name of the service by number of the report.
    services: BTreeMap<u64, Arc<str>>,
    /// Numbers by file name of the service, oldest first.
    numbers: HashMap<Arc<str>, VecDeque<u64>>,
    /// Texts of reports that are not on the disk yet.
    unwritten: BTreeMap<u64, Arc<[u8]>>,
}

impl Index {
    /// Adds a report, with its text when the disk did not take it. Returns those that have to make
    /// place for it on the disk.
    fn add(&mut self, id: u64, service: &Arc<str>, unwritten: Option<Arc<[u8]>>) -> Vec<u64> {
        self.services.insert(id, service.clone());
        self.unwritten.extend(unwritten.map(|text| (id, text)));
        let numbers = self.numbers.entry(service.clone()).or_default();
        numbers.push_back(id);
        let spare = numbers.len().saturating_sub(KEPT_MAX);
        let mut too_old: Vec<u64> = numbers.drain(..spare).collect();
        for old in &too_old {
            self.services.remove(old);
        }
        too_old.retain(|old| self.unwritten.remove(old).is_none());
        while self.unwritten.len() > UNWRITTEN_MAX {
            self.lose_oldest();
        }
        too_old
    }

    fn lose_oldest(&mut self) {
        let Some((id, _)) = self.unwritten.pop_first() else {
            return;
        };
        if let Some(service) = self.services.remove(&id)
            && let Some(numbers) = self.numbers.get_mut(&service)
        {
            numbers.retain(|number| *number != id);
        }
        warn!(id, "an incident is lost: the disk takes nothing");
    }
}

enum Job {
    Write(u64, Box<Case>),
    Close(SyncSender<()>),
}

/// Why a report cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// There is none of this number.
    #[error("no incident {0}")]
    NoSuch(u64),
    /// Its file cannot be read.
    #[error("cannot read incident {id}")]
    Unreadable {
        /// Which.
        id: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Shelf {
    /// Opens the shelf in a folder and starts the thread that writes.
    pub fn open(folder: &Path, sources: Sources) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut index = Index::default();
        for entry in std::fs::read_dir(folder)?.flatten() {
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            if let Some((id, service)) = parse(name) {
                index.services.insert(id, service.into());
            } else if name.strip_suffix(".new").and_then(parse).is_some() {
                // Left by a crash, or by a full disk.
                std::fs::remove_file(entry.path())?;
            }
        }
        for (id, service) in &index.services {
            let numbers = index.numbers.entry(service.clone()).or_default();
            numbers.push_back(*id);
        }
        let next = index.services.keys().last().map_or(1, |last| last + 1);
        let (to, jobs) = sync_channel(WAITING_MAX);
        let shelf = Self(Arc::new(Inner {
            folder: folder.to_owned(),
            next: AtomicU64::new(next),
            index: Mutex::new(index),
            to,
        }));
        let writer = Writer {
            // Not a clone of the shelf: that would keep its own channel open for ever.
            shelf: Arc::downgrade(&shelf.0),
            sources,
        };
        std::thread::Builder::new()
            .name("incidents".to_owned())
            .spawn(move || writer.write(&jobs))?;
        Ok(shelf)
    }

    /// Opens a case and returns its number; `None` when too many wait to be written. Never waits.
    pub fn put(&self, case: Case) -> Option<u64> {
        let id = self.0.next.fetch_add(1, Relaxed);
        let service = case.service.clone();
        match self.0.to.try_send(Job::Write(id, Box::new(case))) {
            Ok(()) => Some(id),
            Err(_) => {
                warn!(%service, "too many incidents at once, one is not written");
                None
            }
        }
    }

    /// Returns the number of the last report of a service.
    pub fn last_of(&self, service: &str) -> Option<u64> {
        let index = self.0.index();
        let numbers = index.numbers.get(&*files::name_of(service))?;
        numbers.back().copied()
    }

    /// Reads a report. Blocks.
    pub fn read(&self, id: u64) -> Result<Incident, ShelfError> {
        let service = self.0.index().services.get(&id).cloned();
        let service = service.ok_or(ShelfError::NoSuch(id))?;
        let incident = self.0.read(id, &service);
        incident.map_err(|source| ShelfError::Unreadable { id, source })
    }

    /// Returns the heads of the last reports, of one service or of all, newest first. What cannot be
    /// read is left out. Blocks.
    pub fn list(&self, service: Option<&str>, count_max: usize) -> Vec<Summary> {
        let wanted = service.map(files::name_of);
        let is_wanted = |of: &Arc<str>| wanted.as_ref().is_none_or(|wanted| **wanted == **of);
        let last: Vec<(u64, Arc<str>)> = {
            let index = self.0.index();
            let all = index.services.iter().rev();
            let wanted = all.filter(|(_, of)| is_wanted(of)).take(count_max);
            wanted.map(|(id, of)| (*id, of.clone())).collect()
        };
        let heads = last.into_iter();
        heads
            .filter_map(|(id, service)| self.0.read(id, &service).ok())
            .collect()
    }

    /// Waits until everything is written, for a limited time. Blocks.
    pub fn close(&self) {
        let (tell, told) = sync_channel(1);
        let deadline = Instant::now() + CLOSE_MAX;
        // A disk that takes nothing leaves no place in the queue, and must not hold us up.
        while let Err(TrySendError::Full(_)) = self.0.to.try_send(Job::Close(tell.clone())) {
            if Instant::now() >= deadline {
                return warn!("incidents were not written in time");
            }
            std::thread::sleep(CLOSE_LOOK);
        }
        drop(tell);
        if told.recv_timeout(CLOSE_MAX) == Err(RecvTimeoutError::Timeout) {
            warn!("incidents were not written in time");
        }
    }
}

impl Inner {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, id: u64, service: &str) -> PathBuf {
        self.folder.join(format!("{id:08}-{service}.json"))
    }

    fn read<T: serde::de::DeserializeOwned>(&self, id: u64, service: &str) -> io::Result<T> {
        let unwritten = self.index().unwritten.get(&id).cloned();
        if let Some(text) = unwritten {
            return Ok(serde_json::from_slice(&text)?);
        }
        let mut text = Vec::new();
        let file = File::open(self.path(id, service))?;
        file.take(REPORT_MAX).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Puts a report on the shelf; the oldest of the same service makes place for it. What the disk
    /// does not take stays in memory, and the error says why.
    fn put(&self, incident: &Incident) -> io::Result<()> {
        let service: Arc<str> = files::name_of(&incident.service).into();
        let mut text = serde_json::to_vec(incident)?;
        text.push(b'\n');
        let written = files::replace(&self.path(incident.id, &service), &[&text]);
        let unwritten = written.is_err().then(|| text.into());
        let too_old = self.index().add(incident.id, &service, unwritten);
        for old in too_old {
            std::fs::remove_file(self.path(old, &service))?;
        }
        written
    }

    /// Writes what the disk did not take before; tells whether something is left.
    fn write_rest(&self) -> bool {
        loop {
            let next = {
                let index = self.index();
                let first = index.unwritten.first_key_value();
                first.and_then(|(id, text)| {
                    Some((*id, text.clone(), index.services.get(id)?.clone()))
                })
            };
            let Some((id, text, service)) = next else {
                return false;
            };
            if files::replace(&self.path(id, &service), &[&text]).is_err() {
                return true;
            }
            self.index().unwritten.remove(&id);
        }
    }
}

/// The thread that writes.
struct Writer {
    shelf: std::sync::Weak<Inner>,
    sources: Sources,
}

impl Writer {
    fn write(self, jobs: &Receiver<Job>) {
        let mut is_behind = false;
        loop {
            let job = match is_behind {
                false => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                true => jobs.recv_timeout(RETRY),
            };
            let close = match job {
                Ok(Job::Write(id, case)) => {
                    self.put(id, *case);
                    None
                }
                Ok(Job::Close(tell)) => Some(tell),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let shelf = self.shelf.upgrade();
            is_behind = shelf.is_some_and(|shelf| shelf.write_rest());
            if let Some(tell) = close {
                // Whoever asked may have waited long enough.
                tell.send(()).ok();
            }
        }
    }

    fn put(&self, id: u64, case: Case) {
        let Some(shelf) = self.shelf.upgrade() else {
            return;
        };
        let incident = gather(id, case, &self.sources);
        if let Err(error) = shelf.put(&incident) {
            warn!(service = incident.service, id, %error, "cannot write an incident yet");
        }
        // Told when the report can be read.
        self.sources.chronicle.record(What::Incident(IncidentNote {
            at: incident.ended,
            id,
            service: incident.service,
            incarnation: incident.incarnation,
            reason: incident.reason,
        }));
    }
}

/// Reads number and service out of the name of a file.
fn parse(name: &str) -> Option<(u64, &str)> {
    let (id, service) = name.strip_suffix(".json")?.split_once('-')?;
    Some((id.parse().ok()?, service))
}

#[cfg(test)]
mod tests {
    use fathom_kernel::{Bus, Clock, Exit, LogLine, LogStream, Timestamp};

    use super::*;
    use crate::body::Autopsy;
    use crate::incidents::Peaks;

    fn case(service: &str, incarnation: u64) -> Case {
        Case {
            service: service.into(),
            incarnation,
            generation: 1,
            sha256: "0123456789abcdef".to_owned(),
            started: Some(Timestamp::UNIX_EPOCH),
            ended: Timestamp::from_second(90).unwrap(),
            reason: "exit:3".to_owned(),
            exit: Some(Exit::Code(3)),
            autopsy: Autopsy::default(),
            peaks: Peaks::default(),
            streak: 1,
            next: "started again at once".to_owned(),
            upstream: vec!["a:upstream".to_owned()],
        }
    }

    fn sources() -> Sources {
        Sources {
            records: Records::new(Bus::new()),
            chronicle: Chronicle::in_memory(Clock::system()),
        }
    }

    #[test]
    fn reports_are_kept_by_number_over_restarts_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let sources = sources();
        let shelf = Shelf::open(folder.path(), sources.clone()).unwrap();
        sources.records.push(LogLine {
            service: "a:b".to_owned(),
            incarnation: 1,
            stream: LogStream::Stdout,
            line: "last words".to_owned(),
            at: Timestamp::UNIX_EPOCH,
        });
        for incarnation in 1..=(KEPT_MAX as u64 + 5) {
            while shelf.put(case("a:b", incarnation)).is_none() {
                shelf.close();
            }
        }
        assert!(shelf.put(case("c", 1)).is_some());
        shelf.close();
        let last = shelf.last_of("a:b").unwrap();
        let incident = shelf.read(last).unwrap();
        assert_eq!(incident.incarnation, KEPT_MAX as u64 + 5);
        assert_eq!(incident.stdout[0].line, "last words");
        assert_eq!(incident.uptime_s, Some(90.0));
        assert!(matches!(shelf.read(1), Err(ShelfError::NoSuch(1))));
        assert_eq!(shelf.list(Some("a:b"), 1000).len(), KEPT_MAX);
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            KEPT_MAX + 1
        );
        let shelf = Shelf::open(folder.path(), sources).unwrap();
        assert_eq!(shelf.last_of("a:b"), Some(last));
        let heads = shelf.list(None, 2);
        assert_eq!((heads[0].service.as_str(), heads[1].id), ("c", last));
        assert_eq!(shelf.put(case("c", 2)), Some(heads[0].id + 1));
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_listed_and_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let reports = folder.path().join("incidents");
        let shelf = Shelf::open(&reports, sources()).unwrap();
        // Without its folder the disk takes nothing either.
        std::fs::remove_dir(&reports).unwrap();
        let count = UNWRITTEN_MAX as u64 + 2;
        for incarnation in 1..=count {
            assert_eq!(shelf.put(case("a", incarnation)), Some(incarnation));
        }
        shelf.close();
        let listed = |shelf: &Shelf| shelf.list(Some("a"), 1000).len();
        assert_eq!(listed(&shelf), UNWRITTEN_MAX);
        assert_eq!(shelf.read(count).unwrap().incarnation, count);
        assert!(matches!(shelf.read(1), Err(ShelfError::NoSuch(1))));
        assert_eq!(shelf.last_of("a"), Some(count));
        std::fs::create_dir(&reports).unwrap();
        std::fs::write(reports.join("00000001-a.json.new"), "").unwrap();
        shelf.close();
        let shelf = Shelf::open(&reports, sources()).unwrap();
        assert_eq!(listed(&shelf), UNWRITTEN_MAX);
        assert_eq!(std::fs::read_dir(&reports).unwrap().count(), UNWRITTEN_MAX);
    }

    #[test]
    fn a_report_that_is_no_report_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("00000007-a.json"), "{").unwrap();
        std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let shelf = Shelf::open(folder.path(), sources()).unwrap();
        assert!(shelf.list(None, 10).is_empty());
        assert!(matches!(shelf.read(7), Err(ShelfError::Unreadable { .. })));
        assert_eq!(shelf.put(case("b", 1)), Some(8));
    }
}
