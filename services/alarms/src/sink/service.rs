//! The loop of all sinks: hears notices, fills the outbox, sends what is due, keeps the state.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::view::Table;
use fathom_kernel::{
    Alarm, BoxFuture, Event, Filter, Limits, Notice, Output, Request, ServiceCx, ServiceError,
    Severity, Stage, Subscription, Timestamp, Topic,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::{Instrument as _, info, warn};

use super::feed::{self, Rows};
use super::options::{SINK_FAILING, SINK_HOLDING};
use super::outbox::{Due, Outbox};
use super::{Parcel, Taste};
use crate::kept::{Kept, restored};

/// Time between two looks at what is due.
const TICK: Duration = Duration::from_millis(250);
/// Longest time an attempt to send may take.
const SEND_MAX: Duration = Duration::from_secs(60);
/// Time between two questions to an engine that does not answer.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// After so many questions without an answer, notices behind a gap are passed on without it.
const UNANSWERED_MAX: u32 = 3;
/// A sink that never ran tells what happened within this time before.
const FRESH: Duration = Duration::from_secs(600);
/// Most notices that wait while the engine is asked for those before them.
const HELD_MAX: usize = 50_000;
/// Time between two versions of the output when nothing changes.
const SHOW_EVERY: Duration = Duration::from_secs(30);
const LIMITS: Limits = Limits {
    messages: 100_000,
    bytes: 64 << 20,
};

/// What carries messages out of the stack.
pub(crate) trait Outlet: Send + 'static {
    /// Sends a message; what fails is tried again later, with what came meanwhile.
    fn send(&mut self, parcel: Parcel) -> BoxFuture<'_, Result<(), SendError>>;
}

/// Why a message was not sent, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SendError(pub(crate) String);

/// Runs a sink until it is told to stop.
pub(crate) async fn run<O: Outlet>(
    cx: ServiceCx,
    outlet: O,
    taste: Taste,
) -> Result<(), ServiceError> {
    // Subscribed first, so that nothing is missed while the state is read.
    let events = cx.subscribe(Filter::none().and(Topic::Notice), LIMITS);
    let outbox: Outbox = restored(&cx, "notices").await?;
    let sink = Sink {
        // What was said before the restart holds until something is sent.
        is_failing: outbox.is_failing(&taste, cx.clock.now()),
        held_until: outbox.figures(&taste).kept_back,
        taste,
        outbox,
        outlet: Some(outlet),
        work: JoinSet::new(),
        behind: Behind {
            is_behind: true,
            ..Behind::default()
        },
        trouble: None,
        kept: Kept::new("notices"),
        shown: None,
        cx,
    };
    sink.run(events).await
}

/// A running sink.
struct Sink<O> {
    cx: ServiceCx,
    taste: Taste,
    outbox: Outbox,
    /// Absent only while it sends.
    outlet: Option<O>,
    /// An attempt to send, or a question to the engine; they end with the service.
    work: JoinSet<Done<O>>,
    behind: Behind,
    /// Why the last attempt failed.
    trouble: Option<String>,
    /// It was said that this sink cannot send.
    is_failing: bool,
    /// It was said that notices are kept back until then, because of the hourly limit.
    held_until: Option<Timestamp>,
    kept: Kept,
    shown: Option<Instant>,
}

/// What may have been missed.
#[derive(Default)]
struct Behind {
    is_behind: bool,
    is_asking: bool,
    asked: Option<Instant>,
    /// Questions in a row that were not answered.
    unanswered: u32,
    /// Notices behind those that may be missing.
    held: VecDeque<Notice>,
    /// Events that this sink's own queue lost, as far as is known.
    lost: u64,
}

enum Done<O> {
    Sent(O, Result<(), SendError>),
    Rows(Option<Rows>),
}

impl<O: Outlet> Sink<O> {
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
                Some(request) = self.cx.inbox.recv() => self.answer(request),
                Some(done) = self.work.join_next() => {
                    self.finished(done)?;
                    self.keep().await?;
                }
                _ = ticks.tick() => self.tick().await?,
                open = events.recv_batch(&mut batch) => {
                    if !open { break }
                    self.take(&mut batch, &events);
                }
            }
        }
        // What is under way may arrive or not; it is tried again at the next start.
        self.work.shutdown().await;
        // What still waits on the bus is in the engine's history.
        self.keep().await
    }

    fn take(&mut self, batch: &mut VecDeque<Arc<Event>>, events: &Subscription) {
        let (count, mut bytes) = (batch.len() as u64, 0);
        for event in batch.drain(..) {
            bytes += event.cost_bytes() as u64;
            let Event::Notice(notice) = &*event else {
                continue;
            };
            if self.outbox.misses_before(notice) {
                self.behind.is_behind = true;
            }
            match self.behind.is_behind {
                true if self.behind.held.len() < HELD_MAX => {
                    self.behind.held.push_back(notice.clone());
                }
                // The engine has it, as long as it keeps its history.
                true => {}
                false => self.accept(notice),
            }
        }
        let lost = events.lost().messages;
        if lost > self.behind.lost {
            (self.behind.lost, self.behind.is_behind) = (lost, true);
        }
        self.cx.counters.received(count, bytes);
    }

    fn accept(&mut self, notice: &Notice) {
        let (now, name) = (self.cx.clock.now(), self.cx.name.clone());
        let dropped = self.outbox.take(notice, &self.taste, &name, now);
        if dropped > 0 {
            self.cx.counters.dropped(dropped, 0);
        }
        self.changed();
    }

    fn changed(&mut self) {
        self.kept.changed();
        self.shown = None;
    }

    async fn tick(&mut self) -> Result<(), ServiceError> {
        self.catch_up();
        if let Due::Send(parcel) = self.due() {
            self.send(parcel);
        }
        self.tell_what_waits();
        let is_old = |at: Instant| at.elapsed() >= SHOW_EVERY;
        if self.shown.is_none_or(is_old) {
            self.show();
        }
        self.keep().await
    }

    fn due(&mut self) -> Due {
        match self.outlet {
            Some(_) => self.outbox.due(&self.taste, self.cx.clock.now()),
            None => Due::Nothing,
        }
    }

    fn send(&mut self, parcel: Parcel) {
        let Some(mut outlet) = self.outlet.take() else {
            return;
        };
        let sending = async move {
            let sent = timeout(SEND_MAX, outlet.send(parcel)).await;
            let late = || SendError(format!("not done within {} s", SEND_MAX.as_secs()));
            Done::Sent(outlet, sent.unwrap_or_else(|_| Err(late())))
        };
        // What it says goes into the log of this service.
        self.work.spawn(sending.in_current_span());
    }

    /// Asks the engine for what may have been missed.
    fn catch_up(&mut self) {
        let behind = &mut self.behind;
        let is_soon = |at: Instant| at.elapsed() < ASK_EVERY;
        if !behind.is_behind || behind.is_asking || behind.asked.is_some_and(is_soon) {
            return;
        }
        (behind.is_asking, behind.asked) = (true, Some(Instant::now()));
        let (control, own) = (self.cx.control.clone(), self.cx.name.clone());
        let after = self.outbox.last_entry().unwrap_or(0);
        self.work
            .spawn(async move { Done::Rows(feed::rows(&control, &own, after).await) });
    }

    fn finished(
        &mut self,
        done: Result<Done<O>, tokio::task::JoinError>,
    ) -> Result<(), ServiceError> {
        // Without its outlet a sink is of no use: it starts anew.
        match done.map_err(ServiceError::new)? {
            Done::Sent(outlet, result) => {
                self.outlet = Some(outlet);
                self.sent(result);
            }
            Done::Rows(rows) => self.caught_up(rows),
        }
        Ok(())
    }

    fn sent(&mut self, result: Result<(), SendError>) {
        let now = self.cx.clock.now();
        match result {
            Ok(()) => {
                if self.trouble.take().is_some() {
                    info!("messages arrive again");
                }
                self.outbox.delivered(now);
                self.cx.counters.sent(1, 0);
                self.judge(now);
            }
            Err(error) => {
                self.cx.counters.bad("message not sent");
                if self.trouble.as_ref() != Some(&error.0) {
                    warn!(%error, "a message cannot be sent, trying again");
                }
                self.trouble = Some(error.0);
                let dropped = self.outbox.failed(&self.taste, now);
                self.cx.counters.dropped(dropped, 0);
                self.judge(now);
            }
        }
        self.changed();
    }

    /// Says when this sink fails on and on, and when it does no more: for the other sinks and the page.
    fn judge(&mut self, now: Timestamp) {
        let is_failing = self.outbox.is_failing(&self.taste, now);
        if std::mem::replace(&mut self.is_failing, is_failing) != is_failing {
            self.cx.bus.publish(Event::Alarm(self.condition(now)));
        }
    }

    /// Says what is kept back and why, so that nobody waits for a message that does not come.
    fn tell_what_waits(&mut self) {
        let now = self.cx.clock.now();
        let figures = self.outbox.figures(&self.taste);
        let held_until = figures.kept_back.filter(|at| *at > now);
        let waiting = figures.waiting;
        let note = match (held_until, &self.trouble) {
            (Some(at), _) => Some(format!(
                "keeps {waiting} notices back until {}",
                clock_time(at)
            )),
            (None, Some(trouble)) => Some(format!("{waiting} notices wait: {trouble}")),
            (None, None) => None,
        };
        self.cx.counters.note(note);
        if std::mem::replace(&mut self.held_until, held_until) != held_until {
            self.cx.bus.publish(Event::Alarm(self.holding(now)));
        }
    }

    /// Returns what is said of the hourly limit.
    fn holding(&self, now: Timestamp) -> Alarm {
        let name = &self.cx.name;
        let text = match self.held_until {
            Some(at) => format!(
                "{name} keeps notices back until {}, as per_hour = {} messages went out within an hour",
                clock_time(at),
                self.taste.per_hour
            ),
            None => format!("{name} keeps nothing back"),
        };
        Alarm {
            service: name.to_string(),
            rule: SINK_HOLDING.to_owned(),
            subject: name.to_string(),
            severity: Severity::Info,
            firing: self.held_until.is_some(),
            text,
            at: now,
        }
    }

    /// Returns what is said of this sink itself.
    fn condition(&self, now: Timestamp) -> Alarm {
        let name = &self.cx.name;
        let text = match self.is_failing {
            true => {
                let waiting = self.outbox.figures(&self.taste).waiting;
                let trouble = self.trouble.as_deref().unwrap_or("not tried again yet");
                format!("{name} cannot send, {waiting} notices wait: {trouble}")
            }
            false => format!("{name} sends again"),
        };
        Alarm {
            service: name.to_string(),
            rule: SINK_FAILING.to_owned(),
            subject: name.to_string(),
            severity: Severity::Alert,
            firing: self.is_failing,
            text,
            at: now,
        }
    }

    fn caught_up(&mut self, rows: Option<Rows>) {
        self.behind.is_asking = false;
        let Some(rows) = rows else {
            self.behind.unanswered += 1;
            if self.behind.unanswered >= UNANSWERED_MAX && !self.behind.held.is_empty() {
                // What is known is passed on all the same.
                self.cx.counters.bad("no answer from the alarm engine");
                self.behind.is_behind = false;
                self.release();
            }
            return;
        };
        self.behind.unanswered = 0;
        let is_fresh = self.outbox.last_entry().is_none();
        let now = self.cx.clock.now();
        let is_recent =
            |at: Timestamp| Duration::try_from(now.duration_since(at)).unwrap_or_default() <= FRESH;
        // Of what is older a new sink tells what fires still.
        let mut newest_of = BTreeMap::new();
        for notice in &rows.notices {
            newest_of.insert(notice.id, (notice.entry, notice.to));
        }
        let fires =
            |notice: &Notice| newest_of.get(&notice.id) == Some(&(notice.entry, Stage::Firing));
        for notice in &rows.notices {
            match is_fresh && !is_recent(notice.at) && !fires(notice) {
                true => self.outbox.pass_over(notice),
                false => self.accept(notice),
            }
        }
        let newest = rows.notices.last().map_or(rows.last, |notice| notice.entry);
        // A long history comes in several answers.
        self.behind.is_behind = newest < rows.last;
        if self.behind.is_behind {
            self.behind.asked = None;
        } else {
            self.release();
        }
    }

    fn release(&mut self) {
        for notice in std::mem::take(&mut self.behind.held) {
            self.accept(&notice);
        }
    }

    fn show(&mut self) {
        let figures = self.outbox.figures(&self.taste);
        let row = |name: &str, value: Value| vec![json!(name), value];
        let time = |at: Option<Timestamp>| json!(at.map(|at| format!("{at:.0}")));
        let table = Table {
            columns: vec!["quantity".to_owned(), "value".to_owned()],
            rows: vec![
                row("notices waiting", json!(figures.waiting)),
                row("notices sent", json!(figures.delivered)),
                row("notices dropped", json!(figures.dropped)),
                row("failures in a row", json!(figures.failures)),
                row("next attempt", time(figures.retry)),
                row(
                    "kept back by the hourly limit until",
                    time(figures.kept_back),
                ),
                row("last trouble", json!(self.trouble)),
            ],
        };
        let name = self.cx.name.replace(':', ".");
        let title = format!("Queue of {}", self.cx.name);
        let output = Output::new(format!("{name}_queue"), title, table)
            .at(Some(self.cx.clock.now()))
            .every(60.0);
        self.cx.put(output);
        self.shown = Some(Instant::now());
    }

    /// Answers `queue` with the numbers, and `conditions` as monitors do; `retry` sends what waits at
    /// once.
    fn answer(&mut self, request: Request) {
        let figures = self.outbox.figures(&self.taste);
        let answer = match &*request.verb {
            "queue" => Ok(json!({
                "waiting": figures.waiting,
                "sent": figures.delivered,
                "dropped": figures.dropped,
                "failures": figures.failures,
                "kept_back_until": figures.kept_back,
                "trouble": self.trouble,
            })),
            "conditions" => {
                let now = self.cx.clock.now();
                let failing = self.is_failing.then(|| self.condition(now));
                let holding = self.held_until.map(|_| self.holding(now));
                Ok(failing
                    .into_iter()
                    .chain(holding)
                    .map(|alarm| json!(alarm))
                    .collect())
            }
            "retry" => {
                self.outbox.hurry();
                Ok(Value::Null)
            }
            verb => Err(format!(
                "unknown request {verb:?}, expected queue, conditions or retry"
            )),
        };
        // Whoever asked may have gone; then nobody needs the answer.
        request.reply.send(answer).unwrap_or_default();
    }

    async fn keep(&mut self) -> Result<(), ServiceError> {
        match self.kept.is_due() {
            true => self.kept.keep(&self.cx, &self.outbox).await,
            false => Ok(()),
        }
    }
}

/// Writes a time for people.
fn clock_time(at: Timestamp) -> String {
    at.strftime("%H:%M:%S UTC").to_string()
}
