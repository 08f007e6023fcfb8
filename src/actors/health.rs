//! How the supervisor watches the health of its services: once a second it reads what the rules
//! name, has it judged, and tells keepers what follows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{ActorFutureExt, Addr, AsyncContext, Context, WrapFuture};
use fathom_kernel::{
    Alarm, Answer, Caller, Event, Health, Outcome, Reply, Request, Severity, Verdict, WatchStatus,
};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::keeper::Keeper;
use super::messages::Deliver;
use super::observed::Observed;
use super::phase::{Input, Phase};
use super::status::is_finished;
use super::supervisor::Supervisor;
use super::target;
use crate::body::World;
use crate::body::errand::Surroundings;
use crate::chronicle::{HealthVerdict, What};
use crate::config::plan::{Body, Plan, Ready, ServicePlan};
use crate::health::{
    Activity, Asker, Checks, Engine, FlowReading, Heirs, Judgement, Moment, Names, News, Places,
    Senses, Setting, Stage, View,
};

/// Kind of the services that count messages by tag and by client.
const BROKER: &str = "ligier";

/// What the supervisor watches health with.
pub(super) struct Ward {
    engine: Engine,
    senses: Senses,
    checks: Checks,
    /// The plan that the senses look at.
    plan: Option<Arc<Plan>>,
    /// For each service, those it depends on directly.
    upstream: Vec<Vec<usize>>,
    /// What is read by tasks is not there yet.
    feeling: bool,
    /// What keepers were last told of the health of which incarnation.
    told: HashMap<Arc<str>, (u64, bool)>,
    /// The name of every keeper's service in that plan.
    names: HashMap<Addr<Keeper>, Arc<str>>,
}

impl Ward {
    /// Makes the ward of a stack.
    pub(super) fn new(plan: &Plan, world: &World) -> Self {
        Self {
            engine: Engine::new(plan.health.clone()),
            senses: Senses::new(Places {
                bus: world.bus.clone(),
                board: world.board.clone(),
                records: world.records.clone(),
                heartbeats: world.heartbeats.clone(),
                data_dir: world.data_dir.clone(),
            }),
            checks: Checks::default(),
            plan: None,
            upstream: Vec::new(),
            feeling: false,
            told: HashMap::new(),
            names: HashMap::new(),
        }
    }

    /// Notes at once where services are in their lives, and shows whether their data flows.
    pub(super) fn note(&mut self, plan: &Plan, observed: &mut [Observed]) {
        let now = Instant::now();
        for (service, observed) in plan.services.iter().zip(observed) {
            let activity = activity(service, observed);
            let rules = (&*service.flow, &*service.check);
            if self.engine.note(&service.name, rules, activity, now) {
                // What an earlier start left behind is nothing that this one has done.
                let readings = self.readings(service, observed);
                self.engine.rebase(&service.name, &readings);
            }
            observed.flowing = self.engine.is_flowing(&service.name);
            observed.idle = self.engine.is_idle(&service.name);
        }
    }

    /// Returns the health of a service and how it is watched.
    pub(super) fn status(&self, name: &str) -> (Health, WatchStatus) {
        self.engine.status(name, Instant::now())
    }

    fn readings(&self, service: &ServicePlan, observed: &Observed) -> Vec<FlowReading> {
        let names = Names {
            name: &service.name,
            alias: observed.alias.as_deref(),
        };
        let rules = service.flow.iter();
        rules.map(|rule| self.senses.read(names, rule)).collect()
    }

    /// Learns of another plan.
    fn follow<'a>(
        &mut self,
        plan: &Arc<Plan>,
        keepers: impl Iterator<Item = &'a Addr<Keeper>> + Clone,
    ) {
        if self
            .plan
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, plan))
        {
            return;
        }
        self.engine.set(plan.health.clone());
        let heirs = self.heirs(plan, keepers.clone());
        self.engine.follow(&heirs);
        self.checks.follow(&heirs);
        heirs.carry(&mut self.told);
        let brokers = plan
            .services
            .iter()
            .zip(keepers)
            .filter_map(|(service, keeper)| {
                let is_broker =
                    matches!(&service.body, Body::Kind(body) if body.kind.name == BROKER);
                is_broker.then(|| (service.name.clone(), asker(keeper.clone())))
            });
        self.senses.look_at((plan, &heirs), brokers);
        self.upstream = plan.services.iter().map(|s| upstream(plan, s)).collect();
        self.plan = Some(plan.clone());
    }

    /// Finds out who lives on: whose keeper stayed, whatever its name is now.
    #[expect(
        clippy::mutable_key_type,
        reason = "an address is told apart by its actor, which never changes"
    )]
    fn heirs<'a>(&mut self, plan: &Plan, keepers: impl Iterator<Item = &'a Addr<Keeper>>) -> Heirs {
        let mut before = std::mem::take(&mut self.names);
        let mut heirs = Heirs::default();
        for (service, keeper) in plan.services.iter().zip(keepers) {
            if let Some(name) = before.remove(keeper) {
                heirs.put(name, service.name.clone());
            }
            self.names.insert(keeper.clone(), service.name.clone());
        }
        heirs
    }
}

impl Supervisor {
    /// Watches the health of all services, once.
    pub(super) fn watch(&mut self, ctx: &mut Context<Self>) {
        if self.ward.feeling {
            return;
        }
        let at = Moment {
            mono: Instant::now(),
            wall: self.world.clock.now(),
        };
        self.follow_plan();
        self.ward.feeling = true;
        let felt = self.ward.senses.ask(at.mono).into_actor(self);
        ctx.spawn(felt.map(move |(), supervisor, _| {
            supervisor.ward.feeling = false;
            supervisor.judge(at);
            supervisor.look();
        }));
    }

    /// Goes over to the plan in force, before anything is noted of its services.
    pub(super) fn follow_plan(&mut self) {
        let keepers = self.rows.iter().map(|row| &row.keeper);
        self.ward.follow(&self.plan, keepers);
    }

    fn judge(&mut self, at: Moment) {
        // It may be another one than a moment ago.
        self.follow_plan();
        let (plan, mut observed) = (self.plan.clone(), self.observe());
        let snapshots = plan.services.iter().zip(&self.rows);
        let snapshots =
            snapshots.map(|(service, row)| (service.name.clone(), row.counters.snapshot()));
        let counters: HashMap<_, _> = snapshots.collect();
        let counts: Vec<(u64, u64)> = plan
            .services
            .iter()
            .filter_map(|service| counters.get(&service.name))
            .map(|counters| (counters.received, counters.dropped))
            .collect();
        self.ward.senses.gather(at.mono, counters);
        self.ward.note(&plan, &mut observed);
        for result in self.ward.checks.results() {
            self.ward.engine.checked(&result, at.mono);
        }
        let views: Vec<View<'_>> = plan
            .services
            .iter()
            .enumerate()
            .map(|(index, service)| View {
                name: &service.name,
                flow: &service.flow,
                check: &service.check,
                upstream: self.ward.upstream.get(index).cloned().unwrap_or_default(),
                activity: activity(service, &observed[index]),
                readings: self.ward.readings(service, &observed[index]),
                counters: counts.get(index).copied().unwrap_or_default(),
            })
            .collect();
        for judgement in self.ward.engine.tick(at, &views) {
            let now = &observed[judgement.index];
            self.act(&plan.services[judgement.index], now, judgement);
        }
        self.start_checks(&plan, &observed, at.mono);
    }

    /// Starts the checks that are due.
    fn start_checks(&mut self, plan: &Plan, observed: &[Observed], now: Instant) {
        if self.is_ending() {
            return;
        }
        for (service, shown) in plan.services.iter().zip(observed) {
            if !matches!(shown.phase, Phase::Up { .. }) {
                continue;
            }
            let incarnation = shown.incarnation;
            let setting = || -> Setting {
                let (service, world) = (service.clone(), self.world.clone());
                Box::new(move || Surroundings::of(&service, &world, incarnation))
            };
            let (which, beats) = ((&service.name, incarnation), &self.world.heartbeats);
            let rules = (&*service.check, &setting as &dyn Fn() -> Setting);
            self.ward.checks.start_due(which, rules, beats, now);
        }
    }

    /// Does what a judgement asks for.
    fn act(&mut self, service: &ServicePlan, now: &Observed, judgement: Judgement) {
        let (index, incarnation) = (judgement.index, now.incarnation);
        for news in judgement.news {
            self.announce_flow(service, incarnation, news);
        }
        if let Some((from, reason)) = judgement.changed {
            let verdict = HealthVerdict {
                at: self.world.clock.now(),
                service: service.name.to_string(),
                incarnation,
                from,
                to: judgement.health,
                reason,
            };
            self.world.chronicle.record(What::Verdict(verdict));
        }
        if self.is_ending() {
            return;
        }
        match now.phase {
            Phase::Up { .. } => {
                let good = judgement.health.is_good();
                // A service that nobody judges counts as well from the start.
                let known = self.ward.told.get(&service.name).copied();
                let judged = !service.flow.is_empty() || !service.check.is_empty();
                let known = known.filter(|(of, _)| *of == incarnation);
                if known.map_or(!judged, |(_, well)| well) != good
                    && self.tell(index, Input::Well(incarnation, good)).is_some()
                {
                    let told = (incarnation, good);
                    self.ward.told.insert(service.name.clone(), told);
                }
                if let Some(reason) = judgement.restart {
                    warn!(service = %service.name, incarnation, reason, "restarting for its health");
                    self.tell(index, Input::Unhealthy(incarnation, reason));
                }
            }
            Phase::Warming { .. } => {
                let by_rules = service.ready == Ready::Flow && !service.flow.is_empty();
                if by_rules && self.ward.engine.is_seen(&service.name) {
                    self.tell(index, Input::Ready(incarnation));
                }
            }
            Phase::Idle
            | Phase::Waiting(_)
            | Phase::Spawning { .. }
            | Phase::Delay { .. }
            | Phase::Term { .. }
            | Phase::Kill { .. }
            | Phase::Lost { .. }
            | Phase::Done
            | Phase::Fatal { .. } => {}
        }
    }

    /// Tells everybody that a service stalls, or does so no more.
    fn announce_flow(&self, service: &ServicePlan, incarnation: u64, news: News) {
        let (name, rule) = (&*service.name, news.rule);
        match news.stalled {
            true => warn!(service = name, incarnation, rule, "{}", news.text),
            false => info!(service = name, incarnation, rule, "{}", news.text),
        }
        self.world.bus.publish(Event::Alarm(Alarm {
            service: name.to_owned(),
            rule,
            subject: name.to_owned(),
            severity: Severity::Warning,
            firing: news.stalled,
            text: news.text,
            at: self.world.clock.now(),
        }));
    }

    /// Holds services, or releases them when there is no time to hold them for.
    pub(super) fn hold(
        &mut self,
        targets: &[String],
        hold: Option<Option<Duration>>,
        caller: &Caller,
    ) -> Answer {
        let chosen = target::resolve(&self.plan, targets)?;
        let at = Moment {
            mono: Instant::now(),
            wall: self.world.clock.now(),
        };
        let mut outcomes = Vec::with_capacity(chosen.len());
        for index in chosen {
            let name = self.plan.services[index].name.clone();
            let (result, message) = match hold {
                Some(time) => {
                    self.ward.engine.hold(&name, caller.who.clone(), time, at);
                    (Verdict::Held, String::new())
                }
                None if self.ward.engine.release(&name) => (Verdict::Released, String::new()),
                None => (Verdict::Released, "was not held".to_owned()),
            };
            info!(service = %name, %caller, ?result, ?hold, "hold requested");
            outcomes.push(Outcome {
                name: name.to_string(),
                result,
                message,
            });
        }
        Ok(Reply::Done(outcomes))
    }
}

/// Returns where a service is in its life, as far as health cares.
fn activity(service: &ServicePlan, observed: &Observed) -> Activity {
    let stage = match &observed.phase {
        Phase::Up { .. } => Stage::Up,
        Phase::Spawning { .. }
        | Phase::Warming { .. }
        | Phase::Term { .. }
        | Phase::Kill { .. } => Stage::Busy,
        Phase::Waiting(_) | Phase::Delay { .. } => Stage::Pending,
        Phase::Done if is_finished(observed, &service.exit_ok) => Stage::Done,
        Phase::Idle | Phase::Lost { .. } | Phase::Done | Phase::Fatal { .. } => Stage::Down,
    };
    Activity {
        stage,
        incarnation: observed.incarnation,
    }
}

/// Returns the places of those that a service depends on.
fn upstream(plan: &Plan, service: &ServicePlan) -> Vec<usize> {
    let names = service.upstream().into_iter();
    names
        .filter_map(|name| plan.services.iter().position(|s| s.name == *name))
        .collect()
}

/// Makes the way to ask a service; it waits as long as the service lives.
fn asker(keeper: Addr<Keeper>) -> Asker {
    Arc::new(move |verb| {
        let keeper = keeper.clone();
        Box::pin(async move {
            let (reply, told) = oneshot::channel();
            let request = Request {
                verb: verb.to_owned(),
                args: serde_json::Value::Null,
                reply,
            };
            keeper.send(Deliver(request)).await.ok()?.ok()?;
            told.await.ok()?.ok()
        })
    })
}
