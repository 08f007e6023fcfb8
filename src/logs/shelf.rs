//! The logs of a stack: one entry per service, kept over its incarnations.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use fathom_kernel::{LogLine, LogStream};
use tracing::error;

use super::file::{LogFile, Rotation};
use super::outlet::Outlet;
use super::past::{Owner, Past, Question};
use super::shape;
use super::witness::Witness;
use crate::chronicle::Chronicle;
use crate::config::plan::{LineFormat, LogPlan, LogTarget, OnFull, Stderr};
use crate::files;

/// The logs of all services of a stack, and its own. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Logs(Arc<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    folder: PathBuf,
    own: Option<Arc<LogFile>>,
    /// Hears of rotations.
    chronicle: OnceLock<Chronicle>,
    services: Mutex<BTreeMap<String, Entry>>,
}

#[derive(Debug)]
struct Entry {
    way: (LogTarget, OnFull),
    format: LineFormat,
    /// For records of a service of this process, which must never wait for a disk.
    records: Arc<Outlet>,
    files: [Arc<LogFile>; 2],
    logs: ServiceLogs,
}

/// Where the output of one service goes.
#[derive(Debug, Clone)]
pub struct ServiceLogs {
    /// Standard output, with standard error unless that goes elsewhere.
    pub out: Arc<Outlet>,
    /// Standard error.
    pub err: Option<Arc<Outlet>>,
}

impl Logs {
    /// Makes the logs of a stack with this data folder; `own` is the file of the supervisor itself.
    pub fn new(data_dir: &Path, own: Option<Arc<LogFile>>) -> Self {
        Self(Arc::new(Shelf {
            folder: data_dir.join("logs"),
            own,
            chronicle: OnceLock::new(),
            services: Mutex::default(),
        }))
    }

    /// Tells the event log of rotations from now on; the first call counts.
    pub fn tell(&self, chronicle: Chronicle) {
        self.0.chronicle.get_or_init(|| chronicle);
    }

    /// Returns the logs of a service by its present plan; what is running keeps its outlets, but
    /// obeys new limits.
    pub fn keep(&self, service: &str, plan: &LogPlan) -> ServiceLogs {
        let chronicle = self.0.chronicle.get();
        let mut services = self.lock();
        let entry = services.entry(service.to_owned()).or_insert_with(|| {
            let file = |ending: &str| {
                let name = format!("{}.{ending}", files::name_of(service));
                let file = LogFile::new(self.0.folder.join(name), Rotation::of(plan));
                match chronicle {
                    Some(chronicle) => file.watched_by(Witness::new(chronicle.clone(), service)),
                    None => file,
                }
            };
            let files = [file("log"), file("stderr.log")];
            Entry::new((service, plan), files, chronicle)
        });
        let is_same = entry.way == (plan.target, plan.on_full)
            && entry.logs.err.is_some() == (plan.stderr == Stderr::Separate);
        if !is_same {
            *entry = Entry::new((service, plan), entry.files.clone(), chronicle);
        }
        entry.format = plan.format;
        let (logs, files) = (entry.logs.clone(), entry.files.clone());
        drop(services);
        files.iter().for_each(|file| file.obey(Rotation::of(plan)));
        logs
    }

    /// Writes a record of a service of this process into its log; never waits.
    pub(crate) fn record(&self, line: &LogLine) {
        let (records, format, target) = match self.lock().get(&line.service) {
            Some(entry) => (entry.records.clone(), entry.format, entry.way.0),
            None => return,
        };
        if records.is_open() {
            records.write(&shape::record(line, format, target));
        }
    }

    /// Puts the logs of a service under another name as well: what runs goes on writing into them.
    pub fn rename(&self, from: &str, to: &str) {
        let mut services = self.lock();
        if let Some(entry) = services.remove(from) {
            services.insert(to.to_owned(), entry);
        }
    }

    /// Forgets a service that was removed; its files stay.
    pub fn forget(&self, service: &str) {
        self.lock().remove(service);
    }

    /// Returns the log of a service's stream: that of standard output for records, too. `None` when
    /// it does not go into a file of its own.
    pub fn file(&self, service: &str, stream: LogStream) -> Option<Arc<LogFile>> {
        let services = self.lock();
        let logs = &services.get(service)?.logs;
        let outlet = match stream {
            LogStream::Stdout | LogStream::Record => Some(&logs.out),
            LogStream::Stderr => logs.err.as_ref(),
        };
        outlet?.file().cloned()
    }

    /// Looks back into the files of a service, or of the supervisor for the empty name; nothing when
    /// it writes into none. Reads files.
    pub fn past(&self, service: &str, question: Question) -> io::Result<Past> {
        let sources: Vec<_> = match service {
            "" => vec![(LogStream::Record, self.own().cloned(), LineFormat::Raw)],
            service => {
                let format = self.lock().get(service).map(|entry| entry.format);
                let streams = [LogStream::Stdout, LogStream::Stderr];
                let with_file = |stream| (stream, self.file(service, stream));
                let files = streams.map(with_file).into_iter();
                files
                    .map(|(stream, file)| (stream, file, format.unwrap_or_default()))
                    .collect()
            }
        };
        let mut past = Past::default();
        for (stream, file, format) in sources {
            let Some(file) = file else { continue };
            let owner = Owner {
                service,
                stream,
                format,
            };
            let found = file.moment(question.since)?.look(&owner, question)?;
            past.lines.extend(found.lines);
            past.cut |= found.cut;
        }
        past.lines.sort_by_key(|line| line.at);
        let surplus = past.lines.len().saturating_sub(question.lines);
        past.lines.drain(..surplus);
        Ok(past)
    }

    /// Returns the logs of a service.
    pub fn of(&self, service: &str) -> Option<ServiceLogs> {
        Some(self.lock().get(service)?.logs.clone())
    }

    /// Returns the file of the supervisor's own records.
    pub fn own(&self) -> Option<&Arc<LogFile>> {
        self.0.own.as_ref()
    }

    /// Opens all files anew at their next write: somebody moved them away.
    pub fn reopen(&self) {
        let entries = self.lock();
        let theirs: Vec<_> = entries.values().flat_map(|e| e.files.clone()).collect();
        drop(entries);
        theirs
            .iter()
            .chain(self.own())
            .for_each(|file| file.reopen());
    }

    /// Ends all writing, and says how much output of which service is lost with that, since its log
    /// took nothing to the last. Returns all of it in bytes.
    pub fn give_up(&self) -> usize {
        let mut lost = 0;
        let entries = self.lock();
        let of = |(service, entry): (&String, &Entry)| {
            let outlets = [&entry.records, &entry.logs.out].into_iter();
            let outlets: Vec<_> = outlets.chain(&entry.logs.err).cloned().collect();
            (service.clone(), outlets, entry.files.clone())
        };
        let all: Vec<_> = entries.iter().map(of).collect();
        drop(entries);
        for (service, outlets, files) in all {
            let waiting: usize = outlets.iter().map(|outlet| outlet.waiting_bytes()).sum();
            let bytes = waiting + files.iter().map(LogFile::give_up).sum::<usize>();
            if bytes > 0 {
                error!(
                    service,
                    bytes, "output is lost: its log took nothing to the last"
                );
            }
            lost += bytes;
        }
        lost
    }

    /// While it is held nothing is said and no file is waited for: each record looks here for its log, one
    /// of a file that complains as well.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        let services = &self.0.services;
        services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn new(
        (service, plan): (&str, &LogPlan),
        files: [Arc<LogFile>; 2],
        chronicle: Option<&Chronicle>,
    ) -> Self {
        let [out, err] = &files;
        let outlet = |file: &Arc<LogFile>, plan: &LogPlan| {
            Arc::new(Outlet::new(service, plan, file.clone(), chronicle))
        };
        let patient = LogPlan {
            on_full: OnFull::Drop,
            ..plan.clone()
        };
        Self {
            way: (plan.target, plan.on_full),
            format: plan.format,
            records: outlet(out, &patient),
            logs: ServiceLogs {
                out: outlet(out, plan),
                err: (plan.stderr == Stderr::Separate).then(|| outlet(err, plan)),
            },
            files,
        }
    }
}

impl ServiceLogs {
    /// Returns the files it goes into.
    pub fn files(&self) -> Vec<Arc<LogFile>> {
        let outlets = std::iter::once(&self.out).chain(&self.err);
        outlets
            .filter_map(|outlet| outlet.file().cloned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::recording::recorded;

    #[test]
    fn a_log_outlives_incarnations_and_obeys_new_limits() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::new(folder.path(), None);
        assert!(logs.file("a:b", LogStream::Stdout).is_none());
        let mut plan = LogPlan::default();
        logs.keep("a:b", &plan).out.write(b"one\n");
        plan.max = fathom_kernel::Size::from_bytes(4);
        logs.keep("a:b", &plan).out.write(b"two\n");
        let file = logs.file("a:b", LogStream::Record).unwrap();
        assert_eq!(file.path(), folder.path().join("logs/a:b.log"));
        assert!(!file.path().exists() && file.written_bytes() == 8);
        assert!(logs.file("a:b", LogStream::Stderr).is_none());
        plan.stderr = Stderr::Separate;
        assert_eq!(logs.keep("a:b", &plan).files().len(), 2);
        plan.target = LogTarget::None;
        assert!(logs.keep("a:b", &plan).files().is_empty());
    }

    #[test]
    fn what_a_full_disk_never_took_is_counted_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::new(folder.path(), None);
        let in_the_way = folder.path().join("logs");
        std::fs::write(&in_the_way, "a file where the folder should be").unwrap();
        logs.keep("a", &LogPlan::default()).out.write(b"one\n");
        logs.keep("b", &LogPlan::default()).out.write(b"three\n");
        assert_eq!(logs.give_up(), 10);
        assert_eq!(logs.give_up(), 0, "it is lost only once");
        std::fs::remove_file(&in_the_way).unwrap();
        logs.keep("a", &LogPlan::default()).out.write(b"four\n");
        assert_eq!(logs.give_up(), 0);
    }

    #[test]
    fn the_record_that_output_is_lost_waited_for_itself_and_the_end_never_came() {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("logs"), "a file in the way").unwrap();
            let logs = Logs::new(folder.path(), None);
            logs.keep("a", &LogPlan::default()).out.write(b"one\n");
            let keeper = logs.clone();
            let record = move |line: &LogLine| keeper.record(line);
            let lost = recorded(record, || logs.give_up());
            tell.send(lost).unwrap();
        });
        let lost = told.recv_timeout(std::time::Duration::from_secs(20));
        assert_eq!(lost, Ok(4));
    }
}
