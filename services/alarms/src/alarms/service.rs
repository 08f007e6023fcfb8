//! The engine as a service: hears conditions, looks at the stack, tells what became of alarms.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::{
    Alarm, BoxFuture, Caller, Event, Filter, FromConfig, Limits, Notice, Request, Service,
    ServiceCx, ServiceError, ServiceStatus, Setup, StackStatus, State, Subscription, Topic,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::warn;

use super::looks::{self, Look};
use super::orders::{self, Order};
use super::reconcile::{self, Answered};
use super::records::Records;
use super::watch::{self, Finding, Verdict, Watch};
use super::{Options, tables, thresholds};
use crate::engine::{Book, House, Input, Key};
use crate::kept::{Kept, restored};

/// Time between two looks at the alarms.
const TICK: Duration = Duration::from_secs(1);
/// Time between two versions of the outputs when nothing changes.
const SHOW_EVERY: Duration = Duration::from_secs(30);
/// A condition of every module of a large detector fits.
const LIMITS: Limits = Limits {
    messages: 100_000,
    bytes: 64 << 20,
};

/// The service.
pub(crate) struct Alarms {
    options: Options,
}

impl FromConfig<Options> for Alarms {
    fn check(options: &Options, _: &Setup) -> Result<(), String> {
        options.problem().map_or(Ok(()), Err)
    }

    fn from_config(options: &Options, _: &Setup) -> Self {
        Self {
            options: options.clone(),
        }
    }
}

impl Service for Alarms {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        Box::pin(async move {
            let filter = Filter::none().and(Topic::Alarm).and(Topic::Life);
            // Subscribed first, so that nothing is missed while the state is read.
            let events = cx.subscribe(filter, LIMITS);
            let house = self.options.house();
            let mut book: Book = restored(&cx, "alarms").await?;
            book.equip(&house);
            let engine = Engine {
                folders: folders(&cx, &self.options),
                options: self.options,
                house,
                book,
                watch: Watch::default(),
                work: JoinSet::new(),
                asked: HashMap::new(),
                cleared: BTreeSet::new(),
                looks: Looks::default(),
                began: Instant::now(),
                records: Records::default(),
                kept: Kept::new("alarms"),
                shown: None,
                cx,
            };
            engine.run(events).await
        })
    }
}

/// Returns the folders whose disks are watched.
fn folders(cx: &ServiceCx, options: &Options) -> Vec<PathBuf> {
    let mut folders = vec![cx.data_dir.clone()];
    folders.extend(options.disks.iter().cloned());
    folders
}

/// A running engine.
struct Engine {
    options: Options,
    folders: Vec<PathBuf>,
    house: House,
    book: Book,
    watch: Watch,
    /// Looks and questions under way; they end with the service.
    work: JoinSet<Done>,
    /// Which incarnation of each service was asked for its conditions.
    asked: HashMap<String, u64>,
    /// Conditions that ended while questions were under way.
    cleared: BTreeSet<Key>,
    looks: Looks,
    /// When the engine started.
    began: Instant,
    records: Records,
    kept: Kept,
    /// When the outputs were put up last; `None` when something changed since.
    shown: Option<Instant>,
    cx: ServiceCx,
}

/// When the stack is looked at.
#[derive(Default)]
struct Looks {
    last: Option<Instant>,
    is_due: bool,
    is_looking: bool,
    is_asking: bool,
}

/// A piece of work beside the loop.
enum Done {
    Look(Box<Look>),
    Answers(Vec<Answered>),
}

impl Engine {
    async fn run(mut self, mut events: Subscription) -> Result<(), ServiceError> {
        self.cx.ready();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let stop = self.cx.stop.clone();
        let mut batch = VecDeque::new();
        loop {
            // All branches are cancel-safe: a batch is taken only when its branch completes.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(request) = self.cx.inbox.recv() => {
                    // What came before the question is part of the answer.
                    events.try_batch(&mut batch);
                    self.take(&mut batch);
                    self.answer(request).await?;
                }
                Some(done) = self.work.join_next() => self.finished(done),
                _ = ticks.tick() => self.tick().await?,
                open = events.recv_batch(&mut batch) => {
                    if !open { break }
                    self.take(&mut batch);
                }
            }
        }
        self.work.shutdown().await;
        if events.try_batch(&mut batch) {
            self.take(&mut batch);
        }
        self.keep().await
    }

    fn take(&mut self, batch: &mut VecDeque<Arc<Event>>) {
        let (count, mut bytes) = (batch.len() as u64, 0);
        for event in batch.drain(..) {
            bytes += event.cost_bytes() as u64;
            match &*event {
                // What the engine finds itself comes back from the bus.
                Event::Alarm(alarm) if alarm.service != *self.cx.name => self.hear(alarm.clone()),
                Event::Life(_) => self.looks.is_due = true,
                Event::Alarm(_)
                | Event::Frame(_)
                | Event::Output(_)
                | Event::Notice(_)
                | Event::Log(_) => {}
            }
        }
        self.cx.counters.received(count, bytes);
    }

    /// Takes a condition of a service.
    fn hear(&mut self, alarm: Alarm) {
        if !alarm.firing && self.looks.is_asking {
            self.cleared.insert(Key {
                service: alarm.service.clone(),
                rule: alarm.rule.clone(),
                subject: alarm.subject.clone(),
            });
        }
        let over = (alarm.firing && self.is_happening(&alarm)).then(|| Alarm {
            firing: false,
            ..alarm.clone()
        });
        self.apply_and_tell(Input::Said(alarm));
        if let Some(over) = over {
            // For whoever follows conditions: it lasts no longer than it took to say it.
            self.cx.bus.publish(Event::Alarm(over));
        }
    }

    fn is_happening(&self, alarm: &Alarm) -> bool {
        let Alarm {
            service,
            rule,
            subject,
            ..
        } = alarm;
        let names = (&**service, &**rule, &**subject);
        self.house.policies.of(names, alarm.severity).is_happening
    }

    /// Takes an own finding; whoever follows conditions hears of it when it changes.
    fn find(&mut self, alarm: Alarm) {
        let key = Key {
            service: alarm.service.clone(),
            rule: alarm.rule.clone(),
            subject: alarm.subject.clone(),
        };
        let before = self.book.holding(&key);
        self.apply_and_tell(Input::Said(alarm.clone()));
        if self.book.holding(&key) != before {
            self.cx.bus.publish(Event::Alarm(alarm));
        }
    }

    fn apply_and_tell(&mut self, input: Input) {
        // What is said is never refused, only orders are.
        let told = self.book.apply(input, &self.house, self.cx.clock.now());
        self.changed();
        self.tell(told.unwrap_or_default());
    }

    fn tell(&mut self, notices: Vec<Notice>) {
        if notices.is_empty() {
            return;
        }
        for notice in &notices {
            self.records.write(notice, Instant::now());
        }
        self.cx.counters.sent(notices.len() as u64, 0);
        let events = notices.into_iter().map(Event::Notice).collect();
        self.cx.bus.publish_batch(events);
        self.changed();
    }

    fn changed(&mut self) {
        self.kept.changed();
        self.shown = None;
    }

    async fn tick(&mut self) -> Result<(), ServiceError> {
        let told = self
            .book
            .apply(Input::Tick, &self.house, self.cx.clock.now());
        self.tell(told.unwrap_or_default());
        self.records.look(Instant::now());
        let is_old = |at: Instant| at.elapsed() >= SHOW_EVERY;
        if self.shown.is_none_or(is_old) {
            for output in tables::outputs(&self.book, self.cx.clock.now()) {
                self.cx.put(output);
            }
            self.shown = Some(Instant::now());
        }
        if self.kept.is_due() {
            self.keep().await?;
        }
        let every = self.options.check_interval.duration();
        let is_time = self.looks.last.is_none_or(|last| last.elapsed() >= every);
        if (is_time || self.looks.is_due) && !self.looks.is_looking {
            self.looks = Looks {
                last: Some(Instant::now()),
                is_due: false,
                is_looking: true,
                ..self.looks
            };
            let (control, folders) = (self.cx.control.clone(), self.folders.clone());
            let caller = self.caller();
            self.work.spawn(async move {
                Done::Look(Box::new(looks::look(control, caller, folders).await))
            });
        }
        Ok(())
    }

    fn finished(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Look(look)) => {
                self.looks.is_looking = false;
                self.looked(*look);
            }
            Ok(Done::Answers(answers)) => {
                self.looks.is_asking = false;
                let cleared = std::mem::take(&mut self.cleared);
                for answered in answers {
                    let now = self.cx.clock.now();
                    for alarm in reconcile::answer(&self.book, answered, &cleared, now) {
                        // What happened once is not news because somebody still knows of it.
                        if !(alarm.firing && self.is_happening(&alarm)) {
                            self.apply_and_tell(Input::Said(alarm));
                        }
                    }
                }
            }
            Err(error) => {
                (self.looks.is_looking, self.looks.is_asking) = (false, false);
                self.cx.counters.bad("look ended by a fault");
                warn!(%error, "a look at the stack ended by a fault");
            }
        }
    }

    fn looked(&mut self, look: Look) {
        let Look {
            status,
            disks,
            unknown,
        } = look;
        let Some(status) = status else {
            self.cx.counters.bad("no answer from the supervisor");
            return;
        };
        let now = self.cx.clock.now();
        let mut found = self.watch.services(&status, &self.options, now);
        found.extend(watch::disks(&disks, &self.options));
        for folder in unknown {
            self.cx.counters.bad("disk not looked at");
            found.push(Finding {
                rule: "disk_full".to_owned(),
                subject: folder.display().to_string(),
                verdict: Verdict::Unknown,
            });
        }
        let own = self.cx.name.clone();
        let held = self.book.held_by(&own);
        let within = self.options.confirm_within.duration();
        found.extend(thresholds::outputs(
            &self.cx.board,
            &self.options.thresholds,
            &held,
            self.began.elapsed() <= within,
        ));
        for alarm in reconcile::findings(found, &held, &own, now) {
            self.find(alarm);
        }
        for alarm in reconcile::orphans(&self.book, &status, (&own, now), within) {
            self.apply_and_tell(Input::Said(alarm));
        }
        self.ask(&status);
    }

    /// Asks services that were not asked since they started which of their conditions hold.
    fn ask(&mut self, status: &StackStatus) {
        if self.looks.is_asking {
            return;
        }
        let fresh = status.services.iter().filter(|service| {
            service.kind.is_some()
                && service.state == State::Running
                && service.name != *self.cx.name
                && self.asked.get(&service.name) != Some(&service.incarnation)
        });
        let fresh: Vec<ServiceStatus> = fresh.cloned().collect();
        if fresh.is_empty() {
            return;
        }
        let names = status.services.iter().map(|service| &*service.name);
        let names: BTreeSet<&str> = names.collect();
        self.asked.retain(|name, _| names.contains(&**name));
        let incarnations = fresh.iter().map(|s| (s.name.clone(), s.incarnation));
        self.asked.extend(incarnations);
        self.looks.is_asking = true;
        let (control, clock) = (self.cx.control.clone(), self.cx.clock.clone());
        let caller = self.caller();
        self.work.spawn(async move {
            Done::Answers(looks::conditions(control, caller, clock, fresh).await)
        });
    }

    fn caller(&self) -> Caller {
        Caller::new(&*self.cx.name, "service")
    }

    async fn answer(&mut self, request: Request) -> Result<(), ServiceError> {
        let Request { verb, args, reply } = request;
        let now = self.cx.clock.now();
        let answer = match Order::read(&verb, args, (&self.cx.name, now)) {
            Ok(Order::List) => Ok(orders::list(&self.book)),
            Ok(Order::History { after, count }) => Ok(orders::history(&self.book, after, count)),
            Ok(Order::Change(input)) => self.obey(input).await?,
            Err(reason) => Err(reason),
        };
        // Whoever asked may have gone; then nobody needs the answer.
        reply.send(answer).unwrap_or_default();
        Ok(())
    }

    /// Carries out an order; it is on disk before it is confirmed.
    async fn obey(&mut self, input: Input) -> Result<Result<Value, String>, ServiceError> {
        let told = match self.book.apply(input, &self.house, self.cx.clock.now()) {
            Ok(told) => told,
            Err(nothing) => return Ok(Err(nothing.to_string())),
        };
        let ids: Vec<u64> = told.iter().map(|notice| notice.id).collect();
        self.changed();
        self.tell(told);
        self.keep().await?;
        Ok(Ok(json!({ "alarms": ids, "mutes": self.book.mutes() })))
    }

    async fn keep(&mut self) -> Result<(), ServiceError> {
        self.kept.keep(&self.cx, &self.book).await
    }
}
