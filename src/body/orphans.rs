//! What an earlier supervisor left behind when it was killed: ended before anything is started, or
//! taken over where the service wants that.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::unistd::Pid;
use tracing::{error, info, warn};

use super::ending::{Pace, end_all};
use super::ledger::{self, Entry, Ledger};
use crate::chronicle::Chronicle;
use crate::config::plan::{Body, OnDaemonDeath, Plan, ServicePlan};

/// How much time processes have.
const PACE: Pace = Pace {
    grace: Duration::from_secs(5),
    look_every: Duration::from_millis(10),
};

/// Processes to be taken over, by service. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Adoptable(Arc<Mutex<HashMap<String, Entry>>>);

/// What became of the processes of an earlier supervisor.
#[derive(Debug, Default)]
struct Found {
    /// To be taken over.
    adoptable: Vec<Entry>,
    /// Ended.
    removed: Vec<Entry>,
    /// Marks by which others were found that are not in the book: strays, and those whose supervisor
    /// was killed before it could write them down. Ended as well.
    marks: BTreeSet<String>,
}

impl Found {
    /// Writes down what became of each.
    fn tell(&self, chronicle: &Chronicle) {
        for entry in &self.removed {
            let text = format!("ended process {} of an earlier supervisor", entry.pid);
            warn!(service = entry.service, pid = entry.pid, "orphan removed");
            chronicle.notice(&entry.service, "orphan_removed", text);
        }
        for mark in &self.marks {
            // BOOT/NAME/INCARNATION
            let service = mark.split('/').nth(1).unwrap_or_default();
            warn!(service, mark, "orphan removed");
            let text = "ended what an earlier supervisor had started".to_owned();
            chronicle.notice(service, "orphan_removed", text);
        }
        for entry in &self.adoptable {
            let text = format!("takes over process {} of an earlier supervisor", entry.pid);
            info!(
                service = entry.service,
                pid = entry.pid,
                "orphan taken over"
            );
            chronicle.notice(&entry.service, "orphan_adopted", text);
        }
    }
}

impl Adoptable {
    /// Holds these.
    fn of(entries: Vec<Entry>) -> Self {
        let entries = entries.into_iter();
        let named = entries.map(|entry| (entry.service.clone(), entry));
        Self(Arc::new(Mutex::new(named.collect())))
    }

    /// Tells whether a process of this service waits to be taken over.
    pub(crate) fn has(&self, service: &str) -> bool {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.contains_key(service)
    }

    /// Hands out the process of this service, once.
    pub(super) fn take(&self, service: &str) -> Option<Entry> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(service)
    }
}

/// Returns a number that stands for what a service runs, when its process may be taken over.
pub(super) fn adoption(plan: &ServicePlan) -> Option<u64> {
    match &plan.body {
        Body::Command(body) if plan.process.on_daemon_death == OnDaemonDeath::Adopt => {
            let mut hasher = DefaultHasher::new();
            (&body.argv, &body.env, &body.cwd, &body.user).hash(&mut hasher);
            Some(hasher.finish())
        }
        Body::Command(_) | Body::Kind(_) => None,
    }
}

/// Ends all processes of the former supervisor that are not to be taken over, and begins the book of
/// this one with those that are. Blocks until the others are gone, for ten seconds at most.
pub(crate) fn take_over(
    plan: &Plan,
    boot_id: &str,
    chronicle: &Chronicle,
) -> io::Result<(Ledger, Adoptable)> {
    let data_dir = &plan.setup.data_dir;
    let found = settle(data_dir, plan)?;
    found.tell(chronicle);
    let ledger = Ledger::begin(data_dir, boot_id, found.adoptable.clone())?;
    Ok((ledger, Adoptable::of(found.adoptable)))
}

fn settle(data_dir: &Path, plan: &Plan) -> io::Result<Found> {
    let former = ledger::former(data_dir)?;
    // Marks of all that is not taken over. Where only the process itself is gone, what it started
    // may not be, and is found by its mark.
    let mut doomed: HashSet<String> = former.entries.keys().cloned().collect();
    let mut found = Found::default();
    for entry in former.entries.into_values().filter(Entry::lives) {
        let wanted = plan.service(&entry.service).and_then(adoption);
        let second = found.adoptable.iter().any(|e| e.service == entry.service);
        if entry.adopt.is_some() && entry.adopt == wanted && !second {
            info!(
                service = entry.service,
                pid = entry.pid,
                "process is taken over"
            );
            doomed.remove(&entry.marker);
            found.adoptable.push(entry);
        } else {
            found.removed.push(entry);
        }
    }
    let prefix = former.boot_id.map(|boot_id| format!("{boot_id}/"));
    let marks = RefCell::new(BTreeSet::new());
    let condemned = |mark: &str| {
        let theirs = prefix
            .as_deref()
            .is_some_and(|prefix| mark.starts_with(prefix));
        let is_condemned =
            doomed.contains(mark) || (theirs && found.adoptable.iter().all(|e| e.marker != mark));
        if is_condemned && found.removed.iter().all(|e| e.marker != mark) {
            marks.borrow_mut().insert(mark.to_owned());
        }
        is_condemned
    };
    let groups: Vec<Pid> = found.removed.iter().map(|e| Pid::from_raw(e.pid)).collect();
    if !end_all(&groups, condemned, PACE) {
        error!("processes of an earlier supervisor cannot be ended");
    }
    found.marks = marks.into_inner();
    sweep(&data_dir.join("run"), &found.adoptable);
    Ok(found)
}

/// Removes pipes and sockets of incarnations that are gone; only their supervisor would have done so.
fn sweep(folder: &Path, adoptable: &[Entry]) {
    let kept: HashSet<_> = adoptable
        .iter()
        .flat_map(|entry| entry.pipes.iter().filter_map(|pipe| pipe.file_name()))
        .collect();
    for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_ours = file
            .file_type()
            .is_ok_and(|kind| kind.is_fifo() || kind.is_socket());
        if is_ours
            && !kept.contains(&*file.file_name())
            && let Err(error) = std::fs::remove_file(file.path())
        {
            warn!(path = %file.path().display(), %error, "cannot remove what is left over");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::super::fifo;
    use super::*;

    #[test]
    fn pipes_and_sockets_of_those_that_are_gone_are_removed_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let _pipes = ["a.out", "b.out"].map(|name| fifo::make(&at(name)).unwrap());
        let _socket = UnixDatagram::bind(at("c.1")).unwrap();
        std::fs::write(at("book"), "").unwrap();
        let entry = Entry {
            service: "a".to_owned(),
            incarnation: 1,
            pid: 1,
            started_ticks: 0,
            machine: String::new(),
            marker: String::new(),
            adopt: Some(1),
            pipes: vec![at("a.out")],
        };
        sweep(folder.path(), &[entry]);
        let files = std::fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["a.out", "book"]);
    }
}
