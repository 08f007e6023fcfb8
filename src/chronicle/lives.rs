//! What the lives of services heard, with times: enough to live them again and compare.
//!
//! The lines stand beside the event log, in files of their own. A replay needs all lines since the
//! beginning of a life; lives whose beginning was removed as too old cannot be replayed.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::entry::{Entry, What, cut};
use super::journal::{Journal, Kept, Numbered};
use super::reader::Reader;
use crate::actors::lifecycle::{Change, Record, replay};
use crate::actors::phase::Input;
use crate::actors::policy::Policy;

/// Lines read at once.
const READ_MAX: usize = 4096;

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LifeLine {
    /// Grows by one with each line.
    pub sequence: u64,
    /// What it says.
    pub said: Said,
}

/// What a line says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// A life begins.
    Born {
        /// Full name of the service.
        service: String,
        /// Its policy.
        policy: Box<Policy>,
        /// The seed of its jitter.
        seed: u64,
        /// Number of the next event: the life's own events come behind.
        event: u64,
    },
    /// A life heard something.
    Heard {
        /// Full name of the service.
        service: String,
        /// What and when.
        record: Record,
    },
    /// A service has another name from now on; its life cannot be followed any further.
    Renamed {
        /// Full name until now.
        service: String,
    },
    /// Lines that the disk did not take.
    Gap {
        /// How many.
        missed: u64,
    },
}

impl Numbered for LifeLine {
    fn number(&self) -> u64 {
        self.sequence
    }

    fn gap(number: u64, missed: u64) -> Self {
        Self {
            sequence: number,
            said: Said::Gap { missed },
        }
    }
}

/// Writes down what lives hear. Clones share it.
#[derive(Clone)]
pub struct Lives(Arc<Inner>);

struct Inner {
    journal: Journal<LifeLine>,
    next: Mutex<u64>,
    began: Instant,
}

impl Lives {
    /// Opens the files in a folder.
    pub fn open(folder: &Path, kept: Kept) -> io::Result<Self> {
        let (journal, found) = Journal::open(folder, kept)?;
        Ok(Self(Arc::new(Inner {
            journal,
            next: Mutex::new(found.next),
            began: Instant::now(),
        })))
    }

    /// Writes down that a life begins; `event` is the number of the next event.
    pub fn born(&self, service: &str, policy: &Policy, seed: u64, event: u64) {
        self.say(Said::Born {
            service: service.to_owned(),
            policy: Box::new(policy.clone()),
            seed,
            event,
        });
    }

    /// Writes down that a service has another name from now on.
    pub fn renamed(&self, service: &str) {
        self.say(Said::Renamed {
            service: service.to_owned(),
        });
    }

    /// Writes down what a life hears. Never waits.
    pub fn heard(&self, service: &str, input: &Input, now: Instant) {
        let time = now.saturating_duration_since(self.0.began);
        self.say(Said::Heard {
            service: service.to_owned(),
            record: Record {
                at_ns: u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
                input: input.clone(),
            },
        });
    }

    fn say(&self, said: Said) {
        let mut next = self.0.next.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = *next;
        *next += 1;
        self.0.journal.push(Arc::new(LifeLine { sequence, said }));
    }

    /// Waits until everything is on disk, for a limited time. Blocks.
    pub fn close(&self) {
        self.0.journal.close();
    }
}

/// One life as it was lived again.
#[derive(Debug)]
pub struct Replayed {
    /// Full name of the service.
    pub service: String,
    /// The changes of state that the event log has.
    pub told: Vec<Change>,
    /// The changes of state that follow from what it heard.
    pub found: Vec<Change>,
}

impl Replayed {
    /// Tells whether both are the same, times apart: those are of different clocks.
    pub fn agrees(&self) -> bool {
        self.difference().is_none()
    }

    /// Returns the place of the first difference.
    pub fn difference(&self) -> Option<usize> {
        let longer = self.told.len().max(self.found.len());
        (0..longer).find(|at| match (self.told.get(*at), self.found.get(*at)) {
            (Some(told), Some(found)) => !is_same(told, found),
            (_, _) => true,
        })
    }
}

fn is_same(told: &Change, found: &Change) -> bool {
    let mut reason = found.reason.clone();
    cut(&mut reason);
    (told.incarnation, told.from, told.to) == (found.incarnation, found.from, found.to)
        && told.reason == reason
}

struct Lived {
    policy: Policy,
    seed: u64,
    event: u64,
    records: Vec<Record>,
}

/// Lives all lives again whose lines and events are complete. Blocks.
pub fn replay_all(events: &Path, lives: &Path) -> io::Result<Vec<Replayed>> {
    let Told {
        mut told,
        complete_from,
    } = told(events)?;
    let mut replayed = Vec::new();
    for (service, lived) in lived(lives)? {
        let mut own = told.remove(&service).unwrap_or_default();
        // From the last life back, each takes what was told since it began.
        for life in lived.into_iter().rev() {
            let at = own.partition_point(|(sequence, _)| *sequence < life.event);
            let told = own.split_off(at).into_iter().map(|(_, change)| change);
            if life.event < complete_from {
                continue;
            }
            replayed.push(Replayed {
                service: service.clone(),
                told: told.collect(),
                found: replay(life.policy, life.seed, life.records),
            });
        }
    }
    Ok(replayed)
}

fn lived(folder: &Path) -> io::Result<BTreeMap<String, Vec<Lived>>> {
    let mut lives: BTreeMap<String, Vec<Lived>> = BTreeMap::new();
    each(&mut Reader::<LifeLine>::new(folder, 0), |line| {
        match line.said {
            Said::Born {
                service,
                policy,
                seed,
                event,
            } => lives.entry(service).or_default().push(Lived {
                policy: *policy,
                seed,
                event,
                records: Vec::new(),
            }),
            Said::Heard { service, record } => {
                // Without its beginning, a life cannot be lived again.
                if let Some(life) = lives.get_mut(&service).and_then(|l| l.last_mut()) {
                    life.records.push(record);
                }
            }
            Said::Renamed { service } => {
                lives.entry(service).or_default().pop();
            }
            // Whoever missed something is unknown, so nobody can be lived again up to here.
            Said::Gap { .. } => lives.clear(),
        }
    })?;
    Ok(lives)
}

/// What the event log has of all lives.
struct Told {
    told: BTreeMap<String, Vec<(u64, Change)>>,
    /// Nothing is missing from this number on.
    complete_from: u64,
}

fn told(folder: &Path) -> io::Result<Told> {
    let mut told: BTreeMap<String, Vec<(u64, Change)>> = BTreeMap::new();
    let mut complete_from = None;
    each(&mut Reader::<Entry>::new(folder, 0), |entry| {
        complete_from.get_or_insert(entry.sequence);
        if let What::Gap(_) = entry.what {
            complete_from = Some(entry.sequence + 1);
        }
        if let What::Life(life) = entry.what {
            let change = Change {
                at_ns: 0,
                incarnation: life.incarnation,
                from: life.from,
                to: life.to,
                reason: life.reason,
            };
            let own = told.entry(life.service).or_default();
            own.push((entry.sequence, change));
        }
    })?;
    Ok(Told {
        told,
        complete_from: complete_from.unwrap_or(0),
    })
}

fn each<T>(reader: &mut Reader<T>, mut take: impl FnMut(T)) -> io::Result<()>
where
    T: Numbered + serde::de::DeserializeOwned,
{
    loop {
        let lines = reader.read(READ_MAX)?;
        if lines.is_empty() {
            return Ok(());
        }
        lines.into_iter().for_each(&mut take);
    }
}
