//! Where an incarnation is written down as long as something of it lives: with the guardian, and in
//! the book for the next supervisor.

use std::path::PathBuf;

use nix::unistd::Pid;

use super::fifo;
use super::ledger::{Entry, Ledger, machine};
use super::orphans::adoption;
use super::remains::{Remains, Whose};
use super::strays::stat_of;
use super::world::World;
use crate::config::plan::{ServicePlan, Stderr};
use crate::files;
use crate::guard::Guard;

/// An incarnation that is written down.
pub(super) struct Registration {
    entry: Entry,
    ours: bool,
    guard: Guard,
    ledger: Ledger,
    remains: Remains,
}

impl Registration {
    /// Prepares to write down an incarnation; its process does not exist yet.
    pub(super) fn new(world: &World, plan: &ServicePlan, incarnation: u64) -> Self {
        let adopt = adoption(plan);
        let endings: &[&str] = match (adopt, plan.log.stderr) {
            (None, _) => &[],
            (Some(_), Stderr::Merge) => &["out"],
            (Some(_), Stderr::Separate) => &["out", "err"],
        };
        let named = |ending: &&str| {
            let name = files::name_of(&plan.name);
            let name = format!("{name}.{}.{incarnation}.{ending}", world.boot_id);
            world.data_dir.join("run").join(name)
        };
        let entry = Entry {
            service: plan.name.to_string(),
            incarnation,
            pid: 0,
            started_ticks: 0,
            machine: machine(),
            marker: format!("{}/{}/{incarnation}", world.boot_id, plan.name),
            adopt,
            pipes: endings.iter().map(named).collect(),
        };
        Self::of(world, entry, true)
    }

    /// Takes over an incarnation that is written down already.
    pub(super) fn adopted(world: &World, entry: Entry) -> Self {
        world.guard.spare(&entry.marker);
        Self::of(world, entry, false)
    }

    fn of(world: &World, entry: Entry, ours: bool) -> Self {
        Self {
            entry,
            ours,
            guard: world.guard.clone(),
            ledger: world.ledger.clone(),
            remains: world.remains.clone(),
        }
    }

    /// Writes down the process.
    pub(super) fn came(&mut self, process: Pid) {
        self.entry.pid = process.as_raw();
        // It is not reaped yet, so there is something to read.
        self.entry.started_ticks = stat_of(process).map_or(0, |stat| stat.started_ticks);
        match self.entry.adopt {
            Some(_) => self.guard.spare(&self.entry.marker),
            None => self.guard.came(process),
        }
        self.ledger.came(self.entry.clone());
    }

    /// Writes down that nothing is left.
    pub(super) fn went(&self) {
        if self.entry.pid != 0 {
            match self.entry.adopt {
                Some(_) => self.guard.forget(&self.entry.marker),
                None => self.guard.went(Pid::from_raw(self.entry.pid)),
            }
            self.ledger.went(&self.entry.marker);
        }
        for path in &self.entry.pipes {
            fifo::remove(path);
        }
    }

    /// Returns the pipes with names that it writes to.
    pub(super) fn pipes(&self) -> &[PathBuf] {
        &self.entry.pipes
    }

    /// Returns the mark of its processes.
    pub(super) fn marker(&self) -> &str {
        &self.entry.marker
    }

    /// Returns whose remains are to be looked for, and who looks.
    pub(super) fn remains(&self) -> (Whose, Remains) {
        let whose = Whose {
            group: Pid::from_raw(self.entry.pid),
            marker: self.entry.marker.clone(),
            ours: self.ours,
        };
        (whose, self.remains.clone())
    }
}
