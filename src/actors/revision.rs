//! A new configuration for the running stack: read again, compared, put in force.
//!
//! One change is under way at a time. While it stops services, commands for these are refused, so
//! that nobody starts what is about to go; orders for all others go on and follow their services to
//! the places in the new plan. Nothing is touched before the whole configuration is known to be
//! good.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix::{ActorFutureExt as _, AsyncContext, Context, WrapFuture};
use fathom_kernel::{
    Answer, Caller, Changes, ConfigFault, ConfigStatus, ControlError, Expected, Reply,
};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::supervisor::{Supervisor, answer};
use crate::config::diff::{Diff, diff};
use crate::config::plan::Plan;
use crate::config::{FileSet, InForce, Loaded, Report, Reread};

type To = oneshot::Sender<Answer>;

/// What the supervisor knows of the configuration beside the plan in force.
pub(super) struct Revision {
    reread: Option<Reread>,
    /// The files that were read last, when any were since the start.
    read_files: Option<Arc<FileSet>>,
    /// Services of the change under way, by all their names.
    pub(super) busy: Option<BTreeSet<Arc<str>>>,
    /// The plan of the last configuration that was counted.
    counted: Arc<Plan>,
}

/// What is to become of a new configuration.
enum Purpose {
    /// It is shown.
    Show,
    /// It is put in force as far as these targets say.
    Update(Vec<String>, Expected),
    /// Everything is stopped, and starts with it; who asked may wait for that, or only hear that it
    /// begins.
    Reload { wait: bool },
}

impl Revision {
    /// Begins with the plan in force.
    pub(super) fn new(reread: Option<Reread>, plan: Arc<Plan>) -> Self {
        Self {
            reread,
            counted: plan,
            read_files: None,
            busy: None,
        }
    }
}

impl Supervisor {
    /// Reads the configuration and says what it would change.
    pub(super) fn reread(&mut self, reply: To, ctx: &mut Context<Self>) {
        self.read_for(Purpose::Show, String::new(), reply, ctx);
    }

    /// Reads the configuration and puts it in force.
    pub(super) fn update(
        &mut self,
        (targets, expected): (Vec<String>, Expected),
        caller: &Caller,
        reply: To,
        ctx: &mut Context<Self>,
    ) {
        let why = format!("update requested by {caller}");
        self.begin(Purpose::Update(targets, expected), why, reply, ctx);
    }

    /// Reads the configuration, stops everything, and starts with it.
    pub(super) fn reload(
        &mut self,
        wait: bool,
        caller: &Caller,
        reply: To,
        ctx: &mut Context<Self>,
    ) {
        let why = format!("reload requested by {caller}");
        self.begin(Purpose::Reload { wait }, why, reply, ctx);
    }

    /// Makes the reply of a reload whose end nobody waits for.
    fn unheard(&self, ctx: &mut Context<Self>) -> To {
        let (reply, told) = oneshot::channel();
        let then = told
            .into_actor(self)
            .map(|done: Result<Answer, _>, _, _| match done {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => warn!(%error, "the reload has failed"),
                Err(_) => warn!("the reload was given up"),
            });
        ctx.spawn(then);
        reply
    }

    /// Returns the plan that was read last.
    pub(super) fn read_plan(&self) -> Arc<Plan> {
        self.world.read_plans.borrow().clone()
    }

    /// Refuses what concerns a service that is being changed.
    pub(super) fn check_unchanging(&self, chosen: &[usize]) -> Result<(), ControlError> {
        let Some(busy) = &self.revision.busy else {
            return Ok(());
        };
        let names = chosen.iter().map(|&index| &self.plan.services[index].name);
        match names.into_iter().find(|name| busy.contains(*name)) {
            None => Ok(()),
            Some(name) => Err(ControlError::Busy(format!(
                "{name} is being changed by an update of the configuration"
            ))),
        }
    }

    fn begin(&mut self, purpose: Purpose, why: String, reply: To, ctx: &mut Context<Self>) {
        if let Err(error) = self.check_quiet() {
            return answer(Some(reply), Err(error));
        }
        info!("{why}");
        self.revision.busy = Some(BTreeSet::new());
        self.read_for(purpose, why, reply, ctx);
    }

    /// Refuses a change while another one is under way.
    pub(super) fn check_quiet(&self) -> Result<(), ControlError> {
        if self.is_ending() {
            return Err(ControlError::ShuttingDown);
        }
        if self.revision.busy.is_some() {
            let text = "another change of the configuration is under way";
            return Err(ControlError::Busy(text.to_owned()));
        }
        Ok(())
    }

    fn read_for(&mut self, purpose: Purpose, why: String, reply: To, ctx: &mut Context<Self>) {
        let changes = !matches!(purpose, Purpose::Show);
        let Some(reread) = self.revision.reread.clone() else {
            self.revision.busy = self.revision.busy.take().filter(|_| !changes);
            let text = "this stack was not made from a configuration that can be read again";
            return answer(Some(reply), Err(ControlError::Refused(text.to_owned())));
        };
        let reading = tokio::task::spawn_blocking(move || reread());
        let then = reading.into_actor(self).map(move |read, supervisor, ctx| {
            let read = read.unwrap_or_else(|_| Err(Report::default()));
            let taken = supervisor.take(read);
            let done = match (taken, purpose) {
                (Err(error), _) => Err(error),
                (Ok((loaded, diff)), Purpose::Show) => {
                    Ok(Reply::Changes(supervisor.shown(&loaded, &diff)))
                }
                (Ok((loaded, diff)), Purpose::Update(targets, expected)) => {
                    let decided = supervisor.check_expected(&expected, &loaded);
                    match decided
                        .and_then(|()| supervisor.decide_update((&loaded, &diff), &targets, why))
                    {
                        Ok(work) => return supervisor.stop_for(work, reply, ctx),
                        Err(error) => Err(error),
                    }
                }
                (Ok((loaded, diff)), Purpose::Reload { wait }) => {
                    match supervisor.decide_reload(&loaded, &diff, why) {
                        Ok(work) if wait => return supervisor.stop_for(work, reply, ctx),
                        Ok(work) => {
                            answer(Some(reply), Ok(Reply::Done(Vec::new())));
                            let reply = supervisor.unheard(ctx);
                            return supervisor.stop_for(work, reply, ctx);
                        }
                        Err(error) => Err(error),
                    }
                }
            };
            if changes {
                supervisor.revision.busy = None;
            }
            answer(Some(reply), done);
        });
        ctx.spawn(then);
    }

    /// Keeps what was read, when it can be used at all.
    fn take(&mut self, read: Result<Loaded, Report>) -> Result<(Loaded, Diff), ControlError> {
        let loaded = read.map_err(|report| {
            let faults = report.faults();
            warn!(problems = faults.len(), "the configuration cannot be used");
            ControlError::BadConfig(faults)
        })?;
        let (now, new) = (&self.plan.setup.data_dir, &loaded.plan.setup.data_dir);
        if now != new {
            return Err(ControlError::BadConfig(vec![ConfigFault {
                gravity: "error".to_owned(),
                at: None,
                message: format!(
                    "the data folder would change from {} to {}",
                    now.display(),
                    new.display()
                ),
                help: Some("start fathom anew for that".to_owned()),
            }]));
        }
        let read = Arc::new(loaded.plan.clone());
        self.world.read_plans.send_replace(read);
        self.revision.read_files = Some(Arc::new(loaded.files.clone()));
        let diff = diff(&self.plan, &loaded.plan);
        Ok((loaded, diff))
    }

    fn shown(&self, loaded: &Loaded, diff: &Diff) -> Changes {
        Changes {
            generation: self.world.in_force.borrow().generation,
            sha256: loaded.files.sha256(),
            warnings: loaded.warnings.faults(),
            ..diff.changes(&self.plan, &loaded.plan)
        }
    }

    fn check_expected(&self, expected: &Expected, loaded: &Loaded) -> Result<(), ControlError> {
        let generation = self.world.in_force.borrow().generation;
        let sha256 = loaded.files.sha256();
        let same = expected.generation.is_none_or(|shown| shown == generation)
            && expected
                .sha256
                .as_ref()
                .is_none_or(|shown| *shown == sha256);
        match same {
            true => Ok(()),
            false => Err(ControlError::Stale { generation, sha256 }),
        }
    }

    /// Returns which configuration is in force.
    pub(super) fn config_status(&self) -> ConfigStatus {
        let now = self.world.in_force.borrow();
        ConfigStatus {
            generation: now.generation,
            sha256: now.sha256(),
            differs: None,
        }
    }

    /// Counts a plan that was just put in force, unless nothing differs from before; once it says all
    /// that was read, the files of that are in force as well.
    pub(super) fn settle(&mut self) {
        let files = self.revision.read_files.clone();
        let files = files.filter(|_| diff(&self.plan, &self.read_plan()).is_settled());
        let old = std::mem::replace(&mut self.revision.counted, self.plan.clone());
        let changes = diff(&old, &self.plan).changes(&old, &self.plan);
        let before = self.world.in_force.borrow().clone();
        let files = files.or_else(|| before.files.clone());
        let now = InForce {
            generation: before.generation + 1,
            files,
        };
        let sha256 = now.sha256();
        if changes.is_empty() && sha256 == before.sha256() {
            return;
        }
        let generation = now.generation;
        self.world.in_force.send_replace(now);
        info!(generation, sha256, "another configuration is in force");
        self.world.chronicle.reload(&Changes {
            generation,
            sha256,
            ..changes
        });
    }
}
