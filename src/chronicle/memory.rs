//! The last events in memory, the number of the next one, and what is known of each service.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fathom_kernel::{
    Bus, Changes, Clock, Consequence, Event, Filter, Health, LifeChange, Limits, State, Timestamp,
    Topic,
};
use tokio::sync::watch;

use super::entry::{Boot, Entry, Notice, Reload, Rotation, Subjects, What};
use super::follow::{Follow, Since};
use super::journal::{Journal, Kept};

/// Most events in memory; followers that are further behind miss some.
const KEPT_MAX: usize = 4096;

/// Events of former runs that are taken into memory.
const FORMER_MAX: usize = 1000;

/// The event log of one stack. Clones share it.
#[derive(Clone)]
pub struct Chronicle(Arc<Inner>);

pub(super) struct Inner {
    pub(super) folder: Option<PathBuf>,
    pub(super) clock: Clock,
    journal: Option<Journal<Entry>>,
    memory: Mutex<Memory>,
    /// Number of the next event; followers wait for its change.
    next: watch::Sender<u64>,
}

#[derive(Default)]
struct Memory {
    /// Their numbers have no gap between them, except where files had one.
    kept: VecDeque<Arc<Entry>>,
    standings: HashMap<String, Standing>,
}

impl std::fmt::Debug for Chronicle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Chronicle");
        shown
            .field("next", &self.next_number())
            .finish_non_exhaustive()
    }
}

/// What is known of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its state.
    pub state: State,
    /// Counts its starts.
    pub incarnation: u64,
    /// Its health, when there was a verdict on this incarnation.
    pub health: Health,
}

/// What a follower takes at once.
pub(super) struct Taken {
    /// Events that were overwritten before it took them.
    pub(super) missed: u64,
    pub(super) entries: Vec<Arc<Entry>>,
    pub(super) next: u64,
}

impl Chronicle {
    /// Opens the event log in a folder and goes on behind its last event.
    pub fn open(folder: &Path, clock: Clock, kept: Kept) -> io::Result<Self> {
        let (journal, found) = Journal::open(folder, kept)?;
        let skip = found.lines.len().saturating_sub(FORMER_MAX);
        let former = found.lines.iter().skip(skip);
        let kept = former
            .filter_map(|line| serde_json::from_str(line).ok())
            .map(Arc::<Entry>::new)
            .collect();
        Ok(Self(Arc::new(Inner {
            folder: Some(folder.to_owned()),
            clock,
            journal: Some(journal),
            memory: Mutex::new(Memory {
                kept,
                standings: HashMap::new(),
            }),
            next: watch::Sender::new(found.next),
        })))
    }

    /// Makes an event log that is kept in memory only.
    pub fn in_memory(clock: Clock) -> Self {
        Self(Arc::new(Inner {
            folder: None,
            clock,
            journal: None,
            memory: Mutex::default(),
            next: watch::Sender::new(1),
        }))
    }

    /// Writes down that the supervisor begins its work.
    pub fn boot(&self, boot_id: &str, sha256: String) {
        self.record(What::Boot(Boot {
            at: self.now(),
            boot_id: boot_id.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            sha256,
        }));
    }

    /// Returns the time that events are given.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Returns the number of the next event.
    pub fn next_number(&self) -> u64 {
        *self.0.next.borrow()
    }

    /// Writes an event down; never waits. Returns its number.
    pub fn record(&self, what: What) -> u64 {
        self.write(|_| what).sequence
    }

    /// Writes down a change of state, which carries its number itself.
    pub fn life(&self, make: impl FnOnce(u64) -> LifeChange) -> LifeChange {
        let entry = self.write(|sequence| What::Life(make(sequence)));
        match &entry.what {
            What::Life(life) => life.clone(),
            _ => unreachable!("written just now"),
        }
    }

    /// Writes down something about a service, or about the supervisor when the name is empty.
    pub fn notice(&self, service: &str, what: &str, text: impl Into<String>) -> u64 {
        self.record(What::Notice(Notice {
            at: self.now(),
            service: service.to_owned(),
            what: what.to_owned(),
            text: text.into(),
        }))
    }

    /// Writes down that a log file was rotated, so often since the last time.
    pub fn rotation(&self, service: &str, file: &str, (bytes, rotations): (u64, u64)) {
        self.record(What::Rotation(Rotation {
            at: self.now(),
            service: service.to_owned(),
            file: file.to_owned(),
            bytes,
            rotations,
        }));
    }

    /// Writes down that another configuration is in force, and what it changes.
    pub fn reload(&self, changes: &Changes) {
        let services = |wanted: &[Consequence]| {
            let services = changes.services.iter();
            let of_it = services.filter(|service| wanted.contains(&service.consequence));
            of_it.map(|service| service.name.clone()).collect()
        };
        self.record(What::Reload(Reload {
            at: self.now(),
            generation: changes.generation,
            sha256: changes.sha256.clone(),
            added: services(&[Consequence::Add]),
            removed: services(&[Consequence::Remove]),
            changed: services(&[
                Consequence::Hot,
                Consequence::Restart,
                Consequence::Relaunch,
            ]),
        }));
    }

    fn write(&self, make: impl FnOnce(u64) -> What) -> Arc<Entry> {
        let mut memory = self.0.memory();
        let sequence = *self.0.next.borrow();
        let mut what = make(sequence);
        what.cut();
        memory.learn(&what);
        let entry = Arc::new(Entry { sequence, what });
        memory.kept.push_back(entry.clone());
        if memory.kept.len() > KEPT_MAX {
            memory.kept.pop_front();
        }
        if let Some(journal) = &self.0.journal {
            journal.push(entry.clone());
        }
        // Inside the lock, so that the numbers have one order everywhere.
        self.0.next.send_replace(sequence + 1);
        entry
    }

    /// Returns what is known of a service that changed its state in this run.
    pub fn standing(&self, service: &str) -> Option<Standing> {
        self.0.memory().standings.get(service).copied()
    }

    /// Returns the last events of some sorts that are in memory, oldest first.
    pub fn last(&self, count: usize, of: &Subjects) -> Vec<Arc<Entry>> {
        let memory = self.0.memory();
        let wanted = memory.kept.iter().rev();
        let wanted = wanted.filter(|entry| of.contains(&entry.what.subject()));
        let mut last: Vec<_> = wanted.take(count).cloned().collect();
        last.reverse();
        last
    }

    /// Starts to follow.
    pub fn follow(&self, since: Since, of: Subjects) -> Follow {
        Follow::new(self.0.clone(), self.0.next.subscribe(), since, of)
    }

    /// Returns how many followers there are.
    pub fn followers(&self) -> usize {
        self.0.next.receiver_count()
    }

    /// Returns how many events the disk did not take.
    pub fn lost(&self) -> u64 {
        self.0.journal.as_ref().map_or(0, Journal::lost)
    }

    /// Waits until everything is on disk, for a limited time. Blocks.
    pub fn close(&self) {
        if let Some(journal) = &self.0.journal {
            journal.close();
        }
    }

    /// Writes down the alarms of the bus until the future is dropped.
    pub fn take_alarms(&self, bus: &Bus) -> impl Future<Output = ()> + Send + use<> {
        let filter = Filter::none().and(Topic::Alarm);
        let mut alarms = bus.subscribe("chronicle", filter, Limits::default());
        let chronicle = self.clone();
        async move {
            let mut batch = VecDeque::new();
            let mut told = 0;
            while alarms.recv_batch(&mut batch).await {
                for event in batch.drain(..) {
                    if let Event::Alarm(alarm) = &*event {
                        chronicle.record(What::Alarm(alarm.clone()));
                    }
                }
                let lost = alarms.lost().messages;
                if lost > told {
                    let text = format!("{} alarms came too fast", lost - told);
                    chronicle.notice("", "alarms_lost", text);
                    told = lost;
                }
            }
        }
    }
}

impl Inner {
    /// Takes what is in memory from a number on.
    pub(super) fn take(&self, from: u64) -> Taken {
        let memory = self.memory();
        let next = *self.next.borrow();
        let oldest = memory.kept.front().map_or(next, |entry| entry.sequence);
        let skip = memory.kept.partition_point(|entry| entry.sequence < from);
        Taken {
            missed: oldest.saturating_sub(from),
            entries: memory.kept.iter().skip(skip).cloned().collect(),
            next,
        }
    }

    /// Returns the numbers of the oldest event in memory and of the next one.
    pub(super) fn bounds(&self) -> (u64, u64) {
        let memory = self.memory();
        let next = *self.next.borrow();
        let oldest = memory.kept.front().map_or(next, |entry| entry.sequence);
        (oldest, next)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn learn(&mut self, what: &What) {
        match what {
            What::Life(life) => {
                let known = self.standings.get(&life.service);
                let health = known
                    .filter(|known| known.incarnation == life.incarnation)
                    .map_or(Health::Unknown, |known| known.health);
                let standing = Standing {
                    state: life.to,
                    incarnation: life.incarnation,
                    health,
                };
                self.standings.insert(life.service.clone(), standing);
            }
            What::Verdict(verdict) => {
                if let Some(known) = self.standings.get_mut(&verdict.service) {
                    known.health = verdict.to;
                }
            }
            _ => {}
        }
    }
}
