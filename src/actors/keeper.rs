//! The keeper of one service: feeds its life cycle and carries out what that says.

use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, AsyncContext, Context, Handler, SpawnHandle, StreamHandler};
use fathom_kernel::{Counters, State};
use futures_util::stream;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::lifecycle::{Life, seed_of};
use super::messages::{Deliver, Feed, Refusal, SendSignal, Tell};
use super::observed::{Bell, Observed, Window};
use super::phase::{Effect, Input};
use super::policy::Policy;
use crate::body::{self, Handle, News, Reporter, Urgency, World};
use crate::config::plan::ServicePlan;

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
    body: Option<Handle>,
    timer: Option<SpawnHandle>,
    news_to: mpsc::Sender<(u64, News)>,
    news: Option<mpsc::Receiver<(u64, News)>>,
    /// What is shown in the window, kept to change parts of it.
    shown: Observed,
}

impl Keeper {
    /// Makes the keeper of a service that was never started.
    pub(super) fn new(
        plan: ServicePlan,
        world: World,
        counters: Arc<Counters>,
        (window, bell): (Window, Bell),
    ) -> Self {
        let (news_to, news) = mpsc::channel(Reporter::WAITING_MAX);
        Self {
            life: Life::new(Policy::of(&plan), seed_of(&plan.name)),
            shown: window.look(),
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
        let effects = self.life.step(input, Instant::now());
        for effect in effects {
            self.carry_out(effect);
        }
        if !self.life.phase().is_alive() {
            self.body = None;
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
                let news = (incarnation, self.news_to.clone());
                let body = body::start(&self.plan, &self.world, &self.counters, news);
                self.body = Some(body);
            }
            Effect::Terminate => self.end_body(Urgency::Terminate),
            Effect::Kill => self.end_body(Urgency::Kill),
            Effect::Announce { from, to, reason } => self.announce(from, to, reason),
            Effect::EndStack => self.shown.ends_stack = true,
        }
    }

    fn end_body(&self, urgency: Urgency) {
        if let Some(body) = &self.body {
            body.end(urgency);
        }
    }

    fn announce(&mut self, from: State, to: State, reason: String) {
        let (service, incarnation) = (&*self.plan.name, self.life.incarnation());
        if matches!(to, State::Backoff | State::Fatal | State::Unknown) {
            warn!(service, incarnation, %from, %to, reason, "service is in trouble");
        } else {
            info!(service, incarnation, %from, %to, reason, "service changed its state");
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
    }
}

impl StreamHandler<(u64, News)> for Keeper {
    fn handle(&mut self, (incarnation, news): (u64, News), ctx: &mut Self::Context) {
        let input = match news {
            News::Spawned(pid) => Input::Spawned(incarnation, pid),
            News::Ready => Input::Ready(incarnation),
            News::LeaderExited(exit) => Input::LeaderExited(incarnation, exit),
            News::Ended(exit, autopsy) => {
                self.shown.ended = Some(self.world.clock.now());
                self.shown.autopsy = autopsy;
                self.world.withdraw_addresses(&self.plan.name);
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
