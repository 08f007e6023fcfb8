//! The keeper of one service: feeds its life cycle and carries out what that says.

use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, SpawnHandle, StreamHandler};
use fathom_kernel::{Counters, State};
use futures_util::stream;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::lifecycle::{Life, seed_of};
use super::messages::{Amend, Deliver, Feed, Refusal, Retire, SendSignal, Tell};
use super::observed::{Bell, Observed, Window};
use super::phase::{Effect, Input, Phase};
use super::policy::Policy;
use super::status::next;
use super::supervisor::SHUTDOWN;
use crate::body::{self, Handle, News, Reporter, Urgency, World};
use crate::config::plan::ServicePlan;
use crate::incidents::Case;

/// Most messages waiting for a keeper.
const MAILBOX_MAX: usize = 64;

/// The keeper of one service.
pub(super) struct Keeper {
    plan: Arc<ServicePlan>,
    world: World,
    counters: Arc<Counters>,
    window: Window,
    bell: Bell,
    life: Life,
    /// Name that the incarnation was given.
    called: Arc<str>,
    body: Option<Handle>,
    timer: Option<SpawnHandle>,
    news_to: mpsc::Sender<(u64, News)>,
    news: Option<mpsc::Receiver<(u64, News)>>,
    /// What is shown in the window, kept to change parts of it.
    shown: Observed,
    /// An operator had the running incarnation killed.
    killed: bool,
}

impl Keeper {
    /// Makes the keeper of a service that was never started.
    pub(super) fn new(
        (plan, awaited): (ServicePlan, bool),
        world: World,
        counters: Arc<Counters>,
        (window, bell): (Window, Bell),
    ) -> Self {
        let (news_to, news) = mpsc::channel(Reporter::WAITING_MAX);
        let (policy, seed) = (Policy::of(&plan, awaited), seed_of(&plan.name));
        let next = world.chronicle.next_number();
        world.lives.born(&plan.name, &policy, seed, next);
        let mut shown = window.look();
        shown.incident = world.incidents.last_of(&plan.name);
        Self {
            life: Life::new(policy, seed),
            shown,
            killed: false,
            called: plan.name.clone(),
            plan: Arc::new(plan),
            world,
            counters,
            window,
            bell,
            body: None,
            timer: None,
            news_to,
            news: Some(news),
        }
    }

    fn step(&mut self, input: Input, ctx: &mut Context<Self>) {
        let now = Instant::now();
        self.world.lives.heard(&self.plan.name, &input, now);
        let before = self.life.phase().is_alive();
        let mut incident = self.mark_killed(&input);
        for effect in self.life.step(input, now) {
            if let Effect::Incident(why) = effect {
                incident = Some(why.unwrap_or_else(|| self.end_in_words()));
            } else {
                self.carry_out(effect);
            }
        }
        let lost_or_ended = !self.life.phase().is_alive();
        if lost_or_ended {
            self.body = None;
        }
        if let Some(why) = incident {
            self.report(why, now);
        }
        if before && lost_or_ended {
            self.world.gauges.end(&self.plan.name);
        }
        self.show();
        self.set_timer(ctx);
        self.bell.ring();
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            // The supervisor sees the phase and answers with `Cleared` or `Blocked`.
            Effect::AskClearance => {}
            Effect::Spawn(incarnation) => {
                self.shown.started = Some(self.world.clock.now());
                if self.called != self.plan.name {
                    // From here on it writes under its new name.
                    self.world.logs.forget(&self.plan.name);
                    self.called = self.plan.name.clone();
                }
                let news = (incarnation, self.news_to.clone());
                let body = body::start(&self.plan, &self.world, &self.counters, news);
                self.body = Some(body);
            }
            Effect::Terminate => self.end_body(Urgency::Terminate),
            Effect::Kill => self.end_body(Urgency::Kill),
            Effect::Announce { from, to, reason } => self.announce(from, to, reason),
            Effect::EndStack => self.shown.ends_stack = true,
            // Told by `step` when all else is done.
            Effect::Incident(_) => {}
        }
    }

    /// Remembers that an operator has the incarnation killed; returns the reason of the incident when
    /// it is over.
    fn mark_killed(&mut self, input: &Input) -> Option<String> {
        match input {
            Input::Kill(why) if why != SHUTDOWN => self.killed = self.life.phase().is_alive(),
            Input::Spawned(..) => self.killed = false,
            Input::Ended(incarnation, _) if *incarnation == self.life.incarnation() => {
                let killed = std::mem::take(&mut self.killed);
                return killed.then(|| "killed_by_operator".to_owned());
            }
            _ => {}
        }
        None
    }

    /// Returns the last end in one short word.
    fn end_in_words(&self) -> String {
        let exit = self.life.last_exit();
        exit.map_or_else(
            || "unknown".to_owned(),
            |exit| self.shown.autopsy.reason(exit),
        )
    }

    /// Opens the case of a failure.
    fn report(&mut self, reason: String, now: Instant) {
        let upstream = self.plan.upstream().into_iter().map(ToString::to_string);
        let exit = match self.life.phase() {
            Phase::Lost { .. } => None,
            _ => self.life.last_exit().cloned(),
        };
        let in_force = self.world.in_force.borrow().clone();
        let number = self.world.incidents.put(Case {
            service: self.plan.name.clone(),
            incarnation: self.life.incarnation(),
            generation: in_force.generation,
            sha256: in_force.sha256(),
            started: self.shown.started,
            ended: self.world.clock.now(),
            reason: reason.clone(),
            exit,
            autopsy: self.shown.autopsy.clone(),
            peaks: self.world.gauges.end(&self.plan.name),
            streak: self.life.streak(),
            next: next(self.life.phase(), self.life.streak(), now),
            upstream: upstream.collect(),
        });
        if number.is_some() {
            self.shown.incident = number;
            self.shown.incident_reason = Some(reason);
        }
    }

    fn end_body(&self, urgency: Urgency) {
        if let Some(body) = &self.body {
            body.end(urgency);
        }
    }

    fn announce(&mut self, from: State, to: State, reason: String) {
        let (service, incarnation) = (&*self.plan.name, self.life.incarnation());
        // What has ended is named by the pid it had.
        let pid = match self.life.phase().pid() {
            0 => self.shown.phase.pid(),
            pid => pid,
        };
        if matches!(to, State::Backoff | State::Fatal | State::Unknown) {
            warn!(service, incarnation, %from, %to, reason, pid, "service is in trouble");
        } else {
            info!(service, incarnation, %from, %to, reason, pid, "service changed its state");
        }
        if from != to {
            self.shown.since = self.world.clock.now();
        }
        self.world
            .announce(service, incarnation, (from, to), reason);
    }

    fn show(&mut self) {
        self.shown.phase = self.life.phase().clone();
        self.shown.want = self.life.want();
        self.shown.incarnation = self.life.incarnation();
        self.shown.restarts = self.life.restarts();
        self.shown.streak = self.life.streak();
        self.shown.last_exit = self.life.last_exit().cloned();
        self.shown.trouble = self.life.trouble().map(str::to_owned);
        let renamed = self.called != self.plan.name && self.life.phase().is_alive();
        self.shown.alias = renamed.then(|| self.called.clone());
        self.window.show(self.shown.clone());
    }

    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let wait = self
            .life
            .deadline()
            .map(|at| at.saturating_duration_since(Instant::now()));
        self.timer = wait.map(|wait| {
            ctx.run_later(wait, |keeper, ctx| {
                keeper.timer = None;
                keeper.step(Input::Elapsed, ctx);
            })
        });
    }
}

impl Actor for Keeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
        if let Some(mut news) = self.news.take() {
            ctx.add_stream(stream::poll_fn(move |cx| news.poll_recv(cx)));
        }
        if self.world.adoptable.has(&self.plan.name) {
            // It runs already, so there is nothing to wait for.
            self.step(Input::Start("taken over".to_owned()), ctx);
            self.step(Input::Cleared, ctx);
        }
    }
}

impl StreamHandler<(u64, News)> for Keeper {
    fn handle(&mut self, (incarnation, news): (u64, News), ctx: &mut Self::Context) {
        let input = match news {
            News::Spawned(pid) => {
                self.world.gauges.begin(&self.plan.name, pid);
                Input::Spawned(incarnation, pid)
            }
            News::Ready => Input::Ready(incarnation),
            News::LeaderExited(exit) => Input::LeaderExited(incarnation, exit),
            News::Ended(exit, autopsy) => {
                self.shown.ended = Some(self.world.clock.now());
                self.shown.autopsy = autopsy;
                self.world.withdraw_addresses(&self.plan.name);
                self.world.withdraw_addresses(&self.called);
                Input::Ended(incarnation, exit)
            }
        };
        self.step(input, ctx);
    }

    fn finished(&mut self, _: &mut Self::Context) {
        // The keeper itself holds a sender, so the stream ends with the actor only.
        error!(service = %self.plan.name, "news of a service have ended");
    }
}

impl Handler<Tell> for Keeper {
    type Result = ();

    fn handle(&mut self, tell: Tell, ctx: &mut Self::Context) {
        self.shown.order = tell.order;
        self.step(tell.input, ctx);
    }
}

impl Handler<Amend> for Keeper {
    type Result = ();

    fn handle(&mut self, amend: Amend, ctx: &mut Self::Context) {
        let Amend { plan, awaited } = amend;
        if plan.name != self.plan.name {
            info!(from = %self.plan.name, to = %plan.name, "service has another name");
            self.world.rename(&self.plan.name, &plan.name);
            self.world.lives.renamed(&self.plan.name);
        }
        self.world.logs.keep(&plan.name, &plan.log);
        self.plan = plan;
        if let Some(body) = &self.body {
            body.amend(&self.plan);
        }
        let policy = Policy::of(&self.plan, awaited);
        self.step(Input::Amend(Box::new(policy)), ctx);
    }
}

impl Handler<Retire> for Keeper {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Handler<SendSignal> for Keeper {
    type Result = bool;

    fn handle(&mut self, SendSignal(signal): SendSignal, _: &mut Self::Context) -> bool {
        self.body.as_ref().is_some_and(|body| body.signal(signal))
    }
}

impl Handler<Deliver> for Keeper {
    type Result = Result<(), Refusal>;

    fn handle(&mut self, Deliver(request): Deliver, _: &mut Self::Context) -> Self::Result {
        match &self.body {
            Some(body) => body.ask(request).map_err(|_| Refusal::Busy),
            None => Err(Refusal::NotRunning),
        }
    }
}

impl Handler<Feed> for Keeper {
    type Result = Result<(), Refusal>;

    fn handle(&mut self, Feed(text): Feed, _: &mut Self::Context) -> Self::Result {
        match &self.body {
            Some(body) => body.feed(text).map_err(|_| Refusal::Busy),
            None => Err(Refusal::NotRunning),
        }
    }
}
