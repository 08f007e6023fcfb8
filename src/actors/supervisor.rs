//! The supervisor: who may start, who must end, which commands are under way. It decides by looking
//! at the states that keepers show, never by counting their messages.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, AsyncContext, Context, Handler};
use fathom_kernel::{Answer, Ask, ControlError, Counters, Reply, Timestamp};
use tokio::sync::oneshot;
use tracing::{error, info};

use super::council::Council;
use super::ending::Ending;
use super::health::Ward;
use super::keeper::Keeper;
use super::messages::{Look, Ping, Take, Tell};
use super::observed::{Bell, Observed, Window};
use super::order::{Goal, Order, Sight};
use super::phase::{Input, Phase};
use super::regroup::View;
use super::revision::Revision;
use super::target;
use crate::body::World;
use crate::config::Reread;
use crate::config::plan::{Plan, ServicePlan};

/// Most messages waiting for the supervisor.
const MAILBOX_MAX: usize = 256;

/// Most commands under way; further ones are refused.
const ORDERS_MAX: usize = 256;

/// Time between two looks without a reason.
const TICK: Duration = Duration::from_secs(1);

/// Longest rest between two looks at a bell.
const REST_MAX: Duration = Duration::from_millis(20);

/// Why everything is stopped, and killed, at the end.
pub(super) const SHUTDOWN: &str = "shutdown";

/// How a stack came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By order.
    Ordered,
    /// With a service without which it makes no sense.
    Essential(String),
    /// With more groups that failed for good than the stack bears.
    Exhausted,
    /// The supervisor did not answer any more.
    Deaf,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ordered => f.write_str("the stack has ended, as ordered"),
            Self::Essential(name) => write!(f, "the stack has ended with {name}"),
            Self::Exhausted => f.write_str("more groups failed for good than the budget allows"),
            Self::Deaf => f.write_str("the supervisor did not answer"),
        }
    }
}

/// The supervisor of a stack.
pub struct Supervisor {
    pub(super) plan: Arc<Plan>,
    pub(super) world: World,
    pub(super) rows: Vec<Row>,
    pub(super) started: Timestamp,
    pub(super) ward: Ward,
    pub(super) revision: Revision,
    pub(super) council: Council,
    /// Who depends on each service, over any way.
    pub(super) dependents: Vec<Vec<usize>>,
    pub(super) orders: Vec<(Order, Option<oneshot::Sender<Answer>>)>,
    bell: Bell,
    /// When the next look at a bell may begin: as long after the last one as that took, so that
    /// thousands of services that change at once leave time for all else.
    rests_until: Instant,
    /// A look at the bell is going to come.
    will_look: bool,
    ending: Option<Ending>,
    ended: Option<oneshot::Sender<Ended>>,
}

/// One service as the supervisor knows it.
pub(super) struct Row {
    pub(super) keeper: Addr<Keeper>,
    pub(super) counters: Arc<Counters>,
    window: Window,
    /// Number of the last order sent to the keeper.
    sent: u64,
}

impl Supervisor {
    /// Starts the supervisor of a plan, which `reread` reads again; `ended` hears when everything has
    /// ended.
    pub fn launch(
        plan: Arc<Plan>,
        world: World,
        reread: Option<Reread>,
        ended: oneshot::Sender<Ended>,
    ) -> Addr<Self> {
        let council = Council::new(&plan);
        Self::create(|ctx| Self {
            revision: Revision::new(reread, plan.clone()),
            dependents: council.kin().all_dependents(),
            council,
            started: world.clock.now(),
            ward: Ward::new(&plan, &world),
            plan,
            world,
            rows: Vec::new(),
            orders: Vec::new(),
            bell: Bell::new(ctx.address()),
            rests_until: Instant::now(),
            will_look: false,
            ending: None,
            ended: Some(ended),
        })
    }

    /// Returns the state of every service.
    pub(super) fn observe(&self) -> Vec<Observed> {
        self.rows.iter().map(|row| row.window.look()).collect()
    }

    /// Tells whether the stack is coming to its end.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Takes a command under way; the reply goes out at once, or when it is done.
    pub(super) fn order(
        &mut self,
        goal: Goal,
        indexes: &[usize],
        why: (String, bool),
        reply: Option<oneshot::Sender<Answer>>,
    ) {
        self.order_steps(goal, &[indexes.to_vec()], why, reply);
    }

    /// Takes a command under way that goes in steps.
    pub(super) fn order_steps(
        &mut self,
        goal: Goal,
        steps: &[Vec<usize>],
        (why, wait): (String, bool),
        reply: Option<oneshot::Sender<Answer>>,
    ) {
        if self.orders.len() >= ORDERS_MAX {
            let refused = ControlError::Refused("too many commands are under way".to_owned());
            return answer(reply, Err(refused));
        }
        for (order, _) in &mut self.orders {
            order.supersede(&steps.concat());
        }
        let order = Order::of_steps(goal, steps, why, Instant::now());
        if wait {
            self.orders.push((order, reply));
        } else {
            let outcomes = order.outcomes(&self.plan.services);
            answer(reply, Ok(Reply::Done(outcomes)));
            self.orders.push((order, None));
        }
        self.look();
    }

    /// Begins the end of the stack; a second time, or with `now`, everything is killed.
    pub(super) fn end(&mut self, how: Ended, now: bool) {
        let moment = Instant::now();
        if self.ending.is_none() {
            info!(?how, "the stack comes to its end");
            self.world.ending.cancel();
            for (_, reply) in self.orders.drain(..) {
                answer(reply, Err(ControlError::ShuttingDown));
            }
            let everything: Vec<usize> = (0..self.rows.len()).collect();
            self.ending = Some(self.plan_end(how, &everything, moment));
            self.ring_at_moments();
            let order = Order::new(Goal::Down, &everything, SHUTDOWN.to_owned(), moment);
            self.orders.push((order, None));
        }
        if let (true, Some(ending)) = (now, &mut self.ending) {
            ending.hasten(moment);
            self.ring_at_moments();
        }
        self.look();
    }

    /// Plans the end: dependents go before what they depend on.
    fn plan_end(&self, how: Ended, everything: &[usize], now: Instant) -> Ending {
        let mut steps = self.council.kin().levels(everything);
        steps.reverse();
        let services = self.plan.services.iter().zip(self.observe());
        let waits = services.map(|(plan, seen)| match seen.phase.is_alive() {
            true => plan.stop.wait,
            false => Duration::ZERO,
        });
        let waits: Vec<Duration> = waits.collect();
        Ending::new(how, &steps, &waits, self.plan.shutdown_limit, now)
    }

    /// Makes the supervisor look whenever the end asks for something.
    fn ring_at_moments(&self) {
        let moments = self.ending.as_ref().map(Ending::moments);
        let bell = self.bell.clone();
        tokio::spawn(async move {
            for moment in moments.into_iter().flatten() {
                tokio::time::sleep_until(moment.into()).await;
                bell.ring();
            }
        });
    }

    /// Looks at all services, at once or after its rest, when the bell was rung.
    fn heed_bell(&mut self, ctx: &mut Context<Self>) {
        if self.will_look || !self.bell.is_rung() {
            return;
        }
        let rest = self.rests_until.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return self.look();
        }
        self.will_look = true;
        ctx.run_later(rest, |supervisor, _| {
            supervisor.will_look = false;
            supervisor.look();
        });
    }

    /// Looks at all services and does what their states ask for.
    pub(super) fn look(&mut self) {
        let begun = Instant::now();
        self.look_now();
        let now = Instant::now();
        self.rests_until = now + now.duration_since(begun).min(REST_MAX);
    }

    fn look_now(&mut self) {
        self.bell.answered();
        let mut observed = self.observe();
        self.follow_plan();
        self.ward.note(&self.plan, &mut observed);
        self.decide(&observed);
        self.advance_orders(&observed);
        let lost = observed.iter().position(|o| o.ends_stack);
        match &self.ending {
            None => {
                if let Some(index) = lost {
                    let name = self.plan.services[index].name.to_string();
                    self.end(Ended::Essential(name), false);
                }
            }
            Some(_) => self.advance_end(&observed),
        }
    }

    /// Lets the council decide who ends with whom and who may start.
    fn decide(&mut self, observed: &[Observed]) {
        let plan = self.plan.clone();
        let sent: Vec<u64> = self.rows.iter().map(|row| row.sent).collect();
        let view = View {
            observed,
            sent: &sent,
        };
        let mut council = std::mem::take(&mut self.council);
        let now = Instant::now();
        let ends = council.decide(&plan, view, now, &mut |index, input| {
            self.tell(index, input)
        });
        self.council = council;
        if ends && self.ending.is_none() {
            error!("the budget of the stack is used up");
            self.end(Ended::Exhausted, false);
        }
    }

    fn advance_orders(&mut self, observed: &[Observed]) {
        let (plan, dependents) = (self.plan.clone(), std::mem::take(&mut self.dependents));
        let sight = Sight {
            plans: &plan.services,
            observed,
            dependents: &dependents,
            now: Instant::now(),
        };
        let mut orders = std::mem::take(&mut self.orders);
        for (order, _) in &mut orders {
            order.advance(&sight, &mut |index, input| self.tell(index, input));
        }
        for (order, reply) in orders {
            if order.is_done() {
                answer(reply, Ok(Reply::Done(order.outcomes(&plan.services))));
            } else {
                self.orders.push((order, reply));
            }
        }
        self.dependents = dependents;
    }

    fn advance_end(&mut self, observed: &[Observed]) {
        let now = Instant::now();
        let Some(ending) = &mut self.ending else {
            return;
        };
        let quiet = observed.iter().all(|o| o.phase == Phase::Idle);
        if quiet || now >= ending.leave_at {
            let how = ending.how.clone();
            if let Some(ended) = self.ended.take()
                && ended.send(how).is_err()
            {
                error!("nobody waits for the end of the stack");
            }
        } else {
            for index in ending.due(now) {
                self.tell(index, Input::Kill(SHUTDOWN.to_owned()));
            }
        }
    }

    /// Tells a keeper; returns the number of the order, or `None` when the keeper is busy.
    pub(super) fn tell(&mut self, index: usize, input: Input) -> Option<u64> {
        let row = &mut self.rows[index];
        let order = row.sent + 1;
        match row.keeper.try_send(Tell { input, order }) {
            Ok(()) => {
                row.sent = order;
                Some(order)
            }
            Err(error) => {
                error!(service = %self.plan.services[index].name, %error, "keeper takes no order");
                None
            }
        }
    }

    fn autostart(&mut self) {
        let services = self.plan.services.iter().enumerate();
        let indexes: Vec<usize> = services
            .filter(|(_, s)| s.autostart)
            .map(|(i, _)| i)
            .collect();
        self.order(Goal::Up, &indexes, ("autostart".to_owned(), false), None);
    }

    /// Makes the keeper of a service.
    pub(super) fn row(&self, service: &ServicePlan) -> Row {
        // Its files are known before it first writes.
        self.world.logs.keep(&service.name, &service.log);
        let window = Window::new(self.world.clock.now());
        let counters = Arc::new(Counters::default());
        let ends = (window.clone(), self.bell.clone());
        let awaited = target::is_awaited(&self.plan, &service.name);
        let plan = (service.clone(), awaited);
        let keeper = Keeper::new(plan, self.world.clone(), counters.clone(), ends);
        Row {
            keeper: keeper.start(),
            counters,
            window,
            sent: 0,
        }
    }
}

/// Sends an answer to whoever waits for it.
pub(super) fn answer(reply: Option<oneshot::Sender<Answer>>, answer: Answer) {
    if let Some(reply) = reply
        && reply.send(answer).is_err()
    {
        tracing::debug!("nobody waits for the answer any more");
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
        let plan = self.plan.clone();
        self.rows = plan.services.iter().map(|s| self.row(s)).collect();
        ctx.run_interval(TICK, |supervisor, ctx| {
            supervisor.look();
            supervisor.watch(ctx);
        });
        self.autostart();
    }
}

impl Handler<Look> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Look, ctx: &mut Self::Context) {
        self.heed_bell(ctx);
    }
}

impl Handler<Take> for Supervisor {
    type Result = ();

    fn handle(&mut self, Take(ask): Take, ctx: &mut Self::Context) {
        let Ask {
            command,
            caller,
            reply,
        } = ask;
        let changes = command.changes();
        self.command(command, &caller, reply, ctx);
        match changes {
            true => self.look(),
            false => self.heed_bell(ctx),
        }
    }
}

impl Handler<Ping> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}
