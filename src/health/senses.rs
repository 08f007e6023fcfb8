//! Reads the sources of all flow rules. Nothing is counted for it that is not counted anyhow, but
//! for events of the rare topics and lines that a rule looks for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fathom_kernel::view::View as Picture;
use fathom_kernel::{Board, Bus, CountersSnapshot, SubscriberStatus, Topic};
use futures_util::future::join_all;
use regex::Regex;
use tokio::sync::watch;
use tokio::time::timeout;

use super::brokers::{Asker, Client, Tables};
use super::feelers::{Feeler, Lines};
use super::heartbeats::Heartbeats;
use super::heirs::Heirs;
use super::reading::{FlowReading, Mark, Reading};
use super::taps::Tap;
use crate::config::plan::{FlowRule, FlowSource, Plan};
use crate::telemetry::Records;

/// Longest wait for what is read by tasks; what is not there by then counts next time.
const FEEL_MAX: Duration = Duration::from_millis(400);

/// Documents are fetched so often within `max_age`, but not more than once a second.
const FETCHES: u32 = 4;

/// Where things are read.
pub struct Places {
    /// The bus.
    pub bus: Bus,
    /// The board.
    pub board: Board,
    /// Log lines.
    pub records: Records,
    /// `WATCHDOG=1` of programs.
    pub heartbeats: Heartbeats,
    /// Where relative paths start.
    pub data_dir: std::path::PathBuf,
}

/// What a service is called: its own name, and the one that its incarnation was given when that was
/// started under another. Until it ends, everything it puts out bears the latter.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// Its name.
    pub name: &'a Arc<str>,
    /// The other name of what runs.
    pub alias: Option<&'a str>,
}

impl<'a> Names<'a> {
    pub(super) fn all(self) -> impl Iterator<Item = &'a str> {
        std::iter::once(&**self.name).chain(self.alias)
    }

    fn is(self, name: &str) -> bool {
        self.all().any(|known| known == name)
    }
}

/// Reads the sources of all flow rules.
pub struct Senses {
    places: Places,
    asks: watch::Sender<Instant>,
    files: HashMap<FlowSource, Feeler<Option<Mark>>>,
    lines: HashMap<(Arc<str>, String), Lines>,
    brokers: HashMap<Arc<str>, Feeler<Option<Tables>>>,
    taps: HashMap<Topic, Tap>,
    /// What is read at once, as of the last time of asking.
    queues: Vec<SubscriberStatus>,
    counters: HashMap<Arc<str>, CountersSnapshot>,
    tables: Vec<Option<Option<Tables>>>,
    now: Instant,
}

impl Senses {
    /// Makes senses that look at nothing yet.
    pub fn new(places: Places) -> Self {
        let now = Instant::now();
        Self {
            places,
            asks: watch::Sender::new(now),
            files: HashMap::new(),
            lines: HashMap::new(),
            brokers: HashMap::new(),
            taps: HashMap::new(),
            queues: Vec::new(),
            counters: HashMap::new(),
            tables: Vec::new(),
            now,
        }
    }

    /// Looks at what the rules of a plan name, and no more at what they name no more. `brokers` are
    /// asked only when some rule needs it. What is looked at for services that live on goes on.
    pub fn look_at(
        &mut self,
        (plan, heirs): (&Plan, &Heirs),
        brokers: impl Iterator<Item = (Arc<str>, Asker)>,
    ) {
        heirs.carry(&mut self.brokers);
        let lines = std::mem::take(&mut self.lines).into_iter();
        self.lines
            .extend(lines.filter_map(|((service, pattern), lines)| {
                Some(((heirs.of(&service)?, pattern), lines))
            }));
        let rules = || {
            let services = plan.services.iter();
            services.flat_map(|s| s.flow.iter().map(move |rule| (&s.name, rule)))
        };
        let sources =
            || rules().flat_map(|(name, rule)| sources(rule).map(move |s| (name, rule, s)));
        let named: HashSet<&FlowSource> = sources().map(|(_, _, source)| source).collect();
        self.files.retain(|source, _| named.contains(source));
        let patterns: HashSet<(&str, &str)> = sources()
            .filter_map(|(name, _, source)| match source {
                FlowSource::Log(pattern) => Some((&**name, pattern.as_str())),
                _ => None,
            })
            .collect();
        self.lines
            .retain(|(name, pattern), _| patterns.contains(&(&**name, pattern.as_str())));
        self.taps
            .retain(|topic, _| named.contains(&FlowSource::Bus(*topic)));
        for (name, rule, source) in sources() {
            self.attach(name, rule, source);
        }
        let wanted = named
            .iter()
            .any(|source| matches!(source, FlowSource::Tag(_) | FlowSource::Queue))
            || rules().any(|(_, rule)| rule.max_queue.is_some());
        let brokers: HashMap<Arc<str>, Asker> = brokers.filter(|_| wanted).collect();
        self.brokers.retain(|name, _| brokers.contains_key(name));
        for (name, asker) in brokers {
            let asked = self.asks.subscribe();
            let made = || Feeler::broker(asked, asker);
            self.brokers.entry(name).or_insert_with(made);
        }
    }

    fn attach(&mut self, service: &Arc<str>, rule: &FlowRule, source: &FlowSource) {
        let asked = || self.asks.subscribe();
        match source {
            FlowSource::File(path) => {
                let made = || Feeler::file(asked(), self.places.data_dir.join(path));
                self.files.entry(source.clone()).or_insert_with(made);
            }
            FlowSource::Http { url, pointer } => {
                let every = (rule.max_age / FETCHES).max(super::engine::TICK / 2);
                let place = (url.clone(), pointer.clone());
                let made = || Feeler::document(asked(), place, every);
                self.files.entry(source.clone()).or_insert_with(made);
            }
            FlowSource::Log(text) => {
                // It was checked when the configuration was read.
                if let Ok(pattern) = Regex::new(text) {
                    let follow = || self.places.records.follow(service, 0);
                    let key = (service.clone(), text.clone());
                    let lines = self.lines.entry(key);
                    lines.or_insert_with(|| Lines::follow(follow(), pattern));
                }
            }
            FlowSource::Bus(topic @ (Topic::Alarm | Topic::Notice | Topic::Life | Topic::Log)) => {
                let made = || Tap::new(&self.places.bus, *topic);
                self.taps.entry(*topic).or_insert_with(made);
            }
            FlowSource::Tag(_)
            | FlowSource::Bus(Topic::Frame | Topic::Output)
            | FlowSource::Actor(_)
            | FlowSource::Queue
            | FlowSource::Stdout
            | FlowSource::Metric(_)
            | FlowSource::Notify => {}
        }
    }

    /// Asks for everything anew; the future ends when it is there, or after a short while.
    pub fn ask(&mut self, now: Instant) -> impl Future<Output = ()> + Send + 'static {
        self.asks.send_replace(now);
        let files: Vec<_> = self.files.values().map(|feeler| feeler.done(now)).collect();
        let brokers = self.brokers.values().map(|feeler| feeler.done(now));
        let brokers: Vec<_> = brokers.collect();
        async move {
            let all = async { tokio::join!(join_all(files), join_all(brokers)) };
            // Whoever is slower is read next time.
            timeout(FEEL_MAX, all).await.ok();
        }
    }

    /// Takes in what is read at once.
    pub fn gather(&mut self, now: Instant, counters: HashMap<Arc<str>, CountersSnapshot>) {
        self.now = now;
        self.queues = self.places.bus.subscribers();
        self.counters = counters;
        let tables = self.brokers.values().map(|feeler| feeler.value(now));
        self.tables = tables.collect();
        for tap in self.taps.values_mut() {
            tap.drain();
        }
    }

    /// Returns what one rule of a service reads.
    pub fn read(&self, service: Names<'_>, rule: &FlowRule) -> FlowReading {
        let input = rule.input.as_ref();
        FlowReading {
            out: self.source(service, &rule.out, Side::Out),
            input: input.map(|input| self.source(service, input, Side::In)),
            queued: self.queue(service).map(|queue| queue.waiting),
        }
    }

    fn source(&self, service: Names<'_>, source: &FlowSource, side: Side) -> Reading {
        let name = service.name;
        let own = || self.counters.get(name).cloned().unwrap_or_default();
        match source {
            FlowSource::Tag(tag) => self.tag(service, tag.as_str(), side),
            FlowSource::Bus(topic) => self.topic(service, *topic, side),
            FlowSource::Actor(other) => {
                let theirs = self.counters.get(other).map(|counters| counters.received);
                Reading::of(theirs.map(Mark::Count))
            }
            FlowSource::Queue => {
                let Some(queue) = self.queue(service) else {
                    return Reading::default();
                };
                match side {
                    Side::In => Reading {
                        waiting: queue.waiting > 0,
                        ..Reading::count(queue.put)
                    },
                    Side::Out => Reading::count(queue.taken),
                }
            }
            FlowSource::File(_) | FlowSource::Http { .. } => self
                .files
                .get(source)
                .map_or_else(Reading::late, |feeler| feeler.reading(self.now)),
            FlowSource::Stdout => Reading::count(self.places.records.written(name)),
            FlowSource::Log(pattern) => {
                let lines = self.lines.get(&(name.clone(), pattern.clone()));
                Reading::of(lines.map(|lines| Mark::Count(lines.count())))
            }
            FlowSource::Metric(metric) => Reading::of(self.metric(service, metric, &own())),
            FlowSource::Notify => Reading::count(self.places.heartbeats.of(name).count()),
        }
    }

    /// Reads a tag: its messages at the brokers and also whether anything went from or to the service,
    /// as a client of theirs that gave its name, or over the bus. A tag that no broker knows, and a
    /// stack without brokers, leave what the bus says: data need not go through a broker.
    fn tag(&self, service: Names<'_>, tag: &str, side: Side) -> Reading {
        if self.tables.is_empty() {
            return self.topic(service, Topic::Frame, side);
        }
        if self.tables.iter().any(Option::is_none) {
            return Reading::late();
        }
        let tables = || self.tables.iter().flatten().flatten();
        let totals = tables().filter_map(|tables| tables.tags.get(tag));
        let total = totals.copied().reduce(|a, b| a + b);
        let clients = tables().flat_map(|tables| tables.of_service(service));
        let as_client = clients.map(|client| match side {
            Side::In => client.sent + client.queued,
            Side::Out => client.received,
        });
        let as_client = as_client.reduce(|a, b| a + b);
        match (total, as_client) {
            (None, Some(_)) => Reading::default(),
            (None, None) => self.topic(service, Topic::Frame, side),
            (Some(total), own) => {
                let own = own.or_else(|| self.put_on_bus(service).filter(|_| side == Side::In));
                Reading::of(Some(
                    own.map_or(Mark::Count(total), |own| Mark::Both(total, own)),
                ))
            }
        }
    }

    /// Returns the messages that the bus ever had for a service; `None` when it takes none from there.
    fn put_on_bus(&self, service: Names<'_>) -> Option<u64> {
        let queues = self.queues.iter().filter(|queue| service.is(&queue.name));
        queues.map(|queue| queue.delivered).reduce(|a, b| a + b)
    }

    fn topic(&self, service: Names<'_>, topic: Topic, side: Side) -> Reading {
        let own = self.counters.get(service.name);
        let count = match (topic, side) {
            (Topic::Frame, Side::In) => self.queue(service).map(|queue| queue.put),
            (Topic::Frame, Side::Out) => own.map(|own| own.sent),
            (Topic::Output, Side::Out) => own.map(|own| own.outputs),
            (Topic::Output, Side::In) => {
                let others = self
                    .counters
                    .iter()
                    .filter(|(name, _)| *name != service.name);
                Some(others.map(|(_, counters)| counters.outputs).sum())
            }
            (Topic::Alarm | Topic::Notice | Topic::Life | Topic::Log, side) => {
                self.taps.get(&topic).map(|tap| {
                    let own = service.all().map(|name| tap.by(name)).sum();
                    match side {
                        Side::In => tap.total() - own,
                        Side::Out => own,
                    }
                })
            }
        };
        Reading::of(count.map(Mark::Count))
    }

    fn metric(&self, service: Names<'_>, name: &str, own: &CountersSnapshot) -> Option<Mark> {
        let count = match name {
            "received" => own.received,
            "received_bytes" => own.received_bytes,
            "sent" => own.sent,
            "sent_bytes" => own.sent_bytes,
            "dropped" => own.dropped,
            "dropped_bytes" => own.dropped_bytes,
            "outputs" => own.outputs,
            name => {
                let entry = self.places.board.entry(name)?;
                let is_own = service.is(&entry.service);
                return is_own.then(|| match &entry.output.view {
                    Picture::Scalar(scalar) => Mark::Stamp(scalar.value.to_bits()),
                    _ => Mark::Stamp(entry.version),
                });
            }
        };
        Some(Mark::Count(count))
    }

    /// Returns all that waits for a service, on the bus and at the brokers; `None` when it has no
    /// queue anywhere.
    fn queue(&self, service: Names<'_>) -> Option<QueueState> {
        let on_bus = self.queues.iter().filter(|queue| service.is(&queue.name));
        let on_bus = on_bus.map(|queue| {
            let waiting = queue.queued as u64;
            QueueState {
                put: queue.delivered,
                taken: queue.delivered.saturating_sub(waiting + queue.dropped),
                waiting,
            }
        });
        let tables = self.tables.iter().flatten().flatten();
        let clients = tables.flat_map(|tables| tables.of_service(service));
        on_bus
            .chain(clients.map(QueueState::of))
            .reduce(|a, b| QueueState {
                put: a.put + b.put,
                taken: a.taken + b.taken,
                waiting: a.waiting + b.waiting,
            })
    }
}

/// Whether a source is what a service feeds on or what it produces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    In,
    Out,
}

/// A queue at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct QueueState {
    /// Messages ever put in.
    put: u64,
    /// Messages ever taken out by whom they were for.
    taken: u64,
    waiting: u64,
}

impl QueueState {
    fn of(client: &Client) -> Self {
        Self {
            put: client.sent + client.queued + client.dropped,
            taken: client.sent,
            waiting: client.queued,
        }
    }
}

fn sources(rule: &FlowRule) -> impl Iterator<Item = &FlowSource> {
    std::iter::once(&rule.out).chain(&rule.input)
}

#[cfg(test)]
mod tests;
