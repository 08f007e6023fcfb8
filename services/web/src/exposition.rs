//! Counters of the services for Prometheus, out of the status that people see.

use std::sync::atomic::AtomicU64;

use fathom_kernel::{CountersSnapshot, Health, ServiceStatus, StackStatus, State, Timestamp};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// A gauge of numbers that need not be whole.
pub type RealGauge = Gauge<f64, AtomicU64>;
/// A counter of numbers that need not be whole.
pub type RealCounter = Counter<f64, AtomicU64>;

/// Labels of a metric of one service.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfService {
    service: String,
    group: String,
}

impl OfService {
    /// Makes the labels of a service.
    pub fn new(service: &ServiceStatus) -> Self {
        Self {
            service: service.name.clone(),
            group: service.group.clone(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    service: String,
    group: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InHealth {
    service: String,
    group: String,
    health: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRule {
    service: String,
    group: String,
    rule: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Bad {
    service: String,
    group: String,
    reason: String,
}

/// Every health a service can have.
const HEALTHS: [Health; 6] = [
    Health::Unknown,
    Health::Ok,
    Health::Idle,
    Health::Lagging,
    Health::Stalled,
    Health::Failing,
];

/// Registers state, health and counters of all services of a stack.
pub fn of_services(registry: &mut Registry, status: &StackStatus, now: Timestamp) {
    states(registry, status, now);
    health(registry, status);
    messages(registry, status);
}

fn states(registry: &mut Registry, status: &StackStatus, now: Timestamp) {
    let state = Family::<InState, Gauge>::default();
    let uptime = Family::<OfService, RealGauge>::default();
    let restarts = Family::<OfService, Counter>::default();
    let starts = Family::<OfService, Counter>::default();
    for service in &status.services {
        for (name, is) in state_set(service.state) {
            let labels = InState {
                service: service.name.clone(),
                group: service.group.clone(),
                state: name,
            };
            state.get_or_create(&labels).set(is.into());
        }
        let up = match service.state {
            State::Running => seconds(service.since, now),
            _ => 0.0,
        };
        uptime.get_or_create(&OfService::new(service)).set(up);
        restarts
            .get_or_create(&OfService::new(service))
            .inc_by(service.restarts);
        starts
            .get_or_create(&OfService::new(service))
            .inc_by(service.incarnation);
    }
    registry.register("service_state", "1 for the state the service is in", state);
    registry.register_with_unit(
        "service_uptime",
        "Time since the service became ready; 0 when it does not run",
        Unit::Seconds,
        uptime,
    );
    registry.register(
        "service_restarts",
        "Failures that led to a restart",
        restarts,
    );
    registry.register("service_starts", "Starts", starts);
}

fn health(registry: &mut Registry, status: &StackStatus) {
    let health = Family::<InHealth, Gauge>::default();
    let held = Family::<OfService, Gauge>::default();
    let age = Family::<OfService, RealGauge>::default();
    let waiting = Family::<OfRule, Gauge>::default();
    for service in &status.services {
        for word in HEALTHS {
            let labels = InHealth {
                service: service.name.clone(),
                group: service.group.clone(),
                health: word.name(),
            };
            health
                .get_or_create(&labels)
                .set((word == service.health).into());
        }
        let is_held = service.watch.hold.is_some();
        held.get_or_create(&OfService::new(service))
            .set(is_held.into());
        if let Some(age_s) = service.watch.output_age_s {
            age.get_or_create(&OfService::new(service)).set(age_s);
        }
        for rule in &service.watch.rules {
            if let Some(queued) = rule.queued {
                let labels = OfRule {
                    service: service.name.clone(),
                    group: service.group.clone(),
                    rule: rule.rule.clone(),
                };
                let queued = i64::try_from(queued).unwrap_or(i64::MAX);
                waiting.get_or_create(&labels).set(queued);
            }
        }
    }
    registry.register("service_health", "1 for the health of the service", health);
    registry.register(
        "service_held",
        "1 while an operator holds the service",
        held,
    );
    registry.register_with_unit(
        "service_output_age",
        "Time since the last output of a service that runs",
        Unit::Seconds,
        age,
    );
    registry.register(
        "service_waiting_messages",
        "Messages that wait for the service, by flow rule",
        waiting,
    );
}

/// One counter of [`fathom_kernel::CountersSnapshot`]: name, help, where it stands.
type Read = (&'static str, &'static str, fn(&CountersSnapshot) -> u64);

const COUNTERS: [Read; 7] = [
    (
        "messages_received",
        "Messages that reached the service",
        |c| c.received,
    ),
    ("bytes_received", "Their bytes", |c| c.received_bytes),
    ("messages_sent", "Messages the service sent", |c| c.sent),
    ("bytes_sent", "Their bytes", |c| c.sent_bytes),
    (
        "messages_dropped",
        "Messages lost because of a slow reader",
        |c| c.dropped,
    ),
    ("bytes_dropped", "Their bytes", |c| c.dropped_bytes),
    ("outputs", "Outputs put on the board", |c| c.outputs),
];

fn messages(registry: &mut Registry, status: &StackStatus) {
    for (name, help, read) in COUNTERS {
        let family = Family::<OfService, Counter>::default();
        for service in &status.services {
            family
                .get_or_create(&OfService::new(service))
                .inc_by(read(&service.counters));
        }
        registry.register(name, help, family);
    }
    let bad = Family::<Bad, Counter>::default();
    let last = Family::<OfService, RealGauge>::default();
    for service in &status.services {
        for (reason, count) in &service.counters.bad {
            let labels = Bad {
                service: service.name.clone(),
                group: service.group.clone(),
                reason: reason.clone(),
            };
            bad.get_or_create(&labels).inc_by(*count);
        }
        if let Some(at) = service.counters.last_output {
            let at_s = at.as_microsecond() as f64 / 1e6;
            last.get_or_create(&OfService::new(service)).set(at_s);
        }
    }
    figures(registry, status);
    registry.register("messages_bad", "Messages that could not be read", bad);
    registry.register_with_unit(
        "last_output_timestamp",
        "When the service last put an output on the board",
        Unit::Seconds,
        last,
    );
}

/// What services measure of themselves.
fn figures(registry: &mut Registry, status: &StackStatus) {
    let lag = Family::<OfService, RealGauge>::default();
    let memory = Family::<OfService, Gauge>::default();
    let busy = Family::<OfService, RealCounter>::default();
    for service in &status.services {
        busy.get_or_create(&OfService::new(service))
            .inc_by(service.counters.busy_s);
        if let Some(lag_s) = service.counters.lag_s {
            lag.get_or_create(&OfService::new(service)).set(lag_s);
        }
        if let Some(bytes) = service.counters.memory_bytes {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            memory.get_or_create(&OfService::new(service)).set(bytes);
        }
    }
    registry.register_with_unit(
        "monitor_lag",
        "Time from the arrival of the newest message a monitor took to when it had taken it",
        Unit::Seconds,
        lag,
    );
    registry.register_with_unit(
        "monitor_memory",
        "Memory that the state of a monitor takes, roughly",
        Unit::Bytes,
        memory,
    );
    registry.register_with_unit(
        "service_busy",
        "Time in which tasks of the service held a thread of this program",
        Unit::Seconds,
        busy,
    );
}

fn state_set(is: State) -> impl Iterator<Item = (&'static str, bool)> {
    const ALL: [State; 8] = [
        State::Stopped,
        State::Starting,
        State::Running,
        State::Backoff,
        State::Stopping,
        State::Exited,
        State::Fatal,
        State::Unknown,
    ];
    ALL.into_iter()
        .map(move |state| (state.name(), state == is))
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}
