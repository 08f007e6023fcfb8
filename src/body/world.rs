//! What all services of a stack share.

use std::path::PathBuf;
use std::sync::Arc;

use fathom_formats::detx::DetxVersion;
use fathom_kernel::{
    Addresses, Board, Bus, Checkpoint, CheckpointStore, Clock, ControlHandle, Counters,
    DetectorFeed, Event, LifeChange, Request, ServiceCx, State,
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::cgroup::Cgroups;
use super::ledger::Ledger;
use super::orphans::Adoptable;
use super::remains::Remains;
use super::spawner::Spawner;
use crate::chronicle::{Chronicle, Lives};
use crate::config::InForce;
use crate::config::plan::Plan;
use crate::door::Guests;
use crate::guard::Guard;
use crate::health::Heartbeats;
use crate::incidents::{Gauges, Shelf};
use crate::logs::Logs;
use crate::telemetry::Records;

/// What all services of a stack share.
#[derive(Clone)]
pub struct World {
    /// The bus.
    pub bus: Bus,
    /// The board.
    pub board: Board,
    /// Commands to the supervisor.
    pub control: ControlHandle,
    /// The time.
    pub clock: Clock,
    /// State kept over restarts.
    pub checkpoints: Arc<dyn CheckpointStore>,
    /// Where services listen.
    pub addresses: Addresses,
    /// Files and web addresses, for services.
    pub reach: fathom_kernel::World,
    /// Folder of the stack.
    pub data_dir: PathBuf,
    /// Folder of the configuration file.
    pub config_dir: PathBuf,
    /// The event log.
    pub chronicle: Chronicle,
    /// What the lives of services heard.
    pub lives: Lives,
    /// Reports of failures.
    pub incidents: Shelf,
    /// Figures of running services.
    pub gauges: Gauges,
    /// Tells this run of the stack from all others.
    pub boot_id: Arc<str>,
    /// The detector as it is described now.
    pub feed: DetectorFeed,
    /// The same as DETX, for services in children of the same binary.
    pub detector: watch::Sender<Option<Arc<str>>>,
    /// Which records are written.
    pub level: Arc<str>,
    /// Where supervisord's clients find us, for children.
    pub server_url: Arc<str>,
    /// The program `fathom`, for services in children of the same binary.
    pub program: PathBuf,
    /// Who may speak at the door of foreign children.
    pub(crate) guests: Guests,
    /// Hears of every process group.
    pub guard: Guard,
    /// Makes children.
    pub spawner: Spawner,
    /// Control groups of children that need one.
    pub cgroups: Cgroups,
    /// Finds what children leave behind.
    pub remains: Remains,
    /// The book of living children, for the next supervisor.
    pub ledger: Ledger,
    /// Children of an earlier supervisor, to be taken over.
    pub adoptable: Adoptable,
    /// How often programs said that they live.
    pub heartbeats: Heartbeats,
    /// The last lines of every service.
    pub records: Records,
    /// The log files of services.
    pub logs: Logs,
    /// The plan that is in force; whoever applies another one shows it here.
    pub plans: watch::Sender<Arc<Plan>>,
    /// The plan that was read last, in force or not.
    pub read_plans: watch::Sender<Arc<Plan>>,
    /// Which configuration that plan in force is from.
    pub in_force: watch::Sender<InForce>,
    /// Cancelled when the stack begins to end.
    pub ending: CancellationToken,
}

/// Returns the detector as DETX, when some service needs it in a child.
pub(crate) fn detector_text(plan: &Plan) -> Option<Arc<str>> {
    let detector = plan
        .setup
        .detector
        .as_ref()
        .filter(|_| has_children(plan))?;
    Some(detector.to_detx(DetxVersion::V5).into())
}

/// Tells whether some service runs in a child of the same binary.
pub(crate) fn has_children(plan: &Plan) -> bool {
    plan.services.iter().any(|s| s.run_word() == "process")
}

/// The supervisor's ends of a service's context.
pub(super) struct Line {
    /// Asks the service to end.
    pub stop: CancellationToken,
    /// Sends it questions.
    pub inbox: mpsc::Sender<Request>,
    /// Becomes true when it is ready.
    pub ready: watch::Receiver<bool>,
}

impl World {
    /// Makes the context of one start, and the supervisor's ends of it.
    pub(super) fn context(&self, name: &Arc<str>, counters: &Arc<Counters>) -> (ServiceCx, Line) {
        let stop = CancellationToken::new();
        let (inbox_to, inbox) = mpsc::channel(ServiceCx::INBOX_MAX);
        let (ready, ready_seen) = watch::channel(false);
        let cx = ServiceCx {
            name: name.clone(),
            bus: self.bus.clone(),
            board: self.board.clone(),
            stop: stop.clone(),
            inbox,
            control: self.control.clone(),
            counters: counters.clone(),
            clock: self.clock.clone(),
            checkpoint: Checkpoint::new(name.clone(), self.checkpoints.clone()),
            addresses: self.addresses.clone(),
            detector: self.feed.clone(),
            world: self.reach.clone(),
            data_dir: self.data_dir.clone(),
            ready,
        };
        let line = Line {
            stop,
            inbox: inbox_to,
            ready: ready_seen,
        };
        (cx, line)
    }

    /// Writes down a change of state, and publishes it.
    pub fn announce(
        &self,
        service: &str,
        incarnation: u64,
        (from, to): (State, State),
        reason: String,
    ) {
        let life = self.chronicle.life(|sequence| LifeChange {
            sequence,
            service: service.to_owned(),
            incarnation,
            from,
            to,
            reason,
            at: self.clock.now(),
        });
        self.bus.publish(Event::Life(life));
    }

    /// Waits until reports and events are on disk, for a limited time. Blocks.
    pub fn close(&self) {
        self.logs.give_up();
        // Each report is an event as well.
        self.incidents.close();
        self.lives.close();
        self.chronicle.close();
    }

    /// Puts everything that is kept of a service under its new name; its incarnation goes on under
    /// the old one.
    pub fn rename(&self, from: &str, to: &str) {
        self.logs.rename(from, to);
        self.records.rename(from, to);
        self.heartbeats.rename(from, to);
        self.gauges.rename(from, to);
        let list = self.addresses.watch().borrow().clone();
        for (name, address) in list.iter().filter(|(name, _)| belongs(name, from)) {
            self.addresses.withdraw(name);
            let door = name.strip_prefix(from).unwrap_or_default();
            self.addresses.announce(&format!("{to}{door}"), *address);
        }
    }

    /// Takes back all addresses that a service announced and did not withdraw.
    pub fn withdraw_addresses(&self, service: &str) {
        let theirs: Vec<String> = self
            .addresses
            .watch()
            .borrow()
            .keys()
            .filter(|name| belongs(name, service))
            .cloned()
            .collect();
        for name in theirs {
            self.addresses.withdraw(&name);
        }
    }
}

/// Tells whether an announced name is a service, or `service/door`.
fn belongs(name: &str, service: &str) -> bool {
    name.strip_prefix(service)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors_belong_to_their_service_only() {
        assert!(belongs("a:b", "a:b"));
        assert!(belongs("a:b/http", "a:b"));
        assert!(!belongs("a:bc", "a:b"));
    }
}
